"""Descriptions of classes that a user wrote: a table of class and text, several rows a class
allowed, or a folder with a text file a class.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zslpipe.datasets.reading.spreadsheets import (
    NO_VALUE,
    read_spreadsheet,
    without_row_numbers,
)
from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.folders import is_hidden
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, suggestion

logger = logging.getLogger(__name__)

COLUMNS = ("class", "text")
SHOWN = 5  # names in a message
LONGEST = 200  # characters of advice (ours)


@dataclass(frozen=True)
class _Description:
    """One text, the class as its file names it, and where it stands."""

    name: str
    text: str
    where: str


def read_descriptions(path: Path, classes: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    """Return the texts of each of ``classes``, in the order of the file, names joined as
    :mod:`zslpipe.names` says; texts of other classes are left out, which the log says.

    ``path``: a table with the columns class,text (any of a spreadsheet's separators and encodings),
    or a folder of CLASS.txt, a text a line. Raises InputError where it is absent or unreadable, for
    an empty text, for a name that may be several classes, and for classes without a text; the log
    says which texts are given twice.
    """
    if not path.exists():
        raise InputError(f"{where}: {path}: no such file or folder")
    given = list(_described(path))
    known = KnownNames(classes)
    found: dict[str, list[str]] = {name: [] for name in classes}
    others: list[str] = []
    for one in given:
        if known.fitting(one.name):
            found[classes[known.position(one.name, one.where)]].append(one.text)
        else:
            others.append(one.name)
    _tell_copies(found, path)
    _check_all_described(found, others or [one.name for one in given], path, where)
    if others:
        several = list(dict.fromkeys(others))
        told = "%s: texts of %d classes that the dataset has not are left out: %s"
        logger.info(told, path, len(several), ", ".join(several[:SHOWN]))
    return {name: tuple(of_class) for name, of_class in found.items()}


def read_new_classes(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the texts of each class of a table or folder as :func:`read_descriptions` takes them,
    of whatever classes: by their names as they stand first.
    """
    found: dict[str, list[str]] = {}
    called: dict[str, str] = {}
    for one in _described(path):
        if one.name not in called:
            number = KnownNames(found).one(one.name)
            called[one.name] = one.name if number is None else list(found)[number]
        found.setdefault(called[one.name], []).append(one.text)
    if not found:
        raise InputError(f"{path}: no class in it; write a class and a text a row")
    _tell_copies(found, path)
    return {name: tuple(of_class) for name, of_class in found.items()}


def _described(path: Path) -> Iterator[_Description]:
    """Yield what a table or folder says; InputError for a text that programs write for none."""
    for one in _of_folder(path) if path.is_dir() else _of_table(path):
        if one.text.casefold() in NO_VALUE:
            fault = f"{one.text!r} of {one.name!r} is no text"
            raise InputError(f"{one.where}: {fault}; write one, or leave the line out")
        yield one


def _tell_copies(found: Mapping[str, Sequence[str]], path: Path) -> None:
    """Say in the log which classes have a text more than once: it weighs as much in their mean."""
    twice = [name for name, texts in found.items() if len(set(texts)) < len(texts)]
    if twice:
        told = "%s: %d classes have the same text more than once, each counts: %s"
        logger.warning(told, path, len(twice), ", ".join(twice[:SHOWN]))


def _check_all_described(
    found: dict[str, list[str]], candidates: Sequence[str], path: Path, where: str
) -> None:
    """Raise InputError for classes without a text, with the names that may stand for the first."""
    without = [name for name, of_class in found.items() if not of_class]
    if without:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        named = f"{', '.join(map(repr, without[:SHOWN]))}{more}"
        advice = f"for {without[0]!r}: {suggestion(without[0], set(candidates))}"[:LONGEST]
        raise InputError(f"{where}: {path}: no text for {len(without)} classes: {named}; {advice}")


def _of_table(path: Path) -> Iterator[_Description]:
    """Yield the rows of a table."""
    table = without_row_numbers(read_spreadsheet(path))
    header = [name.casefold() for name in table.header]
    if tuple(header) != COLUMNS:
        wanted, found = ",".join(COLUMNS), ",".join(table.header)[:80]
        raise InputError(f"{path}: columns {wanted} expected, found {found}")
    for row in table.rows:
        place = f"{path}, line {row.line}"
        if len(row.cells) > len(COLUMNS):
            fault = f"{len(row.cells)} values, a class and a text expected"
            raise InputError(f"{place}: {fault}; put a text with {table.separator!r} in quotes")
        if len(row.cells) < len(COLUMNS) or not all(row.cells):
            raise InputError(f"{place}: a class and a text expected, one is empty")
        name, text = row.cells
        yield _Description(name, text, place)


def _of_folder(root: Path) -> Iterator[_Description]:
    """Yield the lines of a folder's text files, which are named after classes."""
    entries = sorted(path for path in root.iterdir() if not is_hidden(path.name))
    files = [path for path in entries if path.suffix.lower() == ".txt" and path.is_file()]
    others = [path.name for path in entries if path not in set(files)]
    if not files:
        found = f" (it holds {', '.join(others[:SHOWN])})" if others else ""
        advice = "name them after classes, CLASS.txt"
        raise InputError(f"{root}: no text file in this folder{found}; {advice}")
    if others:
        told = "%s: %d files and folders that are no .txt are left out: %s"
        logger.info(told, root, len(others), ", ".join(others[:SHOWN]))
    for path in files:
        for line in read_lines(path):
            yield _Description(path.stem, line, str(path))
