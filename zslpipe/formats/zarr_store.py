"""Features in a zarr v3 store (``compute.storage: zarr``), for object stores and other programs.

A group beside the feature file. Its attributes are the feature file's, with ``layout`` (LAYOUT) and
``complete`` (true, written last). ``regions``, ``pooled`` and ``contents`` are arrays as in the
feature file, not compressed, a shard a block of 256 images: a shard is one file (one object), is
written whole, and is what several processes may write at the same time. A shard's chunks are an
image each of the regions (a program that wants one image fetches 200 KB of 51 MB) and the whole
block of the small ones; they lie in order, so that a shard begins with the bytes of its rows as
HDF5 has them, and is read at its place by whoever knows that. ``checksums`` (block, array) uint32
as in the feature file. The feature file beside it, ``{extractor}.h5``, holds the same attributes
and checksums and, instead of the datasets, the attribute ``arrays``: their shapes and types, as
JSON. It is what jobs declare, stamp, seal and open; the two are moved and renamed together.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from zslpipe.formats.shards import LAYOUT, sharded_arrays


def create_store(
    folder: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]], block: int
) -> None:
    """Create a store of empty arrays ``{name: (shape, dtype)}``, in place of what lies there."""
    shutil.rmtree(folder, ignore_errors=True)
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    group.attrs["layout"] = LAYOUT
    for name, array in sharded_arrays(folder, shapes, block).items():
        group.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            shards=(block, *array.shape[1:]),
            chunks=(array.chunk, *array.shape[1:]),
            filters=None,
            compressors=None,
            fill_value=0,
        )


def complete_store(folder: Path, attributes: Mapping[str, Any], checksums: np.ndarray) -> None:
    """Write the ``checksums`` (block, array) and the attributes of a finished store."""
    group = zarr.open_group(folder, mode="r+")
    group.create_array("checksums", data=checksums, compressors=None, overwrite=True)
    told = {name: plain(value) for name, value in attributes.items()}
    group.attrs.update({**told, "complete": True})


def plain(value: Any) -> Any:
    """Return an HDF5 attribute, whoever wrote it, as JSON can hold it: as text where it cannot."""
    found = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    try:
        json.dumps(found)
    except (TypeError, ValueError):
        return str(found)
    return found
