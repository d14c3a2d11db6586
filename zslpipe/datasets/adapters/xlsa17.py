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
from typing import Any

import numpy as np

from zslpipe.datasets.reading import attributes, image_files, splits
from zslpipe.datasets.reading.class_names import class_vectors, labels_by_name
from zslpipe.datasets.reading.matfile import read_mat, required, texts, zero_based
from zslpipe.datasets.reading.text_files import existing_file, read_lines
from zslpipe.formats.features import write_pooled_features
from zslpipe.formats.index import (
    OWN_SPLIT,
    PROPOSED_SPLIT,
    Index,
    images_hash,
    read_index,
    write_index,
)
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import BetweenZeroAndOne, FileName, Seed
from zslpipe.settings import parse_settings

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
    known_as: str | None = None  # CUB, SUN, AWA1, AWA2, aPY, FLO: compare with the published sizes
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
        splits.expected_sizes(chosen.known_as)
    split_file = splits.read_split_file(existing_file(data_root, chosen.splits, where))
    names, notes = _class_names(chosen, split_file, data_root)
    stored, labels = read_image_list(existing_file(data_root, chosen.features, where), len(names))
    root = data_root / chosen.images if chosen.images is not None else None
    anchors = (chosen.anchor.strip("/"),) if chosen.anchor else image_files.ANCHORS
    paths = image_files.relative_paths(stored, anchors, root, where)
    labels, joined = labels_by_name(labels, paths, names, where)
    division = _divide(chosen, split_file, labels, names, data_root)
    further = {
        kind: existing_file(data_root, name, where) for kind, name in chosen.extra_semantics.items()
    }
    semantics, repaired = class_vectors(split_file, names, further)
    pictures = _pictures(chosen, root, paths, data_root, where)
    attribute_names = _attribute_names(chosen, semantics, data_root)
    groups = tuple(attributes.attribute_group(name) for name in attribute_names)
    index = Index(
        dataset=output.parent.name,
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
        notes=(*notes, *joined, *division.notes, *repaired, *pictures.notes),
        protocol=_protocol(chosen, {}),
        has_images=root is not None,
    )
    if chosen.known_as is not None:
        deviations = splits.compare_with_expected(chosen.known_as, index_sizes(index))
        index = replace(
            index, notes=(*index.notes, *deviations), protocol=_protocol(chosen, index_sizes(index))
        )
    write_index(index, output)
    for note in index.notes:
        logger.info("%s: %s", where, note)


def _protocol(chosen: Settings, sizes: Mapping[str, int]) -> str:
    """Return whose division this is; a known dataset's split file of other than the published sizes
    is not proposed.
    """
    if chosen.unseen_classes is not None:
        return f"{OWN_SPLIT} ({PurePosixPath(chosen.unseen_classes).name})"
    if chosen.known_as is not None and sizes:
        expected = splits.expected_sizes(chosen.known_as)
        divided = ("trainval", "test_seen", "test_unseen", "seen", "unseen")
        if any(sizes[name] != getattr(expected, name) for name in divided):
            return f"split of {PurePosixPath(chosen.splits).name}, not of the published sizes"
    return PROPOSED_SPLIT


