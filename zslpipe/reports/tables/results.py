"""``results/tables/main.{csv,md,tex}``: all results beside the papers' numbers, one row a method
and variant.

Everything in per cent. A cell without a value is empty: a metric that some seed lacks, the spread
of a single seed, a number that no paper printed for this dataset and split. A paper's number
stands as it is only beside a run that reads what the paper's did: network and pixels, class
vectors, source of words. Beside another run it is in brackets in the md and grey in the tex, with
a footnote that names what differs, which the csv has in ``published_differences``. The best epoch
on the test images is a row of its own, behind all honest ones of its dataset. Below the md and
above the tex stands which datasets are not divided as in the papers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.formats.metrics import (
    BEST_ON_TEST,
    FURTHER_METRICS,
    IDENTITY,
    METRICS,
    read_metrics,
)
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import METRICS as PRINTED
from zslpipe.reports.tables.published import differences, printed_beside, source, unknown
from zslpipe.reports.tables.table import (
    Table,
    over_seeds,
    read_once,
    superscript,
    write_table,
)

# a dataset has one split, told in a line of its own
COLUMNS = tuple(name for name in IDENTITY if name != "protocol")
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
    found = read_once(metrics_paths, read_metrics, COLUMNS, "tables: no metrics.json")
    _check_splits(metrics_paths, found)
    seeds = pd.DataFrame([_values(metrics) for metrics in found])
    results = over_seeds(seeds, (*IDENTITY, "reads"), MEASURES)
    results["on_test"] = results["selection"] == BEST_ON_TEST
    results = results.sort_values(["dataset", "on_test"], kind="stable", ignore_index=True)
    printed = [_printed(row) for row in results.to_dict("records")]
    results = results.join(pd.DataFrame(printed, columns=[*PUBLISHED, DIFFERENCES]))
    results = results.astype(dict.fromkeys(PUBLISHED, float))
    noted = _footnotes(results)
    numbers = [noted.get(text, 0) for text in results[DIFFERENCES]]
    marks = dict.fromkeys(PUBLISHED, numbers)
    blocks = list(zip(results["dataset"], results["on_test"], strict=True))
    table = Table(results[_header()], _titles(), len(COLUMNS), blocks, marks)
    lists = {"Missing:": list(missing)} | _lists(results, noted)
    above = [f"{heading} {line}" for heading, lines in lists.items() for line in lines]
    told = [TOLD, *([TOLD_ON_TEST] if results["on_test"].any() else [])]
    below = "\n\n".join([*told, *_listed(lists)])
    return write_table(table, output_folder, name, below, [*told[1:], *above], heading)


def _header() -> list[str]:
    """Return the csv's columns."""
    header = [*COLUMNS, "seeds"]
    for name in MEASURES:
        header += [f"{name}_mean", f"{name}_std"]
    return [*header, *PUBLISHED, DIFFERENCES]


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


def _footnotes(results: pd.DataFrame) -> dict[str, int]:
    """Return the number of the footnote that names some differences, by these, in the order of the
    rows.
    """
    told = list(dict.fromkeys(filter(None, results[DIFFERENCES])))
    return {text: number for number, text in enumerate(told, start=1)}


def _lists(results: pd.DataFrame, noted: Mapping[str, int]) -> dict[str, list[str]]:
    """Return what is told of the rows: a heading and its lines."""
    beside = results[results[list(PUBLISHED)].notna().any(axis=1)]
    return {
        "Not divided as in the papers:": _other_splits(results),
        "Printed in the papers:": _sources(beside),
        "In brackets (grey in tex), because the run had:": [
            f"{superscript(number)} {text}" for text, number in noted.items()
        ],
    }


def _sources(beside: pd.DataFrame) -> list[str]:
    """Return one line for each row with printed numbers: where they are printed, and what of the
    run no file tells.
    """
    lines = []
    for row in beside.to_dict("records"):
        dataset, method, variant = row["dataset"], row["method"], row["variant"]
        told = [source(method, variant, dataset, row["protocol"])]
        told.append(unknown(row, json.loads(row["reads"])))
        lines.append(f"{dataset}, {method}, {variant}: {'; '.join(filter(None, told))}")
    return list(dict.fromkeys(lines))


def _other_splits(results: pd.DataFrame) -> list[str]:
    """Return one line for each dataset that is not divided as proposed: by whose split."""
    others = results[results["protocol"] != PROPOSED_SPLIT]
    return list(dict.fromkeys(others["dataset"] + ": " + others["protocol"]))


def _listed(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lists below the md, each a heading and its lines, none without lines."""
    paragraphs = []
    for heading, lines in lists.items():
        if lines:
            paragraphs += [heading, "\n".join(f"- {line}" for line in lines)]
    return paragraphs
