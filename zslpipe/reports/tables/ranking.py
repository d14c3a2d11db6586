"""``results/tables/ranking.{csv,md,tex}``: mean ranks of the results over three or more datasets.

A row for each result of the largest block of datasets and results in which every dataset has every
result (:mod:`zslpipe.scores.complete_block`). What counts as the same on all datasets is method,
variant and rebalancing. A dataset whose test images another one has as well (other class vectors, a
second split) counts once. With fewer than three datasets or results nothing is ranked, and the
tables say so. The oracle and the best epoch on test are not ranked
(:func:`zslpipe.reports.tables.uncertainty.is_compared`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.metrics import METRICS, read_metrics
from zslpipe.reports.tables.published import STANDARD_SPLIT, paper_dataset
from zslpipe.reports.tables.table import Table, read_once, write_table
from zslpipe.reports.tables.uncertainty import is_compared
from zslpipe.scores.complete_block import complete_block
from zslpipe.scores.ranking import LEVEL, Ranking, rank

RESULT = ("method", "variant", "rebalancing")
TOLD = (
    "Mean ranks over datasets, 1 the best, of means over seeds; equal ones share theirs. Friedman's"
    f" test at {100 * LEVEL:.0f} % of whether ranks differ at all, then Nemenyi's critical distance"
    " (Demšar, JMLR 2006). Bold: not further than it from the best, where ranks differ at all. Both"
    " take datasets for independent; with few of them hardly anything can be told apart."
)


@dataclass(frozen=True, eq=False)
class Rankings:
    """Results (who they are, by RESULT) that all ``datasets`` have and their ranking by measure;
    the datasets that do not count beside another one, those that lack some of these results, and
    the number of results that some of these datasets lack.
    """

    results: Sequence[tuple[str, ...]]
    datasets: Sequence[str]
    by_measure: Mapping[str, Ranking]
    left_out: Sequence[str]
    lacking: Sequence[str] = ()
    further: int = 0


def rankings(paths: Sequence[Path]) -> Rankings:
    """Return the rankings from metrics.json files; a measure that some result lacks on a dataset is
    left out, all of them where no three datasets have three results in common. InputError as
    ``read_once``.
    """
    where = "ranking: no metrics.json"
    found = read_once(paths, read_metrics, ("dataset", *RESULT, "selection"), where)
    found = [metrics for metrics in found if is_compared(metrics)]
    counted, left_out = _counted(found)
    means = _means([metrics for metrics in found if metrics["dataset"] in counted])
    there: dict[tuple[str, ...], set[str]] = {}
    for row in means.to_dict("records"):
        there.setdefault(tuple(row[name] for name in RESULT), set()).add(row["dataset"])
    datasets, results = complete_block(there)
    if not datasets:
        shared = [who for who, own in there.items() if own.issuperset(counted)]
        return Rankings(shared, counted, {}, left_out)
    by_measure = {}
    for name in METRICS:
        values = means.pivot_table(name, "dataset", list(RESULT), dropna=False, sort=False)
        values = values.reindex(index=datasets, columns=pd.MultiIndex.from_tuples(results))
        if not values.isna().any(axis=None):
            by_measure[name] = rank(values.to_numpy())
    lacking = [dataset for dataset in counted if dataset not in datasets]
    return Rankings(results, datasets, by_measure, left_out, lacking, len(there) - len(results))


def _counted(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the datasets that count, and a line for each that has the test images of one that
    does: the same classes and numbers of images, or the same dataset under the standard split.
    """
    seen: dict[str, str] = {}
    others = {metrics["dataset"] for metrics in found if metrics["protocol"] != STANDARD_SPLIT}
    counted, left_out = [], []
    firsts: dict[str, Mapping[str, Any]] = {}
    for metrics in found:
        firsts.setdefault(metrics["dataset"], metrics)
    for metrics in firsts.values():
        dataset = str(metrics["dataset"])
        plain = paper_dataset(dataset, str(metrics["protocol"]))
        same = seen.setdefault(_test_images(metrics), dataset)
        if plain != dataset and plain in others:
            same = plain
        if same == dataset:
            counted.append(dataset)
        else:
            left_out.append(f"{dataset}: its images are those of {same}")
    return sorted(counted), sorted(left_out)


def _test_images(metrics: Mapping[str, Any]) -> str:
    """Return what tells the test images of a dataset from those of another: classes and numbers of
    images, or its name where they are not told.
    """
    by_class = metrics.get("per_class", {})
    classes = [sorted(by_class.get(measure, {})) for measure in ("U", "S")]
    told = any(classes) and "images" in metrics
    return str((classes, metrics["images"])) if told else str(metrics["dataset"])


def _means(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return dataset, RESULT and the measures, in per cent, a row a seed."""
    rows = []
    for metrics in found:
        row: dict[str, Any] = {name: str(metrics[name]) for name in ("dataset", *RESULT)}
        row |= {name: 100 * metrics[name] for name in METRICS if name in metrics}
        rows.append(row)
    return pd.DataFrame(rows, columns=["dataset", *RESULT, *METRICS])


def write_ranking_tables(
    paths: Sequence[Path], output_folder: Path, name: str = "ranking"
) -> tuple[Path, ...]:
    """Write ranking.csv, .md and .tex from metrics.json files and return their paths; InputError as
    :func:`rankings`.
    """
    found = rankings(paths)
    frame = pd.DataFrame(found.results if found.by_measure else [], columns=list(RESULT))
    bold = {}
    for measure, ranking in found.by_measure.items():
        frame[f"{measure}_mean"] = ranking.mean_ranks
        frame[f"{measure}_distance"] = ranking.distance
        frame[f"{measure}_friedman_p"] = f"{ranking.p:.4f}"
        bold[measure] = (ranking.may_be_best & ranking.is_told_apart).tolist()
    titles = {title.capitalize(): title for title in RESULT}
    titles |= {measure: measure for measure in found.by_measure}
    table = Table(frame, titles, len(RESULT), [0] * len(frame), bold=bold)
    return write_table(table, output_folder, name, "\n\n".join(_below(found)))


def _below(found: Rankings) -> list[str]:
    """Return the paragraphs below the table."""
    lines = []
    for measure, ranking in found.by_measure.items():
        p = "p < 0.0001" if ranking.p < 0.0001 else f"p = {ranking.p:.4f}"
        tested = f"Friedman's chi-squared {ranking.statistic:.2f}, {p}"
        told = f"critical distance {ranking.distance:.2f}"
        if not ranking.is_told_apart:
            told = "the ranks do not differ by more than chance"
        lines.append(f"- {measure}: {tested}; {told}")
    datasets = f"Datasets: {', '.join(found.datasets)}."
    if found.lacking:
        datasets += f" Not {', '.join(found.lacking)}: some of these results are not there."
    if found.further:
        datasets += f" Further results, not on all of them: {found.further}."
    if not lines:
        few = f"{len(found.datasets)} datasets and {len(found.results)} results that all have"
        datasets += f" Nothing is ranked: {few}, where three of either are needed."
    left_out = [f"- {line}" for line in found.left_out]
    listed = ["Not counted again:", "\n".join(left_out)] if left_out else []
    return [TOLD, datasets, *(["\n".join(lines)] if lines else []), *listed]
