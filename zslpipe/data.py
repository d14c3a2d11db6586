"""All that a method is ever given: classes, inputs, batches and ways to sample them.

Axis legend, the same letters in every einsum and every docstring::

    b image in a batch    r region    d visual feature    c class    a attribute    v word-vector dimension
    n image               h, w height and width of a map
"""

from collections.abc import Callable, Iterator, Sequence
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


@dataclass(frozen=True)
class Images:
    """Input of an end-to-end method: (b, 3, size, size) images, normalised as its trunk expects.

    While training they are random crops and flips, else the central square. The method's ``Model`` keeps its network
    as ``trunk``, built by :func:`zslpipe.backbones.build_trunk` from ``config.backbone`` and ``config.layer``; whoever
    runs the method fills these from the extractor and loads its weights.
    """

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
    """``inputs``: (b, r, d) regions, (b, d) pooled features or (b, 3, h, w) images, float32; ``labels``: (b) class
    numbers; ``positions``: (b) places among the training images (none, where the batch is of other images).
    """

    inputs: Tensor
    labels: Tensor
    positions: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))


@runtime_checkable
class Inputs(Protocol):
    """A source of inputs: the feature cache, images, or a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one image's inputs."""

    @property
    def at_once(self) -> int:
        """Return how many rows are scored together."""

    def __hash__(self) -> int:
        """Return what tells one source from another, so that what is computed from it can be kept."""

    def take(self, rows: Tensor) -> Tensor:
        """Return the inputs of the images ``rows`` (numbers in the index), float32 on the device of the run."""

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on, reading ahead where that helps.

        With a ``generator`` images are augmented at random; the draws of the first ``start`` batches are skipped, so
        that an interrupted epoch goes on as it would have.
        """


@dataclass(frozen=True, eq=False)
class Held:
    """Inputs held as one tensor (n, ...): what a method makes itself, such as synthetic features."""

    values: Tensor
    at_once: int = 256

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one image's inputs."""
        return tuple(self.values.shape[1:])

    def take(self, rows: Tensor) -> Tensor:
        """Return the inputs of ``rows``, on the tensor's device."""
        return self.values.index_select(0, rows.to(self.values.device))

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on; nothing is augmented."""
        return (self.take(rows) for rows in batches[start:])


@dataclass(frozen=True, eq=False)
class Unaugmented:
    """The same inputs, never augmented: for a training that keeps what it computed from each image."""

    inputs: Inputs

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one image's inputs."""
        return self.inputs.shape

    @property
    def at_once(self) -> int:
        """Return how many rows are scored together."""
        return self.inputs.at_once

    def take(self, rows: Tensor) -> Tensor:
        """Return the inputs of ``rows``."""
        return self.inputs.take(rows)

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on; the generator is not drawn from."""
        return self.inputs.stream(batches, None, start)


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
        return Batch(self.inputs.take(self.rows[positions]), self.labels[positions].to(self.run.device), positions)

    def batches(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Batch]:
        """Yield the training images at each of ``batches`` (positions) from number ``start`` on; images are augmented
        where a ``generator`` is given.
        """
        streamed = self.inputs.stream([self.rows[positions] for positions in batches], generator, start)
        for positions, inputs in zip(batches[start:], streamed, strict=True):
            yield Batch(inputs, self.labels[positions].to(self.run.device), positions)

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield every training image once, in order, not augmented, in batches of ``size``."""
        return self.batches(torch.arange(len(self.rows)).split(size))


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


def episodes(labels: Tensor, generator: torch.Generator, ways: int, shots: int, count: int) -> list[Tensor]:
    """Return one epoch of ``count`` episodes: ``shots`` images of each of ``ways`` random classes, no image twice in an
    episode (paper of RSAN, section 4.1).

    With fewer classes than ``ways`` an episode takes every class; a class with fewer images than ``shots`` gives all it
    has, so an episode may be shorter than ways x shots.
    """
    classes, members, counts = _members(labels)
    places = torch.arange(members.shape[1])
    batches = []
    for _ in range(count):
        chosen = torch.randperm(len(classes), generator=generator)[:ways]
        # Random keys, infinite behind a class's last image: the smallest are a draw without replacement.
        keys = torch.rand(len(chosen), members.shape[1], generator=generator)
        keys = keys.masked_fill(places >= counts[chosen, None], torch.inf)
        drawn, picks = keys.topk(min(shots, members.shape[1]), dim=1, largest=False)
        batches.append(members[chosen].gather(1, picks)[drawn.isfinite()])
    return batches


def _members(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the classes present (k), the positions of their images (k, longest; padded with 0) and their counts (k).

    Classes stand in the order of their first images: how they are numbered decides no draw.
    """
    classes, counts = labels.unique(return_counts=True)
    groups = labels.argsort(stable=True).split(counts.tolist())
    order = torch.stack([group[0] for group in groups]).argsort()
    padded = torch.nn.utils.rnn.pad_sequence(list(groups), batch_first=True)
    return classes[order], padded[order], counts[order]


SAMPLERS = {"random": random_batches, "class balanced": class_balanced_batches}
