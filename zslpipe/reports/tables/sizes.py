"""``results/studies/NAME.{csv,md,tex}`` of a table of sizes: what the indices hold beside what a
paper says of the datasets.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.index import Index, read_index
from zslpipe.reports.tables.table import Table, write_table

# The columns that a table of sizes can have.
TITLES = {
    "attributes": "Attributes",
    "classes": "Classes",
    "seen": "Seen classes",
    "seen_training": "Seen classes but validation",
    "validation": "Validation classes",
    "unseen": "Unseen classes",
    "trainval": "Training images",
    "test_seen": "Test images, seen",
    "test_unseen": "Test images, unseen",
    "test": "Test images",
}
TOLD = "Classes, attributes and images of the datasets as read; paper: as printed there."


def sizes(index: Index) -> dict[str, int]:
    """Return the sizes of a dataset by the names of TITLES."""
    images = {name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")}
    seen, validation = int(index.seen.sum()), int(index.validation.sum())
    classes = {"classes": len(index.seen), "seen": seen, "unseen": len(index.seen) - seen}
    classes |= {"validation": validation, "seen_training": seen - validation}
    test = {"test": images["test_seen"] + images["test_unseen"]}
    return {"attributes": len(index.attribute_names), **classes, **images, **test}


def write_sizes(
    layout: Mapping[str, Any], indices: Sequence[Path], output_stem: Path
) -> tuple[Path, ...]:
    """Write ``output_stem``.csv, .md and .tex of the datasets' sizes from their index.h5; return
    the paths. ``layout["others"]`` holds entries [label, dataset -> column -> what is printed];
    their columns are the table's, all where nothing is printed. Datasets of
    ``layout["printed_for"]`` that are not here have a row without sizes, in that order.
    """
    printed: dict[str, Mapping[str, int]] = {}
    for _, numbers in layout["others"]:
        printed |= numbers
    told = set[str]().union(*printed.values())
    shown = [name for name in TITLES if name in told] or [*TITLES]
    rows = []
    for path in indices:
        index = read_index(path)
        rows.append(_row(index.dataset, shown, sizes(index), printed.get(index.dataset, {})))
    here = {row["dataset"] for row in rows}
    absent = [name for name in layout["printed_for"] if name not in here]
    rows += [_row(name, shown, {}, printed.get(name, {})) for name in absent]
    columns = [f"{name}{kind}" for name in shown for kind in ("", "_published")]
    frame = pd.DataFrame(rows, columns=["dataset", *columns])
    frame = frame.astype(dict.fromkeys(columns, "Int64"))
    titles = {"Dataset": "dataset"}
    for name in shown:
        titles[TITLES[name]] = name
        if any(name in row for row in printed.values()):
            titles[f"{TITLES[name]}, paper"] = f"{name}_published"
    table = Table(frame, titles, 1, blocks=[0] * len(frame))
    notes = "\n".join(f"- {note}" for note in layout["notes"])
    below = "\n\n".join(filter(None, [TOLD, notes]))
    where = ", ".join(filter(None, (layout["paper"], layout["place"])))
    heading = ": ".join(filter(None, (where, layout["title"] or layout["name"])))
    folder, name = output_stem.parent, output_stem.name
    return write_table(table, folder, name, below, layout["notes"], heading)


def _row(
    dataset: str, shown: Sequence[str], own: Mapping[str, int], printed: Mapping[str, float]
) -> dict[str, Any]:
    """Return a row of the csv; None for what is not known."""
    row: dict[str, Any] = {"dataset": dataset}
    for name in shown:
        row[name] = own.get(name)
        row[f"{name}_published"] = int(printed[name]) if name in printed else None
    return row
