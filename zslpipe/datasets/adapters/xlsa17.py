"""Datasets in the form of Xian et al. 2018 ("xlsa17"): CUB, SUN, AWA1, AWA2, aPY, FLO, and any
others laid out so.

A feature file (``res101.mat``: features d x n, labels n x 1, image_files), a split file
(``att_splits.mat``) and, where regions are wanted, the images. Numbers in the files count from 1;
class names, not numbers, join what belongs together.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from zslpipe.datasets.reading import attributes, copies, image_files, splits, turned
from zslpipe.datasets.reading.class_names import (
    class_vectors,
    labels_by_name,
    names_of_classes,
)
from zslpipe.datasets.reading.expected_sizes import (
    compare_with_expected,
    expected_sizes,
    index_sizes,
    name_of_split,
)
from zslpipe.datasets.reading.feature_files import read_image_list, read_pooled
from zslpipe.datasets.reading.split_files import SplitFile, read_split_file
from zslpipe.datasets.reading.stored_paths import on_disk
from zslpipe.datasets.reading.text_files import existing_file, optional_path
from zslpipe.formats.features import write_pooled_features
from zslpipe.formats.index import OWN_SPLIT, Index, images_hash, read_index, write_index
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import BetweenZeroAndOne, FileName, Seed
from zslpipe.names import same_form
from zslpipe.settings import as_plain, parse_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about such a dataset; file names are relative to the data
    folder.
    """

    features: FileName  # .mat with labels and image_files; pooled features, where they are used
    splits: FileName  # .mat of any generation
    images: FileName | None = None  # folder; absent: pooled features of the .mat alone
    anchor: str | None = None  # folder in the stored paths behind which they are the dataset's own
    class_names: FileName | None = None  # text, one a line, where the split file has none (FLO)
    attribute_names: FileName | None = None  # text, "1 has_bill_shape::dagger" a line
    parts: FileName | None = None  # CSV: image,part,x,y,visible in image pixels
    protocol: Literal["proposed", "standard"] = (
        "proposed"  # Xian et al. 2018; standard: 0 test_seen
    )
    # compare with the published sizes of this dataset
    known_as: Literal["CUB", "SUN", "AWA1", "AWA2", "aPY", "FLO"] | None = None
    boxes: tuple[FileName, ...] = ()  # aPY's apascal_train, apascal_test, ayahoo_test
    unseen_classes: FileName | None = None  # text: another split than the file's, by class names
    validation_classes: FileName | None = None  # text: seen classes to set aside, if no file does
    extra_semantics: Mapping[str, FileName] = field(default_factory=dict)  # kind -> .mat: its `att`
    test_seen_fraction: BetweenZeroAndOne = 0.2  # Xian et al. 2018, 5.2: of a seen class's images
    seed: Seed = 0  # of the splits that no file gives


@dataclass(frozen=True, eq=False)
class _Division:
    """Splits (name -> image numbers), (class) masks of unseen and validation classes, and how they
    came about.
    """

    numbers: Mapping[str, np.ndarray]
    unseen: np.ndarray
    validation: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Pictures:
    """What is known of the image files: boxes, part names and locations, and what was corrected."""

    boxes: np.ndarray | None = None
    part_names: tuple[str, ...] = ()
    part_locations: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def write(settings: Mapping[str, Any], output: Path, data_root: Path) -> None:
    """Write ``index.h5`` for one dataset, named after the folder of ``output``.

    Raises InputError, in one line, for whatever is wrong with the settings or the files.
    """
    where = f"dataset {output.parent.name!r}"
    chosen = parse_settings(Settings, settings, where)
    if chosen.known_as is not None:
        expected_sizes(chosen.known_as, chosen.protocol)
    if chosen.unseen_classes is not None and chosen.protocol == "standard":
        raise InputError(f"{where}: 'unseen_classes' make a split of their own; drop 'protocol'")
    index = _judged(_read(chosen, output.parent.name, data_root, where), chosen)
    write_index(index, output, as_plain(chosen))
    for note in index.notes:
        logger.info("%s: %s", where, note)


