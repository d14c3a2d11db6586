"""Attributes: their names, a table of class attributes, the group each belongs to, and the
annotated parts that a group is about.
"""

import csv
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.machine.errors import InputError


def read_attribute_names(path: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line, a leading number dropped ("1
    has_bill_shape::dagger").

    Raises InputError where a name is given twice, since word vectors and tables go by name.
    """
    names = []
    for line in read_lines(path):
        number, _, rest = line.replace("\t", " ").partition(" ")
        names.append(rest.strip() if number.isdigit() and rest.strip() else line)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: attribute names given twice: {', '.join(repeated[:5])}")
    return tuple(names)


def read_class_attributes(path: Path) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    """Return class -> attribute strengths and the attributes' names, from a CSV with a header.

    Raises InputError, naming the line, for a value that is no finite number, a row too short, a
    class given twice.
    """
    reader = csv.reader(read_lines(path))
    header = [name.strip() for name in next(reader)]
    words = tuple(header[1:])
    if not words or len(set(words)) != len(words) or not all(words):
        wanted = "the first line has to be class and then the attributes' names, each once"
        raise InputError(f"{path}: {wanted}")
    table: dict[str, list[float]] = {}
    for row in reader:
        name = row[0].strip()
        if name in table:
            raise InputError(f"{path}: class {name!r} is given twice")
        if len(row) != len(header):
            fault = f"has {len(row) - 1} values for {len(words)} attributes"
            raise InputError(f"{path}: class {name!r} {fault}")
        cells = zip(row[1:], words, strict=True)
        table[name] = [_finite(value, path, name, word) for value, word in cells]
    return table, words


def _finite(value: str, path: Path, name: str, word: str) -> float:
    """Return a cell's number; raises InputError naming class and attribute where it is no finite
    number.
    """
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        fault = f"attribute {word!r}: {value!r} is no finite number"
        raise InputError(f"{path}: class {name!r}, {fault}")
    return number


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
