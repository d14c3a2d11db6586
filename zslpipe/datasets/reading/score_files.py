"""Files of scores that somebody else's program wrote: .npz, HDF5 or a table as text, told apart by
their first bytes. Layout::

    .npz and HDF5    scores    (image, class)    numbers, larger is better
                     images    (image,)          names, or row numbers of the index, from 0
                     classes   (class,)          names, or class numbers of the index, from 0
                     labels    (image,)          optional: each image's class, as in classes
                     unit                        optional text (HDF5: also an attribute)
    text             a header with the classes' names, a row an image: its name, then its scores;
                     optional: a column "label"

Nothing is unpickled: an array of Python objects is refused.
"""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np

from zslpipe.datasets.reading.spreadsheets import (
    NO_VALUE,
    Row,
    Spreadsheet,
    decimal_mark,
    number,
    read_spreadsheet,
    without_row_numbers,
)
from zslpipe.first_bytes import container_of
from zslpipe.formats.hdf5 import DAMAGE
from zslpipe.machine.errors import InputError, one_line

NEEDED, OPTIONAL = ("scores", "images", "classes"), ("labels", "unit")
LABEL = "label"  # a column of a table that holds each image's class
KNOWN = "expected .npz, HDF5 or CSV"
SHOWN = 5  # names in a message
LONGEST = 18  # digits of a row number, which int64 holds; what has more is a name


@dataclass(frozen=True, eq=False)
class ScoreFile:
    """What a file says: ``scores`` (image, class), float64 or float32, finite; ``images``,
    ``classes`` and ``labels`` (image,) as texts or whole numbers; ``unit`` "" where it states none.
    """

    path: Path
    scores: np.ndarray
    images: np.ndarray
    classes: np.ndarray
    labels: np.ndarray | None = None
    unit: str = ""


def read_score_file(path: Path) -> ScoreFile:
    """Return what a file of scores says; the module's docstring has its layouts.

    Raises InputError, in one line: no such file or another kind of one, an array that is missing,
    would have to be unpickled, or is of another shape, and scores that are no finite numbers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of scores; {KNOWN}")
    try:
        if h5py.is_hdf5(path):
            return _checked(path, _read_hdf5(path))
        if zipfile.is_zipfile(path):
            return _checked(path, _read_npz(path))
    except InputError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, *DAMAGE) as error:
        raise InputError(f"{path}: not readable ({one_line(error)}); save it again") from None
    found = container_of(path)
    if found:
        raise InputError(f"{path}: {found}, {KNOWN}; {_advice(found)}")
    return _read_table(path)


def _advice(found: str) -> str:
    """Return what to do with a file of another kind."""
    if "numpy array" in found:
        return "it has no names: np.savez(file, scores=..., images=..., classes=...)"
    if "pickle" in found:
        return "it is not unpickled, which could run any program: save arrays with np.savez"
    if "zip archive" in found:
        return "an .npz that looks so is cut off: save or copy it again"
    return "save the scores as one of these"


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name; InputError for what only unpickling could read."""
    with np.load(path, allow_pickle=False) as file:
        names = [name for name in (*NEEDED, *OPTIONAL) if name in file.files]
        _check_there(path, names, file.files)
        return {name: _unpickled(path, name, file.__getitem__) for name in names}


def _unpickled(path: Path, name: str, read: Callable[[str], np.ndarray]) -> np.ndarray:
    """Return an array; InputError where it holds Python objects."""
    try:
        return np.asarray(read(name))
    except ValueError as error:
        if "pickle" not in str(error):
            raise
    told = f"{name!r} holds Python objects, which would have to be unpickled"
    raise InputError(f"{path}: {told}; save names as texts: np.array(names, dtype=str)")


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Return the datasets of an HDF5 file by name, texts as such."""
    found = {}
    with h5py.File(path) as file:
        if "test_unseen" in file:
            told = "has splits as the scores.h5 of zslpipe itself"
            raise InputError(f"{path}: {told}; {KNOWN} with scores, images and classes")
        for name in (*NEEDED, *OPTIONAL):
            part = file.get(name)
            if isinstance(part, h5py.Dataset):
                found[name] = _texts_or_numbers(part)
        if "unit" in file.attrs:
            found["unit"] = np.asarray(_text(file.attrs["unit"]))
        _check_there(path, list(found), [*file, *file.attrs])
    return found


def _texts_or_numbers(part: h5py.Dataset) -> np.ndarray:
    """Return a dataset's content, texts as such."""
    if h5py.check_string_dtype(part.dtype) is not None:
        return np.asarray(part.asstr()[()]).astype(str)
    return np.asarray(part[()])


