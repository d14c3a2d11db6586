"""``results/tables/localization.{csv,md,tex}``: how often maps look where the attribute is, beside
chance; ``localization.parts.{md,tex}``: the same by body part.

The csv has everything: a row for each result, kind of test images (seen or unseen classes) and what
is told apart: all, a group of attributes, a body part; all first, so that methods stand below each
other. What is counted is told in ``zslpipe.maps.localization``. Everything in per cent; mean and
spread over the seeds that have the row (a method that finds its own parts may find others from each
seed). Chance and the grid's best are means over these seeds. The spread of a single seed is empty,
as are pairs that differ between seeds.

The md and the tex have a row a result; the parts' have a column a part, a row a result without its
spread, and below the results the chances that theirs were measured beside.
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
SHORT = {"tenth": "1/10", "fifth": "1/5"}
CHANCES = tuple(name for name in MEASURES if name not in SPREAD)
SPREADS = ("tenth_mean", "tenth_std", "fifth_mean", "fifth_std")
HEADER = (*COLUMNS, "seeds", "pairs", *SPREADS, *CHANCES)
ORDER = ("overall", "group", "part")
PEAKS = (
    "Per cent of pairs of a test image and an attribute of its class (maps of parts: a pair of an"
    " image and a map) whose map peaks within {} of the object's size of the part"
)
CHANCE = "random: a cell drawn evenly; centre: of the image; best: what the map's grid allows"
TOLD = (
    f"{PEAKS.format('a tenth (1/10) or a fifth (1/5)')}, in images of seen and of unseen classes;"
    f" mean ± sample standard deviation over seeds; {CHANCE}, all three in images of unseen"
    " classes. Rows of maps of attributes and of parts count different pairs: each has its own"
    " chances."
)
TOLD_PARTS = (
    f"{PEAKS.format('a fifth')}, by part; means over seeds; {CHANCE}, of the results above that"
    " have the same maps (empty where these differ). Spreads, the tenth, groups of attributes: in"
    " the csv."
)
TEXTS = (*RESULT, "maps of")


def write_localization_tables(
    paths: Sequence[Path], output_folder: Path, name: str = "localization", note: str = ""
) -> tuple[Path, ...]:
    """Write localization.csv, .md and .tex and localization.parts.md and .tex (or of another
    ``name``, below a ``note``) from localization.json files (any order of seeds) and return their
    paths.

    Rows: by dataset, then overall, groups, parts, each for seen and unseen images, then results in
    the order given. Spread: sample standard deviation (n - 1) over seeds. Raises InputError for no
    file at all, for what ``read_localization`` refuses, and for one seed of one result given twice.
    """
    where = "localization tables: no localization.json"
    found = read_once(paths, read_localization, RESULT, where)
    shares = pd.DataFrame(_shares(found), columns=[*COLUMNS, "maps of", "pairs", *MEASURES])
    rows = over_seeds(shares, (*COLUMNS, "maps of"), MEASURES)
    pairs = shares.groupby(list(COLUMNS), sort=False)["pairs"].agg(["first", "nunique"])
    agreed = pairs["first"].where(pairs["nunique"] == 1).astype("Int64")
    rows["pairs"] = agreed.array
    rows = rows.rename(columns={f"{name}_mean": name for name in CHANCES})
    rows = _in_order(rows)
    whole, parts = _overall(rows), _parts(rows)
    everything = Table(rows[list(HEADER)], {}, 0, list(range(len(rows))))
    texts = ("md", "tex")
    return (
        *write_table(everything, output_folder, name, "", suffixes=("csv",)),
        *write_table(whole, output_folder, name, TOLD, heading=note, suffixes=texts),
        *write_table(
            parts, output_folder, f"{name}.parts", TOLD_PARTS, heading=note, suffixes=texts
        ),
    )


def _shares(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each share of each file: who it is of, pairs, measures in per cent."""
    rows = []
    for content in found:
        for share in content["shares"]:
            row: dict[str, Any] = {name: str(content[name]) for name in RESULT}
            row |= {name: str(share[name]) for name in ("of", "name", "images")}
            row["maps of"] = str(content["kind"])
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


def _overall(rows: pd.DataFrame) -> Table:
    """Return a row a result over all of its pairs: both limits in seen and in unseen images, and
    the chances in the latter.
    """
    overall = rows[rows["of"] == "overall"]
    frame = overall.groupby(list(TEXTS), sort=False, as_index=False)["seeds"].max()
    titles = {name.capitalize(): name for name in (*TEXTS, "seeds")}
    for limit in SPREAD:
        for images in ("seen", "unseen"):
            column = f"{limit} {images}"
            of_images = overall[overall["images"] == images]
            named = {f"{limit}_{kind}": f"{column}_{kind}" for kind in ("mean", "std")}
            frame = frame.merge(of_images[[*TEXTS, *named]].rename(columns=named), "left")
            titles[f"{SHORT[limit]} {images}"] = column
        points = [point for point in POINTS if point]
        chances = [f"{point}{limit}" for point in points]
        unseen = overall[overall["images"] == "unseen"]
        frame = frame.merge(unseen[[*TEXTS, *chances]], "left")
        titles |= {f"{SHORT[limit]} {point.strip('_')}": f"{point}{limit}" for point in points}
    return Table(frame, titles, len(TEXTS), frame["dataset"].tolist())


def _parts(rows: pd.DataFrame) -> Table:
    """Return a row a result and a column a part, within a fifth, results of one dataset and kind of
    images together and what chance makes of them below.
    """
    of_parts = rows[rows["of"] == "part"].assign(name="part " + rows["name"])
    names = list(dict.fromkeys(of_parts["name"]))
    keys = ["dataset", "images", "method", "variant", "maps of"]
    found: list[dict[str, Any]] = []
    for (dataset, images), block in of_parts.groupby(["dataset", "images"], sort=False):
        for result, own in block.groupby(keys, sort=False):
            values = dict(zip(own["name"], own["fifth_mean"], strict=True))
            found.append({**dict(zip(keys, result, strict=True)), **values})
        for kind, own in block.groupby("maps of", sort=False):
            for point in filter(None, POINTS):
                who = {"dataset": dataset, "images": images, "method": point.strip("_")}
                chances = _agreed(own, f"{point}fifth")
                found.append({**who, "variant": "", "maps of": kind, **chances})
    frame = pd.DataFrame(found, columns=[*keys, *names])
    titles = {name.capitalize(): name for name in keys}
    for name in names:
        title = name.removeprefix("part ")
        titles[name if title in titles else title] = name
    blocks = list(zip(frame["dataset"], frame["images"], strict=True))
    return Table(frame, titles, len(keys), blocks)


def _agreed(rows: pd.DataFrame, measure: str) -> dict[Any, float]:
    """Return part -> a chance, of the parts of which all results have the same as it is written."""
    rounded = rows.assign(value=rows[measure].round(1)).groupby("name", sort=False)["value"]
    same = rounded.first()[rounded.nunique() == 1]
    return dict(same.items())
