"""DeepFashion's category and attribute benchmark (Liu et al. 2016) as a zero-shot dataset (Huynh &
Elhamifar 2020).

The benchmark's text lists: a count, a line of column names, then a row a line. The classes are the
categories that have images, 36 seen and 10 unseen; a class vector is the mean over all images of
the class of their {-1, 0, 1} attribute labels, as CUB's class vectors are means over all images,
moved to [0, 1] by (mean + 1) / 2 as the code of Huynh & Elhamifar does: nearly all labels are -1,
so that the means themselves point the same way for all classes (mean cosine 0.999).
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from zslpipe.datasets.reading import attributes, copies, image_files, splits
from zslpipe.datasets.reading.text_files import existing_file, optional_path
from zslpipe.formats.index import OWN_SPLIT, PROPOSED_SPLIT, Index, write_index
from zslpipe.formats.published_sizes import DEEPFASHION as EXPECTED
from zslpipe.formats.published_sizes import DEEPFASHION_VALIDATION
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import FileName, Seed
from zslpipe.settings import as_plain, parse_settings

logger = logging.getLogger(__name__)

# The unseen categories by their label in list_category_img.txt, which counts from 1. Labels: code
# of Huynh & Elhamifar; names: the row of that number in list_category_cloth.txt. The ten hold
# 51,472 images; with the seen classes' share of the 40,000 test images, 32,881 on average, that
# makes 84,353 images for testing; the paper prints 84,337. Counted from 0 they would make 78,145.
UNSEEN_CATEGORIES = {
    12: "Jersey",
    15: "Poncho",
    2: "Blazer",
    19: "Top",
    29: "Joggers",
    30: "Leggings",
    26: "Jeans",
    44: "Kimono",
    42: "Jumpsuit",
    48: "Romper",
}
# list_attr_cloth.txt's column attribute_type, from 1.
KINDS = ("texture", "fabric", "shape", "part", "style")

# The class vectors that there are.
SEMANTICS = ("att",)


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about DeepFashion; files are relative to the data folder."""

    images: FileName | None = None  # the folder that holds img/
    category_names: FileName = "Anno_coarse/list_category_cloth.txt"  # a category a row
    categories: FileName = "Anno_coarse/list_category_img.txt"  # each image's category
    attribute_names: FileName = "Anno_coarse/list_attr_cloth.txt"  # an attribute a row
    attributes: FileName = "Anno_coarse/list_attr_img.txt"  # each image's attributes
    partition: FileName = "Eval/list_eval_partition.txt"  # each image's part: train, val, test
    unseen_classes: FileName | None = None  # text: class names, instead of the published ten
    validation_classes: FileName | None = None  # text: class names; else the published number
    seed: Seed = 0  # of the validation classes that no file gives


def write(settings: Mapping[str, Any], output: Path, data_root: Path) -> None:
    """Write ``index.h5``: seen images of the partitions train and val train, those of test are
    test_seen.

    All images of unseen categories are test_unseen. Raises InputError for whatever is wrong.
    """
    where = f"dataset {output.parent.name!r}"
    chosen = parse_settings(Settings, settings, where)
    names, labels, paths, category_notes = _categories(chosen, data_root, where)
    unseen, unseen_note = _unseen(chosen, names, data_root)
    words, groups = _attribute_names(existing_file(data_root, chosen.attribute_names, where))
    attribute_file = existing_file(data_root, chosen.attributes, where)
    vectors = class_vectors(attribute_file, paths, labels, len(names), len(words))
    trains = _partition(existing_file(data_root, chosen.partition, where), paths)
    numbers = _divided(trains, unseen[labels])
    class_list = optional_path(data_root, chosen.validation_classes)
    count = DEEPFASHION_VALIDATION if chosen.unseen_classes is None else None  # paper: unnamed
    validation, note = splits.set_aside(
        labels, numbers["trainval"], names, class_list, count, chosen.seed, where=where
    )
    numbers |= splits.divide_trainval(labels, numbers["trainval"], validation)
    root = optional_path(data_root, chosen.images)
    if root is not None:
        image_files.check_images(root, paths, where)
    first, published = copies.first_copies(root, paths), chosen.unseen_classes is None
    equal = copies.check_copies(first, paths, labels, numbers, where, published)
    deviations = _deviations(unseen, words, numbers)
    index = Index(
        dataset=output.parent.name,
        adapter="deepfashion",
        paths=tuple(paths),
        labels=labels,
        class_names=names,
        seen=~unseen,
        validation=validation,
        splits=numbers,
        semantics={"att": vectors},
        attribute_names=words,
        attribute_groups=groups,
        attribute_parts=attributes.relate_to_parts(groups, ()),
        notes=(*category_notes, unseen_note, note, *deviations, *equal),
        protocol=_protocol(chosen, deviations),
        has_images=chosen.images is not None,
    )
    write_index(index, output, as_plain(chosen))
    for line in index.notes:
        logger.info("%s: %s", where, line)


