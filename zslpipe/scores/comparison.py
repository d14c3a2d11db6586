"""Two results side by side: means, spreads, difference and how likely it is by chance."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats
from tabulate import tabulate

from zslpipe.formats.identity import refuse_other, run_of
from zslpipe.formats.metrics import IDENTITY, METRICS, read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.scores.bootstrap import Sampled, interval, sampled
from zslpipe.scores.significance import difference_p

CONDITIONS = ("extractor", "semantics", "words", "selection", "rebalancing")
SIDE = ("std", "n", "95 %")
TESTS = ("p Welch", "p paired", "p classes")
COLUMNS = ("metric", "first", *SIDE, "second", *SIDE, "difference", "95 %", *TESTS)
TOLD = """\
per cent; std: n - 1; difference = second - first; p: two-sided t-tests: Welch's and paired over
seeds, p classes over the same test classes and the same seeds; 95 %: what other classes might make
of the same trained models (bootstrap); nothing is corrected for several comparisons"""
# Per cent (ours): accuracies are shares of counts, a smaller spread is what float64 has rounded.
ROUNDING = 1e-9


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

    Each metric's mean, spread, number of seeds and interval over classes, the difference (second -
    first) and its interval, and two-sided p-values of t-tests: Welch's over seeds, which needs two
    or more on each side, the paired one where the seeds are the same, and the one over classes and
    seeds by which the tables choose what is bold (:mod:`zslpipe.scores.significance`), where both
    tell the accuracies of the same classes. "-" where there is none. In per cent. What differs
    between the results (class vectors, features, ...) is said above the table; results on different
    datasets or splits get neither difference nor p. Raises InputError where a file is no
    metrics.json, a side is empty, mixes results, or seeds of other settings, or repeats a seed.
    """
    one, two = _read_side(first, "first"), _read_side(second, "second")
    some, other = next(iter(one.values())), next(iter(two.values()))
    lines = [f"first:  {_describe(some, one)}", f"second: {_describe(other, two)}"]
    apart = _not_comparable(some, other)
    if apart is not None:
        lines.append(f"NOT COMPARABLE: {apart}, so no differences are given")
    for name in CONDITIONS:
        if some[name] != other[name]:
            both = f"{some[name] or 'none'!r} and {other[name] or 'none'!r}"
            lines.append(f"CAUTION: {name} differs: {both}")
    lines += _other_versions(some, other)
    samples = sampled(list(one.values())), sampled(list(two.values()))
    rows = []
    for name in METRICS:
        drawn = samples[0].get(name), samples[1].get(name)
        rows.append(_row(name, _values(one, name), _values(two, name), drawn, apart is None))
    right = ["right"] * len(COLUMNS)
    # titles as a row: tabulate would widen every column that they are the widest of
    table = tabulate([COLUMNS, *rows], tablefmt="plain", disable_numparse=True, colalign=right)
    return "\n".join([*lines, "", table, "", TOLD])


