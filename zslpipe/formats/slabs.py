"""Contiguous datasets inside HDF5 files, written and read as bytes at their place."""

import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from zslpipe.formats.rows import Rows, in_one_file
from zslpipe.machine.errors import InputError

# Bytes beside the features, at most (ours): names, attributes, checksums; and how many parts of a
# file begin at a multiple of the alignment, at most.
METADATA, PARTS = 2**17, 16
# What datasets begin at a multiple of: a page of memory, in which the client of a network file
# system writes back what one process changed (Linux on x86-64; a multiple of it elsewhere).
PAGE = 4096


@dataclass(frozen=True)
class Slab:
    """A contiguous dataset inside an HDF5 file: ``row_bytes`` bytes a row from byte ``offset``."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's row."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    def place(self, start: int = 0, rows: int | None = None) -> tuple[int, int]:
        """Return the offset and the bytes of ``rows`` rows at most (None: all) from ``start``."""
        kept = self.shape[0] - start if rows is None else min(rows, self.shape[0] - start)
        return self.offset + start * self.row_bytes, kept * self.row_bytes

    def write(self, path: Path, data: bytes, start: int) -> None:
        """Write rows from ``start`` on into the file ``path`` and make them safe."""
        write_at(path, data, self.place(start)[0])

    def rows(self, path: Path, block: int) -> Rows:
        """Return the rows as they lie in the file ``path``, in blocks of ``block``."""
        opener = in_one_file(path, self.offset, block * self.row_bytes)
        return Rows(path, self.shape, self.dtype, block, opener)


def rows_together(slabs: Iterable[Slab], rows: int, alignment: int = PAGE) -> int:
    """Return how many neighbouring blocks of ``rows`` rows one process has to write, so that two
    never write to the same ``alignment`` bytes (a power of two) of a file: the fewest that end
    where such a piece does, in each of ``slabs``. Of slabs that begin elsewhere, with as large
    pieces as they begin at multiples of.
    """
    needed = 1
    for slab in slabs:
        piece = math.gcd(alignment, slab.offset)
        # Powers of two: the largest holds all others.
        needed = max(needed, piece // math.gcd(piece, rows * slab.row_bytes))
    return needed


def add_contiguous(file: h5py.File, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Add empty contiguous datasets ``{name: (shape, dtype)}`` to an open file, space allocated."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    # The same features give the same bytes, whenever they are written.
    properties.set_obj_track_times(False)
    for name, (shape, dtype) in shapes.items():
        kind = h5py.h5t.py_create(np.dtype(dtype))
        h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), properties)


def slabs_in(file: h5py.File, names: Iterable[str]) -> dict[str, Slab]:
    """Return those of ``names`` that are contiguous datasets of an open file; raises ValueError
    where one is laid out otherwise.
    """
    slabs = {}
    for name in names:
        if name in file:
            offset = file[name].id.get_offset()
            if offset is None:
                raise ValueError(f"/{name} is chunked, compressed or empty; write it contiguous")
            slabs[name] = Slab(file[name].shape, file[name].dtype, offset)
    return slabs


def write_at(path: Path, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset`` of a file and make it safe: one call writes 2 GiB at
    most.
    """
    with path.open("r+b") as file:
        written = 0
        while written < len(data):
            written += os.pwrite(file.fileno(), memoryview(data)[written:], offset + written)
        os.fdatasync(file.fileno())


def check_room(
    path: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]], alignment: int
) -> None:
    """Raise InputError where the disk that ``path`` is to lie on has no room for ``shapes``."""
    needed = METADATA + PARTS * alignment
    for shape, dtype in shapes.values():
        needed += math.prod(shape) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        sizes = f"{needed / 1e9:.3g} GB, its disk has {free / 1e9:.3g} GB free"
        raise InputError(f"{path}: takes {sizes}; free some there, or name another folder")


def check_slab(found: h5py.Dataset, where: str, axes: str, types: Sequence[str]) -> None:
    """Raise InputError unless a dataset is contiguous, with ``axes`` and of one of ``types``."""
    if found.ndim != axes.count(",") + 1:
        shape = "x".join(map(str, found.shape))
        raise InputError(f"{where} is {shape}, expected {axes}; write it in this shape")
    if found.dtype not in [np.dtype(name).newbyteorder("<") for name in types]:
        told = f"expected {' or '.join(types)}; write it as one of them"
        raise InputError(f"{where} holds {found.dtype}, {told}")
    if found.chunks is not None:
        how = found.compression or "in chunks"
        raise InputError(
            f"{where} is stored {how}, and features are read at their place; write it "
            "without chunks and compression"
        )
