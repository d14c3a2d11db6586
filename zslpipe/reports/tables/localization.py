"""``results/tables/localization.{csv,md,tex}``: how often maps look where the attribute is, beside
chance.

A row for each result, kind of test images (seen or unseen classes) and what is told apart: all, a
group of attributes, a body part; all first, so that methods stand below each other. What is counted
is told in ``zslpipe.maps.localization``. Everything in per cent; mean and spread over the seeds
that have the row (a method that finds its own parts may find others from each seed). Chance and the
grid's best are means over these seeds. The spread of a single seed is empty, as are pairs that
differ between seeds.
"""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslpipe.formats.localization import MEASURES, POINTS, read_localization
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.formats import latex_table, markdown_table, write_formats

COLUMNS = ("dataset", "method", "variant", "of", "name", "images")
SPREAD = ("tenth", "fifth")  # the method's own; the others are the same from every seed, or nearly
HEADER = (
    *COLUMNS,
    "seeds",
    "pairs",
    *(f"{name}_{part}" for name in SPREAD for part in ("mean", "std")),
    *(name for name in MEASURES if name not in SPREAD),
)
TITLES = (
    *("Dataset", "Method", "Variant", "Of", "Name", "Images", "Seeds", "Pairs", "Tenth", "Fifth"),
    *(f"{point.strip('_').capitalize()} {name}" for name in SPREAD for point in POINTS if point),
)
ORDER = ("overall", "group", "part")


@dataclass(frozen=True)
class Row:
    """One row: the values of COLUMNS, how many seeds, pairs (None where seeds differ), measure -> a
    value a seed in per cent.
    """

    identity: tuple[str, ...]
    seeds: int
    pairs: int | None
    values: Mapping[str, Sequence[float]]


def write_localization_tables(paths: Sequence[Path], output_folder: Path) -> tuple[Path, ...]:
    """Write localization.csv, .md and .tex from localization.json files (any order of seeds) and
    return their paths.

    Rows: by dataset, then overall, groups, parts, each for seen and unseen images, then results in
    the order given. Spread: sample standard deviation (n - 1) over seeds. Raises InputError for no
    file at all, for what ``read_localization`` refuses, and for one seed of one result given twice.
    """
    rows = _rows(paths)
    return write_formats(output_folder, "localization", _csv(rows), _markdown(rows), _latex(rows))


def _rows(paths: Sequence[Path]) -> list[Row]:
    """Read and group localization.json files; InputError for nothing and for one seed twice."""
    if not paths:
        raise InputError(
            "localization tables: no localization.json given; at least one result is needed"
        )
    given: dict[tuple[str, ...], Path] = {}
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for path in paths:
        content = read_localization(path)
        result = tuple(str(content[name]) for name in ("dataset", "method", "variant"))
        first = given.setdefault((*result, str(content["seed"])), path)
        if first is not path:
            raise InputError(
                f"{path}: the same result and seed {content['seed']} as {first}; give each once"
            )
        for share in content["shares"]:
            identity = (*result, *(str(share[name]) for name in ("of", "name", "images")))
            found.setdefault(identity, []).append(share)
    names = list(dict.fromkeys(identity[4] for identity in found))
    results = list(dict.fromkeys(identity[:3] for identity in found))

    def position(identity: tuple[str, ...]) -> tuple[Any, ...]:
        dataset, _, _, of, name, images = identity
        return dataset, ORDER.index(of), names.index(name), images, results.index(identity[:3])

    return [_row(identity, found[identity]) for identity in sorted(found, key=position)]


def _row(identity: tuple[str, ...], seeds: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of the same share from several seeds."""
    pairs = {int(share["pairs"]) for share in seeds}
    values = {name: [100 * float(share[name]) for share in seeds] for name in MEASURES}
    return Row(identity, len(seeds), pairs.pop() if len(pairs) == 1 else None, values)


def _numbers(row: Row, name: str) -> tuple[float, float | None]:
    """Return mean and spread of a measure."""
    values = row.values[name]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def _csv(rows: Sequence[Row]) -> str:
    """Return the csv text: exactly the columns of HEADER, two decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        numbers = [part for name in SPREAD for part in _numbers(row, name)]
        numbers += [_numbers(row, name)[0] for name in MEASURES if name not in SPREAD]
        cells = ["" if number is None else f"{number:.2f}" for number in numbers]
        writer.writerow(
            [*row.identity, str(row.seeds), "" if row.pairs is None else str(row.pairs), *cells]
        )
    return text.getvalue()


def _cells(row: Row) -> list[str]:
    """Return the cells of TITLES, one decimal, mean and spread of the method's own shares joined."""
    cells = [*row.identity, str(row.seeds), "" if row.pairs is None else str(row.pairs)]
    for name in SPREAD:
        mean, spread = _numbers(row, name)
        cells.append(f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}")
    chances = [f"{point}{name}" for name in SPREAD for point in POINTS if point]
    return [*cells, *(f"{_numbers(row, name)[0]:.1f}" for name in chances)]


def _markdown(rows: Sequence[Row]) -> str:
    """Return the padded Markdown table and what its numbers are."""
    told = (
        "Per cent of pairs of a test image and an attribute of its class (or a map) whose map peaks within a tenth or "
        "a fifth of the object's size of the part; mean ± sample standard deviation over seeds; random: a cell drawn "
        "evenly; centre: of the image; best: what the map's grid allows."
    )
    return f"{markdown_table(TITLES, [_cells(row) for row in rows], len(COLUMNS))}\n{told}\n"


def _latex(rows: Sequence[Row]) -> str:
    """Return a booktabs tabular, a rule between datasets and between overall, groups and parts."""
    blocks = [(row.identity[0], row.identity[3]) for row in rows]
    comments = ["needs \\usepackage{booktabs}; per cent"]
    return latex_table(TITLES, [_cells(row) for row in rows], len(COLUMNS), blocks, comments)
