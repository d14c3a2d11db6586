"""``gradcam.h5``: Grad-CAM maps of an image's class, with the whole rule and without an attribute.
Layout::


attrs              dataset, method, variant, seed, complete
images             (k,)           rows of index.h5: unseen test images, each of another class
labels, predicted  (k,)           true class, which the maps are of, and predicted class (all classes compete)
attributes         (k, 2)         the attributes taken away from that class's rule, one at a time
maps               (k, h, w)      float32, at least 0: with the whole rule
maps_without       (k, 2, h, w)   float32: without each of the two; half precision would drown the differences
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole


@dataclass(frozen=True, eq=False)
class Explained:
    """gradcam.h5: maps (k, h, w), maps_without (k, m, h, w), attributes (k, m), the rest (k,)."""

    title: str
    maps: np.ndarray
    maps_without: np.ndarray
    attributes: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray


def read_explained(path: Path) -> Explained:
    """Read gradcam.h5; InputError where it is absent, damaged, not complete, empty, or its parts
    disagree.
    """
    names = ("maps", "maps_without", "attributes", "images", "labels", "predicted")
    try:
        with h5py.File(path) as file:
            title = f"{file.attrs['method']} / {file.attrs['variant']} on {file.attrs['dataset']}: Grad-CAM"
            if not file.attrs.get("complete", False):
                raise InputError(
                    f"{path}: not stamped complete; its writer stopped early: delete it and run again"
                )
            arrays = [np.asarray(file[name][()]) for name in names]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the sub-command 'grad-cam' writes it") from None
    except (OSError, KeyError) as error:
        reason = str(error).strip("\"'")
        raise InputError(
            f"{path}: not a readable gradcam.h5 ({reason}); delete it and run again"
        ) from None
    maps, without, attributes = arrays[:3]
    agree = maps.ndim == 3 and attributes.ndim == 2 and len({len(array) for array in arrays}) == 1
    if not (agree and without.shape == (*attributes.shape, *maps.shape[1:])):
        shapes = ", ".join(
            f"{name} {array.shape}" for name, array in zip(names, arrays, strict=True)
        )
        raise InputError(f"{path}: its parts disagree: {shapes}; delete it and run again")
    if not len(maps):
        raise InputError(f"{path}: holds no image; delete it and run again")
    return Explained(title, *arrays)


def write_explained(output: Path, arrays: dict[str, np.ndarray], spec: dict, seed: int) -> None:
    """Write the file whole or not at all."""
    with written_whole(output) as temporary, h5py.File(temporary, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        for name in ("dataset", "method", "variant"):
            file.attrs[name] = spec[name]
        file.attrs["seed"], file.attrs["complete"] = seed, True
