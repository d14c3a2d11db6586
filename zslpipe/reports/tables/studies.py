"""``results/studies/NAME.{csv,md,tex}``: a table of a paper, or the numbers of one of its figures,
measured beside printed.

Rows and their labels are the paper's, in its order, once for each dataset; measures stand in the
paper's order, each as mean and spread over seeds, what is printed, and the difference of the two.
Everything in per cent. What is printed for a dataset or a split that is not there stands below.
A printed number beside a run that reads something else than the paper's is in brackets (grey in
tex), with a footnote that says what, as is its difference.

``layout`` is what the workflow tells of a study (:meth:`zslpipe.study.studies.Studies.layout`)::

    name, title, paper, place, kind     whose it is
    measures                            columns
    printed_for                         datasets of the paper
    rows                                dataset, path (method/variant), rebalancing, label, group,
                                        printed (method/variant in published.yaml), and of a sweep
                                        panel (its number) and value
    panels                              of each sweep: setting, title, plot, scale
    others                              [label, dataset -> measure -> number printed of it]
    figures, notes                      lines below
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.index import PROPOSED_SPLIT, STANDARD_SPLIT
from zslpipe.formats.metrics import IDENTITY, read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import (
    STANDARD,
    differences,
    is_at,
    paper_dataset,
    printed_at,
    rows_of,
    source,
    unknown,
)
from zslpipe.reports.tables.table import Table, over_seeds, read_once, superscript, write_table

RESULT = ("dataset", "method", "variant", "rebalancing")
TOLD = "Per cent; mean ± sample standard deviation over seeds."
MINUS = "−: measured minus printed."
WHO = ("dataset", "group", "label", "setting")
DIFFERENCES = "published_differences"


def write_study_table(
    layout: Mapping[str, Any], metrics_paths: Sequence[Path], output_stem: Path
) -> tuple[Path, ...]:
    """Write ``output_stem``.csv, .md and .tex of a study from its metrics.json files (any order)
    and return their paths.

    Raises InputError for a row of which no file is given, and for what ``read_metrics`` refuses.
    """
    measured = measured_rows(layout, metrics_paths)
    rows = pd.DataFrame([*_others(layout, measured), *measured], columns=_columns(layout))
    rows = _by_dataset(rows, layout)
    rows["seeds"] = rows["seeds"].astype("Int64")
    noted = {text: number for number, text in enumerate(_distinct(rows[DIFFERENCES]), start=1)}
    numbers = [noted.get(text, 0) for text in rows[DIFFERENCES]]
    marked = [f"{name}_{kind}" for name in layout["measures"] for kind in ("published", "minus")]
    titles = _titles(layout, rows)
    texts = list(titles).index("Seeds")
    blocks = list(rows["dataset"])
    table = Table(rows, titles, texts, blocks, dict.fromkeys(marked, numbers))
    lists = _lists(layout, measured, noted)
    above = [f"{head} {line}" for head, lines in lists.items() for line in lines]
    told = TOLD if rows[[*marked]].isna().all(axis=None) else f"{TOLD} {MINUS}"
    below = "\n\n".join([told, *_listed(lists)])
    folder, name = output_stem.parent, output_stem.name
    return write_table(table, folder, name, below, above, _heading(layout))


def measured_rows(layout: Mapping[str, Any], metrics_paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return a study's rows in the layout's order: the entries of a row of the csv, ``panel`` and
    ``value`` of a sweep, ``reads`` and identity of the run.
    """
    if not layout["rows"]:
        return []
    found = read_once(metrics_paths, read_metrics, RESULT, f"{layout['name']}: no metrics.json")
    values = []
    for content in found:
        numbers = {name: 100 * float(content.get(name, math.nan)) for name in layout["measures"]}
        reads = json.dumps(content.get("reads", {}), sort_keys=True)
        values.append({**{name: content[name] for name in IDENTITY}, "reads": reads, **numbers})
    means = over_seeds(pd.DataFrame(values), (*IDENTITY, "reads"), layout["measures"])
    results = {}
    for row in means.to_dict("records"):
        results[tuple(row[name] for name in RESULT)] = row
    return [_measured(layout, row, results) for row in layout["rows"]]


def _measured(
    layout: Mapping[str, Any], row: Mapping[str, Any], results: Mapping[Any, Mapping[Any, Any]]
) -> dict[str, Any]:
    """Return a row of the study: measured, printed, their differences."""
    key = (row["dataset"], *row["path"].split("/"), row["rebalancing"])
    if key not in results:
        raise InputError(f"{layout['name']}: no metrics.json of {', '.join(key)} is given")
    result = results[key]
    named = dict(zip(("method", "variant"), row["printed"].split("/"), strict=True))
    asked = {**result, **named}
    where = [asked[name] for name in ("method", "variant", "dataset", "protocol", "rebalancing")]
    printed = printed_at(layout["place"], *where)
    reads = json.loads(str(result["reads"]))
    found = {**{name: row.get(name, "") for name in WHO}, **result, "panel": row.get("panel")}
    found |= {"value": row.get("value"), "setting": _setting(layout, row), "asked": asked}
    found["printed"] = {name: printed[name] for name in layout["measures"] if name in printed}
    for name in layout["measures"]:
        found[f"{name}_published"] = printed.get(name, math.nan)
        found[f"{name}_minus"] = float(result[f"{name}_mean"]) - found[f"{name}_published"]
    told = "; ".join(differences(asked, reads)) if found["printed"] else ""
    return {**found, DIFFERENCES: told}