def _divided(trains: np.ndarray, is_unseen: np.ndarray) -> dict[str, np.ndarray]:
    """Return the image numbers of trainval, test_seen and test_unseen from which images (image,)
    train and which are of unseen categories.
    """
    return {
        "trainval": np.flatnonzero(trains & ~is_unseen),
        "test_seen": np.flatnonzero(~trains & ~is_unseen),
        "test_unseen": np.flatnonzero(is_unseen),
    }


def _rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and words of a benchmark list, the last column split off whatever the first
    holds.

    Raises InputError where the count in the first line is none, or differs from the number of rows.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            count = lines.readline().strip()
            lines.readline()
            number = 2
            for number, line in enumerate(lines, 3):
                if line.strip():
                    yield number, line.rsplit(maxsplit=columns - 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text list ({error})") from None
    if not count.isdigit() or int(count) != number - 2:
        announced = count[:20] or "nothing"
        raise InputError(f"{path}: {number - 2} rows, the first line says {announced}; cut off?")


def _two(path: Path) -> tuple[list[str], list[str]]:
    """Return the two columns of a list; raises InputError naming a line that has not two."""
    first, second = [], []
    for number, words in _rows(path, 2):
        if len(words) != 2:
            found = " ".join(words)[:60]
            raise InputError(f"{path}, line {number}: two columns expected, found {found}")
        first.append(words[0].strip())
        second.append(words[1])
    if not first:
        raise InputError(f"{path}: no rows")
    return first, second


def _numbers(path: Path, column: list[str], largest: int) -> np.ndarray:
    """Return a column as 0-based int64; raises InputError where a value is not in 1 ..
    ``largest``.
    """
    for row, word in enumerate(column):
        if not word.isdigit() or not 1 <= int(word) <= largest:
            expected = f"a number from 1 to {largest} expected"
            raise InputError(f"{path}, line {row + 3}: {word!r}, {expected}")
    return np.array(column, np.int64) - 1


def _categories(
    chosen: Settings, data_root: Path, where: str
) -> tuple[tuple[str, ...], np.ndarray, list[str], tuple[str, ...]]:
    """Return the names of categories that have images, labels, paths, and a note on those that have
    none.
    """
    all_names, _ = _two(existing_file(data_root, chosen.category_names, where))
    path = existing_file(data_root, chosen.categories, where)
    paths, column = _two(path)
    numbers = _numbers(path, column, len(all_names))
    present = np.unique(numbers)
    names = tuple(all_names[number] for number in present)
    labels = np.searchsorted(present, numbers)
    empty = [name for number, name in enumerate(all_names) if number not in present]
    note = f"{len(empty)} categories without images left out: {', '.join(empty)}"
    return names, labels, paths, (note,) if empty else ()


def _attribute_names(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return attribute names and their kinds (texture, fabric, shape, part, style)."""
    names, kinds = _two(path)
    repeated = _repeated(names)
    numbers = _numbers(path, kinds, len(KINDS))
    groups = tuple(KINDS[number] for number in numbers)
    # The benchmark has a few names under two kinds; word vectors and tables go by name.
    told = []
    for name, group in zip(names, groups, strict=True):
        told.append(f"{name} {group}" if name in repeated else name)
    twice = sorted(_repeated(told))
    if twice:
        raise InputError(f"{path}: attribute names given twice: {', '.join(twice[:5])}")
    return tuple(told), groups


def _repeated(names: list[str]) -> set[str]:
    """Return the names that occur more than once."""
    return {name for name, count in Counter(names).items() if count > 1}


def class_vectors(
    path: Path, paths: list[str], labels: np.ndarray, classes: int, count: int
) -> np.ndarray:
    """Return (class, attribute) strengths in [0, 1]: (mean + 1) / 2 of the images' labels in
    {-1, 0, 1}, read a line at a time.

    Raises InputError where images or their order differ from the category list's, or a row has
    other values.
    """
    sums = np.zeros((classes, count))
    row = -1
    for row, (number, words) in enumerate(_rows(path, count + 1)):
        if row >= len(paths) or words[0].strip() != paths[row]:
            expected = paths[row] if row < len(paths) else "no more"
            found = f"image {words[0].strip()[:80]}"
            raise InputError(f"{path}, line {number}: {found}, the category list has {expected}")
        if len(words) != count + 1 or not set(words[1:]) <= {"-1", "0", "1"}:
            wanted = f"{count} values -1, 0 or 1 expected after the image"
            raise InputError(f"{path}, line {number}: {wanted}")
        sums[labels[row]] += np.array(words[1:], np.int8)
    if row + 1 != len(paths):
        raise InputError(f"{path}: {row + 1} images, the category list has {len(paths)}")
    means = sums / np.bincount(labels, minlength=classes)[:, None]
    return (means + 1) / 2


def _unseen(chosen: Settings, names: tuple[str, ...], data_root: Path) -> tuple[np.ndarray, str]:
    """Return a (class) mask of unseen classes, those of a list or the published ten, and which."""
    if chosen.unseen_classes is not None:
        mask = splits.read_class_list(data_root / chosen.unseen_classes, names)
        return mask, f"{mask.sum()} unseen classes of {chosen.unseen_classes}"
    path = data_root / chosen.category_names
    _check_numbering(path)
    mask = np.isin(names, list(UNSEEN_CATEGORIES.values()))
    if not mask.any():
        raise InputError(f"{path}: none of the published unseen categories has an image")
    return mask, f"unseen: the published categories {', '.join(UNSEEN_CATEGORIES.values())}"


def _check_numbering(path: Path) -> None:
    """Raise InputError where the list of categories has a published unseen category under another
    number than its label, or not at all.
    """
    names, _ = _two(path)
    for label, name in UNSEEN_CATEGORIES.items():
        found = names[label - 1] if label <= len(names) else "no such row"
        if found != name:
            fault = f"category {label} has to be the published unseen {name!r}"
            advice = "with categories of your own give unseen_classes"
            raise InputError(f"{path}: {fault}, found {found!r}; {advice}")


def _protocol(chosen: Settings, deviations: tuple[str, ...]) -> str:
    """Return whose division this is: the paper's only where all published sizes are met."""
    if chosen.unseen_classes is not None:
        return f"{OWN_SPLIT} ({PurePosixPath(chosen.unseen_classes).name})"
    return "published categories, other sizes" if deviations else PROPOSED_SPLIT


def _partition(path: Path, paths: list[str]) -> np.ndarray:
    """Return an (image) mask of train and val; InputError where an image has no partition."""
    files, kinds = _two(path)
    wrong = sorted(set(kinds) - {"train", "val", "test"})
    if wrong:
        raise InputError(f"{path}: partition {wrong[0]!r}; train, val or test expected")
    kind = dict(zip(files, kinds, strict=True))
    absent = [name for name in paths if name not in kind]
    if absent:
        first = ", ".join(absent[:5])
        raise InputError(f"{path}: {len(absent)} images without a partition, first {first}")
    return np.array([kind[name] != "test" for name in paths])


def _deviations(
    unseen: np.ndarray, words: tuple[str, ...], numbers: Mapping[str, np.ndarray]
) -> tuple[str, ...]:
    """Warn, with both numbers, of each size that is not the published one; return the warnings."""
    found = {"seen": int((~unseen).sum()), "unseen": int(unseen.sum()), "attributes": len(words)}
    found["trainval"] = len(numbers["trainval"])
    found["test"] = len(numbers["test_seen"]) + len(numbers["test_unseen"])
    notes = []
    for name, expected in EXPECTED.items():
        if found[name] != expected:
            notes.append(f"{name} is {found[name]}, {expected} expected")
            logger.warning(notes[-1])
    return tuple(notes)
