"""Grad-CAM of crafted networks, with an attribute taken away, image by image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.gradcam import Explained, read_explained
from zslpipe.formats.index import Index
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.gradcam import check_explained
from zslpipe.reports.figures.overlays import greyed, painted
from zslpipe.reports.figures.style import CHANGE, HEAT, plain_name
from zslpipe.reports.page.galleries import slide
from zslpipe.reports.page.given import Given
from zslpipe.reports.page.pictures import pixel_data


def grad_cam_galleries(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return a gallery for each gradcam.h5 of a dataset."""
    index = given.indices[dataset]
    found = []
    for path, run in given.pictured_of(dataset, "gradcam.h5"):
        found.append({"name": run, "slides": _slides(index, path, given.images[dataset])})
    return found


def _slides(index: Index, path: Path, image_root: Path) -> list[dict[str, Any]]:
    """Return the images of a gradcam.h5."""
    explained = read_explained(path)
    check_explained(explained, index, path, path)
    slides = []
    for row, image in enumerate(explained.images):
        picture, _ = load_square(index, int(image), image_root)
        labels = int(explained.labels[row]), int(explained.predicted[row])
        slides.append(slide(index, labels, picture, _tiles(index, explained, row, picture)))
    return slides


def _tiles(
    index: Index, explained: Explained, row: int, picture: np.ndarray
) -> list[dict[str, Any]]:
    """Return the whole map, then for each attribute the map without it and the change; maps share
    one scale, changes another.
    """
    grey, centres = greyed(picture), explained.centres
    whole, without = explained.maps[row], explained.maps_without[row]
    highest, own = max(float(whole.max()), float(without.max())), float(whole.max())
    changes = without - whole
    largest = float(np.abs(changes).max())
    heated = painted(grey, whole, centres, highest, HEAT)
    tiles = [_tile(heated, ["all attributes", "of the true class"])]
    for number, attribute in enumerate(explained.attributes[row]):
        name = plain_name(index.attribute_names[attribute])
        left = painted(grey, without[number], centres, highest, HEAT)
        tiles.append(_tile(left, ["without", name]))
        most = changes[number].flat[np.abs(changes[number]).argmax()]
        told = f"at most {100 * most / own:+.1f} %" if own > 0 else "no map"
        change = painted(grey, changes[number], centres, largest, CHANGE)
        tiles.append(_tile(change, ["change", told]))
    return tiles


def _tile(pixels: np.ndarray, caption: Sequence[str]) -> dict[str, Any]:
    """Return a picture with what stands below it."""
    return {"src": pixel_data(pixels), "caption": list(caption), "places": []}
