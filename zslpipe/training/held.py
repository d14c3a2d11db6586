"""Inputs that a method makes itself, or never augments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zslpipe.training.contract import Inputs


@dataclass(frozen=True, eq=False)
class Held:
    """Inputs held as one tensor (n, ...): what a method makes itself, say synthetic features."""

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
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on; nothing is
        augmented.
        """
        return (self.take(rows) for rows in batches[start:])


@dataclass(frozen=True, eq=False)
class Unaugmented:
    """The same inputs, never augmented: for a training that keeps what it makes of each image."""

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
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on; the generator is
        not drawn from.
        """
        return self.inputs.stream(batches, None, start)