def _setting(layout: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Return what a row of a sweep sets, as text."""
    if row.get("panel") is None:
        return ""
    return f"{layout['panels'][row['panel']]['setting']} {row['value']}"


def _others(
    layout: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows of what is printed of other methods on the datasets of the rows."""
    datasets: dict[str, str] = {}
    for row in measured:
        if row["protocol"] in (PROPOSED_SPLIT, STANDARD_SPLIT):
            named = paper_dataset(row["dataset"], row["protocol"])
            standard = STANDARD if row["protocol"] == STANDARD_SPLIT else ""
            datasets[row["dataset"]] = f"{named}{standard}"
    found = []
    for dataset, named in datasets.items():
        for label, printed in layout["others"]:
            if named in printed:
                numbers = {f"{name}_published": value for name, value in printed[named].items()}
                found.append({"dataset": dataset, "label": f"{label} (printed)", **numbers})
    return found


def _columns(layout: Mapping[str, Any]) -> list[str]:
    """Return the csv's columns."""
    columns = [*WHO, "method", "variant", "rebalancing", "protocol", "seeds"]
    for name in layout["measures"]:
        columns += [f"{name}_{kind}" for kind in ("mean", "std", "published", "minus")]
    return [*columns, DIFFERENCES]


def _by_dataset(rows: pd.DataFrame, layout: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows by dataset in the layout's order, printed ones of others first."""
    order = list(dict.fromkeys(row["dataset"] for row in layout["rows"]))
    places = rows["dataset"].map({name: number for number, name in enumerate(order)})
    texts = (*WHO, "method", "variant", "rebalancing", "protocol", DIFFERENCES)
    filled = rows.fillna(dict.fromkeys(texts, ""))
    return filled.iloc[places.argsort(kind="stable")].reset_index(drop=True)


def _titles(layout: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, str]:
    """Return title -> column of the md and the tex; without columns in which nothing stands."""
    names = {"Dataset": "dataset", "Group": "group", "Row": "label", "Setting": "setting"}
    titles = {title: name for title, name in names.items() if name in WHO[::2] or any(rows[name])}
    if len(set(rows["rebalancing"]) - {""}) > 1:
        titles["Rebalancing"] = "rebalancing"
    titles["Seeds"] = "seeds"
    for name in layout["measures"]:
        titles[name] = name
        if rows[f"{name}_published"].notna().any():
            titles |= {f"{name} paper": f"{name}_published", f"{name} −": f"{name}_minus"}
    return titles


def _distinct(texts: pd.Series) -> list[str]:
    """Return the texts of a column, each once, none that is empty."""
    return list(dict.fromkeys(filter(None, texts)))


def _heading(layout: Mapping[str, Any]) -> str:
    """Return the first line of a study's table."""
    where = ", ".join(filter(None, (layout["paper"], layout["place"])))
    return ": ".join(filter(None, (where, layout["title"] or layout["name"])))


def _lists(
    layout: Mapping[str, Any], measured: Sequence[Mapping[str, Any]], noted: Mapping[str, int]
) -> dict[str, list[str]]:
    """Return what is told of the rows: a heading and its lines."""
    return {
        "Notes:": list(layout["notes"]),
        "Figures:": list(layout["figures"]),
        "Printed in the papers:": _sources(measured),
        "In brackets (grey in tex), because the run had:": [
            f"{superscript(number)} {text}" for text, number in noted.items()
        ],
        "Printed for what is not here:": printed_elsewhere(layout, measured),
    }


def _sources(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each source of printed numbers, and what of the runs no file tells."""
    lines: dict[str, list[str]] = {}
    for row in measured:
        if row["printed"]:
            asked = row["asked"]
            names = ("method", "variant", "dataset", "protocol")
            told = [source(*(asked[name] for name in names))]
            told.append(unknown(asked, json.loads(asked["reads"])))
            lines.setdefault("; ".join(filter(None, told)), []).append(row["dataset"])
    return [f"{', '.join(dict.fromkeys(names))}: {text}" for text, names in lines.items()]


def printed_elsewhere(
    layout: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return a line for each dataset and split of which the paper prints rows of a study and none
    is measured.
    """
    here = {(paper_dataset(row["dataset"], row["protocol"]), row["protocol"]) for row in measured}
    lines: dict[str, list[str]] = {}
    met = set()
    for row in layout["rows"]:
        who = (row["group"], row["label"], row["printed"], row["rebalancing"])
        if who in met or row.get("panel") is not None:
            continue
        met.add(who)
        for printed in rows_of(*row["printed"].split("/")):
            protocol = printed.get("protocol", PROPOSED_SPLIT)
            told = _numbers(layout, row, printed)
            if (
                told
                and is_at(printed, layout["place"])
                and (printed["dataset"], protocol) not in here
            ):
                split = "" if protocol == PROPOSED_SPLIT else f", {protocol}"
                named = " ".join(filter(None, (row["group"], row["label"])))
                lines.setdefault(f"{printed['dataset']}{split}", []).append(f"{named} {told}")
    return [f"{name}: {'; '.join(told)}" for name, told in lines.items()]


def _numbers(layout: Mapping[str, Any], row: Mapping[str, Any], printed: Mapping[str, Any]) -> str:
    """Return the measures of a printed row as text, "" where it is of another rebalancing."""
    if printed.get("rebalancing", "none") != row["rebalancing"] and "T1" not in printed:
        return ""
    told = [f"{name} {printed[name]}" for name in layout["measures"] if name in printed]
    return ", ".join(told)


def _listed(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lists below the md, each a heading and its lines, none without lines."""
    paragraphs = []
    for heading, lines in lists.items():
        if lines:
            paragraphs += [heading, "\n".join(f"- {line}" for line in lines)]
    return paragraphs
