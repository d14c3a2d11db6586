"""The one on-disk layout of features: an ordinary HDF5 file, read through a memory map.

``/regions`` (n, grid * grid, d) float16, region-major, contiguous and uncompressed, and ``/pooled``
(n, d) float32, their mean over the grid; a file without images' regions has only ``/pooled``.
Attributes: extractor, weights, images_hash (of which images, in which order, cropped how), what
else the extraction is made of, cell_first and cell_step (where the regions lie: absent where only
pooled features are stored, in files of earlier versions, and where the network does not tell),
complete (true, written last).
Contiguous because list-indexing a chunked dataset costs about 18 ms a row, and because a block can
be written at its offset by ``pwrite`` and resumed after a kill.
"""

import math
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.hdf5 import all_attributes, dataset, read_hdf5, read_stamped, stamped
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import named, written_whole
from zslpipe.provenance import settings_hash

# Images in a block, the unit of resuming (ours: some seconds of work, 50 MB at 7x7x2048).
BLOCK = 256
# The datasets that hold features, and their axes.
SLABS = {"regions": "(image, region, d)", "pooled": "(image, d)"}
# Bytes beside the features, at most (ours): names, attributes, checksums.
METADATA = 2**17
KIND, WRITER = "feature file", "the rule 'extract'"


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


def create_slabs(
    path: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]], attributes: Mapping[str, object]
) -> dict[str, Slab]:
    """Create an HDF5 file of empty contiguous datasets ``{name: (shape, dtype)}``, space
    allocated; return where they lie.

    All metadata is written now, ``complete`` as False and room for the blocks' checksums included,
    so that finishing changes a few bytes in place and a kill at any moment leaves a readable file.
    Raises InputError where the disk has no room for all of it.
    """
    blocks = -(-next(iter(shapes.values()))[0][0] // BLOCK)
    shapes = {**shapes, "checksums": ((blocks,), "uint32")}
    _check_room(path, shapes)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    # The same features give the same bytes, whenever they are written.
    properties.set_obj_track_times(False)
    with h5py.File(path, "w") as file:
        for name, (shape, dtype) in shapes.items():
            kind = h5py.h5t.py_create(np.dtype(dtype))
            h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), properties)
        for name, value in {**attributes, "complete": False}.items():
            file.attrs[name] = value
        room = file["checksums"].id.get_offset()
    # On the disk now, not when the last block is done: HDF5 crashes on a disk that is full.
    with path.open("r+b") as plain:
        _write_all(plain.fileno(), bytes(4 * blocks), room)
    return locate_slabs(path)