def _class_names(
    chosen: Settings, split_file: splits.SplitFile, data_root: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names in the split file's order and a note where they come from elsewhere."""
    count = len(split_file.class_names)
    if any(split_file.class_names):
        return split_file.class_names, ()
    if chosen.class_names is None:
        advice = "set 'class_names' to a list in the order of its columns"
        note = f"{split_file.path.name} names no classes: numbered; {advice}"
        return tuple(f"class {number + 1:03d}" for number in range(count)), (note,)
    path = data_root / chosen.class_names
    names = tuple(read_lines(path))
    if len(names) != count:
        raise InputError(f"{path}: {len(names)} class names, {split_file.path} has {count} classes")
    return names, (f"class names from {path.name}",)


def read_image_list(path: Path, classes: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the stored image paths and 0-based labels (n) of a feature file.

    Raises InputError where their numbers differ, or a label lies beyond the number of classes.
    """
    variables = read_mat(path, ("image_files", "labels"))
    stored = texts(required(variables, "image_files", path), "image_files", path)
    labels = zero_based(required(variables, "labels", path), "labels", path)
    if len(stored) != len(labels):
        raise InputError(f"{path}: {len(stored)} image_files but {len(labels)} labels")
    if labels.max() >= classes:
        count = int((labels >= classes).sum())
        raise InputError(
            f"{path}: {count} labels without a name: up to {labels.max() + 1}, the split file has {classes} classes"
        )
    return stored, labels


def _divide(
    chosen: Settings,
    split_file: splits.SplitFile,
    labels: np.ndarray,
    names: Sequence[str],
    data_root: Path,
) -> _Division:
    """Return the splits: the file's, or another one's where a list of unseen classes is given."""
    numbers, notes = dict(split_file.numbers), list(split_file.notes)
    beyond = max(int(rows.max()) for rows in numbers.values())
    if beyond >= len(labels):
        raise InputError(
            f"{split_file.path}: splits name image {beyond + 1}, {chosen.features} has {len(labels)}"
        )
    if chosen.unseen_classes is not None:
        unseen = splits.read_class_list(data_root / chosen.unseen_classes, names)
        numbers = splits.split_by_classes(
            labels, names, unseen, chosen.test_seen_fraction, chosen.seed
        )
        drawn = f"test_seen drawn with seed {chosen.seed}"
        notes = [
            f"another split: {unseen.sum()} unseen classes of {chosen.unseen_classes}, {drawn}"
        ]
    else:
        unseen = np.isin(np.arange(len(names)), labels[numbers["test_unseen"]])
    if "train" in numbers:
        validation = np.isin(np.arange(len(names)), labels[numbers["val"]])
        return _Division(numbers, unseen, validation, tuple(notes))
    class_list = (
        data_root / chosen.validation_classes if chosen.validation_classes is not None else None
    )
    count = (
        splits.expected_sizes(chosen.known_as).validation if chosen.known_as is not None else None
    )
    validation, note = splits.set_aside(
        labels, numbers["trainval"], names, class_list, count, chosen.seed
    )
    divided = splits.divide_trainval(labels, numbers["trainval"], validation)
    return _Division(numbers | divided, unseen, validation, (*notes, note))


def _pictures(
    chosen: Settings, root: Path | None, paths: Sequence[str], data_root: Path, where: str
) -> _Pictures:
    """Check the image files and read boxes and part locations, where there are any."""
    box_files = [existing_file(data_root, name, where) for name in chosen.boxes]
    if root is None:
        if chosen.parts is not None:
            raise InputError(
                f"{where}: 'parts' are in pixels of the images; set 'images' to their folder, or drop 'parts'"
            )
        boxes = image_files.read_boxes(box_files, paths, None) if box_files else None
        return _Pictures(
            boxes=boxes, notes=("no image folder: pooled features of the .mat file only",)
        )
    sizes = image_files.check_images(root, paths, where)
    boxes = image_files.read_boxes(box_files, paths, sizes) if box_files else None
    if chosen.parts is None:
        return _Pictures(boxes=boxes)
    names, locations, notes = image_files.read_parts(
        existing_file(data_root, chosen.parts, where), paths, sizes, boxes
    )
    return _Pictures(boxes, names, locations, notes)


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


def index_sizes(index: Index) -> dict[str, int]:
    """Return a dataset's sizes under the names of ``splits.ExpectedSizes``."""
    return {
        "images": len(index.paths),
        **{name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")},
        "seen": int(index.seen.sum()),
        "unseen": int((~index.seen).sum()),
        "attributes": len(index.attribute_names),
        "validation": int(index.validation.sum()),
    }


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
    if [PurePosixPath(name).name for name in stored] != [
        PurePosixPath(name).name for name in index.paths
    ]:
        raise InputError(
            f"{path}: its images are not those of {index_path}, in that order; write the index again"
        )
    features = required(read_mat(path, ("features",)), "features", path)
    if (
        features.ndim != 2
        or features.dtype.kind not in "iuf"
        or features.shape[1] != len(index.paths)
    ):
        expected = f"d x {len(index.paths)} numbers expected"
        raise InputError(
            f"{path}: features has shape {features.shape}, type {features.dtype}; {expected}"
        )
    pooled = np.ascontiguousarray(features.T, np.float32)
    bad = np.flatnonzero(~np.isfinite(pooled).all(axis=1))
    if len(bad):
        raise InputError(
            f"{path}: features of {len(bad)} images are not finite, first image {bad[0] + 1}"
        )
    stamps = {"extractor": output.stem, "weights": f"from {path.name}"}
    write_pooled_features(output, pooled, stamps | {"images_hash": images_hash(index)})
