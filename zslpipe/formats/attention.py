"""``attention.h5``: where a trained method looks. Layout::

    attrs             dataset, method, variant, seed, kind ("attributes" or "parts"), run (JSON: the
                      run as it was configured), complete;
                      cell_first, cell_step: along either axis cell i of a map looks at
                      cell_first + i * cell_step, as a fraction of the square that the network sees
    images            (k,)           rows of index.h5: unseen test images that are drawn, each of
                                     another class
    labels, predicted (k,)           true and predicted class (all classes as label space)
    maps              (k, a, h, w)   float16, kind "attributes": a map an attribute
    scores            (k, a)         float32, where the method has attribute scores
    part_maps         (k, m, h, w)   float16, kind "parts": maps of parts that the method finds
                                     itself
    channel_maps      (k, m, h, w)   float16, the groups of channels they began with
    test/images       (n,)           rows of all test images
    test/peaks        (n, a or m, 2) float32: x, y of the centre of each map's highest cell as
                                     fractions of that square
    train/images, train/peaks        the same of the training images, kind "parts"

Which part of the body a found part stands for is told on the training images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.hdf5 import (
    array,
    attribute,
    cell_centres,
    dataset,
    identity,
    read_stamped,
    stamped,
    write_maps,
)
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError

WRITER = "the rule 'attend'"
KINDS = {"attributes": "maps", "parts": "part_maps"}  # kind -> name of its maps


@dataclass(frozen=True, eq=False)
class Pictured:
    """The maps of k drawn images: maps (k, m, h, w), the rows of the index and classes (k,).

    ``maps`` are one an attribute, or (kind "parts") one a part that the method found; only the
    first kind may have ``scores`` (k, m); ``channel_maps`` are as many as maps for the second kind,
    none for the first; ``centres``: where the cells of all maps look.
    """

    title: str
    kind: str
    maps: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None
    channel_maps: np.ndarray
    centres: CellCentres


@dataclass(frozen=True, eq=False)
class Peaks:
    """Where the highest value of each of m maps lies in the network's square, of all test images.

    ``identity``: dataset, method, variant; ``shape``: the maps' height and width; ``centres``:
    where their cells look; ``images`` (n,) rows of the index; ``peaks`` (n, m, 2) float64: x, y as
    fractions of the square, the centre of a cell; ``train_images`` and ``train_peaks`` the same of
    the training images, empty for kind "attributes".
    """

    identity: tuple[str, str, str]
    seed: int
    kind: str
    shape: tuple[int, int]
    centres: CellCentres
    images: np.ndarray
    peaks: np.ndarray
    train_images: np.ndarray
    train_peaks: np.ndarray


def write_attention(
    output: Path,
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
    seed: int,
    kind: str,
    centres: CellCentres,
) -> None:
    """Write ``arrays``, by the names of the layout, of the run ``spec``; whole or not at all."""
    with stamped(output) as file:
        write_maps(file, arrays, spec, seed, centres)
        file.attrs["kind"] = kind


def read_pictured(path: Path, kind: str) -> Pictured:
    """Read what is drawn from attention.h5, of maps of ``kind``.

    Raises InputError where the file is absent, damaged, not complete or of the other kind, holds no
    image, or where its parts disagree.
    """
    pictured = read_stamped(path, _read_pictured, "attention.h5", WRITER)
    maps, scores, channels = pictured.maps, pictured.scores, pictured.channel_maps
    if pictured.kind != kind:
        raise InputError(f"{path}: holds maps of {pictured.kind}, this figure draws maps of {kind}")
    lengths = [len(values) for values in (pictured.images, pictured.labels, pictured.predicted)]
    agree = maps.ndim == 4 and set(lengths) == {len(maps)}
    agree &= scores is None or scores.shape == maps.shape[:2]
    agree &= kind == "attributes" or channels.shape == maps.shape
    if not agree:
        raise InputError(
            f"{path}: maps {maps.shape} and {lengths} images, labels, predictions disagree"
        )
    if not len(maps):
        raise InputError(f"{path}: holds no image; delete it and run again")
    return pictured


def _read_pictured(file: h5py.File) -> Pictured:
    """Read what is drawn from an open file; raises KeyError where a part is missing."""
    kind = _kind(file)
    name, method, variant = identity(file)
    maps = array(file, KINDS[kind]).astype(np.float32)
    channels = array(file, "channel_maps").astype(np.float32) if kind == "parts" else maps[:, :0]
    return Pictured(
        title=f"{method} / {variant} on {name}",
        kind=kind,
        maps=maps,
        images=array(file, "images"),
        labels=array(file, "labels"),
        predicted=array(file, "predicted"),
        scores=array(file, "scores") if "scores" in file else None,
        channel_maps=channels,
        centres=cell_centres(file),
    )


def read_peaks(path: Path) -> Peaks:
    """Read the peaks of all test images from attention.h5.

    Raises InputError where the file is absent, damaged, not complete, or where its parts disagree.
    """
    return read_stamped(path, _read_peaks, "attention.h5", WRITER)


def _read_peaks(file: h5py.File) -> Peaks:
    """Read the peaks from an open file; raises KeyError where a part is missing, ValueError where
    parts disagree.
    """
    kind = _kind(file)
    shape = dataset(file, KINDS[kind]).shape
    if len(shape) != 4:
        raise ValueError(f"maps of shape {shape}, expected (image, map, height, width)")
    centres = cell_centres(file)
    images, peaks = _images_and_peaks(file, "test", shape, centres)
    train_images, train_peaks = images[:0], peaks[:0]
    if kind == "parts":
        train_images, train_peaks = _images_and_peaks(file, "train", shape, centres)
    return Peaks(
        identity=identity(file),
        seed=int(attribute(file, "seed")),
        kind=kind,
        shape=(shape[2], shape[3]),
        centres=centres,
        images=images,
        peaks=peaks,
        train_images=train_images,
        train_peaks=train_peaks,
    )


def _images_and_peaks(
    file: h5py.File, group: str, shape: tuple[int, ...], centres: CellCentres
) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n,) and exact peaks (n, m, 2) of a group, of maps of ``shape`` (k, m, h, w).

    Raises ValueError unless they agree in number and peaks are centres of cells of the maps.
    """
    images, peaks = array(file, f"{group}/images"), array(file, f"{group}/peaks")
    if peaks.shape != (len(images), shape[1], 2):
        raise ValueError(f"maps {shape}, {len(images)} images and peaks {peaks.shape} disagree")
    highest = np.array([shape[3], shape[2]]) - 1
    nearest = centres.of(np.rint(centres.cells_at(peaks)).clip(0, highest))
    if not np.allclose(peaks, nearest, rtol=0, atol=1e-5):  # false for NaN
        size = f"{shape[2]} x {shape[3]}"
        raise ValueError(f"peaks that are no centres of cells of the {size} maps")
    return images, nearest


def check_pictured(pictured: Pictured, index: Index, path: Path, index_path: Path) -> None:
    """Raise InputError unless images and maps of attention.h5 (``path``) fit the index."""
    maps, last = pictured.maps.shape[1], int(pictured.images.max())
    largest = max(int(pictured.labels.max()), int(pictured.predicted.max()))
    fits = largest < len(index.class_names) and last < len(index.paths)
    fits &= pictured.kind == "parts" or maps == len(index.attribute_names)
    if not fits:
        found = f"{maps} {pictured.kind}, images up to {last}"
        raise InputError(
            f"{path}: does not belong to {index_path}: it has {found}; run the scoring again"
        )


def _kind(file: h5py.File) -> str:
    """Return the kind of maps; raises KeyError where it is absent or unknown."""
    kind = str(attribute(file, "kind"))
    if kind not in KINDS:
        raise KeyError(f"maps of unknown kind {kind}")
    return kind