def _read(chosen: Settings, dataset: str, data_root: Path, where: str) -> Index:
    """Return the index of what the files hold, before it is compared with published sizes."""
    split_file = read_split_file(existing_file(data_root, chosen.splits, where), chosen.protocol)
    names, notes = names_of_classes(split_file, optional_path(data_root, chosen.class_names))
    stored, labels = read_image_list(existing_file(data_root, chosen.features, where), len(names))
    root = optional_path(data_root, chosen.images)
    anchors = (chosen.anchor.strip("/"),) if chosen.anchor else image_files.ANCHORS
    paths = image_files.relative_paths(stored, anchors, root, where)
    paths, renamed = on_disk(root, paths)
    labels, joined = labels_by_name(labels, paths, names, where)
    pictures = _pictures(chosen, root, paths, data_root, where)
    first = copies.first_copies(root, paths, pictures.boxes)
    division = _divide(chosen, split_file, labels, names, data_root, first, where)
    published = chosen.unseen_classes is None
    equal = copies.check_copies(first, paths, labels, division.numbers, where, published)
    further = {}
    for kind, name in chosen.extra_semantics.items():
        further[kind] = existing_file(data_root, name, where)
    semantics, repaired = class_vectors(split_file, names, further)
    attribute_names = _attribute_names(chosen, semantics, data_root)
    groups = tuple(attributes.attribute_group(name) for name in attribute_names)
    return Index(
        dataset=dataset,
        adapter="xlsa17",
        paths=paths,
        labels=labels,
        class_names=names,
        seen=~division.unseen,
        validation=division.validation,
        splits=division.numbers,
        semantics=semantics,
        attribute_names=attribute_names,
        attribute_groups=groups,
        attribute_parts=attributes.relate_to_parts(groups, pictures.part_names),
        part_names=pictures.part_names,
        part_locations=pictures.part_locations,
        boxes=pictures.boxes,
        notes=(*notes, *joined, *renamed, *division.notes, *repaired, *pictures.notes, *equal),
        has_images=root is not None,
    )


def _judged(index: Index, chosen: Settings) -> Index:
    """Return the index with its protocol and, of a known dataset, how its sizes deviate."""
    own = chosen.unseen_classes
    sizes, file = index_sizes(index), PurePosixPath(chosen.splits).name
    protocol = name_of_split(chosen.protocol, file, sizes, chosen.known_as)
    notes = index.notes
    if chosen.known_as is not None:
        notes = (*notes, *compare_with_expected(chosen.known_as, sizes, chosen.protocol))
    if own is not None:
        protocol = f"{OWN_SPLIT} ({PurePosixPath(own).name})"
    return replace(index, notes=notes, protocol=protocol)


def _divide(
    chosen: Settings,
    split_file: SplitFile,
    labels: np.ndarray,
    names: Sequence[str],
    data_root: Path,
    first: np.ndarray,
    where: str,
) -> _Division:
    """Return the splits: the file's, or another one's where a list of unseen classes is given."""
    beyond = max(int(rows.max(initial=-1)) for rows in split_file.numbers.values())
    if beyond >= len(labels):
        held = f"{chosen.features} has {len(labels)}"
        raise InputError(f"{split_file.path}: splits name image {beyond + 1}, {held}")
    if chosen.unseen_classes is not None:
        listed = data_root / chosen.unseen_classes
        division = _divided_by(listed, chosen, labels, names, first, where)
    else:
        division = _divided_as_given(split_file, labels, len(names))
    if "train" in division.numbers:
        return division
    class_list = optional_path(data_root, chosen.validation_classes)
    count = None
    if chosen.known_as is not None:
        count = expected_sizes(chosen.known_as).validation
    trainval = division.numbers["trainval"]
    validation, note = splits.set_aside(
        labels, trainval, names, class_list, count, chosen.seed, where=where
    )
    divided = splits.divide_trainval(labels, trainval, validation)
    numbers = {**division.numbers, **divided}
    return _Division(numbers, division.unseen, validation, (*division.notes, note))


def _divided_as_given(split_file: SplitFile, labels: np.ndarray, classes: int) -> _Division:
    """Return the split file's own splits, validation classes only where it has train and val."""
    numbers, every = split_file.numbers, np.arange(classes)
    unseen = np.isin(every, labels[numbers["test_unseen"]])
    validation = np.zeros(classes, bool)
    if "train" in numbers:
        validation = np.isin(every, labels[numbers["val"]])
    return _Division(numbers, unseen, validation, split_file.notes)


