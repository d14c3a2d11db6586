"""Inputs that a generator changes, as augmentation does."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from zslpipe.training.held import Held


class Shifted(Held):
    """Values that a generator moves, as augmentation does."""

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield each of ``batches`` from number ``start`` on, moved by a draw of its own."""
        moves = torch.zeros(len(batches))
        if generator is not None:
            moves = torch.rand(len(batches), generator=generator)
        moved = zip(batches[start:], moves[start:], strict=True)
        return (self.take(rows) + move for rows, move in moved)
