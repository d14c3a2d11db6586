"""What a frozen network makes of the training images, computed once and kept in the run's folder
while it trains.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import work_folder
from zslpipe.training.contract import TrainingData

logger = logging.getLogger(__name__)

# What a method gets back: rows of all its training images on the disk.
StoredStage = FeatureFile


def stored(
    compute: Callable[[Tensor], Sequence[Tensor | None]],
    data: TrainingData,
    shapes: dict[str, tuple[tuple[int, ...], str]],
    size: int,
) -> StoredStage:
    """Return a file with what ``compute`` returns of all training images (b, ...), ``size`` at
    once, not augmented.

    ``shapes``: name -> (shape over all images, type on the disk), in the order of compute's
    results; results beyond are not kept. A finished file with the run's stamp is taken as it is, an
    unfinished one completed block by block, a damaged one made anew.
    """
    path = data.run.folder / f"{data.run.phase}.first_stage.h5"
    finished = _finished(path, data.run.stamp) if path.is_file() else None
    if finished is not None:
        return finished
    writer = BlockWriter(work_folder(path), shapes, {"stamp": data.run.stamp})
    for block, batch in enumerate(data.in_order(BLOCK)):
        if block not in writer.done:
            with torch.inference_mode():
                pieces = [compute(inputs) for inputs in batch.inputs.split(size)]
            writer.write(block, _joined(pieces, shapes))
    writer.finish(path)
    return FeatureFile(path)


def _finished(path: Path, stamp: str) -> StoredStage | None:
    """Return a finished file, None where it is of another stamp or damaged."""
    try:
        finished = FeatureFile(path)
        for name in finished.rows:
            finished.check(name == "pooled")
    except InputError as error:
        logger.info("made again: %s", error)
        return None
    return finished if finished.attributes["stamp"] == stamp else None


def _joined(
    pieces: Sequence[Sequence[Tensor | None]], names: Iterable[str]
) -> dict[str, np.ndarray]:
    """Return the results of all ``pieces`` of a block joined, by name; those beyond the names are
    left out.
    """
    joined = {}
    for name, column in zip(names, zip(*pieces, strict=True), strict=False):
        parts = [part for part in column if part is not None]
        joined[name] = torch.cat(parts).cpu().numpy()
    return joined
