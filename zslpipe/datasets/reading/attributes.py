"""Attributes: their names, a table of class attributes, the group each belongs to, and the
annotated parts that a group is about.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.spreadsheets import (
    Spreadsheet,
    decimal_mark,
    is_number,
    is_text,
    number,
    read_spreadsheet,
    without_row_numbers,
)
from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.machine.errors import InputError

# What the first column may be called where the attributes' names are numbers (ours).
CLASS_HEADERS = ("", "class", "classes", "class_name", "classname", "name", "category", "label")
# A line's number before a name: "1 dagger", "1. dagger", "1,dagger".
NUMBERED = re.compile(r"(\d+)(?:[.):,;]\s*|\s+)(\S.*)")


def read_attribute_names(path: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line, the lines' numbers dropped where they have some
    ("1 has_bill_shape::dagger"): one before every name, which count the lines, or grow and leave no
    two names the same ("2 legs" and "4 legs" are names).

    Raises InputError where a name is given twice, since word vectors and tables go by name.
    """
    names = read_lines(path)
    matches = [NUMBERED.fullmatch(line) for line in names]
    found = [match for match in matches if match is not None]
    numbers = [int(match[1]) for match in found]
    behind = [match[2] for match in found]
    counts = numbers in (list(range(len(names))), list(range(1, len(names) + 1)))
    grow = numbers == sorted(set(numbers)) and not _given_twice(behind)
    if len(found) == len(names) and (counts or grow):
        names = behind
    repeated = _given_twice(names)
    if repeated:
        raise InputError(f"{path}: attribute names given twice: {', '.join(repeated[:5])}")
    return tuple(names)


def _given_twice(names: Sequence[str]) -> list[str]:
    """Return the names that occur more than once, whatever their case and spaces, sorted."""
    forms = {name: " ".join(name.casefold().split()) for name in names}
    counts = Counter(forms[name] for name in names)
    return sorted(name for name, form in forms.items() if counts[form] > 1)


def read_class_attributes(
    path: Path,
) -> tuple[dict[str, list[float]], tuple[str, ...], tuple[str, ...]]:
    """Return class -> attribute strengths, the attributes' names, and notes, from a table with a
    header: class, then a column an attribute.

    Raises InputError, naming class and attribute, for a value that is no finite number, a row too
    short or too long, a name given twice, and where there is no header.
    """
    table = without_row_numbers(read_spreadsheet(path))
    words = table.header[1:]
    _check_header(table)
    _check_columns(table)
    cells = [cell for row in table.rows for cell in row.cells[1:]]
    mark = decimal_mark(cells, str(path))
    strengths: dict[str, list[float]] = {}
    for row in table.rows:
        name, values = row.cells[0], row.cells[1:]
        _check_row(name, values, table, strengths)
        found = []
        for word, value in zip(words, values, strict=True):
            found.append(number(value, mark, f"{path}: class {name!r}, attribute {word!r}"))
        strengths[name] = found
    notes = table.notes
    if mark == ",":
        notes = (*notes, f"{path.name}: read with decimal commas")
    return strengths, words, notes


def _check_header(table: Spreadsheet) -> None:
    """Raise InputError unless a table's first line is class and then the attributes' names, each
    once, and there are rows.
    """
    words = table.header[1:]
    wanted = "the first line has to be class and then the attributes' names, each once"
    if table.rows and not any(words) and len(table.rows[0].cells) > 1:
        fault = f"the first line ({table.header[0]}) is no header"
        raise InputError(f"{table.path}: {fault}; take it out: {wanted}")
    if not words:
        fault = "one column"
        advice = "separate columns by commas, semicolons or tabs"
        raise InputError(f"{table.path}: {fault}; {wanted}; {advice}")
    if all(is_number(word) for word in words) and table.header[0].casefold() not in CLASS_HEADERS:
        fault = f"the first line has numbers for names ({', '.join(words[:3])})"
        raise InputError(f"{table.path}: {fault}, no header; {wanted}")
    if not all(words):
        fault = f"column {words.index('') + 2} has values and no name"
        raise InputError(f"{table.path}: {fault}; {wanted}")
    repeated = _given_twice(words)
    if repeated:
        fault = f"attributes given twice: {', '.join(repeated[:5])}"
        raise InputError(f"{table.path}: {fault}; {wanted}")
    if not table.rows:
        raise InputError(f"{table.path}: a header and no rows; a row a class expected")


def _check_columns(table: Spreadsheet) -> None:
    """Raise InputError where a column behind the first holds words alone, such as the classes."""
    for column, word in enumerate(table.header[1:], 1):
        cells = [row.cells[column] for row in table.rows if column < len(row.cells)]
        if cells and all(map(is_text, cells)):
            fault = f"column {word!r} holds no number (first {cells[0][:40]!r})"
            wanted = "the first column has to be the classes, all others numbers, 1 and 0 for yes"
            raise InputError(f"{table.path}: {fault}; {wanted} and no")


def _check_row(
    name: str, values: Sequence[str], table: Spreadsheet, before: Mapping[str, object]
) -> None:
    """Raise InputError where a row names no class, one that was given ``before``, or has not one
    value an attribute.
    """
    count = len(table.header) - 1
    if not name:
        raise InputError(f"{table.path}: a row without a class: {','.join(values)[:80]}")
    if name in before:
        raise InputError(f"{table.path}: class {name!r} is given twice")
    if len(values) != count:
        advice = ""
        if table.separator == "," and len(values) == 2 * count > 2:
            advice = "; decimal commas between commas? write decimals with a point"
        elif len(values) == count + 1:
            advice = "; the first line has to name every column, that of the classes too"
        fault = f"has {len(values)} values for {count} attributes{advice}"
        raise InputError(f"{table.path}: class {name!r} {fault}")


def numbered_names(count: int) -> tuple[str, ...]:
    """Return "attribute 1", "attribute 2", ... where no file names them."""
    return tuple(f"attribute {number + 1}" for number in range(count))


def attribute_group(name: str) -> str:
    """Return the group in a name of CUB's form ("has_bill_shape::dagger" gives "bill shape"), else
    "".
    """
    group, mark, _ = name.partition("::")
    return group.removeprefix("has_").replace("_", " ").strip() if mark else ""


def read_attribute_parts() -> dict[str, tuple[str, ...]]:
    """Return the package's table: a word of a group's name -> the annotated parts that it means."""
    table: dict[str, tuple[str, ...]] = {}
    file = resources.files("zslpipe.datasets.reading") / "attribute_parts.csv"
    text = file.read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        table[row["word"]] = (*table.get(row["word"], ()), row["part"])
    return table


def relate_to_parts(groups: Sequence[str], part_names: Sequence[str]) -> np.ndarray:
    """Return an (attribute, part) bool matrix: which annotated parts the words of each attribute's
    group mean.

    A group with no word in the table ("size", "shape", "primary color") is about no part.
    """
    table = read_attribute_parts()
    related = np.zeros((len(groups), len(part_names)), bool)
    for row, group in enumerate(groups):
        meant = {part for word in group.lower().split() for part in table.get(word, ())}
        related[row] = [part in meant for part in part_names]
    return related
