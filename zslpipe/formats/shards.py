"""Rows that lie in the shards of a zarr array, a file a block: the arrays of
:mod:`zslpipe.formats.zarr_store` as they are written and read, without zarr.
"""

import json
import os
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.rows import Opener, Places, Rows
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole

# What a group of ours says of itself; raised when the layout of :mod:`zslpipe.formats.zarr_store`
# changes.
LAYOUT = "zslpipe features 1"
# What an index says of a chunk that the array does not have (zarr v3, codec sharding_indexed).
ABSENT = 2**64 - 1


@dataclass(frozen=True)
class ShardedArray:
    """An array of shape (n, ...) in the folder ``folder``, a shard each ``block`` rows."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    block: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's row."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def chunk(self) -> int:
        """Rows that zarr reads at once: an image of regions, which are large, else a block."""
        return 1 if len(self.shape) > 2 else self.block

    def path(self, block: int) -> Path:
        """Return where a block's shard lies."""
        return self.folder / self._name(block)

    def _name(self, block: int) -> str:
        """Return zarr's name of a block's shard: its number along each axis."""
        return f"c/{block}" + "/0" * (len(self.shape) - 1)

    def write(self, path: Path, data: bytes, start: int) -> None:
        """Write the shard whose first row is ``start``, whole or not at all, and make it safe."""
        shard = self.path(start // self.block)
        with written_whole(shard) as temporary, temporary.open("wb") as file:
            file.write(self._shard(data))
            file.flush()
            os.fsync(file.fileno())

    def _shard(self, data: bytes) -> bytes:
        """Return a shard of some rows: its chunks one behind the other, zeros behind the array's
        last row, then the index of offsets and bytes with its CRC-32C.
        """
        import google_crc32c

        chunk_bytes = self.chunk * self.row_bytes
        count = -(-len(data) // chunk_bytes)
        index = np.full((self.block // self.chunk, 2), ABSENT, "<u8")
        index[:count] = [(number * chunk_bytes, chunk_bytes) for number in range(count)]
        told = index.tobytes()
        checksum = int(google_crc32c.value(told)).to_bytes(4, "little")
        return data.ljust(count * chunk_bytes, b"\0") + told + checksum

    def rows(self, path: Path, block: int) -> Rows:
        """Return the rows of the store that the feature file ``path`` names; raises InputError
        where it is not there.
        """
        if not self.folder.is_dir():
            raise InputError(
                f"{path}: its rows lie in {self.folder}, and nothing lies there; put the store "
                f"back, or delete {path.name} and run again: the rule 'extract' makes both"
            )
        return Rows(path, self.shape, self.dtype, block, self._opener(path))

    def _opener(self, path: Path) -> Opener:
        """Return the opener of shards. The folder stays open: another that is renamed to its place
        later is not mixed in.
        """
        place = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

        @contextmanager
        def opened(blocks: Sequence[int]) -> Iterator[Places]:
            """Open the shards of ``blocks`` until the block is left."""
            files: dict[int, int] = {}
            try:
                for block in blocks:
                    files[block] = self._open(path, block, place)
                yield {block: (file, 0) for block, file in files.items()}
            finally:
                for file in files.values():
                    os.close(file)

        weakref.finalize(opened, os.close, place)
        return opened

    def _open(self, path: Path, block: int, place: int) -> int:
        """Return a block's shard, open, of the open folder ``place``."""
        try:
            return os.open(self._name(block), os.O_RDONLY | os.O_CLOEXEC, dir_fd=place)
        except FileNotFoundError:
            start, end = block * self.block, min((block + 1) * self.block, self.shape[0])
            raise InputError(
                f"{path}: lacks the rows {start} to {end - 1} of its store, {self.path(block)} is "
                f"gone; delete {path.name} and run again: the rule 'extract' makes it again"
            ) from None


def sharded_arrays(
    folder: Path, arrays: Mapping[str, Sequence[Any]], block: int
) -> dict[str, ShardedArray]:
    """Return the arrays ``{name: (shape, dtype)}`` of a store."""
    found = {}
    for name, (shape, dtype) in arrays.items():
        found[name] = ShardedArray(folder / name, tuple(shape), np.dtype(dtype), block)
    return found


def put_in_place(store: Path, place: Path) -> None:
    """Move a finished store to ``place``, where there is one, and an earlier store of features that
    lies there into the folder of ``store``, which its user deletes.

    Raises InputError where something else lies there.
    """
    if _is_ours(place):
        aside = store.with_name("earlier.zarr")
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    if not store.is_dir():
        return
    if place.exists() or place.is_symlink():
        raise InputError(
            f"{place}: is no store of features, and one is to be written there; move it away and "
            "run again, nothing is computed again"
        )
    store.rename(place)


def _is_ours(place: Path) -> bool:
    """Return whether a store of features lies at a path."""
    try:
        told = json.loads((place / "zarr.json").read_text("utf-8"))
        return bool(told["attributes"]["layout"] == LAYOUT)
    except (OSError, ValueError, KeyError, TypeError):
        return False
