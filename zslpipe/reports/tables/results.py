"""``results/tables/main.{csv,md,tex}``: all results beside the papers' numbers, one row a method
and variant.

The csv has one number a cell; the md (padded, to be read in a terminal) and the tex (booktabs) join
mean and spread. Everything in per cent. A cell without a value is empty: a metric that some seed
lacks, the spread of a single seed, a number that no paper printed for this dataset and split. Below
the md and above the tex stands which datasets have another split than the papers' proposed one.
"""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.formats.metrics import IDENTITY, METRICS, read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.formats import latex_table, markdown_table, write_formats
from zslpipe.reports.tables.published import METRICS as PRINTED
from zslpipe.reports.tables.published import published, source

COLUMNS = tuple(
    name for name in IDENTITY if name != "protocol"
)  # a dataset has one split, told in a line of its own
HEADER = (
    *COLUMNS,
    "seeds",
    *(f"{name}_{part}" for name in METRICS for part in ("mean", "std")),
    *(f"{name}_published" for name in PRINTED),
)
TITLES = (
    *(name.capitalize() for name in COLUMNS),
    "Seeds",
    *METRICS,
    *(f"{name} paper" for name in PRINTED),
)
TEXT_COLUMNS = len(COLUMNS)


@dataclass(frozen=True)
class Row:
    """One method and variant: who, how many seeds, metric -> (mean, spread or None), metric ->
    printed number.
    """

    identity: tuple[str, ...]  # the values of COLUMNS
    protocol: str
    seeds: int
    measured: Mapping[str, tuple[float, float | None]]
    printed: Mapping[str, float]


def write_tables(metrics_paths: Sequence[Path], output_folder: Path) -> tuple[Path, ...]:
    """Write main.csv, main.md and main.tex from metrics.json files (any order of seeds) and return
    their paths.

    Rows: sorted by dataset, then in the order given. Spread: sample standard deviation (n - 1) over
    seeds. Raises InputError for no file at all, for what ``read_metrics`` refuses, for one seed of
    one result given twice, and for one dataset under two splits.
    """
    rows = _rows(metrics_paths)
    return write_formats(output_folder, "main", _csv(rows), _markdown(rows), _latex(rows))


def _rows(metrics_paths: Sequence[Path]) -> list[Row]:
    """Read and group metrics.json files; InputError for nothing, one seed twice, or two splits of
    one dataset.
    """
    if not metrics_paths:
        raise InputError("tables: no metrics.json given; at least one result is needed")
    groups: dict[tuple[str, ...], dict[int, tuple[Path, Mapping[str, Any]]]] = {}
    splits: dict[str, tuple[Path, str]] = {}
    for path in metrics_paths:
        metrics = read_metrics(path)
        first, split = splits.setdefault(str(metrics["dataset"]), (path, str(metrics["protocol"])))
        if split != metrics["protocol"]:
            both = f"{metrics['protocol']!r}, {first} of {split!r}"
            raise InputError(
                f"{path}: {metrics['dataset']} under {both}; give one split, or two names to the dataset"
            )
        group = groups.setdefault(tuple(str(metrics[name]) for name in COLUMNS), {})
        seed = int(metrics["seed"])
        if seed in group:
            raise InputError(
                f"{path}: the same result and seed {seed} as {group[seed][0]}; give each once"
            )
        group[seed] = (path, metrics)
    rows = [
        _row(identity, [metrics for _, metrics in group.values()])
        for identity, group in groups.items()
    ]
    return sorted(rows, key=lambda row: row.identity[0])


def _row(identity: tuple[str, ...], seeds: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of one result: means and spreads over its seeds, in per cent."""
    measured: dict[str, tuple[float, float | None]] = {}
    for name in METRICS:
        values = [100 * float(metrics[name]) for metrics in seeds if name in metrics]
        if len(values) == len(seeds):  # a mean over fewer seeds than the row says would mislead
            measured[name] = (
                statistics.fmean(values),
                statistics.stdev(values) if len(values) > 1 else None,
            )
    who = dict(zip(COLUMNS, identity, strict=True))
    protocol = str(seeds[0]["protocol"])
    printed = published(who["method"], who["variant"], who["dataset"], protocol, who["rebalancing"])
    return Row(identity, protocol, len(seeds), measured, printed)


def _csv(rows: Sequence[Row]) -> str:
    """Return the csv text: exactly the columns of HEADER, two decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        parts = [part for name in METRICS for part in row.measured.get(name, (None, None))]
        numbers = [*parts, *(row.printed.get(name) for name in PRINTED)]
        cells = ["" if number is None else f"{number:.2f}" for number in numbers]
        writer.writerow([*row.identity, str(row.seeds), *cells])
    return text.getvalue()


def _cells(row: Row, plus_minus: str) -> list[str]:
    """Return the cells of TITLES, one decimal, mean and spread joined by ``plus_minus``."""
    cells = [*row.identity, str(row.seeds)]
    for name in METRICS:
        mean, spread = row.measured.get(name, (None, None))
        cell = "" if mean is None else f"{mean:.1f}"
        cells.append(cell if spread is None else f"{cell}{plus_minus}{spread:.1f}")
    return [
        *cells,
        *(f"{row.printed[name]:.1f}" if name in row.printed else "" for name in PRINTED),
    ]


def _sources(rows: Sequence[Row]) -> list[str]:
    """Return one line for each row with printed numbers: where they are printed."""
    named = dict.fromkeys((*row.identity[:3], row.protocol) for row in rows if row.printed)
    return [
        f"{dataset}, {method}, {variant}: {source(method, variant, dataset, protocol)}"
        for dataset, method, variant, protocol in named
    ]


def _other_splits(rows: Sequence[Row]) -> list[str]:
    """Return one line for each dataset that is not divided as proposed: by whose split."""
    named = dict.fromkeys(
        (row.identity[0], row.protocol) for row in rows if row.protocol != PROPOSED_SPLIT
    )
    return [f"{dataset}: {protocol}" for dataset, protocol in named]


def _markdown(rows: Sequence[Row]) -> str:
    """Return a padded Markdown table, numbers to the right, with the sources of the printed numbers
    below.
    """
    text = [markdown_table(TITLES, [_cells(row, " ± ") for row in rows], TEXT_COLUMNS).rstrip("\n")]
    text += [
        "",
        "Per cent; mean ± sample standard deviation over seeds; T1, U, S, H: per-class means.",
    ]
    sources, others = _sources(rows), _other_splits(rows)
    text += (
        ["", "Not the papers' proposed split:", "", *(f"- {line}" for line in others)]
        if others
        else []
    )
    text += (
        ["", "Printed in the papers:", "", *(f"- {line}" for line in sources)] if sources else []
    )
    return "\n".join(text) + "\n"


def _latex(rows: Sequence[Row]) -> str:
    """Return a booktabs tabular; other splits and the sources of the printed numbers are comments
    above.
    """
    others = [f"not the papers' proposed split: {line}" for line in _other_splits(rows)]
    comments = ["needs \\usepackage{booktabs}; per cent", *others, *_sources(rows)]
    blocks = [row.identity[0] for row in rows]
    return latex_table(TITLES, [_cells(row, " ± ") for row in rows], TEXT_COLUMNS, blocks, comments)
