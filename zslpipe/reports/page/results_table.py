"""The main table, sortable and filterable: what main.csv says, as it says it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zslpipe.formats.metrics import IDENTITY, METRICS
from zslpipe.reports.figures.curves import BOUND
from zslpipe.reports.page.given import Given
from zslpipe.reports.tables.published import METRICS as PRINTED
from zslpipe.reports.tables.results import DIFFERENCES
from zslpipe.reports.tables.uncertainty import TOLD_BOLD, may_be_best_by

TOLD_OF_BOUND = " Oracle is told which images are of unseen classes: a bound, no result."
ALWAYS = ("method", "variant", "rebalancing")  # shown although all rows may share it
FIRST = ("dataset", *ALWAYS)  # left of the numbers; what else tells rows apart is right of them
TOLD = (
    "Per cent; mean ± sample standard deviation over seeds; T1, U, S, H: means over classes;"
    " paper: as printed, grey where the run differs in what the note says."
)


def results_table(given: Given) -> dict[str, Any]:
    """Return ``columns`` (title, name, is_text), ``rows`` of cells (text, order, note) and what all
    rows share.
    """
    frame = pd.concat([_read(path) for path in given.files["main.csv"]])
    texts = [name for name in IDENTITY if name in frame]
    shared = {name: str(frame[name].iloc[0]) for name in texts if _is_shared(frame, name)}
    first = [name for name in FIRST if name in texts and name not in shared]
    printed = [name for name in PRINTED if frame[f"{name}_published"].notna().any()]
    rest = [name for name in texts if name not in shared and name not in first]
    columns = [_column(name, is_text=True) for name in first]
    columns += [_column(name) for name in METRICS]
    columns += [_column(f"{name}_published") for name in printed]
    columns += [_column("seeds"), *(_column(name, is_text=True) for name in rest)]
    notes = list(dict.fromkeys(filter(None, frame[DIFFERENCES])))
    measured = _measured(given.rows, texts)
    rows = []
    for row in frame.to_dict("records"):
        rows.append(_cells(row | measured.get(_who(row, texts), {}), columns, notes))
    told = TOLD + (TOLD_OF_BOUND if (frame["rebalancing"] == BOUND).any() else "")
    if any(cell["is_bold"] for row in rows for cell in row):
        told += f" {TOLD_BOLD}"
    plain = {name: value for name, value in shared.items() if value}
    return {"columns": columns, "rows": rows, "shared": plain, "notes": notes, "told": told}


def _read(path: Path) -> pd.DataFrame:
    """Read main.csv: texts as they are (a variant may be called NA), of the rest numbers."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = [name for name in frame if name not in (*IDENTITY, DIFFERENCES)]
    frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
    return frame


def _measured(
    entries: Sequence[Mapping[str, Any]], texts: Sequence[str]
) -> dict[tuple[str, ...], dict[str, float]]:
    """Return a row's identity -> means and spreads in per cent: main.csv has them rounded, and what
    is rounded twice may end in another digit.
    """
    seeds: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        seeds.setdefault(_who(entry, texts), []).append(entry)
    found = {}
    for who, own in seeds.items():
        numbers = {}
        for name in METRICS:
            values = [100 * entry[name] for entry in own if name in entry]
            if len(values) == len(own):
                numbers[f"{name}_mean"] = float(np.mean(values))
            if len(values) == len(own) > 1:
                numbers[f"{name}_std"] = float(np.std(values, ddof=1))
        found[who] = numbers
    return found


def _who(row: Mapping[Any, Any], texts: Sequence[str]) -> tuple[str, ...]:
    """Return what tells a row from others."""
    return tuple(str(row[name]) for name in texts)


def _is_shared(frame: pd.DataFrame, name: str) -> bool:
    """Return whether all rows have one value, which then is told above the table."""
    return name not in ALWAYS and frame[name].nunique(dropna=False) == 1


def _column(name: str, is_text: bool = False) -> dict[str, Any]:
    """Return a column: its name in main.csv (or the stem of its mean and spread), its title."""
    title = f"{name.removesuffix('_published')} paper" if name.endswith("_published") else name
    return {"name": name, "title": title, "is_text": is_text}


def _cells(
    row: Mapping[Any, Any], columns: Sequence[Mapping[str, Any]], notes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the cells of a row: what is shown, what is sorted by, the number of a note, whether it
    may be the best, the interval.
    """
    note = notes.index(row[DIFFERENCES]) + 1 if row[DIFFERENCES] in notes else 0
    cells = []
    for column in columns:
        name = column["name"]
        value = row.get(f"{name}_mean", row.get(name))
        cell = {"text": "", "order": "", "note": 0, "is_bold": False, "interval": ""}
        if column["is_text"]:
            cell["text"] = cell["order"] = str(value)
        elif not pd.isna(value):
            cell |= {"text": _number(value, row.get(f"{name}_std")), "order": value}
            cell["is_bold"] = may_be_best_by(row.get(f"{name}_best_p", np.nan))
            cell["interval"] = _interval(row.get(f"{name}_low"), row.get(f"{name}_high"))
            if name.endswith("_published"):
                cell["note"] = note
        cells.append(cell)
    return cells


def _number(value: Any, spread: Any) -> str:
    """Return a count, or a number with one decimal and its spread."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if spread is None or pd.isna(spread) else f"{value:.1f} ± {spread:.1f}"


def _interval(low: Any, high: Any) -> str:
    """Return a 95 % interval in words, "" where there is none."""
    if low is None or pd.isna(low):
        return ""
    return f"95 % interval over classes: {low:.1f} to {high:.1f}"