def _check_room(path: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Raise InputError where the disk that ``path`` is to lie on has no room for ``shapes``."""
    needed = METADATA
    for shape, dtype in shapes.values():
        needed += math.prod(shape) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        sizes = f"{needed / 1e9:.3g} GB, its disk has {free / 1e9:.3g} GB free"
        raise InputError(f"{path}: takes {sizes}; free some there, or name another folder")


def locate_slabs(path: Path) -> dict[str, Slab]:
    """Return the contiguous datasets of a feature file, finished or not, by name; raises InputError
    where the file cannot be read.
    """
    return read_hdf5(path, _slabs, KIND, WRITER)


def _slabs(file: h5py.File) -> dict[str, Slab]:
    """Return the contiguous datasets of an open file by name; raises InputError for one that cannot
    be read through a memory map, or holds no features.
    """
    slabs = {}
    for name in SLABS:
        if name in file:
            found = dataset(file, name)
            _check_slab(found, f"{file.filename}: /{name}", SLABS[name])
            slabs[name] = Slab(found.shape, found.dtype, found.id.get_offset())
    return slabs


def _check_slab(found: h5py.Dataset, where: str, axes: str) -> None:
    """Raise InputError unless a dataset is contiguous, float16 or float32, with ``axes``."""
    if found.ndim != axes.count(",") + 1:
        shape = "x".join(map(str, found.shape))
        raise InputError(f"{where} is {shape}, expected {axes}; write it in this shape")
    if found.dtype not in (np.dtype("<f2"), np.dtype("<f4")):
        told = "expected float16 or float32; write it as one of them"
        raise InputError(f"{where} holds {found.dtype}, {told}")
    if found.chunks is not None:
        how = found.compression or "in chunks"
        raise InputError(
            f"{where} is stored {how}, and features are read through a memory map; write it "
            "without chunks and compression"
        )


def write_pooled_features(
    output: Path, pooled: np.ndarray, attributes: Mapping[str, object]
) -> None:
    """Write a feature file of ``pooled`` (n, d) alone, float32, whole or not at all; ``attributes``
    as in the layout.
    """
    with stamped(output) as file:
        file["pooled"] = np.asarray(pooled, np.float32)
        for name, value in attributes.items():
            file.attrs[name] = value


class BlockWriter:
    """Writes blocks of rows into the slabs of a file under construction and keeps a journal of the
    blocks that are safe.

    ``folder`` holds ``features.h5`` and ``journal``: first the stamp (what is being written), then
    a line ``block checksum`` a block, written only when the block's bytes are on the disk. One
    process at a time may use it (:func:`zslpipe.machine.files.held_folder`).
    """

    def __init__(
        self,
        folder: Path,
        shapes: Mapping[str, tuple[tuple[int, ...], str]],
        attributes: Mapping[str, object],
    ):
        self.folder, self.path, self.journal = folder, folder / "features.h5", folder / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        self.done: dict[int, int] = {}
        described = {**attributes, **shapes}
        stamp = settings_hash({name: str(value) for name, value in described.items()})
        if self._journal_stamp() == stamp and self.path.is_file():
            self.slabs = locate_slabs(self.path)
            self.done = self._intact_blocks()
        else:
            # The old journal goes first: a kill in between must not leave it beside a file of
            # another stamp.
            self.journal.unlink(missing_ok=True)
            self.slabs = create_slabs(self.path, shapes, attributes)
        lines = [stamp, *(f"{block} {checksum:08x}" for block, checksum in self.done.items())]
        with written_whole(self.journal) as temporary:
            temporary.write_text("\n".join(lines) + "\n")

    def _journal_stamp(self) -> str | None:
        """Return the stamp of the journal that lies there, None where there is none."""
        return self.journal.read_text().split("\n", 1)[0] if self.journal.is_file() else None

    def _intact_blocks(self) -> dict[int, int]:
        """Return the blocks of the journal whose bytes in the file still have their checksum."""
        blocks: dict[int, int] = {}
        for line in self.journal.read_text().split("\n")[1:-1]:
            block, checksum = line.split()
            if self._stored_checksum(int(block)) == int(checksum, 16):
                blocks[int(block)] = int(checksum, 16)
        return blocks

    def _stored_checksum(self, block: int) -> int:
        """Return the CRC-32 of a block's bytes as they are in the file."""
        checksum = 0
        with self.path.open("rb") as file:
            for name in sorted(self.slabs):
                slab = self.slabs[name]
                rows = min(BLOCK, slab.shape[0] - block * BLOCK)
                start = slab.offset + block * BLOCK * slab.row_bytes
                data = os.pread(file.fileno(), rows * slab.row_bytes, start)
                checksum = zlib.crc32(data, checksum)
        return checksum

    def write(self, block: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write one block's rows of every slab, make them safe, then note the block in the
        journal.
        """
        checksum = 0
        with named(self.path), self.path.open("r+b") as file:
            for name in sorted(arrays):
                slab = self.slabs[name]
                data = np.ascontiguousarray(arrays[name], slab.dtype).tobytes()
                _write_all(file.fileno(), data, slab.offset + block * BLOCK * slab.row_bytes)
                checksum = zlib.crc32(data, checksum)
            os.fdatasync(file.fileno())
        self.done[block] = checksum
        with named(self.journal), self.journal.open("a") as journal:
            journal.write(f"{block} {checksum:08x}\n")

    def finish(self, output: Path) -> None:
        """Stamp the file complete and move it to its place; the same blocks and attributes give the
        same bytes.

        Raises RuntimeError where a block was never written.
        """
        with h5py.File(self.path, "r+") as file:
            missing = sorted(set(range(len(file["checksums"]))) - self.done.keys())
            if missing:
                raise RuntimeError(
                    f"{self.path}: {len(missing)} blocks were not written, first block {missing[0]}"
                )
            checksums = [self.done[block] for block in sorted(self.done)]
            file["checksums"][:] = np.array(checksums, np.uint32)
            file.attrs.modify("complete", np.True_)
        output.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(output)
        shutil.rmtree(self.folder, ignore_errors=True)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``: one call writes 2 GiB at most."""
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, memoryview(data)[written:], offset + written)


class FeatureFile:
    """A complete feature file, open for reading; ``regions`` and ``pooled`` are memory maps (None
    where absent), ``contents`` changes with them: the checksums of the blocks, or the time of
    modification where the file holds none.

    Raises InputError where the file is absent, damaged or not complete.
    """

    def __init__(self, path: Path):
        self.path = path
        slabs, checksums, self.attributes = read_stamped(path, _read, KIND, WRITER)
        self.contents = checksums or [path.stat().st_mtime_ns]
        self.regions = self._map(slabs.get("regions"))
        self.pooled = self._map(slabs.get("pooled"))

    def _map(self, slab: Slab | None) -> np.memmap | None:
        """Return a read-only memory map of a slab, None where there is none."""
        if slab is None:
            return None
        return np.memmap(self.path, slab.dtype, "r", slab.offset, slab.shape)

    @property
    def centres(self) -> CellCentres | None:
        """Where the regions' cells look, None where the file does not say."""
        if not {"cell_first", "cell_step"} <= self.attributes.keys():
            return None
        first, step = self.attributes["cell_first"], self.attributes["cell_step"]
        return CellCentres(float(first), float(step))

    def maps(self, pooled: bool) -> np.memmap:
        """Return the pooled (n, d) or the region (n, r, d) features; raises InputError where the
        file has none.
        """
        found = self.pooled if pooled else self.regions
        if found is None:
            kind = "pooled" if pooled else "region"
            raise InputError(
                f"{self.path}: holds no {kind} features; name an extractor that has them"
            )
        return found


def _read(file: h5py.File) -> tuple[dict[str, Slab], list[int], dict[str, Any]]:
    """Return slabs, checksums of blocks (none in a file of stored features) and attributes of an
    open file; raises KeyError where it has no slab.
    """
    slabs = _slabs(file)
    if not slabs:
        raise KeyError("it holds neither /regions nor /pooled")
    stored = file["checksums"][()] if "checksums" in file else ()
    return slabs, [int(checksum) for checksum in stored], all_attributes(file)
