"""Pictures of attribute maps: did the method look at the part that the attribute is about? As in
figure 5 of DAZLE, of attributes that a class has and of some that it lacks.
"""

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

PRESENT, ABSENT = 3, 2  # ours: maps an image; six pictures fill the width of a page
KEY = (
    "circle: annotated place of the attribute's part;"
    " colours: each map from its lowest to its highest value"
)
SCORES = "score: above 0 found present, below 0 found absent"


def attention_maps(
    attention: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with their attribute maps; return the paths
    of both files.

    A row an image: the image with its part locations, then the maps of three attributes that its
    class has and of two that it lacks over the greyed image, each from its lowest value
    (transparent) to its highest, the annotated place of the attribute's parts circled, the
    attribute's score with its sign in the title where attention.h5 has scores (positive: found
    present, negative: absent). Nothing is picked for looks: of what is at least as strong in the
    class as on average the strongest, of the rest those furthest below their mean over classes, one
    a group, those with a visible part first.
    Pictures show the central square, which is what a network sees. Raises InputError for an absent,
    empty or damaged file, maps that do not fit the index, or a missing image.
    """
    contents, pictured = read_index(index), read_pictured(attention, "attributes")
    check_pictured(pictured, contents, attention, index)
    rows = range(len(pictured.images))
    with mpl.rc_context(STYLE):
        columns = 1 + PRESENT + ABSENT
        size = (1.75 * columns + 1.2, 2.05 * len(rows) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            _draw_row(axes, contents, pictured, row, image_root)
        key = KEY if pictured.scores is None else f"{KEY}; {SCORES}"
        write_around(figure, pictured.title, key)
        return save_figure(figure, output_stem)


def choose_attributes(
    values: np.ndarray, groups: Sequence[str], placed: np.ndarray, count: int
) -> list[int]:
    """Return at most ``count`` attribute numbers: those of the largest values first, one a group,
    those with a visible part preferred.

    ``values`` (attribute,), -infinity for one that may not be chosen; ``groups`` one name an
    attribute, "" being a group of its own; ``placed`` (attribute,) bool, whether one of the
    attribute's parts is visible.
    """
    chosen: list[int] = []
    taken: set[str] = set()
    for number in np.lexsort((-values, ~placed)):
        group = groups[number] or f"attribute {number}"
        if group not in taken and len(chosen) < count and values[number] > -np.inf:
            taken.add(group)
            chosen.append(int(number))
    return chosen


def had_and_lacked(strengths: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two (attribute,) arrays: the ``strengths`` (class, attribute) of the attributes that
    the class ``label`` has, and how far those that it lacks are below their mean over classes.

    A class has what is at least as strong in it as on average; -infinity for the others of either.
    """
    own, mean = strengths[label], strengths.mean(axis=0)
    has = own >= mean
    return np.where(has, own, -np.inf), np.where(has, -np.inf, mean - own)


def shown_attributes(
    index: Index, pictured: Pictured, row: int, places: np.ndarray
) -> list[tuple[int, bool]]:
    """Return the attributes whose maps are shown of an image, and whether its class has them: first
    those that it has, then those that it lacks. ``places`` (part, 2), NaN out of view.
    """
    strengths = attribute_strengths(index)
    placed = np.zeros(strengths.shape[1], bool)
    if len(places):
        visible = ~np.isnan(places).any(axis=1)
        placed = (index.attribute_parts & visible).any(axis=1)
    had, lacked = had_and_lacked(strengths, int(pictured.labels[row]))
    groups = index.attribute_groups
    present = choose_attributes(had, groups, placed, PRESENT)
    absent = choose_attributes(lacked, groups, placed, ABSENT)
    return [*((number, True) for number in present), *((number, False) for number in absent)]


def _draw_row(
    axes: Sequence[Axes],
    index: Index,
    pictured: Pictured,
    row: int,
    image_root: Path,
) -> None:
    """Draw one image: itself with its parts, then maps of attributes that its class has and that
    it lacks.
    """
    picture, places = load_square(index, int(pictured.images[row]), image_root)
    draw_image(axes[0], index, pictured, row, picture, places)
    shown = shown_attributes(index, pictured, row, places)
    present = [attribute for attribute, has in shown if has]
    absent = [attribute for attribute, has in shown if not has]
    for position in axes[1:]:
        position.set_axis_off()
    drawn = [*zip(axes[1:], present, strict=False), *zip(axes[1 + PRESENT :], absent, strict=False)]
    for position, attribute in drawn:
        marked = places[index.attribute_parts[attribute]] if len(places) else places
        draw_map(position, picture, pictured.maps[row, attribute], pictured.centres, marked)
        title = _title(index, pictured, row, attribute, "has" if attribute in present else "lacks")
        position.set_title(title, loc="left", fontsize=7.5)


def _title(index: Index, pictured: Pictured, row: int, attribute: int, verb: str) -> str:
    """Return what stands above a map: whether the class has the attribute, its name, its score."""
    name = "\n".join(textwrap.wrap(plain_name(index.attribute_names[attribute]), 24)[:2])
    score = "" if pictured.scores is None else f", score {pictured.scores[row, attribute]:+.2f}"
    return f"{verb}{score}\n{name}"
