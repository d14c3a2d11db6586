"""Where a method sees the main body parts, from the maps of the attributes about them: figure 7 of
RSAN.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.attention import Pictured, check_pictured, read_pictured
from zslpipe.formats.index import Index, read_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.body_parts import BodyParts, body_parts, present_attributes
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.overlays import draw_image, draw_map, stretch
from zslpipe.reports.figures.style import STYLE, plain_name, save_figure, write_around

PARTS = 5  # RSAN, fig. 7
KEY = (
    "circle: annotated place of the part (none: not in view);"
    " colours: mean of the maps of the class's\n"
    "attributes about the part, each from its lowest to its highest value"
)


def part_maps(
    attention: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with a map of each main body part; return the
    paths of both files.

    A row an image: the image, then the five body parts that most attributes are about (left and
    right are one; the first of equals). A part's map is the mean of the maps, each from 0 to 1, of
    the attributes about it that the image's class has (at least as strong as on average over
    classes); the part's annotated place is circled. Raises InputError for an absent, empty or
    damaged file, maps of found parts or that do not fit the index, a missing image, and a dataset
    whose attributes are about no annotated part.
    """
    contents, pictured = read_index(index), read_pictured(attention, "attributes")
    check_pictured(pictured, contents, attention, index)
    parts, present = body_parts(contents), present_attributes(contents)
    about = contents.attribute_parts @ parts.members.T
    chosen = main_parts(about)
    if not chosen:
        raise InputError(
            f"{index}: no attribute of dataset {contents.dataset!r} is about an annotated part"
        )
    rows, columns = len(pictured.images), len(chosen) + 1
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.75 * columns + 0.4, 2.05 * rows + 0.7), layout="constrained")
        for row, axes in enumerate(figure.subplots(rows, columns, squeeze=False)):
            has = present[pictured.labels[row]][:, None] & about
            _draw_row(axes, contents, pictured, row, has, parts, chosen, image_root)
        write_around(figure, pictured.title, KEY)
        return save_figure(figure, output_stem)


def main_parts(about: np.ndarray) -> list[int]:
    """Return the at most five body parts that most attributes are about, most first, from
    (attribute, body part) bool; parts without attributes are none.
    """
    counts = about.sum(axis=0)
    order = np.argsort(-counts, kind="stable")[:PARTS]
    return [int(number) for number in order if counts[number]]


def part_map(maps: np.ndarray, attributes: np.ndarray) -> np.ndarray | None:
    """Return the mean (h, w) of the (attribute, h, w) maps that the (attribute,) mask names, each
    stretched to 0..1; None where it names none.
    """
    if not attributes.any():
        return None
    mean: np.ndarray = np.mean([stretch(attention) for attention in maps[attributes]], axis=0)
    return mean


def _draw_row(
    axes: Sequence[Axes],
    index: Index,
    pictured: Pictured,
    row: int,
    has: np.ndarray,
    parts: BodyParts,
    chosen: Sequence[int],
    image_root: Path,
) -> None:
    """Draw one image and its maps of the ``chosen`` parts; ``has`` (attribute, body part): of which
    attributes.
    """
    picture, places = load_square(index, int(pictured.images[row]), image_root)
    draw_image(axes[0], index, pictured, row, picture, places)
    for position, number in zip(axes[1:], chosen, strict=True):
        attention = part_map(pictured.maps[row], has[:, number])
        shown = places[parts.members[number]] if len(places) else places
        drawn = np.zeros((1, 1)) if attention is None else attention
        draw_map(position, picture, drawn, pictured.centres, shown)
        count = int(has[:, number].sum())
        told = f"{count} attributes" if count > 1 else "1 attribute"
        if not count:
            told = "none of its attributes"
        position.set_title(f"{plain_name(parts.names[number])}\n{told}", loc="left", fontsize=7.5)
