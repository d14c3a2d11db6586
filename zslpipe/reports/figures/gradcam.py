"""Grad-CAM maps with all attributes and without one: figure 9 of Classifier Crafting."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.gradcam import Explained, read_explained
from zslpipe.formats.index import Index, read_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.overlays import class_lines, greyed, painted, show_picture
from zslpipe.reports.figures.style import (
    CHANGE,
    HEAT,
    STYLE,
    plain_name,
    save_figure,
    write_around,
)

KEY = "colours of a row share one scale; change: orange more, purple less than with all attributes"


def grad_cam_maps(
    gradcam: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of gradcam.h5, in its order; return the paths of both files.

    A row an image: the image, Grad-CAM of its true class over the greyed image, then for each
    attribute taken away the map without it and the change, as a share of the whole map's highest
    value. A map goes from 0 (transparent) to the highest value of the row's maps, a change from the
    row's largest loss to as large a gain, so that what stands side by side can be compared. Raises
    InputError for an absent, empty or damaged file, one that does not fit the index, or a missing
    image.
    """
    contents, explained = read_index(index), read_explained(gradcam)
    check_explained(explained, contents, gradcam, index)
    rows, columns = len(explained.images), 2 + 2 * explained.attributes.shape[1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.75 * columns + 0.4, 2.15 * rows + 0.7), layout="constrained")
        for row, axes in enumerate(figure.subplots(rows, columns, squeeze=False)):
            _draw_row(axes, contents, explained, row, image_root)
        write_around(figure, explained.title, KEY)
        return save_figure(figure, output_stem)


def check_explained(explained: Explained, index: Index, path: Path, index_path: Path) -> None:
    """Raise InputError unless images, attributes and classes are numbers of the index."""
    numbers = {
        "image": (explained.images, index.paths),
        "attribute": (explained.attributes, index.attribute_names),
        "class": (explained.labels, index.class_names),
        "predicted class": (explained.predicted, index.class_names),
    }
    for what, (values, names) in numbers.items():
        if values.max() >= len(names):
            told = f"it names {what} {int(values.max()) + 1} of {len(names)}"
            raise InputError(f"{path}: does not belong to {index_path}: {told}; run it again")


def _draw_row(
    axes: Sequence[Axes], index: Index, explained: Explained, row: int, image_root: Path
) -> None:
    """Draw one image: itself, its whole map, and for each attribute the map without it and the
    change.
    """
    picture, _ = load_square(index, int(explained.images[row]), image_root)
    grey, centres = greyed(picture), explained.centres
    whole, without = explained.maps[row], explained.maps_without[row]
    highest, own = max(float(whole.max()), float(without.max())), float(whole.max())
    label, predicted = int(explained.labels[row]), int(explained.predicted[row])
    _show(axes[0], picture, *class_lines(index.class_names, label, predicted))
    heated = painted(grey, whole, centres, highest, HEAT)
    _show(axes[1], heated, "all attributes\nof the true class")
    changes = without - whole
    for number, attribute in enumerate(explained.attributes[row]):
        name = "\n".join(textwrap.wrap(plain_name(index.attribute_names[attribute]), 22)[:2])
        left = painted(grey, without[number], centres, highest, HEAT)
        _show(axes[2 + 2 * number], left, f"without\n{name}")
        most = changes[number].flat[np.abs(changes[number]).argmax()]
        share = f"{100 * most / own:+.1f} %" if own > 0 else "no map"
        largest = float(np.abs(changes).max())
        change = painted(grey, changes[number], centres, largest, CHANGE)
        _show(axes[3 + 2 * number], change, f"change\nat most {share}")


def _show(axes: Axes, picture: np.ndarray, title: str, colour: str = "black") -> None:
    """Show a picture under its title."""
    show_picture(axes, picture)
    axes.set_title(title, color=colour, loc="left", fontsize=7.5, va="bottom")
