"""``results/tables/main.{csv,md,tex}``: all results beside the papers' numbers, one row a method
and variant; ``main.intervals.{md,tex}``: the same rows with their 95 % intervals.

Everything in per cent. A cell without a value is empty: a metric that some seed lacks, the spread
of a single seed, a number that no paper printed for this dataset and split. What may be the best of
its dataset is bold (:mod:`zslpipe.reports.tables.uncertainty`). A paper's number is grey in the
tex. It stands as it is only beside a run that reads what the paper's did: network and pixels, class
vectors, source of words. Beside another run it is in brackets in the md and has a mark: a footnote
names what differs, which the csv has in ``published_differences``. The best epoch on the test
images is a row of its own, behind all honest ones of its dataset. The csv has every column; in the
others a column that says the same of all rows is a line below the table, and one that says nothing
is left out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.metrics import (
    BEST_ON_TEST,
    FURTHER_METRICS,
    IDENTITY,
    METRICS,
    read_metrics,
)
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.notes import footnotes, listed, notes_of
from zslpipe.reports.tables.published import METRICS as PRINTED
from zslpipe.reports.tables.published import differences, printed_beside
from zslpipe.reports.tables.table import (
    Table,
    over_seeds,
    read_once,
    write_table,
)
from zslpipe.reports.tables.uncertainty import COLUMNS as UNCERTAIN
from zslpipe.reports.tables.uncertainty import (
    TOLD_BOLD,
    TOLD_INTERVALS,
    may_be_best_by,
    uncertainty,
)

# a dataset has one split, told in a line of its own
COLUMNS = tuple(name for name in IDENTITY if name != "protocol")
# what rows of one table often have in common
CONDITIONS = ("extractor", "semantics", "words", "selection", "rebalancing")
MEASURES = (*METRICS, *FURTHER_METRICS)  # the csv's; the others have no room for the further ones
PUBLISHED = tuple(f"{name}_published" for name in PRINTED)
DIFFERENCES = "published_differences"
TOLD = "Per cent; mean ± sample standard deviation over seeds; T1, U, S, H: per-class means."
TOLD_ON_TEST = (
    f"Rows of the {BEST_ON_TEST} are no results: the test images chose the epoch, by H (by T1 where"
    " no seen class has test images). Beside them stand only numbers that came about the same way."
)


def write_tables(
    metrics_paths: Sequence[Path],
    output_folder: Path,
    name: str = "main",
    heading: str = "",
    missing: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write main.csv, main.md and main.tex (or of another ``name``, below a ``heading``) from
    metrics.json files (any order of seeds) and return their paths. ``missing`` names results that
    should be there, a line each.

    A best_on_test.json is a file like any other. Rows: sorted by dataset, then in the order given,
    the best epochs on test last. Spread: sample standard deviation (n - 1) over seeds. Raises
    InputError for no file at all, for what ``read_metrics`` refuses, for one seed of one result
    given twice, and for one dataset under two splits.
    """
    results = _results(metrics_paths)
    printed = [_printed(row) for row in results.to_dict("records")]
    results = results.join(pd.DataFrame(printed, columns=[*PUBLISHED, DIFFERENCES]))
    results = results.astype(dict.fromkeys(PUBLISHED, float))
    noted = footnotes(results[DIFFERENCES])
    numbers = [noted.get(text, 0) for text in results[DIFFERENCES]]
    same = _same_everywhere(results)
    p_columns = [f"{measure}_best_p" for measure in METRICS]
    results[p_columns] = results[p_columns].map(_decimals)
    # by the decimals of the csv, from which others tell what is bold
    bold = {}
    for measure in METRICS:
        p_values = pd.to_numeric(results[f"{measure}_best_p"], errors="coerce")
        bold[measure] = [may_be_best_by(p_value) for p_value in p_values]
    table = Table(
        *(results[_header()], _titles(results, same), _texts(same), _blocks(results)),
        *(dict.fromkeys(PUBLISHED, numbers), bold, PUBLISHED),
    )
    told = [TOLD, *([TOLD_BOLD] if any(map(any, bold.values())) else [])]
    told += [TOLD_ON_TEST] if results["on_test"].any() else []
    is_beside = results[list(PUBLISHED)].notna().any(axis=1)
    lists = {"Missing:": list(missing), "In all rows:": _told(same)}
    lists |= notes_of(results, is_beside, noted)
    below = "\n\n".join([*told, *listed(lists)])
    return write_table(table, output_folder, name, below, heading=heading)


