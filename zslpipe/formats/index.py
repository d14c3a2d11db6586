"""``index.h5``: everything about a dataset but its pixels.

Layout (all class and image numbers 0-based)::

    attrs                    dataset, adapter, made_of (hash of the adapter's settings; absent in
                             earlier files), protocol (whose division into seen and unseen;
                             "proposed split" is that of the papers' numbers, "standard split" that
                             of some), has_images, notes (JSON list of what was corrected)
    images/path              (image,)       relative to the dataset's image folder; absent paths
                                            are refused
    images/label             (image,)       class number
    images/box               (image, 4)     optional: left, top, right, bottom in pixels, cropped
                                            at reading
    classes/name, seen, validation
                             (class,)       validation classes are seen classes set aside for
                                            choosing
    splits/trainval, test_seen, test_unseen, train, val
                                            image numbers; train + val = trainval, no class in
                                            both; test_seen is empty under a standard split alone
    attributes/name, group   (attribute,)   group = body part or kind, "" where unknown
    attributes/parts         (attribute, part)   which parts an attribute is about
    semantics/{kind}         (class, ?)     raw class vectors: att, original_att, sent_att ...
    parts/name               (part,)
    parts/location           (image, part, 2)    x, y as fractions of the image (of the box, if
                                                 any); NaN = not visible
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from zslpipe.formats.class_vectors import all_alike, normalised, notes_on_likeness
from zslpipe.formats.hdf5 import array, attribute, read_hdf5, sealed, texts, write_texts
from zslpipe.machine.errors import InputError, nearest
from zslpipe.names import readable, text_name
from zslpipe.provenance import made_of_hash, settings_hash

logger = logging.getLogger(__name__)

SPLITS = ("trainval", "test_seen", "test_unseen", "train", "val")
# Xian et al. 2018; DeepFashion's is that of Huynh & Elhamifar 2020. Published numbers stand beside
# no other.
PROPOSED_SPLIT = "proposed split"
# Xian et al. 2018 again: what was used before; it sets no image of a seen class aside.
STANDARD_SPLIT = "standard split"
OWN_SPLIT = "own split"
# Splits that share no image, and whether images of a split are of seen classes.
APART = (
    ("trainval", "test_seen"),
    ("trainval", "test_unseen"),
    ("test_seen", "test_unseen"),
    ("train", "val"),
)
# Of a number in a class vector: its square has to fit float32.
LARGEST = 1e18
OF_SEEN = {"trainval": True, "test_seen": True, "test_unseen": False}


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
    made_of: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)  # of vectors beside the file's own

    def told(self, kind: str) -> str:
        """Return a kind of class vectors as tables name it, with its source where it has one."""
        return f"{kind}: {self.sources[kind]}" if kind in self.sources else kind

    def class_vectors(self, kind: str, normalisation: str) -> np.ndarray:
        """Return the (class, ?) vectors of one kind, float64, normalised as asked.

        ``normalisation`` as :func:`zslpipe.formats.class_vectors.normalised`. Raises InputError
        for an unknown kind or normalisation.
        """
        if kind not in self.semantics:
            known = nearest(kind, self.semantics)
            if text_name(kind) is not None:
                known = "give their file, of the command encode-texts, with --texts"
            raise InputError(f"dataset {self.dataset!r} has no class vectors {kind!r}; {known}")
        return normalised(np.asarray(self.semantics[kind], np.float64), normalisation)


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
    may_be_empty = ("test_seen",) if index.protocol.startswith(STANDARD_SPLIT) else ()
    for name in ("trainval", "test_seen", "test_unseen"):
        if len(index.splits[name]) == 0 and name not in may_be_empty:
            raise InputError(f"{where}: split {name} is empty")
    _check_splits(index, where)
    for kind, vectors in index.semantics.items():
        usable = np.isfinite(vectors) & (np.abs(vectors) < LARGEST)
        bad = ~usable.all(axis=1) | ~np.any(vectors, axis=1)
        if bad.any():
            names = ", ".join(np.asarray(index.class_names)[bad][:5])
            fault = f"NaN, all zero, or beyond {LARGEST:.0e}"
            found = f"{bad.sum()} classes without usable {kind!r} vectors ({fault})"
            raise InputError(f"{where}: {found}: {names}")
    if index.semantics and all(map(all_alike, index.semantics.values())):
        fault = f"all {len(index.class_names)} classes have the same class vector"
        raise InputError(f"{where}: {fault}; give attributes by which classes differ")


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
        limits = f"{index.labels.min()} to {index.labels.max()}"
        raise InputError(f"{where}: labels go from {limits}, there are {classes} classes")


def _check_splits(index: Index, where: str) -> None:
    """Raise InputError on any leak between splits."""
    for name, rows in index.splits.items():
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(index.paths)):
            raise InputError(
                f"{where}: split {name} names image {rows.max() + 1}, there are {len(index.paths)}"
            )
        repeated = len(rows) - len(np.unique(rows))
        if repeated:
            raise InputError(f"{where}: split {name} lists {repeated} images twice")
    for first, second in APART:
        shared = np.intersect1d(index.splits[first], index.splits[second])
        if len(shared):
            found = f"{len(shared)} images lie in both {first} and {second}"
            raise InputError(f"{where}: {found}, first {index.paths[shared[0]]}")
    _check_split_classes(index, where)


def _check_split_classes(index: Index, where: str) -> None:
    """Raise InputError where a split holds images of classes that it must not, or lacks some."""
    labels = {name: index.labels[rows] for name, rows in index.splits.items()}
    for name, seen in OF_SEEN.items():
        wrong = labels[name][index.seen[labels[name]] != seen]
        if len(wrong):
            found = f"{len(wrong)} images of {'unseen' if seen else 'seen'} classes in {name}"
            raise InputError(f"{where}: {found}, first {index.class_names[wrong[0]]}")
    untrained = np.setdiff1d(labels["test_seen"], labels["trainval"])
    if len(untrained):
        found = f"{len(untrained)} classes of test_seen have no training image"
        raise InputError(f"{where}: {found}, first {index.class_names[untrained[0]]}")
    if index.seen.sum() < 2:
        fault = f"{index.seen.sum()} seen classes"
        raise InputError(f"{where}: {fault}; two are needed to train on, and unseen ones to test")
    idle = np.setdiff1d(np.flatnonzero(index.seen), labels["trainval"])
    if len(idle):
        found = f"{len(idle)} seen classes have no training image"
        raise InputError(f"{where}: {found}, first {index.class_names[idle[0]]}")
    together = np.concatenate([index.splits["train"], index.splits["val"]])
    if not np.array_equal(np.sort(together), np.sort(index.splits["trainval"])):
        raise InputError(f"{where}: train and val together are not trainval")
    both = np.intersect1d(labels["train"], labels["val"])
    if len(both):
        found = f"{len(both)} classes in both train and val"
        raise InputError(f"{where}: {found}, first {index.class_names[both[0]]}")
    if not np.array_equal(np.unique(labels["val"]), np.flatnonzero(index.validation)):
        raise InputError(f"{where}: the classes of val are not the validation classes")


def write_index(index: Index, path: Path, settings: Mapping[str, object] | None = None) -> None:
    """Check ``index`` (InputError) and write it, whole or not at all, with the hash of the
    adapter's complete ``settings`` where they are given. Same index, same bytes.

    Classes that no method can tell apart are noted in the file, and the log warns of them.
    """
    check_index(index)
    likeness = notes_on_likeness(index.semantics, index.class_names, index.seen)
    for note in likeness:
        logger.warning("dataset %r: %s", index.dataset, note)
    made_of = index.made_of if settings is None else made_of_hash(settings)
    with sealed(path) as file:
        file.attrs["dataset"], file.attrs["adapter"] = index.dataset, index.adapter
        file.attrs["protocol"], file.attrs["has_images"] = index.protocol, index.has_images
        file.attrs["made_of"] = made_of
        file.attrs["notes"] = json.dumps([*map(readable, index.notes), *likeness])
        write_texts(file, "images/path", index.paths)
        file["images/label"] = index.labels.astype(np.int32)
        write_texts(file, "classes/name", index.class_names)
        file["classes/seen"], file["classes/validation"] = index.seen, index.validation
        for name in SPLITS:
            file[f"splits/{name}"] = np.asarray(index.splits[name], np.int64)
        for kind, vectors in index.semantics.items():
            file[f"semantics/{kind}"] = np.asarray(vectors, np.float64)
        write_texts(file, "attributes/name", index.attribute_names)
        write_texts(file, "attributes/group", index.attribute_groups)
        file["attributes/parts"] = index.attribute_parts.astype(bool)
        write_texts(file, "parts/name", index.part_names)
        if index.part_locations is not None:
            file["parts/location"] = index.part_locations.astype(np.float32)
        if index.boxes is not None:
            file["images/box"] = index.boxes.astype(np.int32)


def read_index(path: Path) -> Index:
    """Read ``index.h5``; raises InputError where the file is absent, cut off, or not an index."""
    return read_hdf5(path, _read, "index.h5", "the rule 'index'")


def _read(file: h5py.File) -> Index:
    """Read an open index file into an Index; raises KeyError where a dataset is missing."""
    splits = {name: array(file, f"splits/{name}") for name in SPLITS}
    return Index(
        dataset=str(attribute(file, "dataset")),
        adapter=str(attribute(file, "adapter")),
        protocol=str(attribute(file, "protocol")),
        has_images=bool(attribute(file, "has_images")),
        notes=tuple(json.loads(attribute(file, "notes"))),
        paths=texts(file, "images/path"),
        labels=array(file, "images/label").astype(np.int64),
        class_names=texts(file, "classes/name"),
        seen=array(file, "classes/seen"),
        validation=array(file, "classes/validation"),
        splits=splits,
        semantics=_semantics(file),
        attribute_names=texts(file, "attributes/name"),
        attribute_groups=texts(file, "attributes/group"),
        attribute_parts=array(file, "attributes/parts"),
        part_names=texts(file, "parts/name"),
        part_locations=array(file, "parts/location") if "parts/location" in file else None,
        boxes=array(file, "images/box") if "images/box" in file else None,
        made_of=str(file.attrs.get("made_of", "")),
    )


def _semantics(file: h5py.File) -> dict[str, np.ndarray]:
    """Return all kinds of class vectors of an open file; raises KeyError where there are none."""
    if "semantics" not in file:
        raise KeyError("it lacks semantics")
    return {kind: array(file, f"semantics/{kind}") for kind in file["semantics"]}
