"""Cached features as a method's inputs: from memory where they fit, from the disk where they do
not.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.formats.identity import check_features, check_images
from zslpipe.formats.index import Index
from zslpipe.machine.devices import free_memory
from zslpipe.machine.errors import InputError
from zslpipe.provenance import file_hash
from zslpipe.runs.reading_ahead import ahead

logger = logging.getLogger(__name__)

# Types of the cache's datasets: regions and pooled features.
TORCH_TYPES = {"float16": torch.float16, "float32": torch.float32}
# A job holds its features where they take at most this share of the free memory (ours: leaves room
# for a second job).
SHARE_OF_FREE_MEMORY = 0.5


def open_features(
    path: Path,
    index: Index,
    spec: Mapping[str, Any],
    weights: Path | None,
    network_hash: Callable[[Mapping[str, Any], Path], str],
) -> FeatureFile:
    """Return an open feature file; raises InputError unless its rows are the images of ``index``,
    in that order, and it is of the extractor that the run ``spec`` names (its ``cache``; any, where
    that is left out) with the network's ``weights`` (a file, None where it is not known). Another
    file with the same network will do, which ``network_hash`` tells.
    """
    file = FeatureFile(path)
    asked, stamps = spec.get("cache"), file.attributes
    hashed = "" if weights is None else file_hash(weights)
    differs = stamps.get("weights_file", "") not in ("", hashed)
    if asked and weights and differs and network_hash(asked, weights) == stamps.get("weights_hash"):
        hashed = ""
    is_own = bool(spec.get("index")) and index.made_of != ""
    check_images(path, stamps, index, is_own)
    check_features(path, stamps, index, asked, hashed)
    for rows in (file.regions, file.pooled):
        if rows is not None and len(rows) != len(index.paths):
            counts = f"{len(rows)} rows, dataset {index.dataset!r} has {len(index.paths)} images"
            raise InputError(f"{path}: has {counts}; write a row an image, in the index's order")
    return file


class CachedInputs:
    """Rows of a feature file, float32 on ``device``; ``shape`` is one image's: (r, d) or (d,).

    Bytes are checked when they are first read, at 0.1 s a GB: where features are held in memory
    all at the beginning, else each block of 256 images at its first row. InputError for damage.
    """

    at_once = 256  # ours: 100 MB of 7x7 regions

    def __init__(self, file: FeatureFile, pooled: bool, device: torch.device):
        self.file, self.pooled, self.rows = file, pooled, file.maps(pooled)
        self.device = device
        self.shape = self.rows.shape[1:]
        self.held = self._hold() if self._fits(file.path.name) else None

    def _fits(self, name: str) -> bool:
        """Return whether the features fit into half of the device's free memory; the log says where
        batches come from.
        """
        size, free = self.rows.nbytes, free_memory(self.device)
        fits = size <= SHARE_OF_FREE_MEMORY * free
        memory = "GPU memory" if self.device.type == "cuda" else "RAM"
        logger.info(
            "features %s: %.2f GiB, %.2f GiB free: batches come from %s",
            name,
            size / 2**30,
            free / 2**30,
            memory if fits else "the disk",
        )
        return fits

    def _hold(self) -> Tensor:
        """Return all features on the device, in the file's type."""
        dtype = TORCH_TYPES[self.rows.dtype.name]
        self.file.check(self.pooled)
        held = torch.empty(self.rows.shape, dtype=dtype, device=self.device)
        # Block by block: a GPU's copy does not pass through a second one in RAM.
        for start in range(0, len(held), BLOCK):
            held[start : start + BLOCK] = torch.from_numpy(self.rows[start : start + BLOCK])
        return held

    def take(self, rows: Tensor) -> Tensor:
        """Return the features of the images ``rows`` (numbers in the index), float32 on the
        device.
        """
        if self.held is not None:
            # Plain indexing of float16 rows takes 1.6 times as long on a CPU.
            return self.held.index_select(0, rows.to(self.device)).float()
        return self._on_device(self._read(self.rows.part(), rows))

    def _read(self, memory: np.ndarray, rows: Tensor) -> Tensor:
        """Return the features of the images ``rows`` from the disk: for a CPU in float32, for a GPU
        in the file's type and in memory that it copies from while it computes. ``memory``: what
        parts of them pass through, for this call alone.
        """
        self.file.check(self.pooled, rows.numpy())
        if self.device.type != "cuda":
            taken = torch.empty((len(rows), *self.shape))
            # The cast from float16 is torch's: numpy's is nine times slower on a CPU.
            for start, part in self.rows.parts(rows.numpy(), memory):
                taken[start : start + len(part)] = torch.from_numpy(part)
            return taken
        dtype = TORCH_TYPES[self.rows.dtype.name]
        read = torch.empty((len(rows), *self.shape), dtype=dtype, pin_memory=True)
        self.rows.read(rows.numpy(), read.numpy())
        return read

    def _on_device(self, read: Tensor) -> Tensor:
        """Return what was read, float32 on the device."""
        return read.to(self.device, non_blocking=True).float()

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on, read ahead where
        they come from the disk; features are never augmented.
        """
        if self.held is not None:
            return (self.take(rows) for rows in batches[start:])
        # One memory for all: taken anew for each batch it lies between them, and what they leave
        # does not fit the next ones.
        read = partial(self._read, self.rows.part())
        return (self._on_device(taken) for taken in ahead(read, batches[start:]))
