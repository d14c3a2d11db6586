"""Classes that nobody trained on, described by the attributes of a run's classes, beside them.

A method's model is built for them as for any classes. What training wrote stays as it is; of the
tensors that hold a row a class those that the constructor makes of the class vectors get rows for
the new ones. A tensor whose rows training learned, one a class (a classifier, prototypes), has none
for a class without images: such a method is refused. Attributes that nobody trained on are
:mod:`zslpipe.runs.new_attributes`'.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.formats.class_vectors import groups_alike, normalised, told_groups
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, joined, text_name
from zslpipe.runs.new_attributes import (
    WordSource,
    check_reads_words,
    learned_each_class,
    some,
    state_with,
    words_with,
)
from zslpipe.runs.trained import Trained
from zslpipe.training.contract import Classes, Model

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Described:
    """A user's table beside a run's classes: the ``names`` of the new classes and their vectors
    (class, a + new) in the dataset's units, the ``new`` attributes, and ``more`` (c, new), what the
    run's own classes have of these: 0 but for the ``own`` ones, which have a row.
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    new: tuple[str, ...]
    more: np.ndarray
    own: tuple[str, ...]


def with_new_classes(
    trained: Trained,
    table: pd.DataFrame,
    missing_as_zero: bool = False,
    source: WordSource | None = None,
) -> tuple[Classes, Model]:
    """Return the run's classes with those of ``table`` behind them, all unseen, and a trained model
    of both.

    ``table``: a row a class (its name the row's label), a column an attribute (joined by
    :mod:`zslpipe.names`), in the units of the dataset's own class attributes; they are normalised
    as the run's. A column that the run does not know is a new attribute, behind its own, with the
    word vector that ``source`` gives; the run's own classes have 0 of it, or what a row of theirs
    says (which may be there for that alone).

    Raises InputError, naming them, for new attributes where the method learned something of each
    (:mod:`zslpipe.runs.new_attributes`), for attributes that are missing (unless they are to be 0),
    for a class that the run has already, for values that are no finite numbers, for a run whose
    class vectors are no attributes, and for a method that has learned something of each class.
    """
    classes = trained.classes
    _check_attributes(trained)
    given = _described(table, trained, missing_as_zero)
    words = words_with(trained, given.new, source)
    whole = np.concatenate([np.hstack([trained.vectors, given.more]), given.vectors])
    vectors = torch.from_numpy(_scaled(whole, trained, len(given.new))).float()
    if not given.more.any():  # as the run read them
        own = F.pad(classes.attributes, (0, len(given.new)))
        vectors = torch.cat([own, vectors[len(own) :]])
    names = (*classes.names, *given.names)
    unseen = torch.zeros(len(given.names), dtype=torch.bool)
    seen = torch.cat([classes.seen, unseen])
    both = Classes(names, vectors, seen, (*classes.attribute_names, *given.new), words)
    groups = groups_alike(both.attributes.numpy())
    if groups:
        alike = told_groups(groups, both.names, both.seen.numpy())
        logger.warning("class vectors that cannot be told apart: %s", alike)
    model = model_of(trained, both)
    if given.new:
        _tell_new(trained, given)
    return both, model


def _described(table: pd.DataFrame, trained: Trained, missing_as_zero: bool) -> _Described:
    """Return what a table says beside a run's classes."""
    known, names = trained.classes.attribute_names, tuple(map(str, table.index))
    attributes, classes = KnownNames(known), KnownNames(trained.classes.names)
    columns = list(map(str, table.columns))
    is_new = np.array([not attributes.fitting(name) for name in columns], bool)
    is_own = np.array([bool(classes.fitting(name)) for name in names], bool)
    new = tuple(name for name, one in zip(columns, is_new, strict=True) if one)
    check_reads_words(trained, new)
    check_names(names, trained.classes.names, with_own=bool(new))
    if new and is_own.all():
        raise InputError("new classes: every row is a class of the run; describe a new one too")
    values = _arranged(table.loc[~is_own, ~is_new], known, missing_as_zero, new)
    vectors = np.hstack([values, _numbers(table.loc[~is_own, is_new])])
    fresh = tuple(name for name, own in zip(names, is_own, strict=True) if not own)
    _check_not_empty(fresh, vectors)
    more = np.zeros((len(trained.vectors), len(new)))
    own = [name for name, one in zip(names, is_own, strict=True) if one]
    if new:
        places = joined(own, trained.classes.names, "new classes", "class")
        more[places] = _numbers(table.loc[is_own, is_new])
    return _Described(fresh, vectors, new, more, tuple(own))


def _tell_new(trained: Trained, given: _Described) -> None:
    """Say which attributes are new, and what the run's own classes have of them."""
    logger.warning("attributes that the run does not know, by their words: %s", some(given.new))
    others = len(trained.classes.names) - len(given.own)
    if given.own:
        told = "rows of the run's own classes (%s) are read for new attributes alone"
        logger.info(told, some(given.own))
    if others:
        told = "new attributes are 0 for %d classes of the run, which no row describes"
        logger.warning(told, others)


