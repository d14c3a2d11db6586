"""Cached features as a method's inputs: from memory where they fit, from the disk where they do
not.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.formats.index import Index, images_hash
from zslpipe.machine.devices import free_memory
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)

# Types of the cache's datasets: regions and pooled features.
TORCH_TYPES = {"float16": torch.float16, "float32": torch.float32}
# A job holds its features where they take at most this share of the free memory (ours: leaves room
# for a second job).
SHARE_OF_FREE_MEMORY = 0.5


def open_features(path: Path, index: Index) -> FeatureFile:
    """Return an open feature file; raises InputError unless its rows are the images of ``index``,
    in that order.
    """
    file = FeatureFile(path)
    if file.attributes.get("images_hash") != images_hash(index):
        raise InputError(
            f"{path}: made from other images than dataset {index.dataset!r} lists; delete it and "
            "run again"
        )
    for rows in (file.regions, file.pooled):
        if rows is not None and len(rows) != len(index.paths):
            counts = f"{len(rows)} rows, dataset {index.dataset!r} has {len(index.paths)} images"
            raise InputError(f"{path}: has {counts}; write a row an image, in the index's order")
    return file


def open_cache(
    path: Path, index: Index, pooled: bool, device: torch.device
) -> tuple["CachedInputs", FeatureFile]:
    """Return the pooled or the region features of a file as inputs, and the file; InputError as
    :func:`open_features`.
    """
    file = open_features(path, index)
    return CachedInputs(file, pooled, device), file


class CachedInputs:
    """Rows of a feature file, float32 on ``device``; ``shape`` is one image's: (r, d) or (d,)."""

    at_once = 256  # ours: 100 MB of 7x7 regions

    def __init__(self, file: FeatureFile, pooled: bool, device: torch.device):
        self.map = file.maps(pooled)
        self.device = device
        self.shape = self.map.shape[1:]
        self.held = self._hold() if self._fits(file.path.name) else None

    def _fits(self, name: str) -> bool:
        """Return whether the features fit into half of the device's free memory; the log says where
        batches come from.
        """
        size, free = self.map.nbytes, free_memory(self.device)
        fits = size <= SHARE_OF_FREE_MEMORY * free
        memory = "GPU memory" if self.device.type == "cuda" else "RAM"
        logger.info(
            "features %s: %.2f GiB, %.2f GiB free: batches come from %s",
            name,
            size / 2**30,
            free / 2**30,
            memory if fits else "the disk, through a memory map",
        )
        return fits

    def _hold(self) -> Tensor:
        """Return all features on the device, in the file's type."""
        dtype = TORCH_TYPES[self.map.dtype.name]
        held = torch.empty(self.map.shape, dtype=dtype, device=self.device)
        # Block by block: a GPU's copy does not pass through a second one in RAM.
        for start in range(0, len(held), BLOCK):
            block = np.array(self.map[start : start + BLOCK])
            held[start : start + BLOCK] = torch.from_numpy(block)
        return held

    def take(self, rows: Tensor) -> Tensor:
        """Return the features of the images ``rows`` (numbers in the index), float32 on the
        device.
        """
        if self.held is not None:
            # Plain indexing of float16 rows takes 1.6 times as long on a CPU.
            return self.held.index_select(0, rows.to(self.device)).float()
        # The cast from float16 is torch's: numpy's is nine times slower on a CPU.
        return torch.from_numpy(self.map[rows.numpy()]).to(self.device, non_blocking=True).float()

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on; features are never
        augmented.
        """
        return (self.take(rows) for rows in batches[start:])
