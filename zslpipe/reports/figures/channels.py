"""Maps of the parts that a method finds itself, and of the groups of channels they began with:
figures 2 to 5 of the SGMA reproduction.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from zslpipe.formats.attention import Pictured, check_pictured, read_pictured
from zslpipe.formats.index import read_index
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.overlays import draw_image, draw_map
from zslpipe.reports.figures.style import STYLE, save_figure, write_around

KEY = (
    "k-means: the groups of channels that each part began with;"
    " colours: each map from its lowest to its highest value"
)
UNMARKED = np.empty((0, 2))  # no attribute says where such a map should lie


def channel_maps(
    attention: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with the maps of their channel groups and the
    learnt maps; return the paths of both files.

    A row an image: the image with its part locations, the groups of channels that k-means found,
    the maps learnt from them, each from its lowest value (transparent) to its highest. Raises
    InputError for an absent, empty or damaged file, maps of attributes, a file that does not fit
    the index, or a missing image.
    """
    contents, pictured = read_index(index), read_pictured(attention, "parts")
    check_pictured(pictured, contents, attention, index)
    rows, maps = pictured.maps.shape[:2]
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(1.75 * (2 * maps + 1) + 0.4, 2.05 * rows + 0.7), layout="constrained"
        )
        for row, axes in enumerate(figure.subplots(rows, 2 * maps + 1, squeeze=False)):
            picture, places = load_square(contents, int(pictured.images[row]), image_root)
            draw_image(axes[0], contents, pictured, row, picture, places)
            drawn = named_maps(pictured, row)
            for position, (name, attention_map) in zip(axes[1:], drawn, strict=True):
                draw_map(position, picture, attention_map, pictured.centres, UNMARKED)
                position.set_title(name, loc="left", fontsize=7.5)
        write_around(figure, pictured.title, KEY)
        return save_figure(figure, output_stem)


def named_maps(pictured: Pictured, row: int) -> list[tuple[str, np.ndarray]]:
    """Return the (h, w) maps of an image with their names: groups of channels, then learnt ones."""
    found = []
    for kind, maps in (("k-means", pictured.channel_maps[row]), ("learnt", pictured.maps[row])):
        for number, values in enumerate(maps, start=1):
            found.append((f"{kind}, part {number}", values))
    return found
