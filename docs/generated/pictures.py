"""The pictures of the README: ``python -m docs.generated.pictures RESULTS`` draws them again, into
docs/images, from the results of a demo that has run.

``flow.svg``: the chain of files. ``attention.jpg``: where DAZLE (first seed) looks on two pictures
of unseen classes.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from zslpipe.formats.attention import Pictured, read_pictured
from zslpipe.formats.index import Index, read_index
from zslpipe.maps.body_parts import attribute_strengths
from zslpipe.maps.central_square import load_square
from zslpipe.provenance import PACKAGE
from zslpipe.reports.figures.attributes import choose_attributes, had_and_lacked
from zslpipe.reports.figures.overlays import draw_map, show_picture
from zslpipe.reports.figures.style import STYLE, class_title, plain_name
from zslpipe.study.declarations import method_names

FOLDER = PACKAGE.parent / "docs" / "images"
# Okabe and Ito's (2008) colours, lightened so that black text stands out: what a user has, what is
# made once a dataset, a method's own business, the boundary, what knows no method.
GIVEN, MADE, OWN, BOUNDARY, BEHIND = "#eeeeee", "#d6eaf8", "#fdebd0", "#f5b78f", "#d5f0e3"
WIDTH, HEIGHT = 100, 82  # of the drawing, in its own units
# left, bottom, width, title, what it is, colour; all are HIGH
HIGH = 9
BOXES = (
    (0, 73, 32, "images", "your own or published", GIVEN),
    (34, 73, 32, "splits, attributes", "seen and unseen classes", GIVEN),
    (68, 73, 32, "word vectors", "GloVe, word2vec, ...", GIVEN),
    (0, 58, 66, "index.h5", "images, labels, split, class vectors", MADE),
    (68, 58, 32, "words.h5", "a vector an attribute", MADE),
    (0, 43, 66, "features/*.h5", "regions and their mean, once an extractor", MADE),
    (0, 15, 66, "scores.h5", "images x all classes: the boundary", BOUNDARY),
    (68, 15, 32, "attention.h5", "where it looks", OWN),
    (0, 0, 32, "rebalanced, averaged", "chosen on validation classes", BEHIND),
    (34, 0, 32, "metrics.json", "T1, U, S, H, AUSUC", BEHIND),
    (68, 0, 32, "tables, figures", "report, localisation", BEHIND),
)
# from x, y to x, y
ARROWS = (
    *((16, 73, 16, 67), (50, 73, 50, 67), (84, 73, 84, 67), (33, 58, 33, 52), (33, 43, 33, 39)),
    *((84, 58, 84, 39), (33, 28, 33, 24), (84, 28, 84, 24), (16, 15, 16, 9), (50, 15, 50, 9)),
    *((84, 15, 84, 9), (32, 4.5, 34, 4.5), (66, 4.5, 68, 4.5)),
)
PICTURES, MAPS = 2, 3  # rows, and maps beside each picture


def draw_flow(path: Path) -> None:
    """Draw the chain of files, svg."""
    with mpl.rc_context({**STYLE, "font.size": 9.5}):
        figure = Figure(figsize=(6.4, 5.2), facecolor="white")
        axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
        axes.set(xlim=(-0.5, WIDTH + 0.5), ylim=(-0.5, HEIGHT + 0.5))
        axes.set_axis_off()
        for left, bottom, width, title, said, colour in BOXES:
            _box(axes, (left, bottom, width, HIGH), title, said, colour)
        names = "  ".join(method_names())
        _box(axes, (0, 28, WIDTH, 11), "a method, a file: weights.pt, history.csv", names, OWN)
        for start_x, start_y, end_x, end_y in ARROWS:
            style = {"arrowstyle": "-|>", "color": "#444444", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (end_x, end_y), (start_x, start_y), arrowprops=style)
        figure.savefig(path, metadata={"Date": None})


def _box(
    axes: Axes, place: tuple[float, float, float, float], title: str, said: str, colour: str
) -> None:
    """Draw a box at left, bottom, width, height with its title and what it is."""
    left, bottom, width, height = place
    shape = "round,pad=0,rounding_size=1.2"
    patch = FancyBboxPatch((left, bottom), width, height, boxstyle=shape, fc=colour, ec="#777777")
    axes.add_patch(patch)
    middle = left + width / 2
    axes.text(middle, bottom + 0.68 * height, title, ha="center", va="center", weight="bold")
    axes.text(middle, bottom + 0.29 * height, said, ha="center", va="center", fontsize=8.5)


def draw_attention(results: Path, path: Path) -> None:
    """Draw the first pictures of DAZLE's attention.h5, each beside the maps of its class's
    strongest attributes, jpg.
    """
    index = read_index(results / "demo" / "index.h5")
    seed = results / "demo" / "runs" / "dazle" / "default" / "seed0"
    pictured = read_pictured(seed / "attention.h5", "attributes")
    with mpl.rc_context({**STYLE, "font.size": 8.5}):
        figure = Figure(figsize=(6.4, 3.9), layout="constrained", facecolor="white")
        grid = figure.subplots(PICTURES, 1 + MAPS)
        for row in range(PICTURES):
            _draw_row(list(grid[row]), index, pictured, row, results)
        figure.savefig(path, dpi=150, pil_kwargs={"quality": 82})


def _draw_row(axes: list[Axes], index: Index, pictured: Pictured, row: int, results: Path) -> None:
    """Draw a picture with its predicted class, and its maps with the annotated place circled."""
    picture, places = load_square(index, int(pictured.images[row]), results / "demo" / "images")
    label, predicted = int(pictured.labels[row]), int(pictured.predicted[row])
    show_picture(axes[0], picture)
    names = [class_title(index.class_names[number]) for number in (label, predicted)]
    said = "predicted so" if label == predicted else f"predicted: {names[1]}"
    axes[0].set_title(f"{names[0]}\n{said}", loc="left", fontsize=8.5)
    strengths = attribute_strengths(index)
    had, _ = had_and_lacked(strengths, label)
    placed: np.ndarray = np.asarray(index.attribute_parts.any(axis=1))
    chosen = choose_attributes(had, index.attribute_groups, placed, MAPS)
    for position, attribute in zip(axes[1:], chosen, strict=True):
        marked = places[index.attribute_parts[attribute]]
        draw_map(position, picture, pictured.maps[row, attribute], pictured.centres, marked)
        name = plain_name(index.attribute_names[attribute])
        position.set_title(f"looks for\n{name}", loc="left", fontsize=8.5)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw_flow(FOLDER / "flow.svg")
    draw_attention(Path(sys.argv[1]), FOLDER / "attention.jpg")
