"""Feature files as zarr archives and back: for keeping and sharing a cache, not for training from
it.

Plain zstd at level 1 takes region features to about 0.6 of their size (bit shuffling is wrong for
half-zero float16); a chunk is a block of the cache, so that an archive streams with the memory of
one block.
"""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from zslpipe.formats.features import BLOCK, BlockWriter, FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder

# Measured beforehand: higher levels cost time and save little on float16 features.
ZSTD_LEVEL = 1


def pack(features: Path, archive: Path) -> None:
    """Write a complete feature file as a zarr archive; raises InputError where the archive is there
    already.
    """
    if archive.exists():
        raise InputError(f"{archive} exists already; delete it or name another archive")
    file = FeatureFile(features)
    group = zarr.open_group(archive, mode="w")
    for name, rows in (("regions", file.regions), ("pooled", file.pooled)):
        if rows is None:
            continue
        chunks = (min(BLOCK, rows.shape[0]), *rows.shape[1:])
        codec = ZstdCodec(level=ZSTD_LEVEL)
        array = group.create_array(
            name, shape=rows.shape, dtype=rows.dtype, chunks=chunks, compressors=codec
        )
        for start in range(0, len(rows), BLOCK):
            array[start : start + BLOCK] = np.asarray(rows[start : start + BLOCK])
    group.attrs.update({name: _plain(value) for name, value in file.attributes.items()})


def unpack(archive: Path, features: Path) -> None:
    """Write the feature file that a zarr archive was made of, byte for byte; raises InputError for
    an archive cut off.
    """
    if not archive.is_dir():
        raise InputError(f"{archive}: no such archive")
    group = zarr.open_group(archive, mode="r")
    attributes = {name: _restored(value) for name, value in group.attrs.items()}
    if not attributes.pop("complete", False):
        raise InputError(
            f"{archive}: the archive is not complete; make it again from its feature file"
        )
    arrays = dict(group.arrays())
    in_order = sorted(arrays, reverse=True)  # as an extraction lays them out: regions first
    shapes = {name: (arrays[name].shape, str(arrays[name].dtype)) for name in in_order}
    with held_folder(work_folder(features)):
        writer = BlockWriter(work_folder(features), shapes, attributes)
        for block in range(-(-next(iter(arrays.values())).shape[0] // BLOCK)):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            writer.write(block, {name: np.asarray(array[part]) for name, array in arrays.items()})
        writer.finish(features)


def _plain(value: Any) -> Any:
    """Return an HDF5 attribute as JSON can hold it; an array becomes its type and its values."""
    if isinstance(value, np.ndarray):
        return {"type": value.dtype.name, "values": value.tolist()}
    return value.item() if isinstance(value, np.generic) else value


def _restored(value: Any) -> Any:
    """Return an attribute as it was before ``_plain``."""
    return np.array(value["values"], value["type"]) if isinstance(value, dict) else value