def _other_versions(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return a line for each library of which two results were made by different versions."""
    one, two = first.get("versions", {}), second.get("versions", {})
    lines = []
    for name in sorted({*one, *two}):
        both = [versions.get(name, "not said") for versions in (one, two)]
        if both[0] != both[1]:
            lines.append(f"NOTE: version of {name} differs: {both[0]} and {both[1]}")
    return lines


def _not_comparable(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """Return why two results cannot be subtracted, None where they can."""
    if first["dataset"] != second["dataset"]:
        return "different datasets"
    if first["protocol"] != second["protocol"]:
        return f"different splits, {first['protocol']!r} and {second['protocol']!r}"
    return None


def _read_side(paths: Sequence[Path], name: str) -> dict[int, Mapping[str, Any]]:
    """Return seed -> metrics of one side; InputError where nothing is found, results are mixed, or
    seeds of other settings, or a seed repeats.
    """
    if not paths:
        raise InputError(f"compare: the {name} result has no metrics.json; give a run's folder")
    seeds: dict[int, Mapping[str, Any]] = {}
    configured = _configured(paths[0])
    for file in paths:
        metrics = read_metrics(file)
        reference = next(iter(seeds.values()), metrics)
        differing = [key for key in IDENTITY if metrics[key] != reference[key]]
        if differing:
            told = f"the {name} result mixes runs of different {', '.join(differing)}"
            raise InputError(f"{file}: {told}; give one run")
        if metrics["seed"] in seeds:
            raise InputError(f"{file}: seed {metrics['seed']} of the {name} result is given twice")
        own = _configured(file)
        if configured and own:
            remedy = "delete the folder of the seed that an earlier configuration left"
            refuse_other(file, configured, own, f"as in {paths[0]}; {remedy}")
        seeds[metrics["seed"]] = metrics
    return seeds


def _configured(file: Path) -> Mapping[str, Any]:
    """Return how the run of a metrics.json was configured, whatever its seed, as the scores beside
    it say; {} where none do, and of what has no settings of its own (ensembles, imported results).
    """
    scores = file.with_name("scores.h5")
    run = run_of(scores) if scores.is_file() else {}
    return {**run, "seed": None} if "settings" in run else {}


def _describe(metrics: Mapping[str, Any], seeds: Mapping[int, Any]) -> str:
    """Return one line: dataset, method, variant, conditions and seeds of a side."""
    who = f"{metrics['dataset']}, {metrics['method']} / {metrics['variant']}"
    conditions = ", ".join(f"{name} {metrics[name]}" for name in CONDITIONS if metrics[name])
    return f"{who} ({conditions}), seeds {', '.join(str(seed) for seed in sorted(seeds))}"


def _values(side: Mapping[int, Mapping[str, Any]], name: str) -> dict[int, float]:
    """Return seed -> a metric in per cent; seeds that lack it are left out."""
    return {seed: 100 * metrics[name] for seed, metrics in side.items() if name in metrics}


def _row(
    name: str,
    first: Mapping[int, float],
    second: Mapping[int, float],
    drawn: tuple[Sampled | None, Sampled | None],
    comparable: bool,
) -> tuple[str, ...]:
    """Return the cells of one metric from its values by seed and what is drawn of its classes."""
    one, two = list(first.values()), list(second.values())
    cells = (name, *_summary(one), _interval(drawn[0]), *_summary(two), _interval(drawn[1]))
    if not (comparable and one and two):
        return (*cells, "-", "-", "-", "-", "-")
    paired = None
    if first.keys() == second.keys():
        paired = paired_p(one, [second[seed] for seed in first])
    difference = statistics.fmean(two) - statistics.fmean(one)
    over_classes = _over_classes(*drawn)
    tests = _format_p(welch_p(one, two)), _format_p(paired), over_classes[1]
    return (*cells, f"{difference:+.2f}", over_classes[0], *tests)


def _interval(drawn: Sampled | None) -> str:
    """Return the cell of an interval over classes, "-" where classes are not told."""
    if drawn is None:
        return "-"
    low, high = interval(drawn.draws, drawn.fewest)
    return f"[{low:.1f},{high:.1f}]"


def _over_classes(one: Sampled | None, two: Sampled | None) -> tuple[str, str]:
    """Return the cells of the difference's interval and its p-value over the same classes and
    seeds, "-" where they are not told or not the same.
    """
    if one is None or two is None or one.classes != two.classes:
        return "-", "-"
    low, high = interval(two.draws - one.draws, one.fewest)
    return f"[{low:+.1f},{high:+.1f}]", _format_p(difference_p(one, two))


def _summary(values: Sequence[float]) -> tuple[str, str, str]:
    """Return the cells of mean, spread and number of values."""
    mean = f"{statistics.fmean(values):.2f}" if values else "-"
    spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
    return mean, spread, str(len(values))


def _format_p(value: float | None) -> str:
    """Return a p-value with three decimals, "<0.001" below, "-" where there is none."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def welch_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Welch's t-test of values in per cent; None below two values a
    side or without any spread.
    """
    if min(len(first), len(second)) < 2:
        return None
    spreads = statistics.stdev(first), statistics.stdev(second)
    if max(spreads) < ROUNDING:
        return None
    # from means and spreads: scipy warns of values where one side alone has no spread, which is
    # no fault here
    test = stats.ttest_ind_from_stats(
        *(statistics.fmean(first), spreads[0], len(first)),
        *(statistics.fmean(second), spreads[1], len(second)),
        equal_var=False,
    )
    return float(test.pvalue)


def paired_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the two-sided p-value of the paired t-test of values in per cent; None below two pairs
    or where all differences are equal.
    """
    differences = [one - two for one, two in zip(first, second, strict=True)]
    if len(differences) < 2 or statistics.stdev(differences) < ROUNDING:
        return None
    return float(stats.ttest_rel(first, second).pvalue)
