"""Pictures of Grad-CAM maps with all attributes and without one: figure 9 of classifier crafting."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from zslpipe.formats.gradcam import Explained, read_explained
from zslpipe.formats.index import Index, read_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.style import (
    HEAT,
    RIGHT,
    STYLE,
    WRONG,
    class_title,
    plain_name,
    save_figure,
)

CHANGE = (
    "PuOr_r"  # less: purple, more: orange; told apart under the common colour-vision deficiencies
)


def grad_cam_maps(
    gradcam: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of gradcam.h5, in its order; return the png's and svg's paths.

    A row an image: the image, Grad-CAM of its true class over the greyed image, then for each
    attribute taken away the map without it and the change, as a share of the whole map's highest
    value. A map goes from 0 (transparent) to the highest value of the row's maps, a change from the
    row's largest loss to as large a gain, so that what stands side by side can be compared. Raises
    InputError for an absent, empty or damaged file, one that does not fit the index, or a missing
    image.
    """
    contents, explained = read_index(index), read_explained(gradcam)
    _check(explained, contents, gradcam, index)
    rows, columns = len(explained.images), 2 + 2 * explained.attributes.shape[1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.75 * columns + 0.4, 2.15 * rows + 0.7), layout="constrained")
        for row, axes in enumerate(figure.subplots(rows, columns, squeeze=False)):
            _draw_row(axes, contents, explained, row, image_root)
        figure.suptitle(explained.title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        key = "colours of a row share one scale; change: orange more, purple less than with all attributes"
        figure.supxlabel(key, fontsize=7.5, color="#555555")
        return save_figure(figure, output_stem)


def _check(explained: Explained, index: Index, path: Path, index_path: Path) -> None:
    """Raise InputError unless images, attributes and classes are numbers of the index."""
    found = [explained.images, explained.attributes, explained.labels, explained.predicted]
    sizes = [
        len(names)
        for names in (index.paths, index.attribute_names, index.class_names, index.class_names)
    ]
    if any(values.max() >= size for values, size in zip(found, sizes, strict=True)):
        highest = ", ".join(str(int(values.max())) for values in found[:3])
        raise InputError(
            f"{path}: does not belong to {index_path}: highest image, attribute, class {highest}; run it again"
        )


def _draw_row(
    axes: Sequence[Axes], index: Index, explained: Explained, row: int, image_root: Path
) -> None:
    """Draw one image: itself, its whole map, and for each attribute the map without it and the
    change.
    """
    picture, _ = load_square(index, int(explained.images[row]), image_root)
    grey = (
        0.55 * picture.mean(axis=2, keepdims=True).repeat(3, axis=2) + 0.25 * picture
    )  # colour would hide the heat
    whole, without = explained.maps[row], explained.maps_without[row]
    highest, own = max(float(whole.max()), float(without.max())), float(whole.max())
    _show(axes[0], picture, *_class_lines(index, explained, row))
    _show(axes[1], painted(grey, whole, highest, HEAT), "all attributes\nof the true class")
    changes = without - whole
    for number, attribute in enumerate(explained.attributes[row]):
        name = "\n".join(textwrap.wrap(plain_name(index.attribute_names[attribute]), 22)[:2])
        _show(
            axes[2 + 2 * number], painted(grey, without[number], highest, HEAT), f"without\n{name}"
        )
        most = changes[number].flat[np.abs(changes[number]).argmax()]
        share = f"{100 * most / own:+.1f} %" if own > 0 else "no map"
        change = painted(grey, changes[number], float(np.abs(changes).max()), CHANGE)
        _show(axes[3 + 2 * number], change, f"change\nat most {share}")


def _class_lines(index: Index, explained: Explained, row: int) -> tuple[str, str]:
    """Return an image's true and predicted class as a title, and its colour."""
    label, predicted = int(explained.labels[row]), int(explained.predicted[row])
    said = "the same" if label == predicted else class_title(index.class_names[predicted])
    return (
        f"true: {class_title(index.class_names[label])}\npredicted: {said}",
        RIGHT if label == predicted else WRONG,
    )


def painted(picture: np.ndarray, values: np.ndarray, highest: float, colours: str) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, under the colours of (h, w) values between -highest
    and highest, enlarged bilinearly; transparent where they are 0.

    A map of changes uses both ends of ``colours`` (CHANGE); a map of values from 0 on all of them
    (HEAT).
    """
    size = picture.shape[1], picture.shape[0]
    shares = (values / highest if highest > 0 else np.zeros_like(values)).astype(np.float32)
    large = np.asarray(Image.fromarray(shares).resize(size, Image.Resampling.BILINEAR))
    alpha = (0.85 * np.abs(large))[..., None]
    place = (large + 1) / 2 if colours == CHANGE else large
    return (1 - alpha) * picture + alpha * mpl.colormaps[colours](place)[..., :3]


def _show(axes: Axes, picture: np.ndarray, title: str, colour: str = "black") -> None:
    """Show a picture under its title, without axes."""
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title(title, color=colour, loc="left", fontsize=7.5, va="bottom")
