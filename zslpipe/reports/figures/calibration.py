"""What taking a constant off the seen classes' scores does to H, from metrics.json alone: the
calibration of DAZLE's figure 4, for every method on one axis.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.reports.figures.curves import best_of_methods, look, points, read_results
from zslpipe.reports.figures.style import STYLE, result_label, save_figure, shortened, write_around

KEY = (
    "from left to right a growing constant is taken off the scores of seen classes;"
    "\ndot: no constant; the best variant of each method, first seed"
)
LONGEST = 34  # ours: characters of a name beside the axes


def calibration_sweeps(metrics: Sequence[Path], output_stem: Path) -> tuple[Path, Path]:
    """Draw H over U in per cent while a constant taken off all seen scores grows, from metrics.json
    files of one dataset; return the paths of both files.

    A line for the best result of each method (:func:`zslpipe.reports.figures.curves.
    best_of_methods`), a dot where no constant is taken off. U stands for the constant: scores of
    different methods have no common unit. Raises InputError for several datasets, for none.
    """
    found = read_results(metrics)
    dataset = next(iter(found.values()))["dataset"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 4.0), layout="constrained")
        axes = figure.subplots()
        summits = {}
        for number, result in enumerate(best_of_methods(found)):
            name = shortened(result_label(*result), LONGEST)
            summits[name, look(number)[0]] = _draw_sweep(axes, found[result], *look(number))
        axes.set(xlabel="U, unseen classes (%)", ylabel="H (%)", xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.25, linewidth=0.6)
        _write_names(axes, summits)
        write_around(figure, f"{shortened(dataset)}: calibration", KEY)
        return save_figure(figure, output_stem)


def harmonic_means(unseen: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the harmonic means of (point,) accuracies, 0 where both are."""
    both = unseen + seen
    found: np.ndarray = np.divide(2 * unseen * seen, both, out=np.zeros_like(both), where=both > 0)
    return found


def _draw_sweep(
    axes: Axes, entry: Mapping[str, Any], colour: str, dashes: str
) -> tuple[float, float]:
    """Draw the sweep of one result; return its highest point."""
    unseen, seen = points(entry)
    harmonic = harmonic_means(unseen, seen)
    axes.plot(unseen, harmonic, color=colour, linestyle=dashes, linewidth=1.8)
    if "U" in entry and "H" in entry:
        (dot,) = axes.plot(100 * entry["U"], 100 * entry["H"], "o", color=colour, markersize=7)
        dot.set(markeredgecolor="white", zorder=5)
    if not len(harmonic):
        return 0.0, 0.0
    return float(unseen[harmonic.argmax()]), float(harmonic.max())


def _write_names(axes: Axes, summits: Mapping[tuple[str, str], tuple[float, float]]) -> None:
    """Write the names right of the axes, the highest H on top, a thin line leading to each one's
    highest point.
    """
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    heights = top * np.linspace(0.96, 0.08, max(len(summits), 6))
    order = sorted(summits.items(), key=lambda item: -item[1][1])
    for ((name, colour), summit), height in zip(order, heights, strict=False):
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 1.0, "shrinkB": 0}
        place, told = (1.03 * right, height), f"{name}\nH up to {summit[1]:.1f}"
        text = axes.annotate(told, summit, place, arrowprops=leader, annotation_clip=False)
        text.set(fontsize=8, va="center")
