"""A picture with its annotated parts, and maps over it."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.attention import Pictured
from zslpipe.formats.index import Index
from zslpipe.maps.central_square import SIDE
from zslpipe.reports.figures.style import CHANGE, HEAT, RIGHT, WRONG, class_title, plain_name

# about the width of a letter and the height of a part's name, in the picture's pixels
LETTER = (8, 13)
OUTLINE = [withStroke(linewidth=1.8, foreground="black")]
Span = tuple[float, float, float]  # a written name: left end, right end, height


def draw_image(
    axes: Axes, index: Index, pictured: Pictured, row: int, picture: np.ndarray, places: np.ndarray
) -> None:
    """Draw a (SIDE, SIDE, 3) picture with its parts (part, 2) and, above it, its true and its
    predicted class.
    """
    show_picture(axes, picture)
    _mark_parts(axes, index.part_names, places)
    label, predicted = int(pictured.labels[row]), int(pictured.predicted[row])
    text, colour = class_lines(index.class_names, label, predicted)
    axes.set_title(text, color=colour, loc="left", fontsize=7.5)


def class_lines(names: Sequence[str], label: int, predicted: int) -> tuple[str, str]:
    """Return an image's true and its predicted class as a title, and that title's colour."""
    said = "the same" if label == predicted else class_title(names[predicted])
    text = f"true: {class_title(names[label])}\npredicted: {said}"
    return text, RIGHT if label == predicted else WRONG


def draw_map(
    axes: Axes,
    picture: np.ndarray,
    attention: np.ndarray,
    centres: CellCentres,
    places: np.ndarray,
) -> None:
    """Draw an (h, w) map, whose cells look at ``centres``, over the greyed picture, from its lowest
    value (transparent) to its highest, and circle the ``places`` (n, 2) in its pixels; NaN are left
    out.
    """
    show_picture(axes, painted(greyed(picture), stretch(attention), centres, 1.0, HEAT))
    # seen on a white belly and on a black one
    for colour, width in (("black", 3.2), ("white", 1.6)):
        axes.plot(places[:, 0], places[:, 1], "o", color="none", mec=colour, mew=width, ms=11)


def show_picture(axes: Axes, picture: np.ndarray) -> None:
    """Show a picture without axes; what is drawn over it does not change the limits."""
    axes.imshow(picture)
    axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), autoscale_on=False)
    axes.set_axis_off()
    # Not drawn already, but measured: for where the title goes, several times a figure.
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)


def _mark_parts(axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Mark the visible parts; their names are written where there are few enough to read."""
    axes.plot(places[:, 0], places[:, 1], "o", color="white", mec="black", mew=0.7, ms=3.5)
    if len(names) > 8:  # ours: CUB's fifteen names would cover the bird
        return
    visible = []
    for name, (x, y) in zip(names, places, strict=True):
        if not np.isnan(x):
            visible.append((y, x, plain_name(name)))
    written: list[Span] = []
    # from below, so that what is in the way goes up
    for y, x, name in sorted(visible, reverse=True):
        side = "right" if x > 0.7 * SIDE else "left"
        start = x + (9 if side == "left" else -9)  # beside the mark
        width = LETTER[0] * len(name)
        left, right = (start, start + width) if side == "left" else (start - width, start)
        while _taken(written, left, right, y):
            y -= LETTER[1]
        written.append((left, right, y))
        text = axes.text(start, y, name, ha=side, va="center")
        text.set(fontsize=6.5, color="white", path_effects=OUTLINE)


def _taken(written: Sequence[Span], left: float, right: float, y: float) -> bool:
    """Return whether a name at this place would lie on another."""
    for begin, end, height in written:
        if left < end and right > begin and abs(y - height) < LETTER[1]:
            return True
    return False


def greyed(picture: np.ndarray) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, nearly grey and darker: its colours would hide
    those of values over it.
    """
    grey: np.ndarray = 0.55 * picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return grey + 0.25 * picture


def painted(
    picture: np.ndarray, values: np.ndarray, centres: CellCentres, highest: float, colours: str
) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, under the colours of (h, w) values between -highest
    and highest, enlarged as :func:`enlarged`; transparent where they are 0.

    A map of changes uses both ends of ``colours`` (CHANGE), a map of values from 0 on all of them
    (HEAT). A ``highest`` of 0 leaves the picture as it is.
    """
    shares = values / highest if highest > 0 else np.zeros_like(values)
    large = enlarged(shares.astype(np.float64), centres, len(picture))
    alpha = (0.85 * np.abs(large))[..., None]
    place = (large + 1) / 2 if colours == CHANGE else large
    heat = mpl.colormaps[colours](place)[..., :3]
    covered: np.ndarray = (1 - alpha) * picture + alpha * heat
    return covered


def enlarged(values: np.ndarray, centres: CellCentres, side: int) -> np.ndarray:
    """Return (h, w) values at the pixels of a (side, side) picture: linear between the places where
    two cells look, beyond the outermost of them constant.
    """
    large: np.ndarray = (
        _interpolation(side, values.shape[0], centres)
        @ values
        @ _interpolation(side, values.shape[1], centres).T
    )
    return large


def _interpolation(pixels: int, cells: int, centres: CellCentres) -> np.ndarray:
    """Return the (pixels, cells) shares of the cells in each pixel along one axis."""
    places = centres.cells_at((np.arange(pixels) + 0.5) / pixels).clip(0, cells - 1)
    shares: np.ndarray = np.maximum(0.0, 1 - np.abs(places[:, None] - np.arange(cells)))
    return shares


def stretch(attention: np.ndarray) -> np.ndarray:
    """Return a map stretched from its lowest value, 0, to its highest, 1; zeros for a constant
    map.
    """
    spread = float(attention.max() - attention.min())
    if not spread > 0:
        return np.zeros_like(attention)
    stretched: np.ndarray = (attention - attention.min()) / spread
    return stretched
