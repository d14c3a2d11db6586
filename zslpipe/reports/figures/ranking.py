"""Mean ranks over datasets with their critical distance, in the layout of Demšar (JMLR 7, 2006,
figure 1): the best on the right, thick bars under results that are not told apart.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.reports.figures.style import (
    STYLE,
    result_label,
    save_figure,
    shortened,
    write_around,
)
from zslpipe.reports.tables.ranking import Rankings, rankings
from zslpipe.scores.ranking import Ranking

# What a method is after; U and S alone are had by giving the other one up.
DRAWN = ("T1", "H", "AUSUC")
# Inches (ours): of an axis with its distance, of a name.
HEAD, LINE = 0.75, 0.2
KEY = (
    "mean rank over datasets, 1 the best; thick bars: not told apart by Nemenyi's test"
    " (CD: its critical distance), all where Friedman's test finds no difference"
)


def ranking_figure(metrics: Sequence[Path], output_stem: Path) -> tuple[Path, Path]:
    """Draw the ranks by T1, H and AUSUC from metrics.json files and return the paths of both
    files; where nothing is ranked the figure says so. InputError as ``rankings``.
    """
    found = rankings(metrics)
    drawn = [name for name in DRAWN if name in found.by_measure]
    lines = (len(found.results) + 1) // 2
    height = HEAD + LINE * (lines + len(found.results) / 3)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.7 + max(1, len(drawn)) * height), layout="constrained")
        write_around(figure, f"{len(found.datasets)} datasets: {', '.join(found.datasets)}", KEY)
        panels = figure.subplots(max(1, len(drawn)), squeeze=False)[:, 0]
        for axes in panels:
            axes.set_axis_off()
        for axes, name in zip(panels, drawn, strict=False):
            _draw(axes, name, found, found.by_measure[name])
        if not drawn:
            few = "nothing is ranked: three datasets and three results are needed"
            panels[0].text(0.5, 0.5, few, ha="center", transform=panels[0].transAxes)
        return save_figure(figure, output_stem)


def _draw(axes: Axes, name: str, found: Rankings, ranking: Ranking) -> None:
    """Draw one measure's panel: x is the rank, y goes down in lines of text."""
    count = len(found.results)
    groups = ranking.groups()
    below = 0.8 * len(groups) + 0.6  # where the names begin
    lines = (count + 1) // 2
    margin = 0.55 * (count - 1)  # beside the ranks, for the names
    axes.set(xlim=(count + margin, 1 - margin), ylim=(below + lines + 0.4, -2.6))
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for number in range(1, count + 1):
        axes.plot([number, number], [0, -0.25], color="black", linewidth=1)
        axes.text(number, -0.4, str(number), ha="center", va="bottom", fontsize=8)
    axes.text(count + margin, -1.9, name, fontweight="bold", ha="left", va="center")
    _draw_distance(axes, ranking, count)
    _draw_names(axes, found, ranking, below)
    for number, (low, high) in enumerate(groups):
        place = 0.6 + 0.8 * number
        axes.plot([low - 0.04, high + 0.04], [place] * 2, color="black", linewidth=3.5)


def _draw_distance(axes: Axes, ranking: Ranking, count: int) -> None:
    """Draw the critical distance above the axis, or say that the ranks do not differ."""
    if not ranking.is_told_apart:
        told = f"no difference found (Friedman p = {ranking.p:.2f})"
        axes.text((1 + count) / 2, -1.9, told, ha="center", va="center", fontsize=8)
        return
    length = min(ranking.distance, count - 1.0)
    axes.errorbar(
        1 + length / 2, -1.6, xerr=length / 2, color="black", capsize=3, linewidth=1, marker=""
    )
    more = " (longer than the axis)" if ranking.distance > length else ""
    told = f"CD {ranking.distance:.2f}{more}"
    axes.text(1 + length / 2, -1.85, told, ha="center", va="bottom", fontsize=8)


def _draw_names(axes: Axes, found: Rankings, ranking: Ranking, below: float) -> None:
    """Draw each result's line from its rank to its name: the better half on the right, the best
    on top, the worse on the left, the worst on top.
    """
    order = np.argsort(ranking.mean_ranks, kind="stable")
    count = len(order)
    better = count // 2
    reach, gap = 0.12 * (count - 1), 0.02 * (count - 1)
    for place, number in enumerate(order):
        on_right = place < better
        line = below + (place if on_right else count - 1 - place)
        end = 1 - reach if on_right else count + reach
        mean = float(ranking.mean_ranks[number])
        axes.plot([mean, mean, end], [0, line, line], color="black", linewidth=0.7)
        told = f"{shortened(result_label(*found.results[number]), 34)}  {mean:.2f}"
        side = "left" if on_right else "right"
        axes.text(
            end - gap if on_right else end + gap, line, told, ha=side, va="center", fontsize=8
        )
