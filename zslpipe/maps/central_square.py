"""What a network sees of an image, its central square: the pixels, the annotated body parts in it,
and which attributes its class has.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.pictures import FAULTS, load_picture, picture_size

SIDE = 224  # pixels of a drawn picture: the usual input side


def image_sizes(index: Index, rows: np.ndarray, image_root: Path) -> np.ndarray:
    """Return (n, 2) widths and heights in pixels of the images ``rows`` (of their boxes, if any),
    from headers alone.

    Raises InputError for files that are missing or no images.
    """
    if index.boxes is not None:
        boxes = index.boxes[rows].astype(np.float64)
        extents: np.ndarray = boxes[:, 2:] - boxes[:, :2]
        return extents
    sizes, failed = [], []
    for row in rows.tolist():
        try:
            sizes.append(picture_size(image_root / index.paths[row]))
        except FAULTS:
            failed.append(index.paths[row])
    if failed:
        found = f"{len(failed)} images missing or not readable"
        first = ", ".join(failed[:5])
        raise InputError(f"{image_root}: {found}, first {first}; the right folder?")
    return np.array(sizes, np.float64).reshape(-1, 2)


def central_squares(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return upper left corners (n, 2) and sides (n, 1), in pixels, of the central squares of (n,
    2) image sizes.
    """
    sides = sizes.min(axis=1, keepdims=True)
    return (sizes - sides) / 2, sides


def places_in_square(locations: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return part locations (n, part, 2), fractions of images of ``sizes`` (n, 2), as fractions of
    the central square.

    NaN where a part is not annotated or lies outside the square.
    """
    corners, sides = central_squares(sizes)
    places = (locations.astype(np.float64) * sizes[:, None] - corners[:, None]) / sides[:, None]
    inside = ((places >= 0) & (places <= 1)).all(axis=2, keepdims=True)
    return np.where(inside, places, np.nan)


def load_square(index: Index, image: int, image_root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return an image's central square (SIDE, SIDE, 3) in 0..1 and its parts (part, 2) as x, y in
    these pixels.

    Parts that are not annotated or lie outside the square are NaN. Raises InputError for a missing
    or damaged file.
    """
    cropped = None if index.boxes is None else index.boxes[image]
    picture = load_picture(image_root, index.paths[image], cropped)
    size = np.array([picture.size], np.float64)
    corners, sides = central_squares(size)
    box = (*corners[0], *(corners[0] + sides[0]))
    resized = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)
    square = np.asarray(resized, np.float64) / 255
    if index.part_locations is None:
        return square, np.empty((0, 2))
    return square, places_in_square(index.part_locations[image][None], size)[0] * SIDE - 0.5
