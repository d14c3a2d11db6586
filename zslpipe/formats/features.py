"""The one on-disk layout of features: an ordinary HDF5 file, its rows read at their place.

``/regions`` (n, grid * grid, d) float16, region-major, contiguous and uncompressed, and ``/pooled``
(n, p) float32, their mean over the grid (p = d) or, where the attribute ``pooled`` says so, the
network's class_token or what its head gives; a file without images' regions has only ``/pooled``.
``/contents`` (n,) uint64 tells what was read: a digest of each image file's bytes and crop box
(:func:`zslpipe.pictures.content_digest`; absent in files of earlier versions and of others).
Attributes: extractor, weights, images_hash (of which images, in which order, cropped how), what
else the extraction is made of, cell_first and cell_step (where the regions lie: absent where only
pooled features are stored, in files of earlier versions, and where the network does not tell),
complete (true, written last). ``/checksums`` (blocks, datasets) uint32: the CRC-32 of each block of
256 images of each dataset, in the alphabet's order of their names (in files of earlier versions one
number a block, over all of them); a reader checks a block when it first takes a row of it. The rest
of the file is under its seal (:mod:`zslpipe.machine.seals`). Files of other programs have neither
and are read unchecked. With ``compute.storage: zarr`` the three datasets are arrays of a zarr store
beside the file (:mod:`zslpipe.formats.zarr_store`), the rest stays.
Contiguous because list-indexing a chunked dataset costs about 18 ms a row, and because a block can
be written at its offset by ``pwrite`` and resumed after a kill. Every dataset begins at a multiple
of 4096 bytes, or of more where that is asked for, so that several processes can write blocks side
by side (:mod:`zslpipe.formats.block_writer`); in files of earlier versions anywhere, which no
reader minds.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.hdf5 import all_attributes, dataset, read_hdf5, read_stamped
from zslpipe.formats.rows import Rows
from zslpipe.formats.shards import ShardedArray, sharded_arrays
from zslpipe.formats.slabs import (
    PAGE,
    Slab,
    add_contiguous,
    check_room,
    check_slab,
    slabs_in,
    write_at,
)
from zslpipe.machine.checksums import crc32
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.machine.ranges import Storage
from zslpipe.machine.seals import seal

# Images in a block, the unit of resuming (ours: some seconds of work, 50 MB at 7x7x2048).
BLOCK = 256
# The datasets of a row an image: their axes, and the types that they may have.
FLOATS = ("float16", "float32")
SLABS = {
    "regions": ("(image, region, d)", FLOATS),
    "pooled": ("(image, d)", FLOATS),
    "contents": ("(image)", ("uint64",)),
}
# Eight bytes an image, of which a block fills half a page: in the file written at the end, by one
# process.
WRITTEN_LAST = "contents"
# The attribute by which a file tells that its features lie in a zarr store beside it.
ARRAYS = "arrays"
# What lies where, by name.
Slabs = dict[str, Slab | ShardedArray]
KIND, WRITER = "feature file", "the rule 'extract' (or 'store')"


def create_slabs(
    path: Path,
    shapes: Mapping[str, tuple[tuple[int, ...], str]],
    attributes: Mapping[str, object],
    storage: Storage = "hdf5",
    alignment: int = PAGE,
) -> Slabs:
    """Create an HDF5 file of empty contiguous datasets ``{name: (shape, dtype)}``, space allocated,
    each from a multiple of ``alignment`` bytes, or the zarr store beside it that takes their place;
    return where they lie.

    All metadata is written now, ``complete`` as False and room for the blocks' checksums included,
    so that finishing changes a few bytes in place and a kill at any moment leaves a readable file.
    Raises InputError where the disk has no room for all of it.
    """
    blocks = count_blocks(next(iter(shapes.values()))[0][0])
    inside: dict[str, tuple[tuple[int, ...], str]] = {
        "checksums": ((blocks, len(shapes)), "uint32")
    }
    check_room(path, {**shapes, **inside}, alignment)
    stamps: dict[str, object] = {**attributes, "complete": False}
    if storage == "zarr":
        from zslpipe.formats.zarr_store import create_store  # takes a second to import

        create_store(store_beside(path), shapes, BLOCK)
        stamps[ARRAYS], alignment = json.dumps(shapes), 1
    else:
        inside = {**shapes, **inside}
    # A threshold of one byte: all that is allocated, however small.
    with h5py.File(path, "w", alignment_threshold=1, alignment_interval=alignment) as file:
        add_contiguous(file, inside)
        for name, value in stamps.items():
            file.attrs[name] = value
        room = file["checksums"].id.get_offset()
    # On the disk now, not when the last block is done: HDF5 crashes on a disk that is full.
    write_at(path, bytes(4 * blocks * len(shapes)), room)
    return locate_slabs(path)


def store_beside(path: Path) -> Path:
    """Return where the zarr store of a feature file lies that has one."""
    return path.with_suffix(".zarr")


def count_blocks(rows: int) -> int:
    """Return how many blocks hold ``rows`` rows."""
    return -(-rows // BLOCK)


def locate_slabs(path: Path) -> Slabs:
    """Return the contiguous datasets of a feature file, finished or not, or its store's arrays, by
    name; raises InputError where the file cannot be read.
    """
    return read_hdf5(path, partial(_slabs, store=store_beside(path)), KIND, WRITER)


def _slabs(file: h5py.File, store: Path) -> Slabs:
    """Return the contiguous datasets of an open file, or its store's arrays, by name; raises
    InputError for a dataset that cannot be read at its place, or holds no features.
    """
    if ARRAYS in file.attrs:
        return dict(sharded_arrays(store, json.loads(file.attrs[ARRAYS]), BLOCK))
    for name, (axes, types) in SLABS.items():
        if name in file:
            check_slab(dataset(file, name), f"{file.filename}: /{name}", axes, types)
    return dict(slabs_in(file, SLABS))


def write_pooled_features(
    output: Path, pooled: np.ndarray, attributes: Mapping[str, object]
) -> None:
    """Write a feature file of ``pooled`` (n, d) alone, float32, whole or not at all; ``attributes``
    as in the layout.
    """
    rows = np.asarray(pooled, np.float32)
    with written_whole(output) as temporary:
        slabs = create_slabs(temporary, {"pooled": (rows.shape, "float32")}, attributes)
        checksums = []
        for block in range(count_blocks(len(rows))):
            part = rows[block * BLOCK : (block + 1) * BLOCK]
            checksums.append(write_block(temporary, slabs, block, {"pooled": part}))
        complete(temporary, slabs, checksums)


def write_block(
    path: Path,
    slabs: Mapping[str, Slab | ShardedArray],
    block: int,
    arrays: Mapping[str, np.ndarray],
) -> list[int]:
    """Write one block's rows of every slab and make them safe, but /contents of a file, which are
    written last; return the checksums of all, in the alphabet's order of the slabs.
    """
    checksums = []
    for name in sorted(arrays):
        data = np.ascontiguousarray(arrays[name], slabs[name].dtype).tobytes()
        if not is_written_last(name, slabs[name]):
            slabs[name].write(path, data, block * BLOCK)
        checksums.append(crc32(data))
    return checksums


def is_written_last(name: str, slab: Slab | ShardedArray) -> bool:
    """Return whether a slab is written when all blocks are: a shard is a file of its own."""
    return name == WRITTEN_LAST and isinstance(slab, Slab)


def checksum_of_digests(digests: np.ndarray) -> int:
    """Return the CRC-32 of a block's /contents, which are written at the end."""
    return crc32(np.ascontiguousarray(digests, np.uint64).tobytes())


