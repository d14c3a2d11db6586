"""Read ``attention.h5``, where a trained method looks; the layout stands in
``zslpipe.runs.attention``, which writes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError

KINDS = {"attributes": "maps", "parts": "part_maps"}  # kind -> name of its maps


@dataclass(frozen=True, eq=False)
class Pictured:
    """The maps of k drawn images: maps (k, m, h, w), the rows of the index and classes (k,).

    ``maps`` are one an attribute, or (kind "parts") one a part that the method found; only the
    first kind may have ``scores`` (k, m); ``channel_maps`` are as many as maps for the second kind,
    none for the first.
    """

    title: str
    kind: str
    maps: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None
    channel_maps: np.ndarray


@dataclass(frozen=True, eq=False)
class Peaks:
    """Where the highest value of each of m maps lies in the network's square, of all test images.

    ``identity``: dataset, method, variant; ``shape``: the maps' height and width; ``images`` (n,)
    rows of the index; ``peaks`` (n, m, 2) float64: x, y as fractions of the square, the middle of a
    cell; ``train_images`` and ``train_peaks`` the same of the training images, empty for kind
    "attributes".
    """

    identity: tuple[str, str, str]
    seed: int
    kind: str
    shape: tuple[int, int]
    images: np.ndarray
    peaks: np.ndarray
    train_images: np.ndarray
    train_peaks: np.ndarray


def read_pictured(path: Path, kind: str) -> Pictured:
    """Read what is drawn from attention.h5, of maps of ``kind``.

    Raises InputError where the file is absent, damaged, not complete or of the other kind, holds no
    image, or where its parts disagree.
    """
    with _open(path) as file:
        try:
            identity, found = _identity(file)
            if found != kind:
                raise InputError(f"{path}: holds maps of {found}, this figure draws maps of {kind}")
            arrays = [_array(file, name) for name in (KINDS[kind], "images", "labels", "predicted")]
            scores = _array(file, "scores") if "scores" in file else None
            channels = _array(file, "channel_maps") if kind == "parts" else arrays[0][:, :0]
        except (OSError, KeyError) as error:
            raise _unreadable(path, error) from None
    maps, images, labels, predicted = arrays
    lengths = [len(array) for array in arrays]
    agree = maps.ndim == 4 and len(set(lengths)) == 1
    agree &= scores is None or scores.shape == maps.shape[:2]
    agree &= kind == "attributes" or channels.shape == maps.shape
    if not agree:
        raise InputError(
            f"{path}: maps {maps.shape} and {lengths[1:]} images, labels, predictions disagree"
        )
    if not len(maps):
        raise InputError(f"{path}: holds no image; delete it and run again")
    title = f"{identity[1]} / {identity[2]} on {identity[0]}"
    maps, channels = maps.astype(np.float32), channels.astype(np.float32)
    return Pictured(title, kind, maps, images, labels, predicted, scores, channels)


def read_peaks(path: Path) -> Peaks:
    """Read the peaks of all test images from attention.h5.

    Raises InputError where the file is absent, damaged, not complete, or where its parts disagree.
    """
    with _open(path) as file:
        try:
            identity, kind = _identity(file)
            shape = file[KINDS[kind]].shape
            arrays = [_array(file, f"test/{name}") for name in ("images", "peaks")]
            if kind == "parts":
                arrays += [_array(file, f"train/{name}") for name in ("images", "peaks")]
            seed = int(file.attrs["seed"])
        except (OSError, KeyError) as error:
            raise _unreadable(path, error) from None
    _check_peaks(path, shape, arrays)
    images, peaks, *training = arrays
    train_images, train_peaks = training or (images[:0], peaks[:0])
    middles = [_middles(places, shape[3], shape[2]) for places in (peaks, train_peaks)]
    return Peaks(
        identity, seed, kind, (shape[2], shape[3]), images, middles[0], train_images, middles[1]
    )


def check_pictured(pictured: Pictured, index: Index, path: Path, index_path: Path) -> None:
    """Raise InputError unless the drawn images and maps of attention.h5 (``path``) fit the index."""
    maps, last = pictured.maps.shape[1], int(pictured.images.max())
    attributes = pictured.kind == "parts" or maps == len(index.attribute_names)
    classes = max(int(pictured.labels.max()), int(pictured.predicted.max())) < len(
        index.class_names
    )
    if not (attributes and classes and last < len(index.paths)):
        found = f"{maps} {pictured.kind}, images up to {last}"
        raise InputError(
            f"{path}: does not belong to {index_path}: it has {found}; run the scoring again"
        )


def _open(path: Path) -> h5py.File:
    """Open attention.h5; InputError where it is absent, no HDF5 file or not complete."""
    try:
        file = h5py.File(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the rule 'attend' writes it") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if not file.attrs.get("complete", False):
        file.close()
        raise InputError(
            f"{path}: not stamped complete; its writer stopped early: delete it and run again"
        )
    return file


def _unreadable(path: Path, error: Exception) -> InputError:
    """Return the error of a file that lacks something or cannot be read."""
    reason = str(error).strip("\"'")
    return InputError(f"{path}: not a readable attention.h5 ({reason}); delete it and run again")


def _identity(file: h5py.File) -> tuple[tuple[str, str, str], str]:
    """Return (dataset, method, variant) and the kind of maps; raises KeyError where one is absent
    or unknown.
    """
    kind = str(file.attrs["kind"])
    if kind not in KINDS:
        raise KeyError(f"maps of unknown kind {kind}")
    return (str(file.attrs["dataset"]), str(file.attrs["method"]), str(file.attrs["variant"])), kind


def _array(file: h5py.File, name: str) -> np.ndarray:
    """Return a whole dataset; raises KeyError where there is none of that name."""
    return np.asarray(file[name][()])


def _check_peaks(path: Path, shape: Sequence[int], arrays: Sequence[np.ndarray]) -> None:
    """Raise InputError unless (images, peaks, images, peaks ...) agree in number and peaks lie in
    the square.
    """
    for images, peaks in zip(arrays[::2], arrays[1::2], strict=True):
        if len(shape) != 4 or peaks.shape != (len(images), shape[1], 2):
            raise InputError(
                f"{path}: maps {tuple(shape)}, {len(images)} images and peaks {peaks.shape} disagree"
            )
        inside = ((peaks > 0) & (peaks < 1)).all()  # false for NaN
        if not (
            inside and np.allclose(peaks, _middles(peaks, shape[3], shape[2]), rtol=0, atol=1e-5)
        ):
            size = f"{shape[2]} x {shape[3]}"
            raise InputError(
                f"{path}: peaks that are no middles of cells of the {size} maps; delete it and run again"
            )


def _middles(peaks: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return float32 peaks as the exact middles, float64, of the cells that they lie in."""
    cells = np.array([width, height])
    return (np.floor(peaks.astype(np.float64) * cells) + 0.5) / cells
