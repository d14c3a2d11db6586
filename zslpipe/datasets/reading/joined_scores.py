"""Scores of a file beside a dataset's index: images and classes by name or number, each once, none
unknown, none missing; every refusal is one line with a count and the first example.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from zslpipe.datasets.reading.score_files import ScoreFile
from zslpipe.formats.index import Index
from zslpipe.formats.units import (
    LOG_PROBABILITIES,
    LOGITS,
    PROBABILITIES,
    UNITS,
    check_unit,
    logarithms_of,
)
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames

LARGEST = float(np.finfo(np.float32).max)


def joined_scores(
    given: ScoreFile,
    index: Index,
    numbers: np.ndarray,
    unit: str,
    images: Index | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (image,) rows of the index (of the list ``images``) and their (image, class) scores,
    float32, the columns in the order of the classes ``numbers``.
    """
    check_unit(given.scores, stated(given, unit), f"{given.path}: scores")
    columns = _columns(given, index, numbers)
    rows = _rows(given, images or index)
    if given.labels is not None and images is None:
        _check_labels(given, index, rows)
    scores = given.scores[:, columns].astype(np.float64)
    if stated(given, unit) == PROBABILITIES:
        scores = logarithms_of(scores)
    if np.abs(scores).max(initial=0.0) > LARGEST:
        told = "scores beyond what float32 holds (3.4e38)"
        raise InputError(f"{given.path}: {told}; divide all of them by one number")
    return rows, scores.astype(np.float32)


def stated(given: ScoreFile, unit: str) -> str:
    """Return the unit that the file or the user states; InputError where neither does, or each
    another one.
    """
    if unit and given.unit and unit != given.unit:
        told = f"says its scores are {given.unit}, the configuration says {unit}"
        raise InputError(f"{given.path}: {told}; state one")
    found = unit or given.unit
    if found not in UNITS:
        told = f"unit {found!r} is none" if found else "the unit of the scores is not stated"
        known = f"{', '.join(UNITS)}; cosines, negated distances and other compatibilities are"
        raise InputError(f"{given.path}: {told}; give one of {known} {LOGITS}")
    return found


def kept_unit(unit: str) -> str:
    """Return the unit in which scores are written."""
    return LOG_PROBABILITIES if unit == PROBABILITIES else unit


def _columns(given: ScoreFile, index: Index, numbers: np.ndarray) -> np.ndarray:
    """Return the file's column of each of the classes ``numbers``; InputError for classes that are
    unknown, given twice or missing.
    """
    found = _class_numbers(given, given.classes, index)
    wanted = set(numbers.tolist())
    other = [number for number in found if number not in wanted]
    if other:
        told = f"{len(other)} columns of unseen classes, first {index.class_names[other[0]]!r}"
        raise InputError(f"{given.path}: {told}; a validation file has the seen classes alone")
    _check_once(given, [index.class_names[number] for number in found], "classes")
    absent = [number for number in numbers if number not in set(found)]
    if absent:
        seen = int(index.seen[absent].sum())
        told = f"no scores of {len(absent)} of {len(numbers)} classes ({seen} seen, "
        told += f"{len(absent) - seen} unseen), first {index.class_names[absent[0]]!r}"
        if seen == len(absent) == index.seen.sum():
            told += ": scores of unseen classes alone give T1 and nothing else of a table"
        raise InputError(f"{given.path}: {told}; give a column for every class")
    places = {number: column for column, number in enumerate(found)}
    return np.array([places[number] for number in numbers.tolist()])


def _class_numbers(given: ScoreFile, names: np.ndarray, index: Index) -> list[int]:
    """Return the numbers of classes given by name or number; InputError for one that the index does
    not have.
    """
    count = len(index.class_names)
    if names.dtype.kind == "i":
        _check_range(given, names, count, "classes")
        return [int(number) for number in names]
    table = KnownNames(index.class_names)
    unknown = [name for name in names.tolist() if len(table.fitting(name)) != 1]
    if unknown:
        told = f"{len(set(unknown))} of its classes are not in dataset {index.dataset!r}, first"
        table.position(unknown[0], f"{given.path}: {told}", "class")
    return [table.fitting(name)[0] for name in names.tolist()]


