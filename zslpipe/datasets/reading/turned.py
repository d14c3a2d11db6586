"""Boxes and part locations of pictures that EXIF turns. They were marked in the pixels as the file
stores them; everything behind the index counts in the picture as it is shown.
"""

import numpy as np


def as_shown(places: np.ndarray, turn: int) -> np.ndarray:
    """Return (..., 2) places x, y, fractions of a picture as it is stored, as fractions of the
    picture as it is shown, which EXIF's orientation ``turn`` says.
    """
    x, y = places[..., 0], places[..., 1]
    turned = {
        1: (x, y),
        2: (1 - x, y),
        3: (1 - x, 1 - y),
        4: (x, 1 - y),
        5: (y, x),
        6: (1 - y, x),
        7: (1 - y, 1 - x),
        8: (y, 1 - x),
    }
    return np.stack(turned.get(turn, (x, y)), axis=-1)


def stored_sizes(sizes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return the (image, 2) widths and heights of pictures as stored, from those as shown and
    EXIF's orientations ``turns`` (image,).
    """
    return np.where(turns[:, None] >= 5, sizes[:, ::-1], sizes)


def turn_places(places: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return (image, place, 2) places of :func:`as_shown` for the images' orientations."""
    turned = places.copy()
    for row in np.flatnonzero(turns != 1):
        turned[row] = as_shown(places[row], int(turns[row]))
    return turned


def turn_boxes(boxes: np.ndarray, sizes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return (image, 4) boxes in pixels of the pictures as stored as boxes in pixels of them as
    shown; ``sizes`` (image, 2) are those as shown.
    """
    stored = stored_sizes(sizes, turns)
    corners = boxes.reshape(-1, 2, 2) / stored[:, None]
    turned = np.rint(turn_places(corners, turns) * sizes[:, None]).astype(np.int64)
    return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1)


def turn_note(turns: np.ndarray) -> tuple[str, ...]:
    """Return a note of how many images are turned, none where none is."""
    count = int((turns != 1).sum())
    said = f"{count} images turned as their EXIF orientation says, with their boxes and parts"
    return (said,) if count else ()
