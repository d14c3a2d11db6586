"""``index.h5``: everything about a dataset but its pixels.

Layout (all class and image numbers 0-based)::

    attrs                    dataset, adapter, protocol (whose division into seen and unseen; "proposed split" is that
                             of the papers' numbers), has_images, notes (JSON list of what was
                             corrected)
    images/path              (image,)            relative to the dataset's image folder; absent paths are refused
    images/label             (image,)            class number
    images/box               (image, 4)          optional: left, top, right, bottom in pixels, cropped at reading
    classes/name, seen, validation   (class,)    validation classes are seen classes set aside for choosing
    splits/trainval, test_seen, test_unseen, train, val   image numbers; train + val = trainval, no class in both
    attributes/name, group   (attribute,)        group = body part or kind, "" where unknown
    attributes/parts         (attribute, part)   which parts an attribute is about
    semantics/{kind}         (class, ?)          raw class vectors: att, original_att, sent_att ...
    parts/name               (part,)
    parts/location           (image, part, 2)    x, y as fractions of the image (of the box, if any); NaN = not visible
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.files import written_whole
from zslpipe.provenance import settings_hash

SPLITS = ("trainval", "test_seen", "test_unseen", "train", "val")
# Xian et al. 2018; DeepFashion's is that of Huynh & Elhamifar 2020. Published numbers stand beside
# no other.
PROPOSED_SPLIT = "proposed split"
OWN_SPLIT = "own split"


@dataclass(frozen=True, eq=False)
class Index:
    """A dataset's images, classes, splits, class vectors and part locations; shapes in the module's
    docstring.
    """

    dataset: str
    adapter: str
    paths: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    seen: np.ndarray
    validation: np.ndarray
    splits: Mapping[str, np.ndarray]
    semantics: Mapping[str, np.ndarray]
    attribute_names: tuple[str, ...]
    attribute_groups: tuple[str, ...]
    attribute_parts: np.ndarray
    part_names: tuple[str, ...] = ()
    part_locations: np.ndarray | None = None
    boxes: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    protocol: str = OWN_SPLIT
    has_images: bool = True

    def class_vectors(self, kind: str, normalisation: str) -> np.ndarray:
        """Return the (class, ?) vectors of one kind, float64, normalised as asked.

        ``normalisation``: ``none``; ``unit`` (each class has unit Euclidean length); ``minmax``
        (each column to [0, 1]). Raises InputError for an unknown kind or normalisation.
        """
        if kind not in self.semantics:
            raise InputError(
                f"dataset {self.dataset!r} has no class vectors {kind!r}; {nearest(kind, self.semantics)}"
            )
        vectors = np.asarray(self.semantics[kind], np.float64)
        if normalisation == "none":
            return vectors
        if normalisation == "unit":
            return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        if normalisation == "minmax":
            low, high = vectors.min(axis=0), vectors.max(axis=0)
            return (vectors - low) / np.maximum(high - low, 1e-12)
        raise InputError(
            f"normalisation {normalisation!r}: {nearest(normalisation, ('none', 'unit', 'minmax'))}"
        )


def images_hash(index: Index) -> str:
    """Return a 16-digit hash of which images there are, in which order and cropped how: what
    features depend on.
    """
    boxes = None if index.boxes is None else index.boxes.tolist()
    return settings_hash([list(index.paths), boxes])


def check_index(index: Index) -> None:
    """Raise InputError, in one line that names the fault, unless the index is sound.

    Sound: shapes agree; labels have names; every class has finite vectors; no image in two test or
    training splits; no unseen class in training and no seen class among the unseen images; train +
    val = trainval with no class in both.
    """
    where = f"dataset {index.dataset!r}"
    _check_shapes(index, where)
    for name in ("trainval", "test_seen", "test_unseen"):
        if len(index.splits[name]) == 0:
            raise InputError(f"{where}: split {name} is empty")
    _check_splits(index, where)
    for kind, vectors in index.semantics.items():
        bad = ~np.isfinite(vectors).all(axis=1) | ~np.any(vectors, axis=1)
        if bad.any():
            names = ", ".join(np.asarray(index.class_names)[bad][:5])
            raise InputError(
                f"{where}: {bad.sum()} classes without usable {kind!r} vectors (NaN or all zero): {names}"
            )


def _check_shapes(index: Index, where: str) -> None:
    """Raise InputError where arrays disagree in length, or names repeat, or labels are out of
    range.
    """
    images, classes = len(index.paths), len(index.class_names)
    if len(set(index.class_names)) != classes:
        repeated = sorted({name for name in index.class_names if index.class_names.count(name) > 1})
        raise InputError(f"{where}: class names given twice: {', '.join(repeated[:5])}")
    lengths = {"labels": (len(index.labels), images), "seen": (len(index.seen), classes)}
    lengths |= {
        f"semantics {kind!r}": (len(vectors), classes) for kind, vectors in index.semantics.items()
    }
    lengths["attribute groups"] = (len(index.attribute_groups), len(index.attribute_names))
    for name, (found, expected) in lengths.items():
        if found != expected:
            raise InputError(f"{where}: {name} has {found} rows, {expected} expected")
    if images and not (index.labels.min() >= 0 and index.labels.max() < classes):
        raise InputError(
            f"{where}: labels go from {index.labels.min()} to {index.labels.max()}, there are {classes} classes"
        )


def _check_splits(index: Index, where: str) -> None:
    """Raise InputError on any leak between splits."""
    for name, rows in index.splits.items():
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(index.paths)):
            raise InputError(
                f"{where}: split {name} names image {rows.max() + 1}, there are {len(index.paths)}"
            )
        if len(np.unique(rows)) != len(rows):
            raise InputError(
                f"{where}: split {name} lists {len(rows) - len(np.unique(rows))} images twice"
            )
    for first, second in (
        ("trainval", "test_seen"),
        ("trainval", "test_unseen"),
        ("test_seen", "test_unseen"),
        ("train", "val"),
    ):
        shared = np.intersect1d(index.splits[first], index.splits[second])
        if len(shared):
            raise InputError(
                f"{where}: {len(shared)} images lie in both {first} and {second}, first {index.paths[shared[0]]}"
            )
    for name, seen in (("trainval", True), ("test_seen", True), ("test_unseen", False)):
        wrong = index.labels[index.splits[name]][
            index.seen[index.labels[index.splits[name]]] != seen
        ]
        if len(wrong):
            kind = "unseen" if seen else "seen"
            raise InputError(
                f"{where}: {len(wrong)} images of {kind} classes in {name}, first {index.class_names[wrong[0]]}"
            )
    untrained = np.setdiff1d(
        index.labels[index.splits["test_seen"]], index.labels[index.splits["trainval"]]
    )
    if len(untrained):
        first = index.class_names[untrained[0]]
        raise InputError(
            f"{where}: {len(untrained)} classes of test_seen have no training image, first {first}"
        )
    if not np.array_equal(
        np.sort(np.concatenate([index.splits["train"], index.splits["val"]])),
        np.sort(index.splits["trainval"]),
    ):
        raise InputError(f"{where}: train and val together are not trainval")
    both = np.intersect1d(index.labels[index.splits["train"]], index.labels[index.splits["val"]])
    if len(both):
        raise InputError(
            f"{where}: {len(both)} classes in both train and val, first {index.class_names[both[0]]}"
        )
    if not np.array_equal(
        np.unique(index.labels[index.splits["val"]]), np.flatnonzero(index.validation)
    ):
        raise InputError(f"{where}: the classes of val are not the validation classes")


def write_index(index: Index, path: Path) -> None:
    """Check ``index`` and write it; the file appears whole or not at all. Same index, same bytes."""
    check_index(index)
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["dataset"], file.attrs["adapter"] = index.dataset, index.adapter
        file.attrs["protocol"], file.attrs["has_images"] = index.protocol, index.has_images
        file.attrs["notes"] = json.dumps(index.notes)
        _write_strings(file, "images/path", index.paths)
        file["images/label"] = index.labels.astype(np.int32)
        _write_strings(file, "classes/name", index.class_names)
        file["classes/seen"], file["classes/validation"] = index.seen, index.validation
        for name in SPLITS:
            file[f"splits/{name}"] = np.asarray(index.splits[name], np.int64)
        for kind, vectors in index.semantics.items():
            file[f"semantics/{kind}"] = np.asarray(vectors, np.float64)
        _write_strings(file, "attributes/name", index.attribute_names)
        _write_strings(file, "attributes/group", index.attribute_groups)
        file["attributes/parts"] = index.attribute_parts.astype(bool)
        _write_strings(file, "parts/name", index.part_names)
        if index.part_locations is not None:
            file["parts/location"] = index.part_locations.astype(np.float32)
        if index.boxes is not None:
            file["images/box"] = index.boxes.astype(np.int32)


def _write_strings(file: h5py.File, name: str, values: tuple[str, ...]) -> None:
    """Write a tuple of strings as a variable-length UTF-8 dataset."""
    file.create_dataset(name, data=list(values), shape=(len(values),), dtype=h5py.string_dtype())


def read_index(path: Path) -> Index:
    """Read ``index.h5``; raises InputError where the file is absent, cut off, or not an index."""
    try:
        with h5py.File(path) as file:
            return _read(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the rule 'index' writes it") from None
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: not a readable index.h5 ({error}); delete it and run snakemake again"
        ) from None


def _read(file: h5py.File) -> Index:
    """Read an open index file into an Index; raises KeyError where a dataset is missing."""

    def strings(name: str) -> tuple[str, ...]:
        return tuple(file[name].asstr()[()])

    return Index(
        dataset=str(file.attrs["dataset"]),
        adapter=str(file.attrs["adapter"]),
        protocol=str(file.attrs["protocol"]),
        has_images=bool(file.attrs["has_images"]),
        notes=tuple(json.loads(file.attrs["notes"])),
        paths=strings("images/path"),
        labels=file["images/label"][()].astype(np.int64),
        class_names=strings("classes/name"),
        seen=file["classes/seen"][()],
        validation=file["classes/validation"][()],
        splits={name: file[f"splits/{name}"][()] for name in SPLITS},
        semantics={kind: vectors[()] for kind, vectors in file["semantics"].items()},
        attribute_names=strings("attributes/name"),
        attribute_groups=strings("attributes/group"),
        attribute_parts=file["attributes/parts"][()],
        part_names=strings("parts/name"),
        part_locations=file["parts/location"][()] if "parts/location" in file else None,
        boxes=file["images/box"][()] if "images/box" in file else None,
    )
