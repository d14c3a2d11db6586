"""``results/tables/main.{csv,md,tex}``: all results beside the papers' numbers, one row a method
and variant.

Everything in per cent. A cell without a value is empty: a metric that some seed lacks, the spread
of a single seed, a number that no paper printed for this dataset and split. Below the md and above
the tex stands which datasets have another split than the papers' proposed one.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.formats.metrics import IDENTITY, METRICS, read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import METRICS as PRINTED
from zslpipe.reports.tables.published import published, source
from zslpipe.reports.tables.table import Table, over_seeds, read_once, write_table

# a dataset has one split, told in a line of its own
COLUMNS = tuple(name for name in IDENTITY if name != "protocol")
PUBLISHED = tuple(f"{name}_published" for name in PRINTED)
TOLD = "Per cent; mean ± sample standard deviation over seeds; T1, U, S, H: per-class means."


def write_tables(metrics_paths: Sequence[Path], output_folder: Path) -> tuple[Path, ...]:
    """Write main.csv, main.md and main.tex from metrics.json files (any order of seeds) and return
    their paths.

    Rows: sorted by dataset, then in the order given. Spread: sample standard deviation (n - 1) over
    seeds. Raises InputError for no file at all, for what ``read_metrics`` refuses, for one seed of
    one result given twice, and for one dataset under two splits.
    """
    found = read_once(metrics_paths, read_metrics, COLUMNS, "tables: no metrics.json")
    _check_splits(metrics_paths, found)
    seeds = pd.DataFrame([_values(metrics) for metrics in found])
    results = over_seeds(seeds, IDENTITY, METRICS)
    results = results.sort_values("dataset", kind="stable", ignore_index=True)
    printed = [_printed(row) for row in results.to_dict("records")]
    results = results.join(pd.DataFrame(printed, columns=list(PUBLISHED), dtype=float))
    table = Table(results[_header()], _titles(), len(COLUMNS), ("dataset",))
    sources, others = _sources(results), _other_splits(results)
    comments = [f"not the papers' proposed split: {line}" for line in others]
    return write_table(
        *(table, output_folder, "main"),
        below="\n\n".join([TOLD, *_listed(others, sources)]),
        above=[*comments, *sources],
    )


def _header() -> list[str]:
    """Return the csv's columns."""
    header = [*COLUMNS, "seeds"]
    for name in METRICS:
        header += [f"{name}_mean", f"{name}_std"]
    return [*header, *PUBLISHED]


def _titles() -> dict[str, str]:
    """Return title -> column of the md and the tex."""
    titles = {name.capitalize(): name for name in (*COLUMNS, "seeds")}
    titles |= {name: name for name in METRICS}
    return titles | {f"{name} paper": f"{name}_published" for name in PRINTED}


def _check_splits(paths: Sequence[Path], found: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError for one dataset under two splits."""
    splits: dict[str, tuple[Path, str]] = {}
    for path, metrics in zip(paths, found, strict=True):
        dataset, split = metrics["dataset"], metrics["protocol"]
        first, expected = splits.setdefault(dataset, (path, split))
        if split != expected:
            both = f"{dataset} under {split!r}, {first} of {expected!r}"
            raise InputError(f"{path}: {both}; give one split, or two names to the dataset")


def _values(metrics: Mapping[str, Any]) -> dict[str, str | float]:
    """Return who a seed is of, and its metrics in per cent, NaN for one that it lacks."""
    values: dict[str, str | float] = {name: str(metrics[name]) for name in IDENTITY}
    for name in METRICS:
        values[name] = 100 * float(metrics.get(name, math.nan))
    return values


def _printed(row: Mapping[Any, Any]) -> dict[str, float]:
    """Return what a paper printed for a row's result, by the csv's columns."""
    who = [row[name] for name in ("method", "variant", "dataset", "protocol", "rebalancing")]
    return {f"{name}_published": value for name, value in published(*who).items()}


def _sources(results: pd.DataFrame) -> list[str]:
    """Return one line for each row with printed numbers: where they are printed."""
    beside = results[results[list(PUBLISHED)].notna().any(axis=1)]
    lines = []
    for row in beside.to_dict("records"):
        dataset, method, variant = row["dataset"], row["method"], row["variant"]
        where = source(method, variant, dataset, row["protocol"])
        lines.append(f"{dataset}, {method}, {variant}: {where}")
    return list(dict.fromkeys(lines))


def _other_splits(results: pd.DataFrame) -> list[str]:
    """Return one line for each dataset that is not divided as proposed: by whose split."""
    others = results[results["protocol"] != PROPOSED_SPLIT]
    return list(dict.fromkeys(others["dataset"] + ": " + others["protocol"]))


def _listed(others: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Return the lists below the md, each a heading and its lines, none without lines."""
    paragraphs = []
    headed = {"Not the papers' proposed split:": others, "Printed in the papers:": sources}
    for heading, lines in headed.items():
        if lines:
            paragraphs += [heading, "\n".join(f"- {line}" for line in lines)]
    return paragraphs