def _rows(given: ScoreFile, index: Index) -> np.ndarray:
    """Return the row of the index of each image of the file; InputError for images that are
    unknown, could be several, or are given twice.
    """
    if given.images.dtype.kind == "i":
        _check_range(given, given.images, len(index.paths), "images")
        rows = given.images
    else:
        known = _KnownPaths(index.paths)
        fitting = [known.fitting(name) for name in given.images.tolist()]
        pairs = list(zip(given.images.tolist(), fitting, strict=True))
        _check_known(given, index, [name for name, found in pairs if not found])
        several = [(name, found) for name, found in pairs if len(found) > 1]
        if several:
            name, found = several[0]
            both = " or ".join(repr(index.paths[row]) for row in found[:2])
            told = f"{len(several)} images could be several, first {name!r}: {both}"
            raise InputError(f"{given.path}: {told}; give paths as in the index")
        rows = np.array([found[0] for found in fitting])
    _check_once(given, [index.paths[row] for row in rows], "images")
    return np.asarray(rows, np.int64)


class _KnownPaths:
    """The images of an index, asked for by a path of which one end is theirs, or they of it."""

    def __init__(self, paths: Sequence[str]):
        self.exact = {path: row for row, path in enumerate(paths)}
        self.by_name: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for row, path in enumerate(paths):
            parts = PurePosixPath(path).parts
            self.by_name.setdefault(parts[-1], []).append((row, parts))

    def fitting(self, name: str) -> list[int]:
        """Return the rows of the images that ``name`` may mean: the equal one alone, else those
        that end as it does, or as which it ends, by whole parts of the path.
        """
        if name in self.exact:
            return [self.exact[name]]
        parts = PurePosixPath(name.replace("\\", "/")).parts
        found = []
        for row, other in self.by_name.get(parts[-1] if parts else "", []):
            shared = min(len(parts), len(other))
            if parts[-shared:] == other[-shared:]:
                found.append(row)
        return found


def _check_known(given: ScoreFile, index: Index, unknown: Sequence[str]) -> None:
    """Raise InputError for images that the index does not have."""
    if unknown:
        told = f"{len(unknown)} of {len(given.images)} images are not in {index.dataset!r}, first"
        like = f"images there are called as {index.paths[0]!r}"
        raise InputError(f"{given.path}: {told} {unknown[0]!r}; {like}")


def _check_range(given: ScoreFile, numbers: np.ndarray, count: int, kind: str) -> None:
    """Raise InputError for row numbers that the index does not have."""
    bad = numbers[(numbers < 0) | (numbers >= count)]
    if len(bad):
        told = f"{len(bad)} numbers of {kind} are out of range, first {bad[0]}"
        raise InputError(f"{given.path}: {told}; the index has {count}, counted from 0")


def _check_once(given: ScoreFile, names: Sequence[str], kind: str) -> None:
    """Raise InputError for images or classes that are given twice."""
    values, counts = np.unique(np.asarray(names, dtype=str), return_counts=True)
    twice = values[counts > 1]
    if len(twice):
        told = f"{len(twice)} {kind} are given twice, first {str(twice[0])!r}"
        raise InputError(f"{given.path}: {told}; give each once")


def check_all(given: ScoreFile, index: Index, absent: np.ndarray, what: str) -> None:
    """Raise InputError for images of the index that a file lacks."""
    if len(absent):
        first = f"first {index.paths[absent[0]]!r} (row {absent[0]} of the index, counted from 0)"
        raise InputError(f"{given.path}: no scores of {len(absent)} {what}, {first}; add them")


def _check_labels(given: ScoreFile, index: Index, rows: np.ndarray) -> None:
    """Raise InputError where the file calls an image another class than the index: images and
    scores would not belong together.
    """
    told = given.labels
    if told is None:
        return
    names, inverse = np.unique(told, return_inverse=True)
    labels = np.array(_class_numbers(given, names, index))[inverse]
    wrong = np.flatnonzero(labels != index.labels[rows])
    if len(wrong):
        first, row = wrong[0], rows[wrong[0]]
        both = f"{index.class_names[labels[first]]!r}, in the index it is"
        both += f" {index.class_names[index.labels[row]]!r}"
        count = f"{len(wrong)} of {len(rows)} labels are other than the index's"
        raise InputError(f"{given.path}: {count}, first {index.paths[row]!r} is {both}")
