"""One's own data: a folder of class folders, a CSV of class attributes, a list of unseen
classes.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.datasets.reading import attributes, copies, image_files, splits
from zslpipe.datasets.reading.class_folders import check_layout, check_listed, folders_by_class
from zslpipe.datasets.reading.listing import SUFFIXES, list_pictures
from zslpipe.datasets.reading.text_files import existing_file, optional_path
from zslpipe.formats.index import OWN_SPLIT, Index, write_index
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import BetweenZeroAndOne, FileName, Seed
from zslpipe.settings import as_plain, parse_settings

logger = logging.getLogger(__name__)

# Folders on the way to an image: its class's, and any below that.
IN_CLASS_FOLDERS = range(1, sys.maxsize)
# The class vectors that there are.
SEMANTICS = ("att",)


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about one's own data; file names are relative to the data
    folder.
    """

    images: FileName  # a folder that holds one folder a class
    attributes: FileName  # CSV: class, then a column an attribute
    unseen_classes: FileName  # text: class names, one a line
    validation_classes: FileName | None = None  # text: seen classes; else a fifth of them, drawn
    test_seen_fraction: BetweenZeroAndOne = 0.2  # Xian et al. 2018, 5.2: of a seen class's images
    seed: Seed = 0  # of what is drawn


def write(settings: Mapping[str, Any], output: Path, data_root: Path) -> None:
    """Write ``index.h5`` for a folder of class folders.

    Raises InputError, in one line, for whatever is wrong, such as a class without attributes.
    """
    where = f"dataset {output.parent.name!r}"
    chosen = parse_settings(Settings, settings, where)
    attribute_file = existing_file(data_root, chosen.attributes, where)
    table, words, read = attributes.read_class_attributes(attribute_file)
    check_layout(data_root / chosen.images, table, words, where)
    paths, labels, names, notes = _list_images(data_root / chosen.images, table, where)
    image_files.check_images(data_root / chosen.images, paths, where)
    class_list = optional_path(data_root, chosen.validation_classes)
    for listed in (data_root / chosen.unseen_classes, class_list):
        check_listed(listed, table, names, attribute_file)
    first = copies.first_copies(data_root / chosen.images, paths)
    unseen = splits.read_class_list(data_root / chosen.unseen_classes, names)
    share, seed = chosen.test_seen_fraction, chosen.seed
    numbers = splits.split_by_classes(labels, names, unseen, share, seed, first, where=where)
    trainval = numbers["trainval"]
    validation, note = splits.set_aside(
        labels, trainval, names, class_list, None, chosen.seed, where=where
    )
    numbers |= splits.divide_trainval(labels, trainval, validation)
    equal = copies.check_copies(first, paths, labels, numbers, where, published=False)
    groups = tuple(attributes.attribute_group(word) for word in words)
    index = Index(
        dataset=output.parent.name,
        adapter="folder",
        paths=tuple(paths),
        labels=labels,
        class_names=names,
        seen=~unseen,
        validation=validation,
        splits=numbers,
        semantics={"att": np.array([table[name] for name in names])},
        attribute_names=words,
        attribute_groups=groups,
        attribute_parts=attributes.relate_to_parts(groups, ()),
        notes=(*read, *notes, *equal, f"test_seen drawn with seed {chosen.seed}", note),
        protocol=OWN_SPLIT,
    )
    write_index(index, output, as_plain(chosen))
    for line in index.notes:
        logger.info("%s: %s", where, line)


def _list_images(
    root: Path, table: Mapping[str, list[float]], where: str
) -> tuple[list[str], np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return image paths relative to ``root``, labels (n), class names in the order of the table,
    and notes.

    Raises InputError where the folder is empty, or a class folder has no row in the table, or may
    have two.
    """
    folder_of = folders_by_class(root, table, where)
    found = list_pictures(root, IN_CLASS_FOLDERS)
    files = _by_class(found.paths, folder_of)
    names = tuple(name for name, images in files.items() if images)
    if not names:
        fault = f"no class folder with images ({', '.join(SUFFIXES)}) in {root}"
        raise InputError("; ".join([f"{where}: {fault}", *found.notes])[:500])
    counts = [len(files[name]) for name in names]
    labels = np.repeat(np.arange(len(names)), counts)
    paths = [path for name in names for path in files[name]]
    without = [name for name in table if name not in names]
    if not without:
        return paths, labels, names, found.notes
    listed = ", ".join(without[:5])
    note = f"{len(without)} classes of the table without images left out: {listed}"
    return paths, labels, names, (*found.notes, note)


def _by_class(paths: Sequence[str], folder_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the images of each class by its folder, the first of ``paths``."""
    files: dict[str, list[str]] = {folder: [] for folder in folder_of.values()}
    for path in paths:
        files[path.partition("/")[0]].append(path)
    return {name: files[folder] for name, folder in folder_of.items()}
