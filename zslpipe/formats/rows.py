"""Rows of images on the disk, read at their place: as an array is, without a memory map.

A map of a file that is larger than the memory costs a page table of its own (460 MB for 232 GB),
counts as the job's memory where a scheduler looks, and waits for the disk page after page. Here all
rows of a batch are announced to the system first, which reads them at once, and then copied
(benchmarks/random_batch.py: from a cold page cache 13 times as fast as numpy's memory map, from a
warm one 0.8 times).
"""

import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.machine.checksums import crc32
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import named

# Bytes that are read at once for a checksum or a cast (ours): they stay in the processor's second
# cache. Five images of 7x7x2048; a row at a time takes 1.2 times as long (measured).
AT_ONCE = 1 << 20
# Files open at once (ours): far below what a process may have (1,024 by Linux's default).
OPEN = 64
# Where each of some blocks begins: an open file and an offset in it.
Places = Mapping[int, tuple[int, int]]
# Opens blocks by their numbers and closes them again.
Opener = Callable[[Sequence[int]], AbstractContextManager[Places]]


class Rows:
    """Rows (n, ...) in blocks of ``block`` rows, the last one perhaps shorter; ``path`` is what
    messages name.

    Indexing with a number, a slice, a list or an array reads the rows into memory; nothing is kept.
    Raises InputError where the file ends before its rows do.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype, block: int, opener: Opener
    ):
        self.path, self.shape, self.dtype = path, shape, dtype
        self.block, self.opened = block, opener
        self.row_bytes = int(np.prod(shape[1:])) * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return len(self) * self.row_bytes

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows; numpy's functions ask for it."""
        return np.asarray(self[:], dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, slice):
            numbers = np.arange(*key.indices(len(self)))
        else:
            numbers = np.arange(len(self))[key]
        return self.take(numbers)

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows ``numbers`` (from 0 to n - 1, of any shape)."""
        out = np.empty((*np.shape(numbers), *self.shape[1:]), self.dtype)
        self.read(np.ravel(numbers), out)
        return out

    def read(self, numbers: np.ndarray, out: np.ndarray) -> None:
        """Fill ``out`` (contiguous, of the rows' type) with the rows ``numbers``, which are from 0
        to n - 1.
        """
        for _ in self._filled(numbers, out, len(numbers)):
            pass

    def part(self) -> np.ndarray:
        """Return memory for :meth:`parts`: for as many rows as stay in the processor's cache, one
        at least.
        """
        return np.empty((max(1, AT_ONCE // self.row_bytes), *self.shape[1:]), self.dtype)

    def parts(self, numbers: np.ndarray, part: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the rows ``numbers`` (from 0 to n - 1) as many at once as ``part`` holds, in its
        memory, which the next ones overwrite; with them which of ``numbers`` they begin with.
        """
        for start in self._filled(numbers, part, len(part)):
            yield start, part[: len(numbers) - start]

    def _filled(self, numbers: np.ndarray, out: np.ndarray, step: int) -> Iterator[int]:
        """Fill ``out`` with ``step`` of the rows ``numbers`` after the other; yield each time which
        of them it begins with.
        """
        if not out.size or not len(numbers):
            return
        target = out.reshape(-1).view(np.uint8).data
        runs = list(_runs(numbers, self.block, step))
        for start in range(0, len(runs), OPEN):
            for place, end in self._read(runs[start : start + OPEN], target, step):
                if end % step == 0 or end == len(numbers):
                    yield place - place % step

    def _read(
        self, runs: Sequence[tuple[int, int, int]], target: memoryview, step: int
    ) -> Iterator[tuple[int, int]]:
        """Read ``runs`` (place, first row, rows) to their places in ``target``, which begins anew
        every ``step`` rows; yield the places of each from its first row to behind its last.
        """
        blocks = sorted({first // self.block for _, first, _ in runs})
        with named(self.path), self.opened(blocks) as places:
            found = []
            for place, first, count in runs:
                file, offset = places[first // self.block]
                offset += first % self.block * self.row_bytes
                os.posix_fadvise(file, offset, count * self.row_bytes, os.POSIX_FADV_WILLNEED)
                found.append((place, place + count, file, offset))
            for place, end, file, offset in found:
                start = place % step * self.row_bytes
                self._fill(file, offset, target[start : start + (end - place) * self.row_bytes])
                yield place, end

    def _fill(self, file: int, offset: int, part: memoryview) -> None:
        """Fill ``part`` from an open file: one call reads 2 GiB at most."""
        done = 0
        while done < len(part):
            count = os.preadv(file, [part[done:]], offset + done)
            if not count:
                raise InputError(
                    f"{self.path}: ends before its rows do: cut off; delete it and run again"
                )
            done += count

    def checksum(self, block: int, before: int = 0) -> int:
        """Return the CRC-32 of the bytes of a block, behind those that ``before`` is of."""
        count = min(self.block, len(self) - block * self.block) * self.row_bytes
        buffer = memoryview(bytearray(min(AT_ONCE, count)))
        with named(self.path), self.opened([block]) as places:
            file, offset = places[block]
            for start in range(offset, offset + count, AT_ONCE):
                # The disk reads the next part while this one is looked at.
                os.posix_fadvise(file, start, 2 * AT_ONCE, os.POSIX_FADV_WILLNEED)
                part = buffer[: offset + count - start]
                self._fill(file, start, part)
                before = crc32(part, before)
        return before


def _runs(numbers: np.ndarray, block: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Yield (place, first row, rows) of each run of rows that lie one behind the other in a block
    and among the same ``step`` of ``numbers``.
    """
    breaks = (np.diff(numbers) != 1) | (numbers[1:] % block == 0)
    breaks[step - 1 :: step] = True
    places = [0, *(np.flatnonzero(breaks) + 1).tolist()]
    ends = [*places[1:], len(numbers)]
    for place, first, end in zip(places, numbers[places].tolist(), ends, strict=True):
        yield place, first, end - place


def in_one_file(path: Path, offset: int, block_bytes: int) -> Opener:
    """Return the opener of blocks that lie one behind the other in a file from ``offset`` on. The
    file stays open: another that is renamed to its place later is not mixed in.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def opened(blocks: Iterable[int]) -> Iterator[Places]:
        """Say where ``blocks`` begin in the file, which is open already."""
        yield {block: (file, offset + block * block_bytes) for block in blocks}

    weakref.finalize(opened, os.close, file)
    return opened
