"""Seen/unseen curves of a dataset's methods, from metrics.json alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.formats.metrics import read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.style import (
    COLOURS,
    DASHES,
    STYLE,
    result_label,
    save_figure,
    shortened,
)


def seen_unseen_curves(
    metrics: Sequence[Path], output_stem: Path, note: str = ""
) -> tuple[Path, Path]:
    """Draw S over U in per cent from metrics.json files of one dataset and return the paths of
    both files.

    One line for each method, variant and rebalancing, from the first file given of it (the first
    seed); a dot marks the operating point (no constant subtracted); grey lines of equal H; ``note``
    stands above all. Raises InputError for several datasets, for none.
    """
    found = _read(metrics)
    curves = []
    for entry in found.values():
        curves.append(100 * np.asarray([entry["curve"]["U"], entry["curve"]["S"]]))
    unseen, seen = zip(*curves, strict=True)
    limits = _limit(unseen), _limit(seen)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        _draw_harmonic_lines(axes, limits)
        for number, (result, entry) in enumerate(found.items()):
            _draw_curve(axes, curves[number], entry, result_label(*result), number)
        axes.set(xlim=(0, limits[0]), ylim=(0, limits[1]), axisbelow=True)
        dataset = next(iter(found.values()))["dataset"]
        title = f"{shortened(dataset)} (dot: operating point)"
        title = "\n".join(filter(None, [note, title]))
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
        axes.set(xlabel="U, unseen classes (%)", ylabel="S, seen classes (%)")
        figure.legend(loc="outside right center", fontsize=8)
        return save_figure(figure, output_stem)


def _read(metrics: Sequence[Path]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Return (method, variant, rebalancing) -> metrics, the first file given of each; InputError
    for no file and for several datasets.
    """
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for path in metrics:
        content = read_metrics(path)
        found.setdefault((content["method"], content["variant"], content["rebalancing"]), content)
        datasets = sorted({next(iter(found.values()))["dataset"], content["dataset"]})
        if len(datasets) > 1:
            raise InputError(f"{path}: curves of one dataset only, found {' and '.join(datasets)}")
    if not found:
        raise InputError("seen-unseen curves: no metrics.json given; at least one result is needed")
    return found


def _limit(values: Sequence[np.ndarray]) -> float:
    """Return the end of an axis in per cent: a little above the highest of the curves' values."""
    highest = [max(curve, default=1.0) for curve in values]
    return 1.06 * max(1.0, *highest)


def _draw_curve(
    axes: Axes, curve: np.ndarray, entry: Mapping[str, Any], label: str, number: int
) -> None:
    """Draw one (2, point) curve in per cent with its operating point; the legend gives the area
    where there is one.
    """
    area = f"\nAUSUC {100 * entry['AUSUC']:.1f}" if "AUSUC" in entry else "\nno curve"
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
    axes.plot(*curve, color=colour, linestyle=dash, linewidth=1.6, label=shortened(label) + area)
    if "U" in entry and "S" in entry:
        place = 100 * entry["U"], 100 * entry["S"]
        axes.plot(
            *place,
            "o",
            color=colour,
            markeredgecolor="white",
            markersize=7,
            zorder=5,
            clip_on=False,
        )


def _draw_harmonic_lines(axes: Axes, limits: Sequence[float]) -> None:
    """Draw light lines of equal H = 10, 20 ... 90 per cent through the (U, S) area, each labelled
    at its right end.
    """
    for level in range(10, 100, 10):
        if level >= 2 * limits[0] * limits[1] / sum(limits):  # H of the corner: no line beyond
            break
        unseen = np.linspace(level * limits[1] / (2 * limits[1] - level), limits[0], 200)
        seen = level * unseen / (2 * unseen - level)
        axes.plot(unseen, seen, color="#BBBBBB", linewidth=0.7, zorder=0)
        place = (float(unseen[-1]), float(seen[-1]))
        axes.annotate(
            f"H {level}",
            place,
            (3, 0),
            textcoords="offset points",
            fontsize=7,
            color="#888888",
            va="center",
        )
