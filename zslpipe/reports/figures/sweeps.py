"""Curves of a study's sweeps, from metrics.json: what a setting does to the measures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.reports.figures.style import (
    COLOURS,
    DASHES,
    STYLE,
    save_figure,
    shortened,
    write_around,
)
from zslpipe.reports.tables.studies import measured_rows

KEY = "mean over seeds, bars: sample standard deviation"
PRINTED = "; grey crosses: printed in the paper"
PANEL, LEAST = (3.4, 2.7), 5.4  # inches (ours)
Row = Mapping[str, Any]


def sweep_curves(
    layout: Mapping[str, Any], metrics: Sequence[Path], output_stem: Path
) -> tuple[Path, ...]:
    """Draw a study's sweeps and return the paths of the pictures: a row of axes for each dataset,
    an axis for each sweep, a curve for each line and measure, in per cent.

    ``layout`` as in :mod:`zslpipe.reports.tables.studies`. Raises InputError as
    :func:`measured_rows`.
    """
    rows = measured_rows(layout, metrics)
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    panels = layout["panels"]
    width = max(LEAST, PANEL[0] * len(panels) + 0.4)
    size = width, PANEL[1] * len(datasets) + 0.9
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(datasets), len(panels), squeeze=False)
        for down, dataset in enumerate(datasets):
            for across, panel in enumerate(panels):
                own = _of_panel(rows, dataset, across)
                _draw_panel(axes[down, across], panel, own, dataset)
        where = ", ".join(filter(None, (layout["paper"], layout["place"])))
        key = KEY + (PRINTED if any(row["printed"] for row in rows) else "")
        write_around(figure, ": ".join(filter(None, (where, layout["title"]))), key)
        return tuple(save_figure(figure, output_stem))


def _of_panel(rows: Sequence[Row], dataset: str, panel: int) -> list[Row]:
    """Return the rows of a sweep on a dataset."""
    return [row for row in rows if (row["dataset"], row["panel"]) == (dataset, panel)]


def _draw_panel(axes: Axes, panel: Mapping[str, Any], rows: Sequence[Row], dataset: str) -> None:
    """Draw one sweep on one dataset."""
    values = list(dict.fromkeys(row["value"] for row in rows))
    places = _places(values)
    labels = list(dict.fromkeys(row["label"] for row in rows))
    number = 0
    for label in labels:
        of_line = [row for row in rows if row["label"] == label]
        for measure in panel["plot"]:
            named = [label] if len(labels) > 1 else []
            named += [measure] if len(panel["plot"]) > 1 or not named else []
            _draw_curve(axes, of_line, places, measure, ", ".join(named), number)
            number += 1
    if panel["scale"] == "log" and _are_numbers(values) and min(values, default=0) > 0:
        axes.set_xscale("log")
        axes.minorticks_off()
    names = [shortened(str(value), 16) for value in places]
    axes.set_xticks(list(places.values()), names, fontsize=7.5)
    one = panel["plot"][0] if len(panel["plot"]) == 1 else "accuracy"
    axes.set(xlabel=panel["title"], ylabel=f"{one} (%)")
    axes.set_title(shortened(dataset), loc="left", fontweight="bold")
    if rows:
        axes.legend(fontsize=7)


def _places(values: Sequence[Any]) -> dict[Any, float]:
    """Return where each value stands on the axis: numbers where they are, others one by one."""
    if _are_numbers(values):
        return {value: value for value in sorted(values)}
    return {value: float(number) for number, value in enumerate(values)}


def _are_numbers(values: Sequence[Any]) -> bool:
    """Return whether all values are numbers; true and false are none."""
    kinds = {type(value) for value in values}
    return kinds <= {int, float}


def _draw_curve(
    axes: Axes,
    rows: Sequence[Row],
    places: Mapping[Any, float],
    measure: str,
    label: str,
    number: int,
) -> None:
    """Draw one curve with its spread, and the printed points that there are."""
    rows = sorted(rows, key=lambda row: places[row["value"]])
    across = np.array([places[row["value"]] for row in rows])
    means = np.array([row[f"{measure}_mean"] for row in rows])
    spreads = np.array([row[f"{measure}_std"] for row in rows], float)
    axes.errorbar(
        across,
        means,
        yerr=spreads,
        color=COLOURS[number % len(COLOURS)],
        linestyle=DASHES[number // len(COLOURS) % len(DASHES)],
        marker="o",
        markersize=3.5,
        linewidth=1.4,
        elinewidth=0.8,
        capsize=2,
        label=shortened(label, 44),
    )
    printed = np.array([row["printed"].get(measure, np.nan) for row in rows], float)
    axes.plot(across, printed, "x", color="#888888", markersize=6, zorder=0)
