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

from zslpipe.reports.figures.curves import (
    best_of_methods,
    limit,
    look,
    points,
    read_results,
    short_label,
    write_beside,
)
from zslpipe.reports.figures.style import STYLE, save_figure, shortened, write_around

KEY = (
    "from left to right a growing constant is taken off the scores of seen classes;"
    "\ndot: no constant; of each method the variant of the highest AUSUC, first seed"
)


def calibration_curves(metrics: Sequence[Path], output_stem: Path) -> tuple[Path, Path]:
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
        lines = []
        for number, result in enumerate(best_of_methods(found)):
            sweep = _draw_sweep(axes, found[result], *look(number))
            highest = float(sweep[1].max(initial=0.0))
            lines.append((f"{short_label(result)}\nH up to {highest:.1f}", sweep, highest))
        sweeps = [sweep for _, sweep, _ in lines]
        limits = limit(sweeps, 0), limit(sweeps, 1)
        axes.set(xlabel="U, unseen classes (%)", ylabel="H (%)")
        axes.set(xlim=(0, limits[0]), ylim=(0, limits[1]))
        axes.grid(alpha=0.25, linewidth=0.6)
        write_beside(axes, lines, limits)
        write_around(figure, f"{shortened(dataset)}: calibration", KEY)
        return save_figure(figure, output_stem)


def harmonic_means(unseen: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the harmonic means of (point,) accuracies, 0 where both are."""
    both = unseen + seen
    found: np.ndarray = np.divide(2 * unseen * seen, both, out=np.zeros_like(both), where=both > 0)
    return found


def _draw_sweep(axes: Axes, entry: Mapping[str, Any], colour: str, dashes: str) -> np.ndarray:
    """Draw the sweep of one result; return it, (2, point)."""
    unseen, seen = points(entry)
    sweep = np.stack([unseen, harmonic_means(unseen, seen)])
    axes.plot(*sweep, color=colour, linestyle=dashes, linewidth=1.8)
    if "U" in entry and "H" in entry:
        (dot,) = axes.plot(100 * entry["U"], 100 * entry["H"], "o", color=colour, markersize=7)
        dot.set(markeredgecolor="white", zorder=5)
    return sweep