def _divided_by(
    class_list: Path,
    chosen: Settings,
    labels: np.ndarray,
    names: Sequence[str],
    first: np.ndarray,
    where: str,
) -> _Division:
    """Return other splits than the file's, after a list of unseen classes: no train, no val."""
    unseen = splits.read_class_list(class_list, names)
    share, seed = chosen.test_seen_fraction, chosen.seed
    numbers = splits.split_by_classes(labels, names, unseen, share, seed, first, where=where)
    listed = f"{unseen.sum()} unseen classes of {chosen.unseen_classes}"
    note = f"another split: {listed}, test_seen drawn with seed {seed}"
    return _Division(numbers, unseen, np.zeros(len(names), bool), (note,))


def _pictures(
    chosen: Settings, root: Path | None, paths: Sequence[str], data_root: Path, where: str
) -> _Pictures:
    """Check the image files and read boxes and part locations, where there are any."""
    box_files = [existing_file(data_root, name, where) for name in chosen.boxes]
    if root is None:
        if chosen.parts is not None:
            advice = "set 'images' to their folder, or drop 'parts'"
            raise InputError(f"{where}: 'parts' are in pixels of the images; {advice}")
        boxes = image_files.read_boxes(box_files, paths, None) if box_files else None
        note = "no image folder: pooled features of the .mat file only"
        return _Pictures(boxes=boxes, notes=(note,))
    sizes, turns = image_files.measure_images(root, paths, where)
    if not box_files and chosen.parts is None:
        return _Pictures()
    noted, stored = turned.turn_note(turns), turned.stored_sizes(sizes, turns)
    boxes = image_files.read_boxes(box_files, paths, stored) if box_files else None
    shown = None if boxes is None else turned.turn_boxes(boxes, sizes, turns)
    if chosen.parts is None:
        return _Pictures(shown, notes=noted)
    part_file = existing_file(data_root, chosen.parts, where)
    names, locations, notes = image_files.read_parts(part_file, paths, stored, boxes)
    return _Pictures(shown, names, turned.turn_places(locations, turns), (*noted, *notes))


def _attribute_names(
    chosen: Settings, semantics: Mapping[str, np.ndarray], data_root: Path
) -> tuple[str, ...]:
    """Return the attributes' names, from their file or numbered; raises InputError where their
    number is wrong.
    """
    if chosen.attribute_names is None:
        return attributes.numbered_names(semantics["att"].shape[1])
    path = data_root / chosen.attribute_names
    names = attributes.read_attribute_names(path)
    widths = {kind: vectors.shape[1] for kind, vectors in semantics.items()}
    if len(names) not in widths.values():
        held = ", ".join(f"{kind} {width}" for kind, width in widths.items())
        raise InputError(f"{path}: {len(names)} attribute names, the class vectors have {held}")
    return names


def write_pooled(
    settings: Mapping[str, Any], index_path: Path, output: Path, data_root: Path
) -> None:
    """Write the pooled features of the feature file as ``{extractor}.h5``: /pooled (n, d) float32,
    and where from.

    The extractor is called as ``output`` is. Raises InputError where features are not d x n for the
    index's images, not finite, or the images are not the index's.
    """
    chosen = parse_settings(Settings, settings, f"extractor {output.stem!r}")
    path = existing_file(data_root, chosen.features, f"extractor {output.stem!r}")
    index = read_index(index_path)
    stored, _ = read_image_list(path, len(index.class_names))
    there = [same_form(PurePosixPath(name).name) for name in stored]
    asked = [same_form(PurePosixPath(name).name) for name in index.paths]
    if there != asked:
        advice = "in that order; write the index again"
        raise InputError(f"{path}: its images are not those of {index_path}, {advice}")
    pooled = read_pooled(path, len(index.paths))
    stamps = {"extractor": output.stem, "weights": f"from {path.name}", "dataset": index.dataset}
    write_pooled_features(output, pooled, stamps | {"images_hash": images_hash(index)})
