"""Training images that remember the batches a method trained on: what a loop by hand goes through
again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zslpipe.training.contract import Batch, TrainingData


@dataclass(frozen=True, eq=False)
class Recorded(TrainingData):
    """``epochs``: the batches of each epoch of training, as positions; images read in order are no
    training.

    ``replace`` keeps the list, so that it goes on through a method's stages.
    """

    epochs: list[list[Tensor]] = field(default_factory=list)

    def batches(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Batch]:
        """Yield the batches; those of a training have a generator for their augmentation."""
        if generator is not None:
            self.epochs.append(list(batches))
        return super().batches(batches, generator, start)
