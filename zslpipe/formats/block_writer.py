"""Writes a feature file block by block, and goes on where it was cut off."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from zslpipe.formats import features
from zslpipe.formats.features import Storage
from zslpipe.formats.rows import Rows
from zslpipe.formats.shards import put_in_place
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import named, written_whole
from zslpipe.provenance import settings_hash

# How a file was computed, not what it holds: blocks of another value are continued.
UNSTAMPED = ("batch_size",)
# Part of the stamp of what is resumed: raised when blocks or their checksums are laid out anew.
LAYOUT = 2


class BlockWriter:
    """Writes blocks of rows into the slabs of a file under construction and keeps a journal of the
    blocks that are safe.

    ``folder`` holds ``features.h5``, with storage "zarr" ``features.zarr``, and ``journal``: first
    the stamp (what is being written), then a line ``block checksum ...`` a block, written only when
    the block's bytes are on the disk. One process at a time may use it
    (:func:`zslpipe.machine.files.held_folder`).
    """

    def __init__(
        self,
        folder: Path,
        shapes: Mapping[str, tuple[tuple[int, ...], str]],
        attributes: Mapping[str, object],
        storage: Storage = "hdf5",
    ):
        self.folder, self.path, self.journal = folder, folder / "features.h5", folder / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        self.done: dict[int, list[int]] = {}
        described = {**attributes, **shapes, "layout": LAYOUT}
        if storage != "hdf5":
            described["storage"] = storage
        for name in UNSTAMPED:
            described.pop(name, None)
        stamp = settings_hash({name: str(value) for name, value in described.items()})
        if self._journal_stamp() == stamp and self.path.is_file():
            self.slabs = features.locate_slabs(self.path)
            self.done = self._intact_blocks()
        else:
            # The old journal goes first: a kill in between must not leave it beside a file of
            # another stamp.
            self.journal.unlink(missing_ok=True)
            self.slabs = features.create_slabs(self.path, shapes, attributes, storage)
        lines = [stamp, *(_line(block, checksums) for block, checksums in self.done.items())]
        with written_whole(self.journal) as temporary:
            temporary.write_text("\n".join(lines) + "\n")

    def _journal_stamp(self) -> str | None:
        """Return the stamp of the journal that lies there, None where there is none."""
        return self.journal.read_text().split("\n", 1)[0] if self.journal.is_file() else None

    def _intact_blocks(self) -> dict[int, list[int]]:
        """Return the blocks of the journal whose bytes in the file still have their checksums."""
        blocks: dict[int, list[int]] = {}
        for line in self.journal.read_text().split("\n")[1:-1]:
            block = int(line.split()[0])
            stored = self._checksums(block)
            if line == _line(block, stored):
                blocks[block] = stored
        return blocks

    def _checksums(self, block: int) -> list[int]:
        """Return the CRC-32 of a block's bytes as they are on the disk, slab after slab; none where
        they are cut off.
        """
        try:
            return [self._rows(name).checksum(block) for name in sorted(self.slabs)]
        except InputError:
            return []

    def _rows(self, name: str) -> Rows:
        """Return the rows of a slab as they are on the disk."""
        return self.slabs[name].rows(self.path, features.BLOCK)

    def contents(self, block: int) -> list[int]:
        """Return the digests of a written block's images."""
        start = block * features.BLOCK
        digests: list[int] = self._rows("contents")[start : start + features.BLOCK].tolist()
        return digests

    def drop(self, block: int) -> None:
        """Forget a block: it is to be written again."""
        del self.done[block]

    def write(self, block: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write one block's rows of every slab, make them safe, then note the block in the
        journal.
        """
        with named(self.path):
            self.done[block] = features.write_block(self.path, self.slabs, block, arrays)
        with named(self.journal), self.journal.open("a") as journal:
            journal.write(f"{_line(block, self.done[block])}\n")

    def finish(self, output: Path) -> None:
        """Stamp the file complete and move it to its place; the same blocks and attributes give the
        same bytes.

        Raises RuntimeError where a block was never written.
        """
        rows = next(iter(self.slabs.values())).shape[0]
        missing = sorted(set(range(features.count_blocks(rows))) - self.done.keys())
        if missing:
            raise RuntimeError(
                f"{self.path}: {len(missing)} blocks were not written, first block {missing[0]}"
            )
        features.complete(self.path, self.slabs, [self.done[block] for block in sorted(self.done)])
        output.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(features.store_beside(self.path), features.store_beside(output))
        self.path.replace(output)
        shutil.rmtree(self.folder, ignore_errors=True)


def _line(block: int, checksums: Iterable[int]) -> str:
    """Return a block's line of the journal."""
    return " ".join([str(block), *(f"{checksum:08x}" for checksum in checksums)])