def _check_attributes(trained: Trained) -> None:
    """Raise InputError where a column of the run's class vectors is not an attribute."""
    length, names = trained.vectors.shape[1], trained.classes.attribute_names
    texts = text_name(trained.spec["semantics"])
    if texts is not None:
        fault = f"knows classes by the texts {texts!r}, which a table of attributes does not give"
        raise InputError(f"{trained.name}: {fault}; give texts, or take a run on attributes")
    if length != len(names):
        kind = f"class vectors {trained.spec['semantics']!r} ({length} numbers)"
        fault = f"reads {kind}, which a table of attributes does not give"
        raise InputError(f"{trained.name}: {fault}; take a run with semantics: att")


def check_names(names: Sequence[str], known: Sequence[str], with_own: bool) -> None:
    """Raise InputError where there is no class, one is given twice, or one is known (unless the
    run's own classes may be there).
    """
    if not names:
        raise InputError("new classes: the table has no row; give a row a class")
    table = KnownNames(known)
    for number, name in enumerate(names):
        if table.fitting(name) and not with_own:
            old = table.names[table.fitting(name)[0]]
            raise InputError(f"new classes: {name!r} is the run's class {old!r}; leave it out")
        if KnownNames(names[:number]).fitting(name):
            raise InputError(f"new classes: {name!r} is given twice; give every class one row")


def _arranged(
    table: pd.DataFrame, known: Sequence[str], missing_as_zero: bool, new: Sequence[str]
) -> np.ndarray:
    """Return a table's values (class, attribute) in the order of the ``known`` attributes; a
    message names ``new`` ones beside those that are missing: one may be the other, misspelt.
    """
    columns = list(map(str, table.columns))
    places = joined(columns, known, "new classes", "attribute")
    absent = [name for number, name in enumerate(known) if number not in set(places)]
    if absent and not missing_as_zero:
        fault = f"{len(absent)} of {len(known)} attributes are missing: {some(absent)}"
        fault += f" (unknown to the run: {some(new)})" if new else ""
        raise InputError(
            f"new classes: {fault}; add them, or say that they are 0 (--missing-as-zero)"
        )
    if absent:
        logger.warning("new classes: %d attributes are taken as 0: %s", len(absent), some(absent))
    values = np.zeros((len(table), len(known)))
    values[:, places] = _numbers(table)
    return values


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """Return a table's values, float64; InputError for what is no finite number, naming it."""
    values: np.ndarray = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        cell = f"class {table.index[row]!r}, attribute {table.columns[column]!r}"
        raise InputError(
            f"new classes: {cell}: {str(table.iat[row, column])!r} is no finite number"
        )
    return values


def _check_not_empty(names: Sequence[str], vectors: np.ndarray) -> None:
    """Raise InputError for a class without any attribute."""
    has_any: np.ndarray = np.any(vectors, axis=1)
    empty = [names[number] for number in np.flatnonzero(~has_any).tolist()]
    if empty:
        fault = f"every attribute of {some(empty)} is 0"
        raise InputError(f"new classes: {fault}; describe it by those that it has")


def _scaled(values: np.ndarray, trained: Trained, new: int) -> np.ndarray:
    """Return class vectors, those of the run's classes first, normalised as the run's: by the
    ranges of its own classes where those count, for the last ``new`` attributes by those of all.
    The log tells of values that none of its own comes near.
    """
    low, high = trained.vectors.min(axis=0), trained.vectors.max(axis=0)
    known = values[len(trained.vectors) :, : len(low)]
    beyond = int(((known < low) | (known > high)).any(axis=0).sum())
    if beyond:
        told = "new classes: %d of %d attributes have values beyond those of the dataset's classes"
        logger.warning(f"{told} (are they in its units?)", beyond, len(low))
    added = values[:, len(low) :]
    if new:
        told = "new attributes have values of %.4g to %.4g, those of the dataset %.4g to %.4g"
        logger.info(told, added.min(), added.max(), low.min(), high.max())
    if trained.spec["normalisation"] != "minmax":
        return normalised(values, trained.spec["normalisation"])
    low, high = np.append(low, added.min(axis=0)), np.append(high, added.max(axis=0))
    scaled: np.ndarray = (values - low) / np.maximum(high - low, 1e-12)
    return scaled


def model_of(trained: Trained, both: Classes) -> Model:
    """Return a model for the classes ``both`` with the trained state."""
    new = len(both.attribute_names) - len(trained.classes.attribute_names)
    if new:
        own = F.pad(trained.classes.attributes, (0, new))
        plain = replace(both, attributes=torch.cat([own, both.attributes[len(own) :]]))
        model, state = state_with(trained, both, plain)
    else:
        model = trained.built(both)
        state = _state(trained, model)
    model.load_state_dict(state)
    return model.eval()


def _state(trained: Trained, model: Model) -> dict[str, Any]:
    """Return the trained state for an untrained ``model`` of more classes."""
    made, state = model.state_dict(), dict[str, Any]()
    for name, saved in trained.state.items():
        if made[name].shape == saved.shape:
            state[name] = saved
        elif _is_of_class_vectors(made[name], saved):
            state[name] = made[name]
        else:
            told = learned_each_class(trained.spec["method"], name)
            raise InputError(f"{trained.name}: {told}")
    return state


def _is_of_class_vectors(made: Tensor, saved: Tensor) -> bool:
    """Return whether the rows of the run's classes come out of the constructor as they were
    saved.
    """
    same = made.shape[1:] == saved.shape[1:] and len(made) > len(saved)
    return same and torch.allclose(made[: len(saved)].to(saved), saved)
