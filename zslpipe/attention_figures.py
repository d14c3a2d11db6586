"""Pictures of attribute maps: did the method look at the part that the attribute is about?"""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from zslpipe.attention_file import Pictured, check_pictured, read_pictured
from zslpipe.drawing import STYLE, save_figure
from zslpipe.index import Index, read_index
from zslpipe.squares import SIDE, attribute_strengths, load_square

ATTRIBUTES = 4  # ours: maps an image; five pictures fill the width of a page
RIGHT, WRONG = "#0072B2", "#D55E00"  # Okabe and Ito (2008): blue and vermillion, told apart by everybody
HEAT = "inferno"  # even in lightness, so it reads in grey and under colour-vision deficiencies
LETTER = (8, 13)  # about the width of a letter and the height of a part's name, in the picture's pixels
OUTLINE = [withStroke(linewidth=1.8, foreground="black")]


def attention_maps(attention: Path, index: Path, image_root: Path, output_stem: Path) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with their attribute maps; return the png's and svg's paths.

    A row an image: the image with its part locations, then the maps of four attributes over the greyed image, each
    from its lowest value (transparent) to its highest, the annotated place of the attribute's parts circled, the
    attribute's score with its sign in the title where attention.h5 has scores (positive: found present, negative:
    absent). Nothing is picked for looks: the class's strongest attributes, one a group, those with a visible part
    first. Pictures show the central square, which is what a network sees. Raises InputError for an absent, empty or
    damaged file, maps that do not fit the index, or a missing image.
    """
    contents, pictured = read_index(index), read_pictured(attention, "attributes")
    check_pictured(pictured, contents, attention, index)
    strengths = attribute_strengths(contents)
    rows = range(len(pictured.images))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.75 * (ATTRIBUTES + 1) + 1.2, 2.05 * len(rows) + 0.7), layout="constrained")
        grid = figure.subplots(len(rows), ATTRIBUTES + 1, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            _draw_row(axes, contents, pictured, row, strengths, image_root)
        figure.suptitle(pictured.title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        key = "circle: annotated place of the attribute's part; colours: each map from its lowest to its highest value"
        key += "" if pictured.scores is None else "; score: above 0 found present, below 0 found absent"
        figure.supxlabel(key, fontsize=7.5, color="#555555")
        return save_figure(figure, output_stem)


def choose_attributes(strengths: np.ndarray, groups: Sequence[str], placed: np.ndarray) -> list[int]:
    """Return at most four attribute numbers: the strongest first, one a group, those with a visible part preferred.

    ``strengths`` (attribute,); ``groups`` one name an attribute, "" being a group of its own; ``placed`` (attribute,)
    bool, whether one of the attribute's parts is visible.
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
    axes: Sequence[Axes], index: Index, pictured: Pictured, row: int, strengths: np.ndarray, image_root: Path
) -> None:
    """Draw one image: itself with its parts, then its attributes' maps."""
    picture, places = load_square(index, int(pictured.images[row]), image_root)
    draw_image(axes[0], index, pictured, row, picture, places)
    visible = ~np.isnan(places).any(axis=1)
    placed = (index.attribute_parts & visible).any(axis=1) if len(places) else np.zeros(strengths.shape[1], bool)
    chosen = choose_attributes(strengths[pictured.labels[row]], index.attribute_groups, placed)
    for position, attribute in zip(axes[1:], chosen, strict=False):
        marked = places[index.attribute_parts[attribute]] if len(places) else places
        draw_map(position, picture, pictured.maps[row, attribute], marked)
        score = "" if pictured.scores is None else f"\nscore {pictured.scores[row, attribute]:+.2f}"
        name = "\n".join(textwrap.wrap(plain_name(index.attribute_names[attribute]), 24)[:2])
        position.set_title(name + score, loc="left", fontsize=7.5)
    for position in axes[len(chosen) + 1 :]:
        position.set_axis_off()


