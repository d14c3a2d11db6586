"""The three generations of ``att_splits.mat``, read and checked.

Generations of the file that share one name: (a) train_loc and val_loc hold every test_seen image
too; (b) they are absent; (c) train + val = trainval. All numbers in the files count from 1, in
memory from 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.expected_sizes import Protocol
from zslpipe.datasets.reading.matfile import class_rows, read_mat, required, texts, zero_based
from zslpipe.machine.errors import InputError

# Class vectors by the names they bear in the field's files.
KINDS = ("att", "original_att", "sent_att", "binary")
LOCATIONS = ("trainval", "test_seen", "test_unseen", "train", "val")
# Splits that share no image; train and test_seen do in generation a.
APART = (
    ("trainval", "test_seen"),
    ("trainval", "test_unseen"),
    ("test_seen", "test_unseen"),
    ("train", "val"),
    ("train", "test_unseen"),
    ("val", "test_unseen"),
)
GENERATIONS = {
    "a": "train and val hold the test_seen images too",
    "b": "no train and val",
    "c": "train + val = trainval",
}


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


def read_split_file(path: Path, protocol: Protocol = "proposed") -> SplitFile:
    """Read and check a split file of any generation; under the standard protocol it sets no image
    of a seen class aside, and test_seen is empty.

    Raises InputError where it is unreadable, lacks a split or class vectors, or its splits share
    images; train and val of generation a are cut down to trainval, which ``notes`` tells.
    """
    locations = [f"{name}_loc" for name in LOCATIONS]
    variables = read_mat(path, [*locations, *KINDS, "allclasses_names"])
    numbers = _read_numbers(variables, path, protocol)
    classes = _class_names(variables, path)
    semantics = {}
    for kind in KINDS:
        if kind in variables:
            semantics[kind] = class_rows(variables[kind], kind, path, len(classes))
    _check_vectors(path, classes, semantics)
    _check_disjoint(path, numbers)
    numbers.setdefault("test_seen", np.empty(0, np.int64))
    generation, numbers, notes = _understand_generation(numbers)
    _check_covered(path, numbers)
    return SplitFile(path, classes, numbers, semantics, generation, notes)


def _read_numbers(
    variables: dict[str, np.ndarray], path: Path, protocol: Protocol
) -> dict[str, np.ndarray]:
    """Return the 0-based image numbers of the splits; raises InputError where one is missing, or
    where there is a test_seen that the standard protocol has not.
    """
    numbers: dict[str, np.ndarray] = {}
    for name in ("trainval", "test_unseen"):
        found = required(variables, f"{name}_loc", path)
        numbers[name] = zero_based(found, f"{name}_loc", path)
    _check_protocol(variables, numbers, path, protocol)
    for name in LOCATIONS[3:]:
        if f"{name}_loc" in variables:
            numbers[name] = zero_based(variables[f"{name}_loc"], f"{name}_loc", path)
    if ("train" in numbers) != ("val" in numbers):
        absent = "one of train_loc and val_loc is absent; both or neither expected"
        raise InputError(f"{path}: {absent}")
    return numbers


def _check_protocol(
    variables: Mapping[str, np.ndarray],
    numbers: dict[str, np.ndarray],
    path: Path,
    protocol: Protocol,
) -> None:
    """Raise InputError where a file is the other protocol's; test_seen joins ``numbers`` under the
    proposed one.
    """
    held = variables.get("test_seen_loc", np.empty(0))
    if protocol == "proposed":
        if "test_seen_loc" not in variables:
            told = "a file of the standard split is read with protocol: standard"
            raise InputError(f"{path}: no variable 'test_seen_loc'; {told}")
        numbers["test_seen"] = zero_based(held, "test_seen_loc", path)
    elif held.size:
        tested = zero_based(held, "test_seen_loc", path)
        aside = np.setdiff1d(tested, np.concatenate(list(numbers.values())))
        if len(aside):
            told = f"test_seen_loc sets {len(aside)} images aside, the standard split none"
            raise InputError(f"{path}: {told}; give that split's file, or protocol: proposed")


def _class_names(variables: dict[str, np.ndarray], path: Path) -> tuple[str, ...]:
    """Return the class names in the file's order, or one "" a column of ``att`` where there are
    none (FLO).
    """
    vectors = required(variables, "att", path)
    if "allclasses_names" not in variables:
        return ("",) * int(vectors.shape[-1])
    names = texts(variables["allclasses_names"], "allclasses_names", path)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: class names given twice: {', '.join(repeated[:5])}")
    return names


def _check_disjoint(path: Path, numbers: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where a split is empty, repeats an image, or shares one with a split it must
    not touch.
    """
    for name, rows in numbers.items():
        if not len(rows):
            raise InputError(f"{path}: {name}_loc is empty")
        again = len(rows) - len(np.unique(rows))
        if again:
            raise InputError(f"{path}: {name}_loc lists {again} images twice")
    for first, second in APART:
        if first not in numbers or second not in numbers:
            continue
        shared = np.intersect1d(numbers[first], numbers[second])
        if len(shared):
            both = f"{len(shared)} images lie in both {first} and {second}"
            raise InputError(f"{path}: {both}, first number {shared[0] + 1}")


def _check_vectors(path: Path, classes: Sequence[str], semantics: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where a class has vectors that are all zero or not finite."""
    for kind, vectors in semantics.items():
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1))
        if len(bad):
            first = classes[bad[0]] or f"number {bad[0] + 1}"
            fault = f"{kind} of {len(bad)} classes is all zero or not finite"
            raise InputError(f"{path}: {fault}, first class {first}")


def _check_covered(path: Path, numbers: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where train and val are given but do not make up trainval."""
    if "train" not in numbers:
        return
    both = np.concatenate([numbers["train"], numbers["val"]])
    apart = np.setxor1d(both, numbers["trainval"])
    if len(apart):
        fault = f"train and val together are not trainval, {len(apart)} images differ"
        raise InputError(f"{path}: {fault}, first number {apart[0] + 1}")


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
