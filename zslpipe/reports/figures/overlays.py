"""A picture with its annotated parts, and maps over it."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from PIL import Image

from zslpipe.formats.attention import Pictured
from zslpipe.formats.index import Index
from zslpipe.maps.central_square import SIDE
from zslpipe.reports.figures.style import HEAT, RIGHT, WRONG, class_title, plain_name

LETTER = (
    8,
    13,
)  # about the width of a letter and the height of a part's name, in the picture's pixels
OUTLINE = [withStroke(linewidth=1.8, foreground="black")]


def draw_image(
    axes: Axes, index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray
) -> None:
    """Draw a (SIDE, SIDE, 3) picture with its parts (part, 2) and, above it, its true and its
    predicted class.
    """
    label, predicted = int(pictured.labels[row]), int(pictured.predicted[row])
    names, right = index.class_names, label == predicted
    show_picture(axes, picture)
    _mark_parts(axes, index.part_names, places)
    text = f"true: {class_title(names[label])}\npredicted: {'the same' if right else class_title(names[predicted])}"
    axes.set_title(text, color=RIGHT if right else WRONG, loc="left", fontsize=7.5)


def draw_map(axes: Axes, picture: np.ndarray, attention: np.ndarray, places: np.ndarray) -> None:
    """Draw an (h, w) map over the greyed picture and circle the ``places`` (n, 2) in its pixels;
    NaN are left out.
    """
    grey = (
        0.55 * picture.mean(axis=2, keepdims=True).repeat(3, axis=2) + 0.25 * picture
    )  # colour would hide the heat
    show_picture(axes, overlay(grey, attention))
    for colour, width in (
        ("black", 3.2),
        ("white", 1.6),
    ):  # seen on a white belly and on a black one
        axes.plot(places[:, 0], places[:, 1], "o", color="none", mec=colour, mew=width, ms=11)


def show_picture(axes: Axes, picture: np.ndarray) -> None:
    """Show a picture without axes; what is drawn over it does not change the limits."""
    axes.imshow(picture)
    axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), autoscale_on=False)
    axes.set_axis_off()


def _mark_parts(axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Mark the visible parts; their names are written where there are few enough to read."""
    axes.plot(places[:, 0], places[:, 1], "o", color="white", mec="black", mew=0.7, ms=3.5)
    if len(names) > 8:  # ours: CUB's fifteen names would cover the bird
        return
    visible = [
        (y, x, plain_name(name))
        for name, (x, y) in zip(names, places, strict=True)
        if not np.isnan(x)
    ]
    written: list[tuple[float, float, float]] = []  # left end, right end, height
    for y, x, name in sorted(
        visible, reverse=True
    ):  # from below, so that what is in the way goes up
        side, width = (
            ("right", -LETTER[0] * len(name)) if x > 0.7 * SIDE else ("left", LETTER[0] * len(name))
        )
        start = x + (9 if side == "left" else -9)  # beside the mark
        left, right = min(start, start + width), max(start, start + width)
        while any(
            left < end and right > begin and abs(y - height) < LETTER[1]
            for begin, end, height in written
        ):
            y -= LETTER[1]
        written.append((left, right, y))
        text = axes.text(start, y, name, ha=side, va="center")
        text.set(fontsize=6.5, color="white", path_effects=OUTLINE)


def overlay(picture: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, under the heat of an (h, w) map, enlarged
    bilinearly.

    The map is stretched from its lowest to its highest value; a constant map leaves the picture as
    it is. The heat is transparent where the map is low.
    """
    size = picture.shape[1], picture.shape[0]
    heat = np.asarray(
        Image.fromarray(stretch(attention).astype(np.float32)).resize(
            size, Image.Resampling.BILINEAR
        )
    )
    alpha = (0.85 * heat)[..., None]
    return (1 - alpha) * picture + alpha * mpl.colormaps[HEAT](heat)[..., :3]


def stretch(attention: np.ndarray) -> np.ndarray:
    """Return a map stretched from its lowest value, 0, to its highest, 1; zeros for a constant map."""
    spread = float(attention.max() - attention.min())
    return (attention - attention.min()) / spread if spread > 0 else np.zeros_like(attention)
