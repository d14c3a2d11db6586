"""All that a method is ever given: classes, inputs, batches and ways to sample them.

Axis legend, the same letters in every einsum and every docstring::

    b image in a batch    r region    d visual feature    c class    a attribute    v word-vector dimension
    n image               h, w height and width of a map
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

# A method's Model: an nn.Module with scores() and loss(); type checkers take every attribute of a Module for a tensor.
Model = Any


@dataclass(frozen=True)
class Regions:
    """Input of a light head: (b, grid * grid, d) region features of images at ``size`` px, row by row from the top
    left.
    """

    size: int
    grid: int


@dataclass(frozen=True)
class Pooled:
    """Input of a light head: (b, d) features, the mean over the regions of images at ``size`` px."""

    size: int


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a problem.

    ``attributes`` (c, a) float32 class vectors, normalised as the configuration says; ``seen`` (c) bool;
    ``words`` (a, v) float32 word vectors of the attributes, None where a method reads none.
    """

    names: tuple[str, ...]
    attributes: Tensor
    seen: Tensor
    attribute_names: tuple[str, ...]
    words: Tensor | None = None

    def subset(self, chosen: Tensor, seen: Tensor) -> "Classes":
        """Return the classes ``chosen`` (numbers, in order), of which ``seen`` (bool, one per chosen class) are
        seen.
        """
        names = tuple(self.names[number] for number in chosen.tolist())
        return Classes(names, self.attributes[chosen], seen, self.attribute_names, self.words)


@dataclass(frozen=True, eq=False)
class Batch:
    """``inputs``: (b, r, d) regions or (b, d) pooled features, float32; ``labels``: (b) class numbers."""

    inputs: Tensor
    labels: Tensor


@runtime_checkable
class Inputs(Protocol):
    """A source of inputs: the feature cache, or images."""

    shape: tuple[int, ...]

    def __hash__(self) -> int:
        """Return what tells one source from another, so that what is computed from it can be kept."""

    def take(self, rows: Tensor) -> Tensor:
        """Return the inputs of the images ``rows`` (numbers in the index), float32 on the device of the run."""


@dataclass
class Run:
    """How a training runs: seed, device, where its checkpoints lie; ``history`` collects one row an epoch.

    ``after_epoch`` (model, epochs done) -> figures by name is called at each epoch's end, ``stamp`` says which
    settings, code and data a checkpoint belongs to, ``phase`` names the training in the history ("train", or
    "validation" while choosing).
    """

    seed: int
    device: torch.device
    folder: Path
    stamp: str = ""
    phase: str = "train"
    precision: str = "float32"
    compiled: bool = False
    checkpoint_seconds: float = 60.0
    after_epoch: Callable[[Model, int], dict[str, float]] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images a method may train on: ``rows`` (n) in the index, ``labels`` (n) class numbers into ``classes``."""

    inputs: Inputs
    rows: Tensor
    labels: Tensor
    classes: Classes
    run: Run

    def batch(self, positions: Tensor) -> Batch:
        """Return the training images at ``positions`` (numbers below n) as one batch on the run's device."""
        return Batch(self.inputs.take(self.rows[positions]), self.labels[positions].to(self.run.device))

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield every training image once, in order, in batches of ``size``."""
        for positions in torch.arange(len(self.rows)).split(size):
            yield self.batch(positions)


def random_batches(labels: Tensor, generator: torch.Generator, size: int) -> list[Tensor]:
    """Return one epoch of positions: a random permutation of all images cut into batches of ``size`` (last one
    shorter).
    """
    return list(torch.randperm(len(labels), generator=generator).split(size))


def class_balanced_batches(labels: Tensor, generator: torch.Generator, size: int) -> list[Tensor]:
    """Return one epoch of class-balanced batches: one random image of each of up to ``size`` random classes.

    As many batches as an epoch of random batches of the same size has. With fewer classes than ``size`` a batch
    takes every class once, so it is as long as there are classes (code of DAZLE: one image of each of up to 50
    classes).
    """
    classes, members, counts = _members(labels)
    batches = []
    for _ in range(-(-len(labels) // size)):
        chosen = torch.randperm(len(classes), generator=generator)[:size]
        picks = (torch.rand(len(chosen), generator=generator) * counts[chosen]).long()
        batches.append(members[chosen, picks])
    return batches


def _members(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the classes present (k), the positions of their images (k, longest; padded with 0) and their counts
    (k).
    """
    classes, counts = labels.unique(return_counts=True)
    groups = labels.argsort(stable=True).split(counts.tolist())
    return classes, torch.nn.utils.rnn.pad_sequence(list(groups), batch_first=True), counts


SAMPLERS = {"random": random_batches, "class balanced": class_balanced_batches}
