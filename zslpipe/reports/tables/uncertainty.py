"""How sure the numbers of a table are: intervals over classes, and which rows may be the best.

A row for each result, beside its means: ``{measure}_low`` and ``{measure}_high``, the ends of the
95 % interval, and ``{measure}_best_p``, the p-value of its being the best of its dataset
(:mod:`zslpipe.scores.bootstrap`, :mod:`zslpipe.scores.significance`), NaN where there is none. Only
honest results are compared: neither the oracle nor the best epoch on test. Where one of them does
not tell the accuracies of its classes, nothing is said of any: it might be the best.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zslpipe.formats.metrics import BEST_ON_TEST, METRICS
from zslpipe.scores.bootstrap import DRAWS, Sampled, interval, sampled
from zslpipe.scores.significance import LEVEL, may_be_best

COLUMNS = tuple(f"{name}_{kind}" for name in METRICS for kind in ("low", "high", "best_p"))
NEVER_BEST = frozenset({"oracle", BEST_ON_TEST})  # labels or test images took part
TOLD_BOLD = (
    "Bold: what may be the best of its column and dataset, as no other row is better by a paired"
    " test over the same test classes and the same seeds (one-sided t, Holm over the other rows,"
    f" {100 * LEVEL:.0f} %); rows of other class vectors, words or networks are compared, the"
    " oracle, the best epoch on test and printed numbers are not."
)
TOLD_INTERVALS = (
    f"95 % intervals in per cent, from {DRAWS} draws of the test classes, each with all of its"
    " images (expanded percentile bootstrap): what other classes might make of the same trained"
    " models. Other trainings are no part of it: the spread over seeds is beside the means; nor are"
    " other images of these classes, by themselves. Two intervals that overlap may be of results"
    " that a paired test tells apart. None below five classes. AUSUC: first order."
)


def may_be_best_by(p_value: float) -> bool:
    """Return whether a result of this ``best_p`` (NaN: none) may be the best of its dataset."""
    return p_value >= LEVEL


def uncertainty(
    found: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[int]]
) -> pd.DataFrame:
    """Return COLUMNS for each result: ``found`` are contents of metrics.json, and each of
    ``groups`` has the places of one result's seeds in it.
    """
    results = []
    for places in groups:
        results.append([found[place] for place in places])
    figures = [sampled(seeds) for seeds in results]
    rows = [_intervals(one) for one in figures]
    datasets: dict[str, list[int]] = {}
    for number, seeds in enumerate(results):
        if is_compared(seeds[0]):
            datasets.setdefault(str(seeds[0]["dataset"]), []).append(number)
    for numbers in datasets.values():
        for name in METRICS:
            measured = [number for number in numbers if _is_measured(results[number], name)]
            compared = [figures[number].get(name) for number in measured]
            for number, value in zip(measured, _best_p(compared), strict=True):
                rows[number][f"{name}_best_p"] = value
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=float)


def is_compared(metrics: Mapping[str, Any]) -> bool:
    """Return whether a result is compared with others: nothing chose it on the test images."""
    told = {str(metrics["rebalancing"]), str(metrics["selection"])}
    return told.isdisjoint(NEVER_BEST)


def _is_measured(seeds: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Return whether every seed of a result has a figure."""
    return all(name in seed for seed in seeds)


def _intervals(figures: Mapping[str, Sampled]) -> dict[str, float]:
    """Return the ends of the intervals of a result's figures, by the csv's columns."""
    ends = {}
    for name, figure in figures.items():
        ends[f"{name}_low"], ends[f"{name}_high"] = interval(figure.draws, figure.fewest)
    return ends


def _best_p(compared: Sequence[Sampled | None]) -> list[float]:
    """Return for each result the p-value of its being the best; NaN where there is nothing to
    compare, or one was measured on other classes or tells nothing of its own.
    """
    known = [figure for figure in compared if figure is not None]
    same = {figure.classes for figure in known}
    if len(known) < max(2, len(compared)) or len(same) > 1:
        return [math.nan] * len(compared)
    return may_be_best(known)