def draw_image(axes: Axes, index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray) -> None:
    """Draw a (SIDE, SIDE, 3) picture with its parts (part, 2) and, above it, its true and its predicted class."""
    label, predicted = int(pictured.labels[row]), int(pictured.predicted[row])
    names, right = index.class_names, label == predicted
    _show(axes, picture)
    _mark_parts(axes, index.part_names, places)
    text = f"true: {class_title(names[label])}\npredicted: {'the same' if right else class_title(names[predicted])}"
    axes.set_title(text, color=RIGHT if right else WRONG, loc="left", fontsize=7.5)


def draw_map(axes: Axes, picture: np.ndarray, attention: np.ndarray, places: np.ndarray) -> None:
    """Draw an (h, w) map over the greyed picture and circle the ``places`` (n, 2) in its pixels; NaN are left out."""
    grey = 0.55 * picture.mean(axis=2, keepdims=True).repeat(3, axis=2) + 0.25 * picture  # colour would hide the heat
    _show(axes, overlay(grey, attention))
    for colour, width in (("black", 3.2), ("white", 1.6)):  # seen on a white belly and on a black one
        axes.plot(places[:, 0], places[:, 1], "o", color="none", mec=colour, mew=width, ms=11)


def _show(axes: Axes, picture: np.ndarray) -> None:
    """Show a picture without axes; what is drawn over it does not change the limits."""
    axes.imshow(picture)
    axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), autoscale_on=False)
    axes.set_axis_off()


def _mark_parts(axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Mark the visible parts; their names are written where there are few enough to read."""
    axes.plot(places[:, 0], places[:, 1], "o", color="white", mec="black", mew=0.7, ms=3.5)
    if len(names) > 8:  # ours: CUB's fifteen names would cover the bird
        return
    visible = [(y, x, plain_name(name)) for name, (x, y) in zip(names, places, strict=True) if not np.isnan(x)]
    written: list[tuple[float, float, float]] = []  # left end, right end, height
    for y, x, name in sorted(visible, reverse=True):  # from below, so that what is in the way goes up
        side, width = ("right", -LETTER[0] * len(name)) if x > 0.7 * SIDE else ("left", LETTER[0] * len(name))
        start = x + (9 if side == "left" else -9)  # beside the mark
        left, right = min(start, start + width), max(start, start + width)
        while any(left < end and right > begin and abs(y - height) < LETTER[1] for begin, end, height in written):
            y -= LETTER[1]
        written.append((left, right, y))
        text = axes.text(start, y, name, ha=side, va="center")
        text.set(fontsize=6.5, color="white", path_effects=OUTLINE)


def overlay(picture: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, under the heat of an (h, w) map, enlarged bilinearly.

    The map is stretched from its lowest to its highest value; a constant map leaves the picture as it is. The heat is
    transparent where the map is low.
    """
    size = picture.shape[1], picture.shape[0]
    heat = np.asarray(Image.fromarray(stretch(attention).astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    alpha = (0.85 * heat)[..., None]
    return (1 - alpha) * picture + alpha * mpl.colormaps[HEAT](heat)[..., :3]


def stretch(attention: np.ndarray) -> np.ndarray:
    """Return a map stretched from its lowest value, 0, to its highest, 1; zeros for a constant map."""
    spread = float(attention.max() - attention.min())
    return (attention - attention.min()) / spread if spread > 0 else np.zeros_like(attention)


def plain_name(name: str) -> str:
    """Return an attribute's or part's name for a reader: ``has_bill_shape::dagger`` becomes "bill shape: dagger"."""
    return name.removeprefix("has_").replace("::", ": ").replace("_", " ")


def class_title(name: str) -> str:
    """Return a class's name that fits over its picture, without the number that CUB's names begin with."""
    plain = re.sub(r"^\d+\.", "", name).replace("_", " ")
    return plain if len(plain) <= 22 else plain[:21] + "…"
