"""A table of results over their seeds, as csv, as padded Markdown and as booktabs.

The csv has one number a cell, with two decimals; the others have one decimal and join mean and
spread. A cell without a value is empty. A number that is not to be read as the row's equal has a
footnote's number: ``(65.9)²`` in the Markdown, which knows no colours, grey in the tex.
"""

import math
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.reports.tables.latex import RAISED, comments, escaped, footnote_mark, notes, tabular

PACKAGES = "needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,xcolor}; per cent"


@dataclass(frozen=True, eq=False)
class Table:
    """What is written.

    ``frame`` has a row a result and the csv's columns in order: texts, whole numbers, and numbers
    in per cent, NaN where there is none. ``titles`` are the columns that are read by people, in
    order: title -> column, or -> the stem of ``{stem}_mean`` and ``{stem}_std``, which are joined.
    The first ``texts`` of them go left. Where ``blocks``, one value a row, changes, the tex has a
    rule. ``marks``: column -> the number of a footnote for each row, 0 for none. ``bold``: the
    column as ``titles`` has it -> whether, for each row. ``grey``: columns of others' numbers, grey
    in the tex.
    """

    frame: pd.DataFrame
    titles: Mapping[str, str]
    texts: int
    blocks: Sequence[Hashable]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    bold: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    grey: Collection[str] = ()


@dataclass(frozen=True)
class Cell:
    """A cell that is read by people: a text or a number, its spread, how it is to be read."""

    text: str
    spread: str = ""
    mark: int = 0
    bold: bool = False
    grey: bool = False


def read_once(
    paths: Sequence[Path],
    read: Callable[[Path], Mapping[str, Any]],
    result: Sequence[str],
    where: str,
) -> list[Mapping[str, Any]]:
    """Return what ``read`` makes of each file, one a seed.

    Raises InputError for no file, for what ``read`` refuses, and for one seed twice of a result,
    which the fields ``result`` tell from others; ``where`` begins the message about no file.
    """
    if not paths:
        raise InputError(f"{where} given; at least one result is needed")
    given: dict[tuple[str, ...], Path] = {}
    contents = []
    for path in paths:
        content = read(path)
        who = tuple(str(content[name]) for name in (*result, "seed"))
        if who in given:
            repeated = f"the same result and seed {content['seed']} as {given[who]}"
            raise InputError(f"{path}: {repeated}; give each once")
        given[who] = path
        contents.append(content)
    return contents


def over_seeds(
    values: pd.DataFrame, identity: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each ``identity`` in the order of its first row: the identity, ``seeds``
    (how many rows), ``{measure}_mean`` and ``{measure}_std``.

    Spread: sample standard deviation (n - 1), NaN for a single seed. Both are NaN where a seed has
    no value: a mean over fewer seeds than the row says would mislead.
    """
    groups = values.groupby(list(identity), sort=False)
    measured = groups[list(measures)]
    complete = measured.count().eq(groups.size(), axis=0)
    means = measured.mean().where(complete).add_suffix("_mean")
    spreads = measured.std(ddof=1).where(complete).add_suffix("_std")
    seeds = groups.size().rename("seeds")
    return pd.concat([seeds, means, spreads], axis=1).reset_index()


def write_table(
    table: Table,
    output_folder: Path,
    name: str,
    below: str,
    above: Sequence[str] = (),
    heading: str = "",
    suffixes: Sequence[str] = ("csv", "md", "tex"),
) -> tuple[Path, ...]:
    """Write name.csv, name.md and name.tex (or those of ``suffixes``), each whole or not at all,
    and return their paths.

    ``below`` stands under the Markdown and, small, under the tabular; ``above`` are comments over
    the tabular; ``heading`` is the first line of both.
    """
    first = [heading] if heading else []
    texts = {
        "csv": table.frame.to_csv(index=False, float_format="%.2f", lineterminator="\n"),
        "md": "\n\n".join([*first, _markdown(table), f"{below}\n"]),
        "tex": _latex(table, "\n".join([*first, below]), [*first, *above]),
    }
    written = []
    for suffix in suffixes:
        path = output_folder / f"{name}.{suffix}"
        with written_whole(path) as temporary:
            temporary.write_text(texts[suffix], encoding="utf-8")
        written.append(path)
    return tuple(written)


def _markdown(table: Table) -> str:
    """Return a padded Markdown table, numbers to the right."""
    rows = []
    for cells in _rows(table):
        texts = [_markdown_cell(cell) for cell in cells]
        rows.append([text.replace("|", "\\|") for text in texts])
    sides = ["left"] * table.texts + ["right"] * (len(table.titles) - table.texts)
    titles = [title.replace("|", "\\|") for title in table.titles]
    return str(tabulate(rows, titles, tablefmt="pipe", disable_numparse=True, colalign=sides))


def _markdown_cell(cell: Cell) -> str:
    """Return a cell as Markdown."""
    text = f"**{cell.text}**" if cell.bold else cell.text
    if cell.spread:
        text = f"{text} ± {cell.spread}"
    return f"({text}){superscript(cell.mark)}" if cell.mark else text


def _latex(table: Table, below: str, above: Sequence[str]) -> str:
    """Return a booktabs tabular below its comments and above its notes."""
    rows = []
    for cells in _rows(table):
        rows.append([_latex_cell(cell) for cell in cells])
    made = tabular(list(table.titles), rows, table.blocks, table.texts)
    return "\n".join([comments([PACKAGES, *above]) + made, notes(below), ""])


def _latex_cell(cell: Cell) -> str:
    """Return a cell as LaTeX."""
    text = escaped(cell.text)
    if cell.bold:
        text = f"\\textbf{{{text}}}"
    if cell.spread:
        text = f"{text} $\\pm$ {cell.spread}"
    if cell.text and (cell.grey or cell.mark):
        text = f"\\textcolor{{gray}}{{{text}}}"
    return text + footnote_mark(superscript(cell.mark) if cell.mark else "")


def superscript(number: int) -> str:
    """Return the number of a footnote as it stands behind what it is about."""
    return str(number).translate(RAISED)


def _rows(table: Table) -> Iterator[list[Cell]]:
    """Yield each row's cells in the order of the titles."""
    for number, row in enumerate(table.frame.to_dict("records")):
        cells = []
        for name in table.titles.values():
            text, spread = _texts(row, name)
            mark = table.marks[name][number] if text and name in table.marks else 0
            bold = bool(text) and name in table.bold and bool(table.bold[name][number])
            cells.append(Cell(text, spread, mark, bold, name in table.grey))
        yield cells


def _texts(row: Mapping[Hashable, Any], name: str) -> tuple[str, str]:
    """Return a text as it is, a whole number, or a number or a mean with one decimal, and its
    spread; "" where there is none.
    """
    value = row[f"{name}_mean"] if f"{name}_mean" in row else row[name]
    if isinstance(value, str):
        return value, ""
    if pd.isna(value):
        return "", ""
    if isinstance(value, int):
        return str(value), ""
    spread = row.get(f"{name}_std", math.nan)
    return f"{value:.1f}", "" if pd.isna(spread) else f"{spread:.1f}"
