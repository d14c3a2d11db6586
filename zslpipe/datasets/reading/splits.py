"""Splits of images and classes: the three generations of ``att_splits.mat``, expected sizes, and
seeded splits.

Generations of the file that share one name: (a) train_loc and val_loc hold every test_seen image
too; (b) they are absent; (c) train + val = trainval. All numbers in the files count from 1, in
memory from 0.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.matfile import class_rows, read_mat, required, texts, zero_based
from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.machine.errors import InputError, nearest

logger = logging.getLogger(__name__)

KINDS = (
    "att",
    "original_att",
    "sent_att",
    "binary",
)  # class vectors by the names they bear in the field's files
LOCATIONS = ("trainval", "test_seen", "test_unseen", "train", "val")
GENERATIONS = {
    "a": "train and val hold the test_seen images too",
    "b": "no train and val",
    "c": "train + val = trainval",
}
VALIDATION_FRACTION = (
    0.2  # ours: share of the seen classes set aside where no source gives a number
)


@dataclass(frozen=True)
class ExpectedSizes:
    """Published sizes of a dataset under the proposed split (Xian et al. 2018, tables 1 and 2)."""

    images: int
    trainval: int
    test_seen: int
    test_unseen: int
    seen: int
    unseen: int
    attributes: int
    validation: int


EXPECTED = {
    "CUB": ExpectedSizes(11788, 7057, 1764, 2967, 150, 50, 312, 50),
    "SUN": ExpectedSizes(14340, 10320, 2580, 1440, 645, 72, 102, 65),
    "AWA1": ExpectedSizes(30475, 19832, 4958, 5685, 40, 10, 85, 13),
    "AWA2": ExpectedSizes(37322, 23527, 5882, 7913, 40, 10, 85, 13),
    "aPY": ExpectedSizes(15339, 5932, 1483, 7924, 20, 12, 64, 5),
    "FLO": ExpectedSizes(8189, 5631, 1403, 1155, 82, 20, 1024, 20),
}


def expected_sizes(known_as: str) -> ExpectedSizes:
    """Return the published sizes of a known dataset; raises InputError for an unknown name."""
    if known_as not in EXPECTED:
        raise InputError(f"known_as {known_as!r}: {nearest(known_as, EXPECTED)}")
    return EXPECTED[known_as]


@dataclass(frozen=True, eq=False)
class SplitFile:
    """One ``att_splits.mat``: 0-based image numbers, (class, ?) vectors, names ("" where the file
    has none).
    """

    path: Path
    class_names: tuple[str, ...]
    numbers: Mapping[str, np.ndarray]
    semantics: Mapping[str, np.ndarray]
    generation: str
    notes: tuple[str, ...] = field(default=())


def read_split_file(path: Path) -> SplitFile:
    """Read and check a split file of any generation.

    Raises InputError where it is unreadable, lacks a split or class vectors, or its splits share
    images; train and val of generation a are cut down to trainval, which ``notes`` tells.
    """
    names = [*(f"{name}_loc" for name in LOCATIONS), *KINDS, "allclasses_names"]
    variables = read_mat(path, names)
    numbers = {
        name: zero_based(required(variables, f"{name}_loc", path), f"{name}_loc", path)
        for name in LOCATIONS[:3]
    }
    for name in ("train", "val"):
        if f"{name}_loc" in variables:
            numbers[name] = zero_based(variables[f"{name}_loc"], f"{name}_loc", path)
    if ("train" in numbers) != ("val" in numbers):
        raise InputError(
            f"{path}: one of train_loc and val_loc is absent; both or neither expected"
        )
    classes = _class_names(variables, path)
    semantics = {
        kind: class_rows(variables[kind], kind, path, len(classes))
        for kind in KINDS
        if kind in variables
    }
    _check_vectors(path, classes, semantics)
    _check_disjoint(path, numbers)
    generation, numbers, notes = _understand_generation(numbers)
    _check_covered(path, numbers)
    return SplitFile(path, classes, numbers, semantics, generation, notes)


def _class_names(variables: Mapping[str, np.ndarray], path: Path) -> tuple[str, ...]:
    """Return the class names in the file's order, or one "" a column of ``att`` where there are
    none (FLO).
    """
    if "allclasses_names" in variables:
        names = texts(variables["allclasses_names"], "allclasses_names", path)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: class names given twice: {', '.join(repeated[:5])}")
    else:
        names = ("",) * required(dict(variables), "att", path).shape[-1]
    required(dict(variables), "att", path)
    return names


def _check_disjoint(path: Path, numbers: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where a split is empty, repeats an image, or shares one with a split it must
    not touch.
    """
    for name, rows in numbers.items():
        if not len(rows):
            raise InputError(f"{path}: {name}_loc is empty")
        if len(np.unique(rows)) != len(rows):
            raise InputError(
                f"{path}: {name}_loc lists {len(rows) - len(np.unique(rows))} images twice"
            )
    pairs = [("trainval", "test_seen"), ("trainval", "test_unseen"), ("test_seen", "test_unseen")]
    pairs += (
        [("train", "val"), ("train", "test_unseen"), ("val", "test_unseen")]
        if "train" in numbers
        else []
    )
    for first, second in pairs:
        shared = np.intersect1d(numbers[first], numbers[second])
        if len(shared):
            raise InputError(
                f"{path}: {len(shared)} images lie in both {first} and {second}, first number {shared[0] + 1}"
            )


