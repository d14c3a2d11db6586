"""Bars of a study, from metrics.json: groups (networks, rebalancings) of the same rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zslpipe.reports.figures.style import COLOURS, STYLE, save_figure, shortened, write_around
from zslpipe.reports.tables.studies import measured_rows

HATCHES = ("", "///", "...")  # the next round through the colours
KEY = "mean over seeds, bars: sample standard deviation"
PRINTED = "; grey lines: printed in the paper"
WIDTH = 0.8  # of a group, of the room between two groups (ours)
Row = Mapping[str, Any]


def study_bars(
    layout: Mapping[str, Any], metrics: Sequence[Path], output_stem: Path
) -> tuple[Path, ...]:
    """Draw the first measure of a study's rows in per cent and return the paths of the pictures:
    axes for each dataset, a colour for each label, a group for each ``group``, or for each
    rebalancing where rows are in none.

    ``layout`` as in :mod:`zslpipe.reports.tables.studies`. Raises InputError as
    :func:`measured_rows`.
    """
    rows = measured_rows(layout, metrics)
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    groups = list(dict.fromkeys(_group(row) for row in rows))
    size = max(4.2, 1.2 * len(groups) + 1.6), 2.5 * len(datasets) + 0.9
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(datasets), squeeze=False)[:, 0]
        for place, dataset in zip(axes, datasets, strict=True):
            own = [row for row in rows if row["dataset"] == dataset]
            _draw_dataset(place, own, groups, layout["measures"][0])
            place.set_title(shortened(dataset), loc="left", fontweight="bold")
        where = ", ".join(filter(None, (layout["paper"], layout["place"])))
        key = KEY + (PRINTED if any(row["printed"] for row in rows) else "")
        write_around(figure, ": ".join(filter(None, (where, layout["title"]))), key)
        return tuple(save_figure(figure, output_stem))


def _group(row: Row) -> str:
    """Return the group of a row."""
    return str(row["group"] or row["rebalancing"])


def _draw_dataset(axes: Axes, rows: Sequence[Row], groups: Sequence[str], measure: str) -> None:
    """Draw the bars of one dataset."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    width = WIDTH / len(labels)
    for number, label in enumerate(labels):
        own = [row for row in rows if row["label"] == label]
        across = np.array([groups.index(_group(row)) for row in own])
        across = across + (number - (len(labels) - 1) / 2) * width
        means = np.array([row[f"{measure}_mean"] for row in own])
        spreads = np.array([row[f"{measure}_std"] for row in own], float)
        axes.bar(
            across,
            means,
            width,
            yerr=spreads,
            capsize=2,
            color=COLOURS[(number + 1) % len(COLOURS)],
            hatch=HATCHES[number // len(COLOURS) % len(HATCHES)],
            edgecolor="white",
            error_kw={"elinewidth": 0.8},
            label=shortened(label, 34),
        )
        for place, mean in zip(across, means, strict=True):
            axes.annotate(
                f"{mean:.0f}",
                (place, 0),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
                color="white",
            )
        printed = [row["printed"].get(measure, np.nan) for row in own]
        axes.hlines(printed, across - width / 2, across + width / 2, color="#888888", linewidth=2)
    names = [shortened(name.replace("_", " "), 22) for name in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.set(ylabel=f"{measure} (%)")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
