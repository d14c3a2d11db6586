"""Pictures with maps over them, image by image: attributes, parts of the body, found parts,
Grad-CAM.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.attention import Pictured, check_pictured, read_pictured
from zslpipe.formats.index import Index
from zslpipe.formats.told import read_kind
from zslpipe.maps.body_parts import body_parts, present_attributes
from zslpipe.maps.central_square import SIDE, load_square
from zslpipe.reports.figures import attributes, channels
from zslpipe.reports.figures import body_parts as part_figures
from zslpipe.reports.figures.overlays import greyed, painted, stretch
from zslpipe.reports.figures.style import HEAT, class_title, plain_name
from zslpipe.reports.page.given import Given
from zslpipe.reports.page.pictures import THUMBNAIL, pixel_data

Tile = dict[str, Any]
Draw = Callable[[Index, Pictured, int, np.ndarray, np.ndarray], list[Tile]]


def attribute_galleries(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return a gallery a run with maps of attributes, of attributes that an image's class has and
    lacks.
    """
    return _galleries(given, dataset, "attributes", _attribute_tiles)


def part_galleries(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return a gallery a run with maps of attributes, of the body's main parts; none where no
    attribute is about an annotated part.
    """
    if not given.indices[dataset].attribute_parts.any():
        return []
    return _galleries(given, dataset, "attributes", _part_tiles)


def channel_galleries(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return a gallery a run with maps of parts that it finds itself."""
    return _galleries(given, dataset, "parts", _channel_tiles)


def _galleries(given: Given, dataset: str, kind: str, draw: Draw) -> list[dict[str, Any]]:
    """Return a gallery for each attention.h5 of a dataset with maps of a kind."""
    index = given.indices[dataset]
    found = []
    for path, run in given.pictured_of(dataset, "attention.h5"):
        if read_kind(path) != kind:
            continue
        pictured = read_pictured(path, kind)
        check_pictured(pictured, index, path, path)
        slides = []
        for row in range(len(pictured.images)):
            image = int(pictured.images[row])
            picture, places = load_square(index, image, given.images[dataset])
            tiles = draw(index, pictured, row, picture, places)
            labels = int(pictured.labels[row]), int(pictured.predicted[row])
            slides.append(slide(index, labels, picture, tiles))
        found.append({"name": run, "slides": slides})
    return found


def slide(
    index: Index, labels: tuple[int, int], picture: np.ndarray, tiles: Sequence[Tile]
) -> dict[str, Any]:
    """Return an image of a gallery: its true and predicted class, itself, and its ``tiles``."""
    label, predicted = labels
    true, said = class_title(index.class_names[label]), class_title(index.class_names[predicted])
    told = "predicted: the same" if label == predicted else f"predicted: {said}"
    own = {"src": pixel_data(picture), "caption": [f"true: {true}", told], "places": []}
    return {
        "thumbnail": pixel_data(picture, THUMBNAIL),
        "name": true,
        "right": label == predicted,
        "tiles": [own, *tiles],
    }


def tile(
    picture: np.ndarray, values: np.ndarray, centres: CellCentres, caption: Sequence[str]
) -> Tile:
    """Return a map, from its lowest value to its highest, over the greyed picture."""
    pixels = painted(greyed(picture), stretch(values), centres, 1.0, HEAT)
    return {"src": pixel_data(pixels), "caption": list(caption), "places": []}


def _placed(found: Tile, places: np.ndarray) -> Tile:
    """Return a tile with circles at the (part, 2) places in view, in per cent of the picture."""
    inside = places[~np.isnan(places).any(axis=1)]
    return found | {"places": (100 * (inside + 0.5) / SIDE).round(1).tolist()}


def _attribute_tiles(
    index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray
) -> list[Tile]:
    """Return the maps of the attributes that the figure of attention maps shows as well."""
    tiles = []
    for attribute, has in attributes.shown_attributes(index, pictured, row, places):
        caption = [plain_name(index.attribute_names[attribute]), "has" if has else "lacks"]
        if pictured.scores is not None:
            caption[1] += f", score {pictured.scores[row, attribute]:+.2f}"
        found = tile(picture, pictured.maps[row, attribute], pictured.centres, caption)
        about = index.attribute_parts[attribute]
        tiles.append(_placed(found, places[about] if len(places) else places))
    return tiles


def _part_tiles(
    index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray
) -> list[Tile]:
    """Return the maps of the main parts of the body."""
    parts = body_parts(index)
    about = index.attribute_parts @ parts.members.T
    has = present_attributes(index)[pictured.labels[row]][:, None] & about
    tiles = []
    for number in part_figures.main_parts(about):
        attention = part_figures.part_map(pictured.maps[row], has[:, number])
        count = int(has[:, number].sum())
        caption = [plain_name(parts.names[number]), told_count(count)]
        drawn = np.zeros((1, 1)) if attention is None else attention
        found = tile(picture, drawn, pictured.centres, caption)
        tiles.append(_placed(found, places[parts.members[number]] if len(places) else places))
    return tiles


def told_count(count: int) -> str:
    """Return of how many attributes a part's map is the mean."""
    return "none of its attributes" if not count else f"{count} attribute{'s' * (count > 1)}"


def _channel_tiles(
    index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray
) -> list[Tile]:
    """Return the groups of channels and the maps learnt from them."""
    tiles = []
    for name, values in channels.named_maps(pictured, row):
        tiles.append(tile(picture, values, pictured.centres, [name]))
    return tiles
