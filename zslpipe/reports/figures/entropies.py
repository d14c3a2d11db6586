"""How sure predictions are: figure 5 of classifier crafting, from scores.h5 and irrelevant.h5."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.scores import ScoreMatrix, read_irrelevant, read_scores
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.style import COLOURS, STYLE, save_figure, shortened, write_around
from zslpipe.scores.gating import log_softmax, mixed

KEY = (
    "entropy of the softmax over all classes, as a share of the largest; area of each histogram 1;"
    " first seed; mixture: half of a training image's logits, half of a task-irrelevant one's"
)
BINS = 30  # ours
SHARE = 0.5  # of the training image in a mixture (ours; the paper does not tell it)
PANELS = ("seen classes", "unseen classes", "task-irrelevant images")


def entropies(scores: np.ndarray) -> np.ndarray:
    """Return the entropy of the softmax of (image, class) scores, (image,), as a share of the
    largest, log of the number of classes.
    """
    logs = log_softmax(scores)
    found: np.ndarray = -(np.exp(logs) * logs).sum(axis=1) / np.log(scores.shape[1])
    return found


def entropy_histograms(
    layout: Mapping[str, Any], files: Sequence[Path], output_stem: Path
) -> tuple[Path, ...]:
    """Draw histograms of the entropy of predictions and return the paths of the pictures: a row of
    axes for each scores.h5 of ``files``: seen training and test images; unseen test images and the
    mixtures that stand in for them; task-irrelevant images, where irrelevant.h5 of the same result
    is among ``files``.

    Raises InputError for no scores.h5 and for what ``read_scores`` refuses.
    """
    matrices = [read_scores(path) for path in files if path.name == "scores.h5"]
    if not matrices:
        raise InputError(f"{layout['name']}: no scores.h5 given; at least one result is needed")
    unrelated = {}
    for path in files:
        if path.name == "irrelevant.h5":
            found = read_irrelevant(path)
            unrelated[found.dataset, found.method, found.variant] = found.scores
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.2 * len(matrices) + 0.9), layout="constrained")
        axes = figure.subplots(len(matrices), 3, squeeze=False, sharex=True)
        for row, matrix in zip(axes, matrices, strict=True):
            other = unrelated.get((matrix.dataset, matrix.method, matrix.variant))
            _draw_row(row, matrix, other, _label(layout, matrix))
        where = ", ".join(filter(None, (layout["paper"], layout["place"])))
        write_around(figure, ": ".join(filter(None, (where, layout["title"]))), KEY)
        return tuple(save_figure(figure, output_stem))


def _label(layout: Mapping[str, Any], matrix: ScoreMatrix) -> str:
    """Return what a study calls a result, with its dataset."""
    path = f"{matrix.method}/{matrix.variant}"
    for row in layout["rows"]:
        if (row["dataset"], row["path"]) == (matrix.dataset, path):
            return f"{matrix.dataset}, {row['label']}"
    return f"{matrix.dataset}, {path}"


def _draw_row(
    axes: Sequence[Axes], matrix: ScoreMatrix, unrelated: np.ndarray | None, label: str
) -> None:
    """Draw the histograms of one result."""
    trainval = matrix.scores["trainval"].astype(np.float64)
    shown: list[dict[str, np.ndarray]] = [
        {"training images": trainval, "test images": matrix.scores["test_seen"]},
        {"test images": matrix.scores["test_unseen"]},
        {},
    ]
    if unrelated is not None:
        shown[1]["mixtures"] = mixed(trainval, unrelated, SHARE, matrix.seed)
        shown[2]["images of no class"] = unrelated
    for place, kinds, title in zip(axes, shown, PANELS, strict=True):
        for number, (name, scores) in enumerate(kinds.items()):
            _draw_histogram(place, entropies(scores), name, number)
        place.set_title(shortened(title), loc="left")
        place.set(xlim=(0, 1), yticks=[], xlabel="entropy")
        if kinds:
            place.legend(fontsize=7)
        else:
            place.text(0.5, 0.5, "none configured", ha="center", transform=place.transAxes)
    axes[0].set_ylabel(shortened(label, 34))


def _draw_histogram(axes: Axes, values: np.ndarray, name: str, number: int) -> None:
    """Draw one histogram and its mean."""
    colour = COLOURS[1 + number]
    edges = np.linspace(0, 1, BINS + 1).tolist()
    label = f"{name} (mean {values.mean():.2f})"
    axes.hist(values, edges, density=True, histtype="stepfilled", color=colour, alpha=0.25)
    axes.hist(values, edges, density=True, histtype="step", color=colour, label=label)
    axes.axvline(values.mean(), color=colour, linewidth=1, linestyle=":")
