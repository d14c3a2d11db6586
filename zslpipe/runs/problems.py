"""The problems a run solves: the whole one, and the one of choosing, whose unseen classes are the
validation classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.index import Index
from zslpipe.training.contract import Classes

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
    vectors (a, v).
    """
    return Classes(
        names=index.class_names,
        attributes=torch.from_numpy(index.class_vectors(semantics, normalisation)).float(),
        seen=torch.from_numpy(index.seen),
        attribute_names=index.attribute_names,
        words=None if words is None else torch.from_numpy(words).float(),
    )


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
    the seen test images.

    No test image and no unseen class takes part: the class vectors are those of the seen classes
    alone (scaled, with ``minmax``, by the ranges over all classes).
    """
    chosen = torch.from_numpy(np.flatnonzero(index.seen))
    number = torch.full((len(index.class_names),), -1)
    number[chosen] = torch.arange(len(chosen))
    generator = torch.Generator().manual_seed(seed)
    train = torch.from_numpy(index.splits["train"])
    validation = torch.from_numpy(index.splits["val"])
    order = train[torch.randperm(len(train), generator=generator)]
    aside = round(HELD_OUT * len(train))
    held_out, kept = order[:aside], order[aside:]
    labels = number[torch.from_numpy(index.labels)]
    test = torch.cat([held_out, validation])
    kept = kept.sort().values
    seen = torch.from_numpy(~index.validation)[chosen]
    return Problem(classes.subset(chosen, seen), kept, labels[kept], test, labels[test])
