"""Pictures of attribute maps: did the method look at the part that the attribute is about?"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.attention import Pictured, check_pictured, read_pictured
from zslpipe.formats.index import Index, read_index
from zslpipe.maps.body_parts import attribute_strengths
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.overlays import draw_image, draw_map
from zslpipe.reports.figures.style import STYLE, plain_name, save_figure, write_around

ATTRIBUTES = 4  # ours: maps an image; five pictures fill the width of a page
KEY = (
    "circle: annotated place of the attribute's part;"
    " colours: each map from its lowest to its highest value"
)
SCORES = "score: above 0 found present, below 0 found absent"


def attention_maps(
    attention: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with their attribute maps; return the png's
    and svg's paths.

    A row an image: the image with its part locations, then the maps of four attributes over the
    greyed image, each from its lowest value (transparent) to its highest, the annotated place of
    the attribute's parts circled, the attribute's score with its sign in the title where
    attention.h5 has scores (positive: found present, negative: absent). Nothing is picked for
    looks: the class's strongest attributes, one a group, those with a visible part first. Pictures
    show the central square, which is what a network sees. Raises InputError for an absent, empty or
    damaged file, maps that do not fit the index, or a missing image.
    """
    contents, pictured = read_index(index), read_pictured(attention, "attributes")
    check_pictured(pictured, contents, attention, index)
    strengths = attribute_strengths(contents)
    rows = range(len(pictured.images))
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(1.75 * (ATTRIBUTES + 1) + 1.2, 2.05 * len(rows) + 0.7), layout="constrained"
        )
        grid = figure.subplots(len(rows), ATTRIBUTES + 1, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            _draw_row(axes, contents, pictured, row, strengths, image_root)
        key = KEY if pictured.scores is None else f"{KEY}; {SCORES}"
        write_around(figure, pictured.title, key)
        return save_figure(figure, output_stem)


def choose_attributes(
    strengths: np.ndarray, groups: Sequence[str], placed: np.ndarray
) -> list[int]:
    """Return at most four attribute numbers: the strongest first, one a group, those with a visible
    part preferred.

    ``strengths`` (attribute,); ``groups`` one name an attribute, "" being a group of its own;
    ``placed`` (attribute,) bool, whether one of the attribute's parts is visible.
    """
    chosen: list[int] = []
    taken: set[str] = set()
    for number in np.lexsort((-strengths, ~placed)):
        group = groups[number] or f"attribute {number}"
        if group not in taken and len(chosen) < ATTRIBUTES:
            taken.add(group)
            chosen.append(int(number))
    return chosen


def _draw_row(
    axes: Sequence[Axes],
    index: Index,
    pictured: Pictured,
    row: int,
    strengths: np.ndarray,
    image_root: Path,
) -> None:
    """Draw one image: itself with its parts, then its attributes' maps."""
    picture, places = load_square(index, int(pictured.images[row]), image_root)
    draw_image(axes[0], index, pictured, row, picture, places)
    visible = ~np.isnan(places).any(axis=1)
    placed = np.zeros(strengths.shape[1], bool)
    if len(places):
        placed = (index.attribute_parts & visible).any(axis=1)
    chosen = choose_attributes(strengths[pictured.labels[row]], index.attribute_groups, placed)
    for position, attribute in zip(axes[1:], chosen, strict=False):
        marked = places[index.attribute_parts[attribute]] if len(places) else places
        drawn = pictured.maps[row, attribute]
        draw_map(position, picture, drawn, pictured.centres, marked)
        score = "" if pictured.scores is None else f"\nscore {pictured.scores[row, attribute]:+.2f}"
        name = "\n".join(textwrap.wrap(plain_name(index.attribute_names[attribute]), 24)[:2])
        position.set_title(name + score, loc="left", fontsize=7.5)
    for position in axes[len(chosen) + 1 :]:
        position.set_axis_off()
