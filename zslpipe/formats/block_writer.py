"""Writes a feature file block by block, goes on where it was cut off, and lets several processes
(ranks, :mod:`zslpipe.machine.ranks`) write blocks of one file side by side.

Rank 0 creates or continues the file, at its full size from the beginning; every rank writes the
rows of its blocks at their offsets and notes them in a journal of its own; rank 0 unites the
journals when all have ended, reads every block again, compares its checksum, and moves the file to
its place. A run that is cut off, whoever of its ranks was killed, is continued by one with any
number of ranks: it unites what journals there are.

Guaranteed: two ranks of a run never write to the same page of 4096 bytes (or to the same piece of
``alignment`` bytes, such as a stripe of Lustre), provided that each group of ``together``
neighbouring blocks is given to one of them. The clients of a network file system write back whole
pages: of two that changed one page, one may put back the other's part as it was. So slabs begin at
multiples of the alignment, a group ends where a piece does, and what is smaller (the digests of
/contents, checksums, attributes, the seal) is written by rank 0 when the others have ended. Of
7 x 7 x 2048 regions a block is a group, at 4096 bytes and at 1 MiB.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from zslpipe.formats import features
from zslpipe.formats.rows import Rows
from zslpipe.formats.shards import put_in_place
from zslpipe.formats.slabs import PAGE, Slab, rows_together
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import named, written_whole
from zslpipe.machine.ranges import Storage
from zslpipe.machine.ranks import ALONE, Rank
from zslpipe.provenance import settings_hash

# How a file was computed, not what it holds: blocks of another value are continued.
UNSTAMPED = ("batch_size",)
# Part of the stamp of what is resumed: raised when blocks or their checksums are laid out anew.
LAYOUT = 3


class BlockWriter:
    """Writes blocks of rows into the slabs of a file under construction and keeps a journal of the
    blocks that are safe.

    ``folder`` holds ``features.h5``, with storage "zarr" ``features.zarr`` too, and ``journal`` (of
    rank n ``journal.n``): first the stamp (what is being written), then a line a block, ``block
    checksum ... digest ...``, written only when the block's bytes are on the disk; of two lines of
    a block the later counts. One run at a time may use it
    (:func:`zslpipe.machine.files.held_folder`); rank 0 is first, and is the only one that knows
    which blocks are ``done``. A file that was begun with another ``alignment`` is continued as it
    lies.

    Raises InputError where what another rank is to write has another stamp than rank 0's.
    """

    def __init__(
        self,
        folder: Path,
        shapes: Mapping[str, tuple[tuple[int, ...], str]],
        attributes: Mapping[str, object],
        rank: Rank = ALONE,
        alignment: int = PAGE,
        storage: Storage = "hdf5",
    ):
        self.folder, self.path, self.rank = folder, folder / "features.h5", rank
        self.journal = self._journal(rank.number)
        self._blocks = features.count_blocks(next(iter(shapes.values()))[0][0])
        self.done: dict[int, list[int]] = {}
        self._digests: dict[int, np.ndarray] = {}
        described = {**attributes, **shapes, "layout": LAYOUT}
        if storage != "hdf5":
            described["storage"] = storage
        for name in UNSTAMPED:
            described.pop(name, None)
        stamp = settings_hash({name: str(value) for name, value in described.items()})
        if rank.number:
            self._join(stamp)
        else:
            self._begin(stamp, shapes, attributes, storage, alignment)
        placed = [
            slab
            for name, slab in self.slabs.items()
            if isinstance(slab, Slab) and not features.is_written_last(name, slab)
        ]
        self.together = rows_together(placed, features.BLOCK, alignment)

    def _journal(self, number: int) -> Path:
        """Return the journal of a rank."""
        return self.folder / (f"journal.{number}" if number else "journal")

    def _join(self, stamp: str) -> None:
        """Find what rank 0 has begun."""
        if _stamp(self.journal) != stamp:
            raise InputError(
                f"{self.folder}: rank {self.rank.number} of {self.rank.count} would write other "
                "features than rank 0; run all with the same libraries, weights and device (a GPU "
                "and a CPU differ)"
            )
        self.slabs = features.locate_slabs(self.path)

    def _begin(
        self,
        stamp: str,
        shapes: Mapping[str, tuple[tuple[int, ...], str]],
        attributes: Mapping[str, object],
        storage: Storage,
        alignment: int,
    ) -> None:
        """Continue what is there under this stamp or begin anew; leave one journal with all of it,
        and an empty one for each other rank.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        others = sorted(self.folder.glob("journal.*[0-9]"))
        # Killed while it moved both to their place, a run has moved the store alone.
        whole = storage == "hdf5" or features.store_beside(self.path).is_dir()
        if whole and _stamp(self.journal) == stamp and self.path.is_file():
            self.slabs = features.locate_slabs(self.path)
            self._unite([self.journal, *others], stamp)
        else:
            # The old journals go first: a kill in between must not leave them beside a file of
            # another stamp.
            for journal in (self.journal, *others):
                journal.unlink(missing_ok=True)
            self.slabs = features.create_slabs(self.path, shapes, attributes, storage, alignment)
        lines = [stamp, *(self._line(block) for block in self.done)]
        with written_whole(self.journal) as temporary:
            temporary.write_text("\n".join(lines) + "\n")
        for journal in others:
            journal.unlink(missing_ok=True)
        # Made here: a network file system may tell a client for a minute that a file which another
        # has made is not there.
        for number in range(1, self.rank.count):
            self._journal(number).write_text(f"{stamp}\n")

    def _unite(self, journals: Iterable[Path], stamp: str) -> None:
        """Take over the blocks of ``journals``, and keep of all those whose bytes in the file have
        their checksums.
        """
        noted = dict(self.done)
        for journal in filter(lambda journal: _stamp(journal) == stamp, journals):
            for block, checksums, digests in _read_lines(journal, len(self.slabs)):
                if block in range(self._blocks):
                    noted[block], self._digests[block] = checksums, digests
        self.done = {}
        for block, checksums in noted.items():
            if checksums == self._checksums(block):
                self.done[block] = checksums

    def _checksums(self, block: int) -> list[int]:
        """Return the CRC-32 of a block's bytes as they are on the disk, slab after slab; none where
        they are cut off.
        """
        try:
            return [self._checksum(name, block) for name in sorted(self.slabs)]
        except InputError:
            return []

    def _checksum(self, name: str, block: int) -> int:
        """Return the CRC-32 of a block's rows of a slab, of one that is written last in advance."""
        if features.is_written_last(name, self.slabs[name]):
            return features.checksum_of_digests(self._digests[block])
        return self._rows(name).checksum(block)

    def _rows(self, name: str) -> Rows:
        """Return the rows of a slab as they are on the disk."""
        return self.slabs[name].rows(self.path, features.BLOCK)

    def contents(self, block: int) -> list[int]:
        """Return the digests of a written block's images."""
        digests: list[int] = self._digests[block].tolist()
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
        self._digests[block] = np.asarray(arrays.get(features.WRITTEN_LAST, ()), np.uint64)
        with named(self.journal), self.journal.open("a") as journal:
            journal.write(f"{self._line(block)}\n")

    def _line(self, block: int) -> str:
        """Return a block's line of the journal."""
        checksums = [f"{checksum:08x}" for checksum in self.done[block]]
        digests = [f"{digest:x}" for digest in self._digests[block].tolist()]
        return " ".join([str(block), *checksums, *digests])

    def finish(self, output: Path) -> None:
        """Unite what the ranks have written, stamp the file complete and move it to its place; the
        same blocks and attributes give the same bytes. For rank 0, when all others have ended.

        Raises RuntimeError where a block was never written, InputError where the bytes of one that
        several ranks wrote are not what was written.
        """
        if self.rank.count > 1:
            others = [self._journal(number) for number in range(1, self.rank.count)]
            self._unite(others, str(_stamp(self.journal)))
        missing = sorted(set(range(self._blocks)) - self.done.keys())
        if set(missing) & self._digests.keys():
            raise InputError(
                f"{self.path}: {len(missing)} blocks, first block {missing[0]}, are not what the "
                "ranks wrote (CRC-32): look at the file system, and run again, which makes them "
                "again"
            )
        if missing:
            raise RuntimeError(
                f"{self.path}: {len(missing)} blocks were not written, first block {missing[0]}"
            )
        blocks = sorted(self.done)
        last = self.slabs.get(features.WRITTEN_LAST)
        if isinstance(last, Slab):
            digests = np.concatenate([self._digests[block] for block in blocks])
            with named(self.path):
                last.write(self.path, digests.tobytes(), 0)
        features.complete(self.path, self.slabs, [self.done[block] for block in blocks])
        output.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(features.store_beside(self.path), features.store_beside(output))
        self.path.replace(output)
        shutil.rmtree(self.folder, ignore_errors=True)


def _stamp(journal: Path) -> str | None:
    """Return the stamp of a journal, None where there is none."""
    return journal.read_text().split("\n", 1)[0] if journal.is_file() else None


def _read_lines(journal: Path, slabs: int) -> Iterator[tuple[int, list[int], np.ndarray]]:
    """Yield each block of a journal with its checksums, one of each slab, and its digests; lines
    that are damaged or cut off are left out.
    """
    for line in journal.read_text().split("\n")[1:-1]:
        try:
            block, numbers = int(line.split()[0]), [int(text, 16) for text in line.split()[1:]]
            yield block, numbers[:slabs], np.array(numbers[slabs:], np.uint64)
        except (ValueError, IndexError, OverflowError):
            continue
