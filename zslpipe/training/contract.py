"""All that a method is ever given: classes, inputs, batches and ways to sample them.

Axis legend, the same letters in every einsum and every docstring::

    b image in a batch    n image                  r region    d visual feature    c class
    a attribute           v word-vector dimension  h, w height and width of a map
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

# A method's Model: an nn.Module with scores() and loss(); type checkers take every attribute of a
# Module for a tensor.
Model = Any


@dataclass(frozen=True)
class Regions:
    """Input of a light head: (b, grid * grid, d) region features of images at ``size`` px, row by
    row from the top left.
    """

    size: int
    grid: int


@dataclass(frozen=True)
class Pooled:
    """Input of a light head: (b, d) features, means over the regions of images at ``size`` px."""

    size: int


@dataclass(frozen=True)
class Images:
    """Input of an end-to-end method: (b, 3, size, size) images, normalised as its trunk expects.

    While training they are random crops and flips, else the central square. The method's ``Model``
    keeps its network as ``trunk``, built by :func:`zslpipe.networks.backbones.build_trunk` from
    ``config.backbone`` and ``config.layer``; whoever runs the method fills these from the extractor
    and loads its weights.
    """

    size: int


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a problem.

    ``attributes`` (c, a) float32 class vectors, normalised as the configuration says, with
    ``attribute_names``, () where they are made of texts; ``seen`` (c) bool; ``words`` (a, v)
    float32 word vectors of the attributes, None where a method reads none.
    """

    names: tuple[str, ...]
    attributes: Tensor
    seen: Tensor
    attribute_names: tuple[str, ...]
    words: Tensor | None = None

    def subset(self, chosen: Tensor, seen: Tensor) -> "Classes":
        """Return the classes ``chosen`` (numbers, in order), of which ``seen`` (bool, one per
        chosen class) are seen.
        """
        names = tuple(self.names[number] for number in chosen.tolist())
        return Classes(names, self.attributes[chosen], seen, self.attribute_names, self.words)


@dataclass(frozen=True, eq=False)
class Batch:
    """``inputs``: (b, r, d) regions, (b, d) pooled features or (b, 3, h, w) images, float32;
    ``labels``: (b) class numbers; ``positions``: (b) places among the training images (none, where
    the batch is of other images).
    """

    inputs: Tensor
    labels: Tensor
    positions: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))


@runtime_checkable
class Inputs(Protocol):
    """What a method's inputs are read from: the feature cache, images, or a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one image's inputs."""

    @property
    def at_once(self) -> int:
        """Return how many rows are scored together."""

    def __hash__(self) -> int:
        """Return what tells these inputs from others: what is computed from them can be kept."""

    def take(self, rows: Tensor) -> Tensor:
        """Return the inputs of the images ``rows`` (numbers in the index), float32 on the device of
        the run.
        """

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on, reading ahead
        where that helps.

        With a ``generator`` images are augmented at random; the draws of the first ``start``
        batches are skipped, so that an interrupted epoch goes on as it would have.
        """


@dataclass
class TrainingRun:
    """How a training runs: seed, device, where its checkpoints lie; ``history`` collects one row an
    epoch.

    ``after_epoch`` (model, epochs done) -> figures by name is called at each epoch's end, ``stamp``
    says which settings, code and data a checkpoint belongs to, ``phase`` names the training in the
    history ("train", or "validation" while choosing). ``shared``: the folders of stages whose
    checkpoints lie in another training's.
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
    shared: Mapping[str, Path] = field(default_factory=dict)

    def checkpoint(self, stage: str) -> Path:
        """Return where the checkpoint of a stage lies."""
        return self.shared.get(stage, self.folder) / f"{self.phase}.{stage}.checkpoint.pt"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images a method may train on: ``rows`` (n) in the index, ``labels`` (n) class numbers
    into ``classes``.
    """

    inputs: Inputs
    rows: Tensor
    labels: Tensor
    classes: Classes
    run: TrainingRun

    def batch(self, positions: Tensor) -> Batch:
        """Return the training images at ``positions`` (numbers below n) as one batch on the run's
        device.
        """
        return Batch(
            self.inputs.take(self.rows[positions]),
            self.labels[positions].to(self.run.device),
            positions,
        )

    def batches(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Batch]:
        """Yield the training images at each of ``batches`` (positions) from number ``start`` on;
        images are augmented where a ``generator`` is given.
        """
        streamed = self.inputs.stream(
            [self.rows[positions] for positions in batches], generator, start
        )
        for positions, inputs in zip(batches[start:], streamed, strict=True):
            yield Batch(inputs, self.labels[positions].to(self.run.device), positions)

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield every training image once, in order, not augmented, in batches of ``size``."""
        return self.batches(torch.arange(len(self.rows)).split(size))
