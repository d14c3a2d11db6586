"""Feature files as zarr archives and back: for keeping and sharing a cache, not for training from
it. Layout of the group::

    attrs             layout (LAYOUT), complete (true, written last), bytes, sha256 (of the feature
                      file, whole), offsets (array -> where its bytes lie in the file), attributes
                      (what the feature file says of itself, to be read by people)
    regions, pooled,
    contents          (n, ...) as in the file, a chunk a block of 256 images
    checksums         (block, array) uint32, CRC-32 of the chunks, arrays in the alphabet's order
    rest              (bytes,) uint8, what lies between and behind the arrays

The file comes back byte for byte, whichever program wrote it, or not at all: its other bytes are
kept as they are, and what is unpacked has the hash of what was packed.
Plain zstd at level 1 takes region features to about 0.6 of their size (bit shuffling is wrong for
half-zero float16); a chunk is a block of the cache, so that an archive streams with the memory of
one block.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from zslpipe.formats.features import BLOCK, FeatureFile, store_beside
from zslpipe.formats.slabs import Slab
from zslpipe.formats.zarr_store import plain
from zslpipe.machine.checksums import crc32
from zslpipe.machine.errors import InputError, one_line
from zslpipe.machine.files import temporary_name, written_whole
from zslpipe.machine.progress import counted

# Measured beforehand: higher levels cost time and save little on float16 features.
ZSTD_LEVEL = 1
# Raised when the layout above changes.
LAYOUT = 2
# What zarr and its codecs raise where an archive is cut off, damaged or none of ours.
DAMAGE = (KeyError, ValueError, TypeError, RuntimeError, AttributeError, OSError)


def pack(features: Path, archive: Path) -> None:
    """Write a complete feature file as a zarr archive, whole or not at all.

    Raises InputError where something lies at ``archive`` already, where the file is damaged, or
    where its features lie in a zarr store.
    """
    _check_free(archive, "archive")
    file = FeatureFile(features)
    slabs = {name: slab for name, slab in file.slabs.items() if isinstance(slab, Slab)}
    if not slabs:
        store = store_beside(features)
        raise InputError(f"{features}: its features lie in a zarr store already; copy {store} too")
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(archive)
    try:
        _write_archive(file, slabs, temporary)
        _check_free(archive, "archive")
        temporary.rename(archive)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_free(path: Path, kind: str) -> None:
    """Raise InputError where something lies at ``path``, be it a link to nothing."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already; delete it or name another {kind}")


def _write_archive(file: FeatureFile, slabs: Mapping[str, Slab], folder: Path) -> None:
    """Write the archive of an open feature file, where its ``slabs`` lie."""
    group = zarr.open_group(folder, mode="w")
    checksums = [_add_array(group, file, name) for name in sorted(slabs)]
    group.create_array("checksums", data=np.array(checksums, np.uint32).T)
    rest = b"".join(_between(file.path, slabs))
    group.create_array("rest", data=np.frombuffer(rest, np.uint8))
    told: dict[str, Any] = {
        "layout": LAYOUT,
        "bytes": file.path.stat().st_size,
        "sha256": _sha256(file.path),
        "offsets": {name: slab.offset for name, slab in slabs.items()},
        "attributes": {name: plain(value) for name, value in file.attributes.items()},
        "complete": True,
    }
    group.attrs.update(told)


def _add_array(group: zarr.Group, file: FeatureFile, name: str) -> list[int]:
    """Add the features ``name`` of a file, each block checked on the way; return the blocks'
    checksums.
    """
    rows = file.rows[name]
    array = group.create_array(
        name,
        shape=rows.shape,
        dtype=rows.dtype,
        chunks=(min(BLOCK, len(rows)), *rows.shape[1:]),
        compressors=ZstdCodec(level=ZSTD_LEVEL),
        # A block of zeros is a chunk like any other: what is missing is missing.
        config={"write_empty_chunks": True},
    )
    checksums = []
    for start in _starts(len(rows), f"pack {name}"):
        file.check_rows(name, np.array([start]))
        block = rows[start : start + BLOCK]
        array[start : start + BLOCK] = block
        checksums.append(crc32(block.tobytes()))
    return checksums


