"""Tables that a user saved from a spreadsheet or a program: a header, then a row a line.

Separators are comma, semicolon, tab or bar; decimals have a point or, in the whole file, a comma.
What can be read in two ways is refused: nobody is asked which one was meant.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.text_files import read_text
from zslpipe.machine.errors import InputError

SEPARATORS = (",", ";", "\t", "|")
# The line by which Excel tells itself the separator.
EXCEL_LINE = re.compile(r"\ufeff?sep=(.)\r?\n")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
# 1,500 or 12,345,678: thousands, or a decimal comma with three digits behind it; 0,125 is none.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([,.' \u00a0\u202f]\d{3})+([.,]\d+)?")
# What programs write where there is no value.
NO_VALUE = ("", "na", "n/a", "nan", "null", "none", "?", "-", "--", "#n/a", "#value!", "missing")
MINUS = ("\u2212", "\u2013")  # the minus sign and the dash that is typed for it
SHOWN = 80  # characters of a row in a message
SAMPLE = 50  # rows by which the separator is told


@dataclass(frozen=True)
class Row:
    """One row's cells, stripped, and the line of the file that it ends on."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Spreadsheet:
    """A header and the rows below it, each as wide as the header or wider; what was left out."""

    path: Path
    separator: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_spreadsheet(path: Path, columns: Sequence[str] = ()) -> Spreadsheet:
    """Return a table whose header is ``columns``, or any header where none are given.

    Empty rows are left out, and empty columns with a note. Raises InputError where the file is no
    text, has no rows, another header, or a quote that is never closed.
    """
    text = read_text(path)
    told = EXCEL_LINE.match(text)
    candidates = told[1] if told else SEPARATORS
    text = text[told.end() :] if told else text
    before = 1 if told else 0
    samples = {one: _sample(text, one, before) for one in candidates}
    separator = max(samples, key=lambda one: _likelihood(samples[one], columns))
    rows = _checked(text, separator, path, before)
    if not rows:
        raise InputError(f"{path}: the file is empty")
    header, *below = rows
    if columns and tuple(header.cells) != tuple(columns):
        wanted, found = ",".join(columns), ",".join(header.cells)[:SHOWN]
        raise InputError(f"{path}: columns {wanted} expected, found {found}")
    if columns:
        return Spreadsheet(path, separator, header.cells, tuple(below))
    return _without_empty_columns(Spreadsheet(path, separator, header.cells, tuple(below)))


def _rows(text: str, separator: str, before: int, strict: bool = False) -> Iterator[Row]:
    """Yield the rows that are not empty, ``before`` lines being cut off, spaces and line ends in a
    cell as one space; csv.Error where ``strict`` and quotes do not close.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    for cells in reader:
        stripped = tuple(" ".join(cell.split()) for cell in cells)
        if any(stripped):
            yield Row(reader.line_num + before, stripped)


def _sample(text: str, separator: str, before: int) -> list[Row]:
    """Return the first rows as :func:`_rows`, those before a cell larger than any table's."""
    rows = []
    with suppress(csv.Error):
        for row in islice(_rows(text, separator, before), SAMPLE):
            rows.append(row)
    return rows


def _checked(text: str, separator: str, path: Path, before: int) -> list[Row]:
    """Return the rows as :func:`_rows`; raises InputError where quotes do not close."""
    try:
        return list(_rows(text, separator, before, strict=True))
    except csv.Error as error:
        raise InputError(
            f"{path}: a quote that is not closed, or not doubled inside a cell ({error}); "
            "save it as CSV again"
        ) from None


def _likelihood(rows: Sequence[Row], columns: Sequence[str]) -> tuple[bool, bool, int, bool]:
    """Return how likely a separator is by the rows that it makes: the columns that are expected,
    then rows as wide as the header, then a wide header, then rows of one width below a header that
    is none.
    """
    if not rows:
        return (False, False, 0, False)
    width, below = len(rows[0].cells), {len(row.cells) for row in rows[1:]}
    alike = width > 1 and below <= {width}
    return (rows[0].cells == tuple(columns), alike, width, len(below) == 1 and below != {1})