def write_intervals(
    metrics_paths: Sequence[Path], output_folder: Path, name: str = "main.intervals"
) -> tuple[Path, ...]:
    """Write main.intervals.md and .tex from what :func:`write_tables` takes, whose errors it
    raises, and return their paths. A row without a single interval is left out; where none has one
    the table says so.
    """
    results = _results(metrics_paths)
    shown = pd.DataFrame({name: results[name] for name in COLUMNS})
    for measure in METRICS:
        ends = zip(results[f"{measure}_low"], results[f"{measure}_high"], strict=True)
        shown[measure] = [_ends(low, high) for low, high in ends]
    told = shown[list(METRICS)].ne("").any(axis=1)
    shown, results = shown[told], results[told]
    same = _same_everywhere(results)
    titles = {column.capitalize(): column for column in COLUMNS if column not in same}
    titles |= {measure: measure for measure in METRICS}
    table = Table(shown, titles, _texts(same), _blocks(results))
    below = [TOLD_INTERVALS, *listed({"In all rows:": _told(same)})]
    return write_table(table, output_folder, name, "\n\n".join(below), suffixes=("md", "tex"))


def _results(paths: Sequence[Path]) -> pd.DataFrame:
    """Return a row a result: who it is, means and spreads, COLUMNS of the uncertainty; by dataset,
    then as given, the best epochs on test last.
    """
    found = read_once(paths, read_metrics, COLUMNS, "tables: no metrics.json")
    _check_splits(paths, found)
    seeds = pd.DataFrame([_values(metrics) for metrics in found])
    identity = [*IDENTITY, "reads"]
    results = over_seeds(seeds, identity, MEASURES)
    numbers = seeds.groupby(identity, sort=False).ngroup()
    groups = [numbers.index[numbers == number].tolist() for number in range(len(results))]
    results = results.join(uncertainty(found, groups))
    results["on_test"] = results["selection"] == BEST_ON_TEST
    return results.sort_values(["dataset", "on_test"], kind="stable", ignore_index=True)


def _decimals(value: float) -> str:
    """Return a p-value in the csv: two decimals would be too few; "" where there is none."""
    return "" if math.isnan(value) else f"{value:.4f}"


def _ends(low: float, high: float) -> str:
    """Return an interval in words, "" where there is none."""
    return "" if math.isnan(low) else f"{low:.1f} to {high:.1f}"


def _blocks(results: pd.DataFrame) -> list[tuple[str, bool]]:
    """Return what the rows between two rules have in common."""
    return list(zip(results["dataset"], results["on_test"], strict=True))


def _header() -> list[str]:
    """Return the csv's columns."""
    header = [*COLUMNS, "seeds"]
    for name in MEASURES:
        header += [f"{name}_mean", f"{name}_std"]
        header += [column for column in UNCERTAIN if column.startswith(f"{name}_")]
    return [*header, *PUBLISHED, DIFFERENCES]


def _same_everywhere(results: pd.DataFrame) -> dict[str, str]:
    """Return what several rows have in common, by column: the conditions of which all rows have the
    same, and of words, which some methods do not read, all that have any.
    """
    same = {}
    for name in CONDITIONS:
        told = set(results[name])
        if name == "words" and len(told) > 1:
            told -= {""}
        if len(told) == 1 and len(results) > 1:
            same[name] = told.pop()
    return same


def _told(same: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that all rows have in common."""
    lines = []
    for name, value in same.items():
        of = " (where a method reads any)" if name == "words" and value else ""
        lines.append(f"{name}: {value or 'none'}{of}")
    return lines


def _texts(same: Mapping[str, str]) -> int:
    """Return how many columns of text are left."""
    return len(COLUMNS) - len(same)


def _titles(results: pd.DataFrame, same: Mapping[str, str]) -> dict[str, str]:
    """Return title -> column of the md and the tex."""
    titles = {name.capitalize(): name for name in (*COLUMNS, "seeds") if name not in same}
    titles |= {name: name for name in METRICS}
    printed = [name for name in PRINTED if results[f"{name}_published"].notna().any()]
    return titles | {f"{name} paper": f"{name}_published" for name in printed}


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
    """Return who a seed is of, what it reads as JSON, and its metrics in per cent, NaN for one that
    it lacks.
    """
    values: dict[str, str | float] = {name: str(metrics[name]) for name in IDENTITY}
    values["reads"] = json.dumps(metrics.get("reads", {}), sort_keys=True)
    for name in MEASURES:
        values[name] = 100 * float(metrics.get(name, math.nan))
    return values


def _printed(row: Mapping[Any, Any]) -> dict[str, float | str]:
    """Return what a paper printed for a row's result and what its run did otherwise, by the csv's
    columns.
    """
    numbers = printed_beside(row)
    told = "; ".join(differences(row, json.loads(row["reads"]))) if numbers else ""
    return {f"{name}_published": value for name, value in numbers.items()} | {DIFFERENCES: told}