def _text(value: object) -> str:
    """Return a text that a library hands out as text or bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _check_there(path: Path, found: Sequence[str], all_names: Sequence[str]) -> None:
    """Raise InputError where an array is missing."""
    missing = [name for name in NEEDED if name not in found]
    if missing:
        holds = ", ".join(sorted(all_names)[:SHOWN]) or "nothing"
        raise InputError(
            f"{path}: lacks {', '.join(missing)} (it holds {holds}); a file of scores has scores, "
            "images and classes"
        )


def _checked(path: Path, arrays: Mapping[str, np.ndarray]) -> ScoreFile:
    """Return arrays as a ScoreFile; InputError for shapes and types that do not fit."""
    scores = arrays["scores"]
    if scores.ndim != 2 or scores.dtype.kind not in "fiu":
        told = f"scores is {scores.dtype} of shape {scores.shape}"
        raise InputError(f"{path}: {told}, expected numbers of shape (image, class)")
    lengths = {"images": len(scores), "classes": scores.shape[1], "labels": len(scores)}
    for name, length in lengths.items():
        if name in arrays and arrays[name].shape != (length,):
            shapes = f"{name} has shape {arrays[name].shape}, scores {scores.shape}"
            raise InputError(f"{path}: {shapes}; expected {length} {name}")
    names = {name: _names(path, name, arrays[name]) for name in lengths if name in arrays}
    scores = scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float64)
    _check_finite(path, scores, names["images"], names["classes"])
    unit = _text(arrays["unit"].item()) if "unit" in arrays and arrays["unit"].size == 1 else ""
    return ScoreFile(path, scores, names["images"], names["classes"], names.get("labels"), unit)


def _names(path: Path, what: str, values: np.ndarray) -> np.ndarray:
    """Return names as texts, row numbers as int64; InputError for anything else."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    raise InputError(f"{path}: {what} is {values.dtype}; give names, or whole numbers from 0")


def _check_finite(path: Path, scores: np.ndarray, images: np.ndarray, classes: np.ndarray) -> None:
    """Raise InputError for a score that is NaN or infinite."""
    bad = ~np.isfinite(scores)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        first = f"first of image {str(images[row])!r}, class {str(classes[column])!r}"
        count = f"{bad.sum()} scores of {bad.any(axis=1).sum()} images are NaN or infinite"
        raise InputError(
            f"{path}: {count}, {first}; every image needs a finite score of each class"
        )


def _read_table(path: Path) -> ScoreFile:
    """Return a table's scores; InputError for a row of another width and a cell that is no
    number.
    """
    table = _with_image_column(without_row_numbers(read_spreadsheet(path)))
    header, rows = np.asarray(table.header), table.rows
    if len(header) < 3 or not rows:
        told = f"{len(rows)} rows and {len(header)} columns"
        raise InputError(f"{path}: {told}; expected a header of classes and a row an image")
    for row in rows:
        if len(row.cells) != len(header):
            told = f"{len(row.cells)} cells, the header has {len(header)}"
            raise InputError(f"{path}, line {row.line}: {told}")
    cells = np.array([row.cells for row in rows], dtype=object)
    is_label = (header == LABEL) & (np.arange(len(header)) > 0)
    of_scores = ~is_label & (np.arange(len(header)) > 0)
    scores = _numbers(path, cells[:, of_scores], rows, header[of_scores])
    labels = _counted(cells[:, is_label][:, 0]) if is_label.sum() == 1 else None
    return ScoreFile(path, scores, _counted(cells[:, 0]), header[of_scores], labels)


def _with_image_column(table: Spreadsheet) -> Spreadsheet:
    """Return a table whose header names a column for every cell: R leaves out that of the row
    names.
    """
    if table.rows and all(len(row.cells) == len(table.header) + 1 for row in table.rows):
        return Spreadsheet(table.path, table.separator, ("", *table.header), table.rows)
    return table


def _counted(cells: np.ndarray) -> np.ndarray:
    """Return row numbers where every cell is one, else names."""
    digits = [cell.isdecimal() and len(cell) <= LONGEST for cell in cells]
    return cells.astype(np.int64) if all(digits) else cells.astype(str)


def _numbers(path: Path, cells: np.ndarray, rows: Sequence[Row], classes: np.ndarray) -> np.ndarray:
    """Return (row, class) cells as float64; InputError that names the first that is none."""
    flat = cells.ravel()
    mark = decimal_mark([cell for cell in flat if "," in cell or "." in cell], str(path))
    plain = [cell.replace(",", ".") for cell in flat] if mark == "," else flat
    try:
        values = np.array(plain, dtype=np.float64).reshape(cells.shape)
    except ValueError:
        _tell_cell(path, cells, rows, classes, mark)
    if not np.isfinite(values).all() or any("_" in cell for cell in flat):
        _tell_cell(path, cells, rows, classes, mark)
    return values


def _tell_cell(
    path: Path, cells: np.ndarray, rows: Sequence[Row], classes: np.ndarray, mark: str
) -> NoReturn:
    """Raise InputError for the first cell that is no finite number."""
    for row, line in zip(cells, rows, strict=True):
        for name, cell in zip(classes.tolist(), row, strict=True):
            if cell.casefold() in NO_VALUE:
                told = f"{path}, line {line.line}, class {name!r}: {cell!r} is no value"
                raise InputError(f"{told}; every image needs a finite score of each class")
            number(cell, mark, f"{path}, line {line.line}, class {name!r}")
    raise InputError(f"{path}: scores that are no finite numbers; save it as CSV again")
