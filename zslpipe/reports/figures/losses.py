"""Loss curves of a method's seeds, from history.csv alone."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zslpipe.formats.history import read_history
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.style import (
    COLOURS,
    DASHES,
    RIGHT,
    STYLE,
    plain_name,
    save_figure,
    write_title,
)

NOT_TERMS = ("phase", "stage", "epoch", "step", "waiting", "seconds")
# Drawn in the panel of the loss that was minimised: of images that the training was not shown.
HELD_OUT = "validation_loss"
Series = list[tuple[float, float]]


def loss_curves(histories: Sequence[Path], output_stem: Path) -> tuple[Path, Path]:
    """Draw the history.csv files of one method and variant, one a seed, and return the paths of
    both files.

    A row of panels for each phase and stage of the training, a panel for each of its loss terms
    (and what else was measured after epochs): seeds thin, their mean thick. The loss of held-out
    images is dashed in the panel of the loss that was minimised (SGMA, figure 3). Where a phase was
    trained several times a seed (candidates on the validation classes), each training is a line and
    there is no mean. What was trained for one epoch is told in numbers. A closed-form method
    (header only) gets a figure that says so. Raises InputError where a file is absent or no
    history.
    """
    if not histories:
        raise InputError("loss curves: no history.csv given; at least one seed is needed")
    tables = [read_history(path) for path in histories]
    phases = list(dict.fromkeys(_phase(row) for table in tables for row in table))
    panels = {phase: _terms(tables, phase) for phase in phases}
    held_out = {phase: terms.pop(HELD_OUT, []) for phase, terms in panels.items()}
    # a term keeps its colour
    names = list(dict.fromkeys(itertools.chain.from_iterable(panels.values())))
    rows = max(len(phases), 1)
    columns = max((len(terms) for terms in panels.values()), default=1)
    with mpl.rc_context(STYLE):
        heights = [_height(terms) for terms in panels.values()] or [2.0]
        size = max(2.4 * columns, 3.6), sum(heights) + 0.5
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat:
            axes.set_axis_off()
        if not phases:
            grid[0, 0].text(0.5, 0.5, "closed form: no training epochs", ha="center", va="center")
        for row, (phase, terms) in zip(grid, panels.items(), strict=False):
            for axes, (term, series) in zip(row, terms.items(), strict=False):
                colour = COLOURS[names.index(term) % len(COLOURS)]
                _draw_losses(axes, series, len(tables), colour)
                axes.set_title(f"{phase}: {plain_name(term)}", loc="left")
            if held_out[phase]:
                _draw_held_out(row[list(terms).index("loss")], held_out[phase], len(tables))
        write_title(figure, _run_title(histories[0], len(histories)))
        return save_figure(figure, output_stem)


def _phase(row: Mapping[str, str]) -> str:
    """Return "phase, stage" of a row; the phase alone where there is no stage of another name."""
    stage = row.get("stage", "")
    return row["phase"] if stage in ("", row["phase"]) else f"{row['phase']}, {stage}"


def _height(terms: Mapping[str, list[Series]]) -> float:
    """Return the inches of a row of panels: few where none has a curve."""
    longest = max(len(training) for series in terms.values() for training in series)
    return 2.0 if longest > 1 else 0.9


def _terms(tables: Sequence[Sequence[Mapping[str, str]]], phase: str) -> dict[str, list[Series]]:
    """Return what was measured in a phase, in the order of the columns: name -> series of (epoch,
    value).

    Settings that were tried (equal within each training, different between trainings) and text are
    no measurements.
    """
    seeds = [_rows(table, phase) for table in tables]
    rows = list(itertools.chain.from_iterable(seeds))
    found = {}
    for name in dict.fromkeys(itertools.chain.from_iterable(rows)):
        trainings = _trainings(seeds, name)
        if name not in NOT_TERMS and _measured(trainings):
            found[name] = trainings
    return found


def _rows(table: Sequence[Mapping[str, str]], phase: str) -> list[Mapping[str, str]]:
    """Return the rows of a phase."""
    return [row for row in table if _phase(row) == phase]


def _measured(trainings: Sequence[Series]) -> bool:
    """Return whether a column was measured. Set is what is equal within each training and different
    between trainings.
    """
    if not trainings:
        return False
    values: list[set[float]] = []
    for training in trainings:
        values.append({value for _, value in training})
    equal = all(len(within) == 1 for within in values) and max(map(len, trainings)) > 1
    return not (equal and len(set().union(*values)) > 1)


def _trainings(seeds: Sequence[Sequence[Mapping[str, str]]], name: str) -> list[Series]:
    """Return the trainings of all seeds."""
    return [training for rows in seeds for training in _series(rows, name)]


def _series(rows: Sequence[Mapping[str, str]], name: str) -> list[Series]:
    """Split a column into trainings, a new one where the epoch does not rise; cells without a
    number are left out.
    """
    trainings: list[Series] = []
    last = float("inf")
    for row in rows:
        try:
            epoch, value = float(row["epoch"]), float(row[name])
        except ValueError:
            continue
        if epoch <= last:
            trainings.append([])
        trainings[-1].append((epoch, value))
        last = epoch
    return trainings


def _draw_held_out(axes: Axes, series: Sequence[Series], seeds: int) -> None:
    """Draw the loss of held-out images over the training's, which is there already."""
    axes.lines[0].set_label("training")
    _draw_losses(axes, series, seeds, RIGHT, DASHES[1])
    axes.lines[-1].set_label("held-out images")
    axes.legend()


def _draw_losses(
    axes: Axes, series: Sequence[Series], seeds: int, colour: str, dashes: str = DASHES[0]
) -> None:
    """Draw one measurement: each training, and over one training a seed the mean of those that
    reached an epoch.
    """
    if not axes.axison and max(map(len, series)) == 1:
        _write_values(axes, series)
        return
    axes.set_axis_on()
    width, alpha = (0.8, 0.4) if len(series) > 1 else (1.8, 1.0)
    marker = "o" if max(map(len, series)) < 8 else ""  # ours: a few epochs are points, many a line
    for training in series:
        axes.plot(
            *zip(*training, strict=True),
            color=colour,
            linestyle=dashes,
            marker=marker,
            markersize=3,
            linewidth=width,
            alpha=alpha,
        )
    if len(series) == seeds and seeds > 1:
        axes.plot(*_mean_line(series), color=colour, linestyle=dashes, linewidth=1.8)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(alpha=0.25, linewidth=0.6)


def _write_values(axes: Axes, series: Sequence[Series]) -> None:
    """Write the values of trainings of one epoch, of which there is no curve."""
    values = [f"{training[0][1]:.4g}" for training in series]
    told = f"{', '.join(values)}\nafter one epoch"
    axes.text(0, 0.92, told, transform=axes.transAxes, va="top", wrap=True)


def _mean_line(series: Sequence[Series]) -> tuple[list[float], list[float]]:
    """Return all epochs and, for each, the mean of the trainings that reached it."""
    reached: dict[float, list[float]] = {}
    for epoch, value in itertools.chain.from_iterable(series):
        reached.setdefault(epoch, []).append(value)
    epochs = sorted(reached)
    return epochs, [float(np.mean(reached[epoch])) for epoch in epochs]


def _run_title(history: Path, seeds: int) -> str:
    """Return a title from results/{dataset}/runs/{method}/{variant}/seed{n}/history.csv; "" for any
    other path.
    """
    parts = history.parts
    if len(parts) < 6 or parts[-5] != "runs":
        return ""
    count = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return f"{parts[-4]} / {parts[-3]} on {parts[-6]}, {count}"
