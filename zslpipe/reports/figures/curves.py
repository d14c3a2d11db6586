"""Seen/unseen curves of a dataset's methods, from metrics.json alone."""

from collections.abc import Iterable, Mapping, Sequence
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

Result = tuple[str, str, str]  # method, variant, rebalancing
REST = "#BFBFBF"
LINES = "#D9D9D9"  # of equal H
BOUND = "oracle"  # a rebalancing that is told which images are of unseen classes: no result
LONGEST = 34  # ours: characters of a name beside the axes
KEY = "dot: operating point; colour: the highest AUSUC of each method, grey: the others; first seed"


def seen_unseen_curves(
    metrics: Sequence[Path], output_stem: Path, note: str = ""
) -> tuple[Path, Path]:
    """Draw S over U in per cent from metrics.json files of one dataset and return the paths of both
    files.

    One line for each method, variant and rebalancing, from the first file given of it (the first
    seed); a dot marks the operating point (no constant subtracted). The best of each method
    (:func:`best_of_methods`) has a colour and its name with the area under the curve beside it, the
    rest are grey; light lines of equal H; ``note`` stands above all. Raises InputError for several
    datasets, for none.
    """
    found = read_results(metrics)
    best = best_of_methods(found)
    curves = {result: points(entry) for result, entry in found.items()}
    limits = limit(curves.values(), 0), limit(curves.values(), 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 4.6), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(0, limits[0]), ylim=(0, limits[1]), axisbelow=True)
        _draw_harmonic_lines(axes, limits)
        for result, entry in found.items():
            if result not in best:
                _draw_curve(axes, curves[result], entry, REST, "-")
        for number, result in enumerate(best):
            _draw_curve(axes, curves[result], found[result], *look(number))
        names = {}
        for result in best:
            told = f"{short_label(result)}\n{_area(found[result])}"
            names[result] = told, curves[result], _worth(found[result])
        write_beside(axes, list(names.values()), limits)
        dataset = next(iter(found.values()))["dataset"]
        told = f"{shortened(dataset)}: seen against unseen classes"
        title = "\n".join(filter(None, [note, told]))
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold", pad=16)
        axes.set(xlabel="U, unseen classes (%)", ylabel="S, seen classes (%)")
        figure.supxlabel(KEY, fontsize=7.5, color="#555555")
        return save_figure(figure, output_stem)


def points(entry: Mapping[str, Any]) -> np.ndarray:
    """Return the (2, point) curve of a metrics.json, U and S in per cent."""
    found: np.ndarray = 100 * np.asarray([entry["curve"]["U"], entry["curve"]["S"]], np.float64)
    return found


def best_of_methods(found: Mapping[Result, Mapping[str, Any]]) -> list[Result]:
    """Return the result of the largest area under the curve of each method, in the order of the
    methods, the first of equals; an oracle's only where a method has no other.
    """
    chosen: dict[str, tuple[tuple[bool, float], Result]] = {}
    for result, entry in found.items():
        method, _, rebalancing = result
        worth = rebalancing != BOUND, _worth(entry)
        if method not in chosen or worth > chosen[method][0]:
            chosen[method] = worth, result
    return [result for _, result in chosen.values()]


def _worth(entry: Mapping[str, Any]) -> float:
    """Return the area under a curve, 0 where it has none."""
    return float(entry.get("AUSUC", 0.0))


def _area(entry: Mapping[str, Any]) -> str:
    """Return the area under a curve in words."""
    return f"AUSUC {100 * entry['AUSUC']:.1f}" if "AUSUC" in entry else "no curve"


def look(number: int) -> tuple[str, str]:
    """Return the colour and the dashes of the curve of a number."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def read_results(metrics: Sequence[Path]) -> dict[Result, Mapping[str, Any]]:
    """Return (method, variant, rebalancing) -> metrics, the first file given of each; InputError
    for no file and for several datasets.
    """
    found: dict[Result, Mapping[str, Any]] = {}
    for path in metrics:
        content = read_metrics(path)
        found.setdefault((content["method"], content["variant"], content["rebalancing"]), content)
        datasets = sorted({next(iter(found.values()))["dataset"], content["dataset"]})
        if len(datasets) > 1:
            raise InputError(f"{path}: curves of one dataset only, found {' and '.join(datasets)}")
    if not found:
        raise InputError("seen-unseen curves: no metrics.json given; at least one result is needed")
    return found


def limit(curves: Iterable[np.ndarray], axis: int) -> float:
    """Return the end of an axis in per cent: a little above the highest of the curves' values."""
    highest = [max(curve[axis], default=1.0) for curve in curves]
    return 1.06 * max(1.0, *highest)


def _draw_curve(
    axes: Axes, curve: np.ndarray, entry: Mapping[str, Any], colour: str, dashes: str
) -> None:
    """Draw one (2, point) curve in per cent with its operating point, where it has one."""
    width = 1.0 if colour == REST else 1.8
    axes.plot(*curve, color=colour, linestyle=dashes, linewidth=width)
    if "U" in entry and "S" in entry:
        place = 100 * entry["U"], 100 * entry["S"]
        size = 4 if colour == REST else 7
        (dot,) = axes.plot(*place, "o", color=colour, markersize=size, clip_on=False)
        dot.set(markeredgecolor="white", zorder=2 if colour == REST else 5)


def write_beside(
    axes: Axes, lines: Sequence[tuple[str, np.ndarray, float]], limits: Sequence[float]
) -> None:
    """Write names right of the axes, which reach from 0 to ``limits``, a thin line leading to each
    one's curve: ``lines`` are name, (2, point) curve and worth in the order of their colours, the
    worthiest stands on top.
    """
    heights = limits[1] * np.linspace(0.86, 0.08, max(len(lines), 6))
    order = sorted(range(len(lines)), key=lambda number: -lines[number][2])
    for number, height in zip(order, heights, strict=False):
        name, curve, _ = lines[number]
        leader = {"arrowstyle": "-", "color": look(number)[0], "linewidth": 1.0, "shrinkB": 0}
        place, anchor = (1.03 * limits[0], height), reached(curve, height)
        text = axes.annotate(name, anchor, place, arrowprops=leader, annotation_clip=False)
        text.set(fontsize=8, va="center")


def short_label(result: Result) -> str:
    """Return a result's name that fits beside the axes."""
    return shortened(result_label(*result), LONGEST)


def reached(curve: np.ndarray, seen: float) -> tuple[float, float]:
    """Return the point of a (2, point) curve of the largest U with at least this S; of all where
    none has, the origin where there is none.
    """
    if not curve.size:
        return 0.0, 0.0
    enough = curve[1] >= seen
    among = curve[:, enough] if enough.any() else curve
    first, second = among[:, int(among[0].argmax())]
    return float(first), min(float(second), seen) if enough.any() else float(second)


def _draw_harmonic_lines(axes: Axes, limits: Sequence[float]) -> None:
    """Draw light lines of equal H = 10, 20 ... 90 per cent through the (U, S) area, each labelled
    at its upper end.
    """
    for level in range(10, 100, 10):
        if level >= 2 * limits[0] * limits[1] / sum(limits):  # H of the corner: no line beyond
            break
        unseen = np.linspace(level * limits[1] / (2 * limits[1] - level), limits[0], 200)
        seen = level * unseen / (2 * unseen - level)
        axes.plot(unseen, seen, color=LINES, linewidth=0.7, zorder=0)
        place = (float(unseen[0]), float(seen[0]))
        axes.annotate(
            f"H {level}",
            place,
            (0, 2),
            textcoords="offset points",
            fontsize=7,
            color="#888888",
            ha="center",
        )