def _starts(count: int, what: str) -> Iterator[int]:
    """Yield where each block of ``count`` rows begins, and say how far one is."""
    blocks = range(0, count, BLOCK)
    return counted(blocks, what, "blocks", len(blocks))


def _between(path: Path, slabs: Mapping[str, Slab]) -> Iterator[bytes]:
    """Yield what lies before, between and behind the slabs of a file."""
    with path.open("rb") as file:
        for offset, count in sorted(slab.place() for slab in slabs.values()):
            yield file.read(offset - file.tell())
            file.seek(offset + count)
        yield file.read()


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, features: Path) -> None:
    """Write the feature file that a zarr archive was made of, byte for byte, or nothing.

    Raises InputError where something lies at ``features`` already, for what is no archive, and for
    an archive that is cut off, damaged or lacks a chunk.
    """
    _check_free(features, "feature file")
    group = _opened(archive)
    try:
        with written_whole(features) as temporary:
            _write_file(group, temporary)
            if _sha256(temporary) != group.attrs["sha256"]:
                raise ValueError("what comes out is not what was packed")
            _check_free(features, "feature file")
    except InputError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, a missing right: no damage
        again = "pack its feature file again, or take another copy"
        raise InputError(f"{archive}: damaged archive ({one_line(error)}); {again}") from None


def _opened(archive: Path) -> zarr.Group:
    """Return an open archive; raises InputError for what is none, or was not finished."""
    if not archive.is_dir():
        found = "it is a file" if archive.exists() else "nothing lies there"
        raise InputError(f"{archive}: no such archive, {found}; give the folder that pack wrote")
    try:
        group = zarr.open_group(archive, mode="r")
        ours = "layout" in group.attrs
    except DAMAGE:
        ours = False
    if not ours:
        told = "no archive of features, or one cut off; give the folder that pack wrote"
        raise InputError(f"{archive}: {told}")
    if not group.attrs.get("complete", False):
        told = "the archive is not complete; make it again from its feature file"
        raise InputError(f"{archive}: {told}")
    if group.attrs.get("layout") != LAYOUT:
        told = "an archive of another version or kind; make it again from its feature file"
        raise InputError(f"{archive}: {told}")
    return group


def _write_file(group: zarr.Group, path: Path) -> None:
    """Write the bytes of an archive's file; raises ValueError for a chunk missing or changed."""
    offsets: Any = group.attrs["offsets"]
    rest = memoryview(np.asarray(_array(group, "rest")[:]).tobytes())
    checksums = np.asarray(_array(group, "checksums")[:])
    with path.open("wb") as file:
        for name in sorted(offsets, key=offsets.__getitem__):
            count = offsets[name] - file.tell()
            file.write(rest[:count])
            rest = rest[count:]
            column = checksums[:, sorted(offsets).index(name)]
            for block, data in enumerate(_blocks(_array(group, name), name)):
                if crc32(data) != column[block]:
                    raise ValueError(f"block {block} of {name} is not what was packed")
                file.write(data)
        file.write(rest)


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of an archive with all of its chunks; raises ValueError where some are
    missing: zarr would give zeros for them.
    """
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{name} is no array")
    if array.nchunks_initialized != array.nchunks:
        missing = array.nchunks - array.nchunks_initialized
        raise ValueError(f"{missing} of {array.nchunks} chunks of {name} are missing")
    return array


def _blocks(array: zarr.Array[Any], name: str) -> Iterator[bytes]:
    """Yield the bytes of an array's blocks."""
    for start in _starts(array.shape[0], f"unpack {name}"):
        yield np.asarray(array[start : start + BLOCK]).tobytes()
