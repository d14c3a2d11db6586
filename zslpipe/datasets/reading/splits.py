"""Splits that no file gives: classes named by a list, or drawn with a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames

# Ours: share of the seen classes set aside where no source gives a number.
VALIDATION_FRACTION = 0.2


def choose_validation(
    names: Sequence[str], seen: np.ndarray, count: int, seed: int, *, where: str
) -> np.ndarray:
    """Return a (class) mask of ``count`` seen classes drawn by name, so that the order of classes
    has no say.

    Raises InputError where no seen class would be left for training.
    """
    candidates = sorted((name, number) for number, name in enumerate(names) if seen[number])
    if not 0 < count < len(candidates):
        asked = f"{count} validation classes asked of {len(candidates)} seen classes"
        raise InputError(f"{where}: {asked}; at least one must train")
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
    *,
    where: str,
) -> tuple[np.ndarray, str]:
    """Return a (class) mask of validation classes among those of ``trainval``, and a note that says
    which way.

    They come from a list of names, else ``count`` of them are drawn by seed, or a fifth of the seen
    where that is None. Raises InputError where the list names a class that is not trained on.
    """
    seen = np.isin(np.arange(len(names)), labels[trainval])
    if seen.sum() < 2:
        fault = f"{seen.sum()} seen classes have images to train on; two are needed"
        raise InputError(f"{where}: {fault}, one of them may be for validation")
    if class_list is not None:
        mask = read_class_list(class_list, names)
        if (mask & ~seen).any():
            wrong = names[int(np.flatnonzero(mask & ~seen)[0])]
            raise InputError(f"{class_list}: validation class {wrong!r} has no image in trainval")
        return mask, f"{mask.sum()} validation classes from {class_list.name}"
    if count is None:
        count = max(1, round(VALIDATION_FRACTION * int(seen.sum())))
    mask = choose_validation(names, seen, count, seed, where=where)
    return mask, f"{count} validation classes drawn with seed {seed}"


def split_by_classes(
    labels: np.ndarray,
    names: Sequence[str],
    unseen: np.ndarray,
    test_seen_fraction: float,
    seed: int,
    first: np.ndarray | None = None,
    *,
    where: str,
) -> dict[str, np.ndarray]:
    """Return trainval, test_seen and test_unseen for a (class) mask of unseen classes.

    Of each seen class a share of its pictures, drawn with the seed, goes to test_seen, at least one
    where the class has two; all images of unseen classes go to test_unseen. Images with equal
    numbers in ``first`` are copies of one picture and stay together. Raises InputError where that
    leaves a split empty.
    """
    if not 0 < test_seen_fraction < 1:
        raise InputError(
            f"{where}: test_seen_fraction {test_seen_fraction}: a number between 0 and 1 expected"
        )
    if unseen.all() or not unseen.any():
        counted = f"{unseen.sum()} of {len(unseen)} classes are unseen"
        raise InputError(f"{where}: {counted}; some of either kind are needed")
    random = np.random.default_rng(seed)
    trainval, test_seen = [], []
    # By name, so that the order of classes has no say.
    seen = np.flatnonzero(~unseen).tolist()
    for number in sorted(seen, key=lambda number: names[number]):
        images = np.flatnonzero(labels == number)
        named = images if first is None else first[images]
        pictures = random.permutation(np.unique(named))
        held = _held_back(len(pictures), test_seen_fraction)
        drawn = np.isin(named, pictures[:held])
        test_seen.append(images[drawn])
        trainval.append(images[~drawn])
    if not any(map(len, test_seen)):
        fault = "no seen class has two images: none can be set aside for test_seen"
        raise InputError(f"{where}: {fault}; give seen classes a second image")
    splits = {
        "trainval": np.sort(np.concatenate(trainval)),
        "test_seen": np.sort(np.concatenate(test_seen)),
    }
    return splits | {"test_unseen": np.flatnonzero(unseen[labels])}


def _held_back(images: int, fraction: float) -> int:
    """Return how many of a class's images are for testing: some, but not all."""
    if images < 2:
        return 0
    return min(max(round(fraction * images), 1), images - 1)


def read_class_list(path: Path, names: Sequence[str]) -> np.ndarray:
    """Return a (class) mask of the classes that a text file names, one a line, as
    :mod:`zslpipe.names` joins names.

    Raises InputError for a name that no class bears, or that more than one may.
    """
    known = KnownNames(names)
    mask = np.zeros(len(names), bool)
    for line in read_lines(path):
        mask[known.position(line, str(path))] = True
    return mask
