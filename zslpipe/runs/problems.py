"""The problems a run solves: the whole one, and the one of choosing, whose unseen classes are the
validation classes.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.class_vectors import all_alike, groups_alike, told_groups
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.names import text_name
from zslpipe.training.contract import Classes

logger = logging.getLogger(__name__)

# Share of the training classes' images set aside to measure S while choosing (ours: the proposed
# splits' own 20 %).
HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class Problem:
    """Training images and evaluation images (rows of the index) with labels that are numbers into
    ``classes``.
    """

    classes: Classes
    train_rows: Tensor
    train_labels: Tensor
    test_rows: Tensor
    test_labels: Tensor


def classes_of(
    index: Index, semantics: str, normalisation: str, words: np.ndarray | None
) -> Classes:
    """Return all classes of a dataset with class vectors of one kind and the attributes' word
    vectors (a, v); of class vectors that are made of texts no number is an attribute, and none has
    a name.

    Raises InputError where the vectors tell no classes, or no seen classes, apart.
    """
    vectors = index.class_vectors(semantics, normalisation)
    _check_told_apart(index, vectors, semantics, normalisation)
    return Classes(
        names=index.class_names,
        attributes=torch.from_numpy(vectors).float(),
        seen=torch.from_numpy(index.seen),
        attribute_names=index.attribute_names if text_name(semantics) is None else (),
        words=None if words is None else torch.from_numpy(words).float(),
    )


def _check_told_apart(
    index: Index, vectors: np.ndarray, semantics: str, normalisation: str
) -> None:
    """Raise InputError where all classes, or all seen ones, have one vector as normalised; the log
    warns of some that have.
    """
    for kind, chosen in (("", vectors), ("seen ", vectors[index.seen])):
        if all_alike(chosen):
            fault = f"all {len(chosen)} {kind}classes have the same class vector"
            fault = f"{fault} {semantics!r} under normalisation {normalisation!r}"
            raise InputError(f"dataset {index.dataset!r}: {fault}; {_remedy(index, semantics)}")
    groups = groups_alike(vectors)
    if groups:
        named = told_groups(groups, index.class_names, index.seen)
        logger.warning("%s (%s) does not tell classes apart: %s", semantics, normalisation, named)


def _remedy(index: Index, semantics: str) -> str:
    """Return what to do where classes are the same: another normalisation, where one helps."""
    helping = []
    for normalisation in ("none", "minmax"):
        vectors = index.class_vectors(semantics, normalisation)
        if not all_alike(vectors) and not all_alike(vectors[index.seen]):
            helping.append(normalisation)
    if helping:
        return f"set normalisation: {' or '.join(helping)}"
    given = "attributes" if text_name(semantics) is None else "texts"
    return f"give {given} by which classes differ"


def whole_problem(index: Index, classes: Classes) -> Problem:
    """Return the problem of the tables: train on trainval, test on test_seen and test_unseen."""
    labels = torch.from_numpy(index.labels)
    train = torch.from_numpy(index.splits["trainval"])
    test = torch.from_numpy(
        np.concatenate([index.splits["test_seen"], index.splits["test_unseen"]])
    )
    return Problem(classes, train, labels[train], test, labels[test])


def validation_problem(index: Index, classes: Classes, seed: int) -> Problem:
    """Return the problem of choosing: the validation classes play the unseen ones, 20 % of train
    the seen test images, at least one where a class has two and never a class's last.

    No test image and no unseen class takes part: the class vectors are those of the seen classes
    alone (scaled, with ``minmax``, by the ranges over all classes). Raises InputError where fewer
    than two classes are left to train on, or none to choose by.
    """
    _check_choosing(index)
    chosen = torch.from_numpy(np.flatnonzero(index.seen))
    number = torch.full((len(index.class_names),), -1)
    number[chosen] = torch.arange(len(chosen))
    generator = torch.Generator().manual_seed(seed)
    train = torch.from_numpy(index.splits["train"])
    validation = torch.from_numpy(index.splits["val"])
    order = train[torch.randperm(len(train), generator=generator)]
    held_out, kept = _set_aside(order, index.labels)
    labels = number[torch.from_numpy(index.labels)]
    test = torch.cat([held_out, validation])
    kept = kept.sort().values
    seen = torch.from_numpy(~index.validation)[chosen]
    return Problem(classes.subset(chosen, seen), kept, labels[kept], test, labels[test])


def _set_aside(order: Tensor, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the images (rows of the index) that measure S while choosing, and those left to train
    on: the first 20 % in ``order``, passing over each class's last.
    """
    wanted = max(1, round(HELD_OUT * len(order)))
    left = np.bincount(labels[order.numpy()])
    is_held_out = torch.zeros(len(order), dtype=torch.bool)
    held_out = 0
    for place, label in enumerate(labels[order.numpy()]):
        if held_out < wanted and left[label] > 1:
            is_held_out[place] = True
            left[label] -= 1
            held_out += 1
    return order[is_held_out], order[~is_held_out]


def _check_choosing(index: Index) -> None:
    """Raise InputError where the validation classes leave nothing to train on, or are none."""
    trained = np.unique(index.labels[index.splits["train"]])
    advice = "or do without (selection: last, and no rebalancing that is chosen)"
    if not index.validation.any():
        fault = "no validation classes to choose on; give validation_classes"
    elif not len(trained):
        fault = f"all {index.validation.sum()} seen classes are validation classes, none is left"
        fault = f"{fault} to train on while choosing; take some out of validation_classes"
    elif len(trained) == 1:
        fault = f"{index.class_names[trained[0]]!r} is the one seen class that is no validation"
        fault = f"{fault} class; choosing needs two to train on: give more seen classes"
    else:
        return
    raise InputError(f"dataset {index.dataset!r}: {fault}, {advice}")
