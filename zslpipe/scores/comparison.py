"""Two results side by side: means, spreads, difference and how likely it is by chance."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.special import stdtr

from zslpipe.formats.metrics import IDENTITY, METRICS, read_metrics
from zslpipe.machine.errors import InputError

CONDITIONS = ("extractor", "semantics", "words", "selection", "rebalancing")
COLUMNS = ("metric", "first", "std", "n", "second", "std", "n", "difference", "p Welch", "p paired")


def metrics_of(folder: Path) -> list[Path]:
    """Return the metrics.json files of a run's folder, seed*/metrics.json; InputError where there
    is none.
    """
    found = sorted(folder.glob("seed*/metrics.json"))
    if not found:
        known = "give results/{dataset}/runs/{method}/{variant}"
        raise InputError(f"{folder}: no seed*/metrics.json in it; {known}")
    return found


def compare(first: Sequence[Path], second: Sequence[Path]) -> str:
    """Return a table of two results, each given by its metrics.json files, one a seed.

    Each metric's mean, spread and number of seeds, the difference (second - first) and two-sided
    p-values of t-tests, which need two seeds or more on each side: Welch's, and the paired one
    where the seeds are the same; "-" where there is none. In per cent. What differs between the
    results (class vectors, features, ...) is said above the table; results on different datasets or
    splits get neither difference nor p. Raises InputError where a file is no metrics.json, a side
    is empty, mixes results or repeats a seed.
    """
    sides = [_read_side(paths, name) for paths, name in ((first, "first"), (second, "second"))]
    one, two = (next(iter(side.values())) for side in sides)
    lines = [f"first:  {_describe(one, sides[0])}", f"second: {_describe(two, sides[1])}"]
    differing = [name for name in ("dataset", "protocol") if one[name] != two[name]]
    comparable = not differing
    if "dataset" in differing:
        lines.append("NOT COMPARABLE: different datasets, so no differences are given")
    elif differing:
        both = f"{one['protocol']!r} and {two['protocol']!r}"
        lines.append(f"NOT COMPARABLE: different splits, {both}, so no differences are given")
    for name in CONDITIONS:
        if one[name] != two[name]:
            lines.append(
                f"CAUTION: {name} differs: {one[name] or 'none'!r} and {two[name] or 'none'!r}"
            )
    rows = [COLUMNS, *(_row(name, sides[0], sides[1], comparable) for name in METRICS)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    table = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines += [
        "",
        *table,
        "",
        "per cent; std: n - 1; p: two-sided t-tests over seeds, difference = second - first",
    ]
    return "\n".join(lines)


def _read_side(paths: Sequence[Path], name: str) -> dict[int, Mapping[str, Any]]:
    """Return seed -> metrics of one side; InputError where nothing is found, results are mixed or a
    seed repeats.
    """
    if not paths:
        raise InputError(f"compare: the {name} result has no metrics.json; give a run's folder")
    seeds: dict[int, Mapping[str, Any]] = {}
    for file in paths:
        metrics = read_metrics(file)
        reference = next(iter(seeds.values()), metrics)
        differing = [key for key in IDENTITY if metrics[key] != reference[key]]
        if differing:
            raise InputError(
                f"{file}: the {name} result mixes runs of different {', '.join(differing)}; give one run"
            )
        if metrics["seed"] in seeds:
            raise InputError(f"{file}: seed {metrics['seed']} of the {name} result is given twice")
        seeds[metrics["seed"]] = metrics
    return seeds


def _describe(metrics: Mapping[str, Any], seeds: Mapping[int, Any]) -> str:
    """Return one line: dataset, method, variant, conditions and seeds of a side."""
    who = f"{metrics['dataset']}, {metrics['method']} / {metrics['variant']}"
    conditions = ", ".join(f"{name} {metrics[name]}" for name in CONDITIONS if metrics[name])
    return f"{who} ({conditions}), seeds {', '.join(str(seed) for seed in sorted(seeds))}"


def _row(
    name: str,
    first: Mapping[int, Mapping[str, Any]],
    second: Mapping[int, Mapping[str, Any]],
    comparable: bool,
) -> tuple[str, ...]:
    """Return the cells of one metric; seeds that lack it are left out, and n says so."""
    sides = [
        {seed: 100 * entry[name] for seed, entry in side.items() if name in entry}
        for side in (first, second)
    ]
    cells = [name]
    for values in (list(side.values()) for side in sides):
        mean = f"{statistics.fmean(values):.2f}" if values else "-"
        cells += [
            mean,
            f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-",
            str(len(values)),
        ]
    if not (comparable and all(sides)):
        return (*cells, "-", "-", "-")
    one, two = (list(side.values()) for side in sides)
    paired = None
    if sides[0].keys() == sides[1].keys():
        paired = paired_p(
            [sides[0][seed] for seed in sides[0]], [sides[1][seed] for seed in sides[0]]
        )
    difference = statistics.fmean(two) - statistics.fmean(one)
    return (*cells, f"{difference:+.2f}", _format_p(welch_p(one, two)), _format_p(paired))


def _format_p(value: float | None) -> str:
    """Return a p-value with three decimals, "<0.001" below, "-" where there is none."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def welch_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Welch's t-test; None below two values a side or without any
    spread.
    """
    if min(len(first), len(second)) < 2:
        return None
    parts = [statistics.variance(values) / len(values) for values in (first, second)]
    total = sum(parts)
    if total == 0:
        return None
    freedom = total**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )  # Welch-Satterthwaite
    statistic = (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(total)
    return float(2 * stdtr(freedom, -abs(statistic)))


def paired_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the two-sided p-value of the paired t-test; None below two pairs or where all
    differences are equal.
    """
    differences = [one - two for one, two in zip(first, second, strict=True)]
    if len(differences) < 2 or statistics.variance(differences) == 0:
        return None
    error = math.sqrt(statistics.variance(differences) / len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(statistics.fmean(differences) / error)))
