"""What stands below the main table: how datasets are divided, where numbers are printed, and what
runs had otherwise than the papers.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.reports.tables.imported import imported_files
from zslpipe.reports.tables.published import departures, source, unknown
from zslpipe.reports.tables.table import superscript

DEMO_SPLIT = "demo split"  # of the demo's adapter
NO_BENCHMARK = "rendered creatures, no benchmark: rows compare with each other alone"


def footnotes(differences: Iterable[str]) -> dict[str, int]:
    """Return the number of the footnote that names some differences, by these, in the order of the
    rows; "" has none.
    """
    told = list(dict.fromkeys(filter(None, differences)))
    return {text: number for number, text in enumerate(told, start=1)}


def notes_of(
    results: pd.DataFrame, is_beside: "pd.Series[bool]", noted: Mapping[str, int]
) -> dict[str, list[str]]:
    """Return what is told of the rows: a heading and its lines; ``is_beside``: whether a row stands
    beside printed numbers.
    """
    beside, alone = results[is_beside], results[~is_beside & ~results["on_test"]]
    return {
        "Imported, not trained by zslpipe:": imported_files(results),
        "Not divided as in the papers:": _other_splits(results),
        "Printed in the papers:": _sources(beside),
        "Marked, because the run had:": [
            f"{superscript(number)} {text}" for text, number in noted.items()
        ],
        "Otherwise than in a method's paper, which printed nothing for these rows:": _otherwise(
            alone
        ),
    }


def _otherwise(results: pd.DataFrame) -> list[str]:
    """Return what rows without printed numbers have otherwise than their methods' papers, a line
    for all that have the same.
    """
    rows: dict[tuple[str, str], list[str]] = {}
    for row in results.to_dict("records"):
        who = row["method"] if row["variant"] == "default" else f"{row['method']} {row['variant']}"
        for text in departures(row, json.loads(row["reads"])):
            rows.setdefault((row["dataset"], text), []).append(who)
    lines = []
    for (dataset, text), methods in rows.items():
        lines.append(f"{dataset} ({', '.join(dict.fromkeys(methods))}): {text}")
    return lines


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
    lines = []
    for row in results[results["protocol"] != PROPOSED_SPLIT].to_dict("records"):
        told = f"; {NO_BENCHMARK}" if row["protocol"] == DEMO_SPLIT else ""
        lines.append(f"{row['dataset']}: {row['protocol']}{told}")
    return list(dict.fromkeys(lines))


def listed(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lists below the md, each a heading and its lines, none without lines."""
    paragraphs = []
    for heading, lines in lists.items():
        if lines:
            paragraphs += [heading, "\n".join(f"- {line}" for line in lines)]
    return paragraphs