def _check_vectors(path: Path, classes: Sequence[str], semantics: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where a class has vectors that are all zero or not finite."""
    for kind, vectors in semantics.items():
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1))
        if len(bad):
            first = classes[bad[0]] or f"number {bad[0] + 1}"
            raise InputError(
                f"{path}: {kind} of {len(bad)} classes is all zero or not finite, first class {first}"
            )


def _check_covered(path: Path, numbers: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where train and val are given but do not make up trainval."""
    if "train" not in numbers:
        return
    both = np.concatenate([numbers["train"], numbers["val"]])
    apart = np.setxor1d(both, numbers["trainval"])
    if len(apart):
        raise InputError(
            f"{path}: train and val together are not trainval, {len(apart)} images differ, first number {apart[0] + 1}"
        )


def _understand_generation(
    numbers: dict[str, np.ndarray],
) -> tuple[str, dict[str, np.ndarray], tuple[str, ...]]:
    """Return the generation, the numbers with train and val inside trainval, and what was done, in
    words.
    """
    if "train" not in numbers:
        return "b", numbers, ()
    both = np.concatenate([numbers["train"], numbers["val"]])
    leaked = len(np.intersect1d(both, numbers["test_seen"]))
    if not leaked:
        return "c", numbers, ()
    cut = {
        name: numbers[name][np.isin(numbers[name], numbers["trainval"])]
        for name in ("train", "val")
    }
    note = f"generation a: {leaked} test_seen images taken out of train and val"
    return "a", numbers | cut, (note,)


def choose_validation(names: Sequence[str], seen: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return a (class) mask of ``count`` seen classes drawn by name, so that the order of classes
    has no say.

    Raises InputError where no seen class would be left for training.
    """
    candidates = sorted((name, number) for number, name in enumerate(names) if seen[number])
    if not 0 < count < len(candidates):
        raise InputError(
            f"{count} validation classes asked of {len(candidates)} seen classes; at least one must train"
        )
    drawn = np.random.default_rng(seed).permutation(len(candidates))[:count]
    mask = np.zeros(len(names), bool)
    mask[[candidates[position][1] for position in drawn]] = True
    return mask


def divide_trainval(
    labels: np.ndarray, trainval: np.ndarray, validation: np.ndarray
) -> dict[str, np.ndarray]:
    """Return train and val: the images of ``trainval`` by whether their class is a validation
    class.
    """
    inside = validation[labels[trainval]]
    return {"train": trainval[~inside], "val": trainval[inside]}


def set_aside(
    labels: np.ndarray,
    trainval: np.ndarray,
    names: Sequence[str],
    class_list: Path | None,
    count: int | None,
    seed: int,
) -> tuple[np.ndarray, str]:
    """Return a (class) mask of validation classes among those of ``trainval``, and a note that says
    which way.

    They come from a list of names, else ``count`` of them are drawn by seed, or a fifth of the seen
    where that is None. Raises InputError where the list names a class that is not trained on.
    """
    seen = np.isin(np.arange(len(names)), labels[trainval])
    if class_list is not None:
        mask = read_class_list(class_list, names)
        if (mask & ~seen).any():
            wrong = names[int(np.flatnonzero(mask & ~seen)[0])]
            raise InputError(f"{class_list}: validation class {wrong!r} has no image in trainval")
        return mask, f"{mask.sum()} validation classes from {class_list.name}"
    count = max(1, round(VALIDATION_FRACTION * int(seen.sum()))) if count is None else count
    return choose_validation(
        names, seen, count, seed
    ), f"{count} validation classes drawn with seed {seed}"


def split_by_classes(
    labels: np.ndarray,
    names: Sequence[str],
    unseen: np.ndarray,
    test_seen_fraction: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return trainval, test_seen and test_unseen for a (class) mask of unseen classes.

    Of each seen class a share of its images, drawn with the seed, goes to test_seen, at least one
    where the class has two; all images of unseen classes go to test_unseen. Raises InputError where
    that leaves a split empty.
    """
    if not 0 < test_seen_fraction < 1:
        raise InputError(
            f"test_seen_fraction {test_seen_fraction}: a number between 0 and 1 expected"
        )
    random = np.random.default_rng(seed)
    trainval, test_seen = [], []
    for _, number in sorted(
        (name, number) for number, name in enumerate(names) if not unseen[number]
    ):
        rows = random.permutation(np.flatnonzero(labels == number))
        held = min(max(round(test_seen_fraction * len(rows)), 1), len(rows) - 1) if len(rows) else 0
        test_seen.append(rows[:held])
        trainval.append(rows[held:])
    if not trainval or not unseen.any():
        raise InputError(
            f"{unseen.sum()} of {len(unseen)} classes are unseen; some of either kind are needed"
        )
    splits = {
        "trainval": np.sort(np.concatenate(trainval)),
        "test_seen": np.sort(np.concatenate(test_seen)),
    }
    return splits | {"test_unseen": np.flatnonzero(unseen[labels])}


def read_class_list(path: Path, names: Sequence[str]) -> np.ndarray:
    """Return a (class) mask of the classes that a text file names, one a line.

    A name matches whole, or without its number ("001.") and without regard to case, ``_``, ``+``
    and ``-``. Raises InputError for a name that no class bears.
    """
    plain = {_plain(name): number for number, name in enumerate(names)}
    exact = {name: number for number, name in enumerate(names)}
    mask = np.zeros(len(names), bool)
    for line in read_lines(path):
        number = exact.get(line, plain.get(_plain(line)))
        if number is None:
            raise InputError(f"{path}: no class is called {line!r}; {nearest(line, names)}"[:300])
        mask[number] = True
    return mask


def _plain(name: str) -> str:
    """Return a class name without its leading number, in lower case, with spaces for ``_``, ``+``
    and ``-``.
    """
    name = name.lower().translate(str.maketrans("_+-", "   "))
    number, dot, rest = name.partition(".")
    return " ".join((rest if dot and number.strip().isdigit() else name).split())


def compare_with_expected(known_as: str, found: Mapping[str, int]) -> tuple[str, ...]:
    """Warn, with both numbers, of each size that deviates from the published one; return the
    warnings.
    """
    expected = expected_sizes(known_as)
    notes = []
    for name, value in found.items():
        if value != getattr(expected, name):
            notes.append(f"{known_as}: {name} is {value}, {getattr(expected, name)} expected")
            logger.warning(notes[-1])
    return tuple(notes)