def _without_empty_columns(table: Spreadsheet) -> Spreadsheet:
    """Return a table without columns in which nothing is written, and without empty cells behind
    the header's last.
    """
    width = len(table.header)
    kept = []
    for column, name in enumerate(table.header):
        cells = [row.cells[column] for row in table.rows if column < len(row.cells)]
        if name or any(cells):
            kept.append(column)
    rows = []
    for row in table.rows:
        behind = row.cells[width:] if any(row.cells[width:]) else ()
        cells = [row.cells[column] for column in kept if column < len(row.cells)]
        rows.append(Row(row.line, (*cells, *behind)))
    header = tuple(table.header[column] for column in kept)
    left_out = width - len(kept)
    notes = (f"{table.path.name}: {left_out} empty columns left out",) if left_out else ()
    return Spreadsheet(table.path, table.separator, header, tuple(rows), (*table.notes, *notes))


def without_row_numbers(table: Spreadsheet) -> Spreadsheet:
    """Return a table without a first column that only counts its rows (the index that pandas
    writes, with a name or an empty one, or R, without), where the column behind it has no number
    in it.
    """
    if len(table.header) < 2 or not table.rows:
        return table
    unnamed = all(len(row.cells) == len(table.header) + 1 for row in table.rows)
    if len(table.header) < 3 and not unnamed:
        return table
    first = [row.cells[0] for row in table.rows]
    second = [row.cells[1] for row in table.rows if len(row.cells) > 1]
    numbers = [str(number) for number in range(len(first) + 1)]
    if first not in (numbers[:-1], numbers[1:]) or any(is_number(cell) for cell in second):
        return table
    rows = tuple(Row(row.line, row.cells[1:]) for row in table.rows)
    note = f"{table.path.name}: the first column counts the rows and is left out"
    notes = (*table.notes, note)
    header = table.header if unnamed else table.header[1:]
    return Spreadsheet(table.path, table.separator, header, rows, notes)


def is_text(cell: str) -> bool:
    """Return whether a cell is neither a number, however it is written, nor a sign that there is
    none.
    """
    numeric = is_number(cell) or THOUSANDS.fullmatch(cell) or cell.endswith("%")
    numeric = numeric or cell.startswith(MINUS)
    return not numeric and cell.casefold() not in NO_VALUE


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, with a decimal point or comma."""
    try:
        float(cell)
    except ValueError:
        return bool(DECIMAL_COMMA.fullmatch(cell))
    return True


def decimal_mark(cells: Sequence[str], where: str) -> str:
    """Return the decimal mark of a table's cells, "." or ","; raises InputError where some have a
    comma and some a point, or every comma may be one of thousands.
    """
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    points = [cell for cell in cells if "." in cell and is_number(cell)]
    if not commas:
        return "."
    advice = "write decimals with a point and no separator of thousands"
    if points:
        fault = f"{commas[0]} and {points[0]} have different decimal marks"
        raise InputError(f"{where}: {fault}; {advice}")
    if all(THOUSANDS.fullmatch(cell) for cell in commas):
        fault = f"{commas[0]} may be a decimal or thousands"
        raise InputError(f"{where}: {fault}; {advice}")
    return ","


def number(cell: str, mark: str, where: str) -> float:
    """Return a cell's finite number; raises InputError, beginning with ``where``, that says what
    the cell is instead.
    """
    try:
        value = float(cell.replace(",", ".") if mark == "," else cell)
    except ValueError:
        value = np.nan
    if np.isfinite(value) and "_" not in cell:
        return value
    raise InputError(f"{where}: {_fault(cell)}")


def _fault(cell: str) -> str:
    """Return what is wrong with a cell that is no finite number, and what to do."""
    shown = repr(cell[:SHOWN])
    if cell.casefold() in NO_VALUE:
        return f"{shown} is no value and no finite number; fill it in, or leave the attribute out"
    if cell.endswith("%"):
        return f"{shown} is a percentage, no finite number; write it without the sign"
    if THOUSANDS.fullmatch(cell):
        return f"{shown} has separators of thousands, no finite number; write it without"
    if cell.startswith(MINUS):
        return f"{shown} begins with a typographic minus, no finite number; write a hyphen"
    return f"{shown} is no finite number"
