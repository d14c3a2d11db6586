"""Copies: image files of equal bytes. One picture in two splits is a leak, whatever its names.

Reading every file would cost what reading the dataset costs. Files of equal size are compared by
their last bytes, which differ between compressed pictures, and read whole only where these are
equal too.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zslpipe.formats.index import APART
from zslpipe.machine.errors import InputError

TAIL = 4096  # bytes (ours): one block of a disk
SHOWN = 5  # copies named in a note before the count


def first_copies(
    root: Path | None, paths: Sequence[str], boxes: np.ndarray | None = None
) -> np.ndarray:
    """Return for each row the number of the first row (n,) of the same picture: of a file of equal
    bytes and, where there are ``boxes`` (n, 4), of the same box.

    Files that are not there are no copies of anything; without an image folder no row is.
    """
    if root is None:
        return np.arange(len(paths))
    numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
    same = {path: numbers[path] for path in numbers}
    for equal in _equal_files(root, list(numbers)):
        for path in equal:
            same[path] = numbers[equal[0]]
    first: dict[tuple[object, ...], int] = {}
    rows = np.empty(len(paths), np.int64)
    for row, path in enumerate(paths):
        box = () if boxes is None else tuple(boxes[row].tolist())
        rows[row] = first.setdefault((same[path], *box), row)
    return rows


def _equal_files(root: Path, paths: Sequence[str]) -> list[list[str]]:
    """Return the groups of two and more files of equal bytes, each in the order of ``paths``."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        if (root / path).is_file():
            sizes[(root / path).stat().st_size].append(path)
    groups = []
    for size, alike in sizes.items():
        for last in _grouped(root, alike, max(0, size - TAIL)):
            # What is no longer than its last bytes has been read whole.
            groups += _grouped(root, last, 0) if size > TAIL else [last]
    return groups


def _grouped(root: Path, paths: Sequence[str], start: int) -> list[list[str]]:
    """Return the groups of two and more files whose bytes from ``start`` on are equal."""
    if len(paths) < 2:
        return []
    groups: dict[bytes, list[str]] = defaultdict(list)
    for path in paths:
        with (root / path).open("rb") as file:
            file.seek(start, os.SEEK_SET)
            groups[hashlib.blake2b(file.read()).digest()].append(path)
    return [group for group in groups.values() if len(group) > 1]


def check_copies(
    first: np.ndarray,
    paths: Sequence[str],
    labels: np.ndarray,
    splits: Mapping[str, np.ndarray],
    where: str,
    published: bool,
) -> tuple[str, ...]:
    """Return notes on copies (:func:`first_copies`): within a class, in two classes, in two splits.

    Raises InputError for a picture in two splits that must not share one, unless the division is a
    ``published`` one: that is kept as it is, and said.
    """
    leaks = []
    for one, other in APART:
        pairs = _shared(first, splits[one], splits[other])
        if not pairs:
            continue
        (row, copy), count = pairs[0], len(pairs)
        named = f"first {paths[row]} and {paths[copy]}"
        leaks.append(f"{count} pictures lie in both {one} and {other}, {named}")
    if leaks and not published:
        raise InputError(f"{where}: {leaks[0]} (files of equal bytes); delete one of each")
    rows: list[int] = np.flatnonzero(first != np.arange(len(first))).tolist()
    copies = [(int(first[row]), row) for row in rows]
    within = [(row, copy) for row, copy in copies if labels[row] == labels[copy]]
    across = [(row, copy) for row, copy in copies if labels[row] != labels[copy]]
    return (
        *_note("images are copies of another one of their class", within, paths),
        *_note("images are copies of one of another class", across, paths),
        *(f"WARNING: {leak} (files of equal bytes); the published split is kept" for leak in leaks),
    )


def _shared(first: np.ndarray, one: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Return for each picture that two splits share a row of either."""
    in_one = dict(zip(first[one].tolist(), one.tolist(), strict=True))
    in_other = dict(zip(first[other].tolist(), other.tolist(), strict=True))
    return [(row, in_other[picture]) for picture, row in in_one.items() if picture in in_other]


def _note(what: str, pairs: Sequence[tuple[int, int]], paths: Sequence[str]) -> tuple[str, ...]:
    """Return a note of how many ``pairs`` there are with the first ones, none where there are
    none.
    """
    if not pairs:
        return ()
    named = ", ".join(f"{paths[copy]} (= {paths[row]})" for row, copy in pairs[:SHOWN])
    more = ", ..." if len(pairs) > SHOWN else ""
    return (f"{len(pairs)} {what}: {named}{more}",)
