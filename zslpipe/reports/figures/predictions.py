"""Predictions before and after rebalancing, image by image: figures 6 and 8 (bottom) of Classifier
Crafting.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.index import Index, read_index
from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.formats.units import LOGITS
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import load_square
from zslpipe.reports.figures.overlays import show_picture
from zslpipe.reports.figures.style import STYLE, class_title, save_figure, write_around
from zslpipe.scores.gating import log_softmax

TOP = 3  # Classifier Crafting, fig. 6 and 8: predictions shown
IMAGES = 4  # ours: of unseen and of seen classes each; two columns fill a page
# Okabe and Ito (2008): bluish green; the true class is bold as well
TRUE, OTHER = "#009E73", "#BBBBBB"
STAR = "\N{BLACK STAR}"
KEY = (
    f"green: true class; {STAR}: unseen class; left: images of unseen classes, right: of seen ones"
)


def predictions(
    scores: Path, rebalanced: Path, index: Path, image_root: Path, output_stem: Path
) -> tuple[Path, Path]:
    """Draw the three likeliest classes of some test images before and after rebalancing; return the
    paths of both files.

    Left images of unseen, right of seen classes, of ``IMAGES`` classes each. Classes and images are
    drawn with the seed of the run, never for their looks. The true class is green, unseen classes
    have a star. Probabilities before are the softmax of the scores in the temperature that the
    rebalancing chose (1 where it has none), those after sum to 1 as well. Raises InputError for
    files that are missing, damaged or do not belong together.
    """
    before, after, contents = read_scores(scores), read_scores(rebalanced), read_index(index)
    _check_pair(before, after, rebalanced)
    _check_index(before, contents, scores, index)
    drawn = {}
    for split in ("test_unseen", "test_seen"):
        drawn[split] = draw_images(before.labels[split], before.seed)
    rows = max(len(numbers) for numbers in drawn.values())
    if not rows:
        raise InputError(f"{scores}: holds no test image")
    tables = probabilities(before, after)
    pairs = itertools.product(tables, drawn.items())
    highest = max(float(table[split][numbers].max(initial=0)) for table, (split, numbers) in pairs)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.5, 1.45 * rows + 0.9), layout="constrained")
        grid = figure.subplots(rows, 6, squeeze=False, width_ratios=(1, 1.6, 1.6) * 2)
        for position in grid.flat:
            position.set_axis_off()
        for column, (split, numbers) in zip((0, 3), drawn.items(), strict=True):
            for axes, number in zip(grid[:, column : column + 3], numbers, strict=False):
                label, image = int(before.labels[split][number]), int(before.images[split][number])
                show_picture(axes[0], load_square(contents, image, image_root)[0])
                name = _named(before, label)
                axes[0].set_title(name, fontsize=7.5, color=TRUE, fontweight="bold", loc="left")
                for panel, table in zip(axes[1:], tables, strict=True):
                    _draw_bars(panel, table[split][number], before, label, highest)
        kind = after.rebalancing.replace("_", " ")
        who = f"{before.method} / {before.variant} on {before.dataset}"
        write_around(figure, f"{who}: before and after rebalancing by {kind}", KEY)
        _write_headings(grid)
        return save_figure(figure, output_stem)


def _write_headings(grid: np.ndarray) -> None:
    """Write above the columns of bars which they are."""
    for column, heading in ((1, "before"), (2, "after"), (4, "before"), (5, "after")):
        axes = grid[0, column]
        axes.text(0, 1.04, heading, transform=axes.transAxes, fontsize=8, fontweight="bold")


def _check_pair(before: ScoreMatrix, after: ScoreMatrix, path: Path) -> None:
    """Raise InputError unless ``after`` is a rebalancing of ``before``."""
    if before.rebalancing != "none" or after.rebalancing == "none":
        found = f"{before.rebalancing!r} before and {after.rebalancing!r} after"
        raise InputError(
            f"{path}: rebalancing {found}; give the scores of a method and what was made of them"
        )
    for name in ("dataset", "method", "variant", "seed", "classes"):
        if getattr(before, name) != getattr(after, name):
            raise InputError(
                f"{path}: of another {name} than the scores before; give files of one run"
            )
    for split in ("test_seen", "test_unseen"):
        if not np.array_equal(before.images[split], after.images[split]):
            raise InputError(
                f"{path}: other images in {split} than the scores before; rebalance again"
            )


def _check_index(matrix: ScoreMatrix, index: Index, scores: Path, index_path: Path) -> None:
    """Raise InputError unless the index has the matrix's classes and images."""
    highest = max(int(rows.max(initial=-1)) for rows in matrix.images.values())
    if index.class_names != matrix.classes or highest >= len(index.paths):
        told = "other classes or images; run the scoring again"
        raise InputError(f"{scores}: does not belong to {index_path}: {told}")


def draw_images(labels: np.ndarray, seed: int) -> list[int]:
    """Return one image number each of ``IMAGES`` classes (fewer where there are fewer), drawn with
    ``seed``.
    """
    generator = np.random.default_rng(seed)
    classes = generator.permutation(np.unique(labels))[:IMAGES]
    return [int(generator.choice(np.flatnonzero(labels == number))) for number in classes]


def probabilities(
    before: ScoreMatrix, after: ScoreMatrix
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Return split -> (image, class) probabilities before and after; rows sum to 1."""
    used = after.chosen.get(after.rebalancing)
    temperature = 1.0
    if isinstance(used, Mapping) and "temperature" in used:
        temperature = float(used["temperature"])
    divided = after.unit != LOGITS
    first, second = {}, {}
    for split in before.scores:
        first[split] = np.exp(log_softmax(before.scores[split], temperature))
        # log-probabilities have been divided by it already
        second[split] = np.exp(log_softmax(after.scores[split], 1.0 if divided else temperature))
    return first, second


def _draw_bars(
    axes: Axes, row: np.ndarray, matrix: ScoreMatrix, label: int, highest: float
) -> None:
    """Draw the likeliest classes as bars, the likeliest on top; ``highest`` fills the width."""
    order: Sequence[int] = np.argsort(-row, kind="stable")[:TOP].tolist()
    for place, number in enumerate(order):
        right = number == label
        axes.barh(place, row[number] / highest, height=0.34, color=TRUE if right else OTHER)
        name = f"{_named(matrix, number)}  {100 * row[number]:.2g} %"
        weight = "bold" if right else "normal"
        axes.text(
            0, place - 0.26, name, fontsize=7.5, color=TRUE if right else "black", fontweight=weight
        )
    axes.set(xlim=(0, 1.02), ylim=(TOP - 0.6, -0.85))


def _named(matrix: ScoreMatrix, number: int) -> str:
    """Return a class's name, with a star where it is unseen."""
    return class_title(matrix.classes[number]) + ("" if matrix.seen[number] else f" {STAR}")