def complete(
    path: Path, slabs: Mapping[str, Slab | ShardedArray], checksums: Sequence[Sequence[int]]
) -> None:
    """Write the ``checksums`` (block, slab), stamp the file, and the store where it has one,
    complete and seal what is no slab.
    """
    with h5py.File(path, "r+") as file:
        told = np.array(checksums, np.uint32).reshape(file["checksums"].shape)
        if ARRAYS in file.attrs:
            from zslpipe.formats.zarr_store import complete_store

            complete_store(store_beside(path), _stamps(file), told)
        file["checksums"][:] = told
        file.attrs.modify("complete", np.True_)
    seal(path, [slab.place() for slab in slabs.values() if isinstance(slab, Slab)])


def _stamps(file: h5py.File) -> dict[str, Any]:
    """Return the attributes of an open file, save where its features lie."""
    return {name: value for name, value in all_attributes(file).items() if name != ARRAYS}


class FeatureFile:
    """A complete feature file, open for reading; ``regions``, ``pooled`` and ``digests`` (of the
    images' contents) are its rows on the disk (None where absent), ``rows`` all of them by the name
    of their dataset, ``contents`` changes with them: the checksums of the blocks, or the time of
    modification where the file holds none.

    ``store``: where its zarr store lies, if it has one and not the name that belongs to it. Raises
    InputError where the file is absent, damaged or not complete, or its store is absent.
    """

    def __init__(self, path: Path, store: Path | None = None):
        self.path = path
        read = partial(_read, store=store or store_beside(path))
        self.slabs, self.checksums, self.attributes = read_stamped(path, read, KIND, WRITER)
        self.contents = self.checksums.ravel().tolist() or [path.stat().st_mtime_ns]
        self.rows = {name: slab.rows(path, BLOCK) for name, slab in self.slabs.items()}
        self.regions, self.pooled = self.rows.get("regions"), self.rows.get("pooled")
        self.digests = self.rows.get("contents")
        self._sound: set[tuple[int, int]] = set()

    def check(self, pooled: bool, rows: np.ndarray | None = None) -> None:
        """Raise InputError as :meth:`check_rows` for the pooled or the region features."""
        self.check_rows("pooled" if pooled else "regions", rows)

    def check_rows(self, name: str, rows: np.ndarray | None = None) -> None:
        """Raise InputError where the blocks of ``rows`` (all, without) of a dataset are not what
        was written; a block is looked at once. What has no checksums passes.
        """
        images = len(self.rows[name])
        touched = range(count_blocks(images)) if rows is None else np.unique(rows // BLOCK).tolist()
        # One column a slab; files of earlier versions have one for all of them together.
        apart = self.checksums.shape[1:] == (len(self.rows),)
        column = sorted(self.rows).index(name) if apart else 0
        checked = [name] if apart else sorted(self.rows)
        for block in touched if self.checksums.size else ():
            if (block, column) in self._sound:
                continue
            checksum = 0
            for one in checked:
                checksum = self.rows[one].checksum(block, checksum)
            if checksum != self.checksums[block].flat[column]:
                start, last = block * BLOCK, min((block + 1) * BLOCK, images) - 1
                raise InputError(
                    f"{self.path}: {name} of the images {start} to {last} are not what was "
                    "written (CRC-32): damaged, or changed in place; delete it and run again: "
                    f"{WRITER} makes it again"
                )
            self._sound.add((block, column))

    @property
    def centres(self) -> CellCentres | None:
        """Where the regions' cells look, None where the file does not say."""
        if not {"cell_first", "cell_step"} <= self.attributes.keys():
            return None
        first, step = self.attributes["cell_first"], self.attributes["cell_step"]
        return CellCentres(float(first), float(step))

    def maps(self, pooled: bool) -> Rows:
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


def _read(file: h5py.File, store: Path) -> tuple[Slabs, np.ndarray, dict[str, Any]]:
    """Return slabs, checksums of blocks (none in a file of another program) and attributes of an
    open file; raises KeyError where it has no slab.
    """
    slabs = _slabs(file, store)
    if not slabs:
        raise KeyError("it holds neither /regions nor /pooled")
    stored = np.asarray(file["checksums"][()] if "checksums" in file else (), np.uint32)
    if stored.size and len(stored) != count_blocks(next(iter(slabs.values())).shape[0]):
        raise KeyError(f"checksums of {len(stored)} blocks, which are not the file's")
    return slabs, stored, _stamps(file)
