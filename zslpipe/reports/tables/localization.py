"""``results/tables/localization.{csv,md,tex}``: how often maps look where the attribute is, beside
chance.

A row for each result, kind of test images (seen or unseen classes) and what is told apart: all, a
group of attributes, a body part; all first, so that methods stand below each other. What is counted
is told in ``zslpipe.maps.localization``. Everything in per cent; mean and spread over the seeds
that have the row (a method that finds its own parts may find others from each seed). Chance and the
grid's best are means over these seeds. The spread of a single seed is empty, as are pairs that
differ between seeds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zslpipe.formats.localization import MEASURES, POINTS, read_localization
from zslpipe.reports.tables.table import Table, over_seeds, read_once, write_table

RESULT = ("dataset", "method", "variant")
COLUMNS = (*RESULT, "of", "name", "images")
SPREAD = ("tenth", "fifth")  # the method's own; the others are the same from every seed, or nearly
CHANCES = tuple(name for name in MEASURES if name not in SPREAD)
SPREADS = ("tenth_mean", "tenth_std", "fifth_mean", "fifth_std")
HEADER = (*COLUMNS, "seeds", "pairs", *SPREADS, *CHANCES)
ORDER = ("overall", "group", "part")
TOLD = (
    "Per cent of pairs of a test image and an attribute of its class (or a map) whose map peaks"
    " within a tenth or a fifth of the object's size of the part; mean ± sample standard deviation"
    " over seeds; random: a cell drawn evenly; centre: of the image; best: what the map's grid"
    " allows."
)


def write_localization_tables(
    paths: Sequence[Path], output_folder: Path, name: str = "localization", note: str = ""
) -> tuple[Path, ...]:
    """Write localization.csv, .md and .tex (or of another ``name``, below a ``note``) from
    localization.json files (any order of seeds) and return their paths.

    Rows: by dataset, then overall, groups, parts, each for seen and unseen images, then results in
    the order given. Spread: sample standard deviation (n - 1) over seeds. Raises InputError for no
    file at all, for what ``read_localization`` refuses, and for one seed of one result given twice.
    """
    where = "localization tables: no localization.json"
    found = read_once(paths, read_localization, RESULT, where)
    shares = pd.DataFrame(_shares(found), columns=[*COLUMNS, "pairs", *MEASURES])
    rows = over_seeds(shares, COLUMNS, MEASURES)
    pairs = shares.groupby(list(COLUMNS), sort=False)["pairs"].agg(["first", "nunique"])
    agreed = pairs["first"].where(pairs["nunique"] == 1).astype("Int64")
    rows["pairs"] = agreed.array
    rows = rows.rename(columns={f"{name}_mean": name for name in CHANCES})
    rows = _in_order(rows)
    blocks = list(zip(rows["dataset"], rows["of"], strict=True))
    table = Table(rows[list(HEADER)], _titles(), len(COLUMNS), blocks)
    return write_table(table, output_folder, name, TOLD, above=(), heading=note)


def _shares(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each share of each file: who it is of, pairs, measures in per cent."""
    rows = []
    for content in found:
        for share in content["shares"]:
            row: dict[str, Any] = {name: str(content[name]) for name in RESULT}
            row |= {name: str(share[name]) for name in ("of", "name", "images")}
            row["pairs"] = int(share["pairs"])
            row |= {name: 100 * float(share[name]) for name in MEASURES}
            rows.append(row)
    return rows


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows by dataset, overall before groups before parts, names as first met, seen before
    unseen, results as first met.
    """
    places = {
        "dataset": rows["dataset"],
        "of": rows["of"].map(ORDER.index),
        "name": pd.factorize(rows["name"])[0],
        "images": rows["images"],
        "result": rows.groupby(list(RESULT), sort=False).ngroup(),
    }
    keys = pd.DataFrame(places)
    return rows.loc[keys.sort_values(list(places)).index]


def _titles() -> dict[str, str]:
    """Return title -> column of the md and the tex: chance beside chance of the same limit."""
    columns = [*COLUMNS, "seeds", "pairs", *SPREAD]
    for limit in SPREAD:
        columns += [f"{point}{limit}" for point in POINTS if point]
    return {name.replace("_", " ").capitalize(): name for name in columns}
