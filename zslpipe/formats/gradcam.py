"""``gradcam.h5``: Grad-CAM maps of an image's class, with the whole rule and without an attribute.
Layout::

    attrs              dataset, method, variant, seed, run (JSON: the run as it was configured),
                       complete; cell_first, cell_step: along either axis
                       cell i of a map looks at cell_first + i * cell_step, as a fraction of
                       the square that the network sees
    images             (k,)           rows of index.h5: unseen test images, each of another class
    labels, predicted  (k,)           true class, which the maps are of, and predicted class (all
                                      classes compete)
    attributes         (k, m)         the attributes taken away from that class's rule, one at a
                                      time
    maps               (k, h, w)      float32, at least 0: with the whole rule
    maps_without       (k, m, h, w)   float32: without each of them; half precision would drown the
                                      differences
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
    cell_centres,
    identity,
    read_stamped,
    stamped,
    write_maps,
)
from zslpipe.machine.errors import InputError

ARRAYS = ("maps", "maps_without", "attributes", "images", "labels", "predicted")


@dataclass(frozen=True, eq=False)
class Explained:
    """gradcam.h5: maps (k, h, w), whose cells look at ``centres``, maps_without (k, m, h, w),
    attributes (k, m), the rest (k,).
    """

    title: str
    centres: CellCentres
    maps: np.ndarray
    maps_without: np.ndarray
    attributes: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray


def write_explained(
    output: Path,
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
    seed: int,
    centres: CellCentres,
) -> None:
    """Write ``arrays``, by the names of the layout, of the run ``spec``; whole or not at all."""
    with stamped(output) as file:
        write_maps(file, arrays, spec, seed, centres)


def read_explained(path: Path) -> Explained:
    """Read gradcam.h5; InputError where it is absent, damaged, not complete, empty, or its parts
    disagree.
    """
    explained = read_stamped(path, _read, "gradcam.h5", "the sub-command 'grad-cam'")
    arrays = [getattr(explained, name) for name in ARRAYS]
    maps, without, attributes = arrays[:3]
    agree = maps.ndim == 3 and attributes.ndim == 2 and len({len(array) for array in arrays}) == 1
    if not (agree and without.shape == (*attributes.shape, *maps.shape[1:])):
        shapes = ", ".join(
            f"{name} {array.shape}" for name, array in zip(ARRAYS, arrays, strict=True)
        )
        raise InputError(f"{path}: its parts disagree: {shapes}; delete it and run again")
    if not len(maps):
        raise InputError(f"{path}: holds no image; delete it and run again")
    return explained


def _read(file: h5py.File) -> Explained:
    """Read an open file; raises KeyError where a part is missing."""
    dataset, method, variant = identity(file)
    title = f"{method} / {variant} on {dataset}: Grad-CAM"
    return Explained(title, cell_centres(file), *(array(file, name) for name in ARRAYS))
