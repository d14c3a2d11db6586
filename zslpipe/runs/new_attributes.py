"""Attributes that nobody trained on, known by their words: which methods can score them.

A method's model is built for the attributes of its run with the new ones behind them. Of its
tensors that hold something of each attribute, those that the constructor makes of the word vectors
get rows for new attributes; where training refined them from there the new rows are as they start.
A tensor that training learned for each attribute (a linear layer over attributes, ESZSL's W, RSAN's
P) has nothing for a new one: such a method is refused.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.runs.trained import Trained
from zslpipe.training.contract import Classes, Model

logger = logging.getLogger(__name__)

# (attribute, dimension) word vectors of new attributes, of the settings that made those of the
# known ones, these by name, and the new names (zslpipe.datasets.more_words: behind index.h5 nobody
# knows files of words).
WordSource = Callable[[Mapping[str, Any], Mapping[str, np.ndarray], Sequence[str]], np.ndarray]

SHOWN = 10  # ours: names in a message
CAN = "a method can that knows attributes by their word vectors alone: dazle"


def check_reads_words(trained: Trained, names: Sequence[str]) -> None:
    """Raise InputError where a method reads no word vectors: new attributes ``names`` need them."""
    if trained.classes.words is None and names:
        own = some(trained.classes.attribute_names)
        fault = f"attributes that the run does not know: {some(names)}; it knows {own}"
        why = f"{trained.spec['method']} reads no word vectors, so it takes no new one"
        raise InputError(f"{trained.name}: {fault}; {why}; {CAN}")


def words_with(trained: Trained, names: Sequence[str], source: WordSource | None) -> Tensor | None:
    """Return the (a, v) word vectors of a run's attributes with those of the new ``names`` behind
    them; InputError as the source.
    """
    words = trained.classes.words
    if words is None or not names:
        return words
    if source is None:
        fault = "no source of word vectors is given, for new attributes"
        raise InputError(f"{trained.name}: {fault} {', '.join(names)}; open it by zslpipe.load")
    known = dict(zip(trained.classes.attribute_names, words.numpy(), strict=True))
    found = source(trained.word_settings, known, names)
    return torch.cat([words, torch.from_numpy(found).to(words)])


def state_with(trained: Trained, both: Classes, plain: Classes) -> tuple[Model, dict[str, Any]]:
    """Return an untrained model of the classes ``both``, which have more attributes than the run's,
    and the trained state for it.

    ``plain``: the same, with 0 for the new attributes of the run's classes, so that their class
    vectors are as they were. Raises InputError where the method learned something of each class or
    of each attribute, or reads no new attribute.
    """
    words = plain.words
    assert words is not None
    model = trained.built(both)
    made, again = model.state_dict(), trained.built(plain).state_dict()
    # Other words: what changes with them is made of words, what changes without is drawn.
    other = trained.built(replace(plain, words=words.flip(0) + 1)).state_dict()
    state, by_words, refusals = dict[str, Any](), False, list[str]()
    for name, saved in trained.state.items():
        if made[name].shape == saved.shape:
            state[name] = saved
            continue
        old = tuple(slice(length) for length in saved.shape)
        of_words = _is_of_words(made[name], again[name], other[name])
        if torch.allclose(again[name][old].to(saved), saved):
            state[name] = made[name]
        elif of_words and made[name].shape[1:] == saved.shape[1:]:
            state[name] = torch.cat([saved, made[name][len(saved) :].to(saved)])
            _tell_refined(trained, saved, again[name][old])
        else:
            refusals.append(_learned(trained, name, saved, made[name]))
        by_words |= of_words
    if not by_words and not any(CAN in told for told in refusals):
        fault = f"{trained.spec['method']} with these settings scores no attribute by its words"
        refusals = [f"{fault}, so it takes no new one; {CAN}"]
    if refusals:
        raise InputError(f"{trained.name}: {refusals[0]}")
    return model, state


def _is_of_words(made: Tensor, again: Tensor, other: Tensor) -> bool:
    """Return whether a constructor makes a tensor of word vectors and nothing that is drawn."""
    return torch.equal(made, again) and not torch.isclose(again, other).all()


def _tell_refined(trained: Trained, saved: Tensor, start: Tensor) -> None:
    """Say how far training has moved word vectors from where new ones stand."""
    kept = float(F.cosine_similarity(saved.flatten(1), start.flatten(1)).mean())
    told = "%s refined its word vectors in training (mean cosine with their source's: %.2f); "
    logger.warning(f"{told}those of new attributes are the source's", trained.name, kept)


def some(names: Sequence[str]) -> str:
    """Return the first of many names in words."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _learned(trained: Trained, name: str, saved: Tensor, made: Tensor) -> str:
    """Return why a tensor stands against new classes or attributes."""
    method, attributes = trained.spec["method"], len(trained.classes.attribute_names)
    grown = [one for one, wide in zip(saved.shape, made.shape, strict=True) if one != wide]
    if attributes not in grown:
        return learned_each_class(method, name)
    what = f"{method} has learned {name!r} for each attribute of its training"
    return f"{what}, so it takes no new one; {CAN}"


def learned_each_class(method: str, name: str) -> str:
    """Return why a method that learned the tensor ``name`` a class takes no new class."""
    what = f"{method} has learned {name!r} for each class of its training"
    return (
        f"{what}; it cannot be given new classes: take a method that knows classes by their "
        "vectors alone"
    )
