"""MATLAB files as numpy arrays: versions 5 to 7 through scipy, 7.3 (HDF5) through h5py."""

import sys
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from zslpipe.datasets.reading.matlab5 import check_structure
from zslpipe.machine.errors import InputError

# What damaged files raise behind the checks of their structure (seen in 48,000 of them, cut off
# and overwritten): our checks ValueError and zlib.error; scipy OSError, ValueError, TypeError and
# zlib.error; h5py all but zlib.error (MemoryError: a size that no machine holds). A NameError or an
# AttributeError would be a mistake of ours.
UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, zlib.error)


def read_mat(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return those of the named variables that the .mat file holds, in MATLAB's shape (rows x
    columns).

    Cell arrays and character arrays come as one-dimensional object arrays of str. Raises InputError
    where the file is absent, or no readable .mat file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    names = list(names)
    try:
        read = _read_hdf5(path, names) if h5py.is_hdf5(path) else _read_version_5(path, names)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{path}: not a readable .mat file, cut off or something else ({reason})"
        ) from None
    return {name: _tidy(value) for name, value in read.items()}


def _read_version_5(path: Path, names: list[str]) -> dict[str, Any]:
    """Read the named variables with scipy; other variables are skipped, not read."""
    check_structure(path, names)
    with warnings.catch_warnings():
        # Repeated variable names and odd headers: the values are checked afterwards.
        warnings.simplefilter("ignore")
        found = scipy.io.loadmat(path, variable_names=names)
    return {name: found[name] for name in names if name in found}


def _read_hdf5(path: Path, names: list[str]) -> dict[str, Any]:
    """Read the named variables of a version 7.3 file: HDF5 holds MATLAB's arrays transposed, cells
    as references.
    """
    with h5py.File(path) as file:
        return {name: _from_hdf5(file, file[name]) for name in names if name in file}


def _from_hdf5(file: h5py.File, value: object) -> np.ndarray:
    """Return one variable of an HDF5 .mat file; characters are numbers marked by an attribute.

    Raises ValueError where it is no dataset (a struct is a group), or text that is no text.
    """
    if not isinstance(value, h5py.Dataset):
        raise ValueError(f"a {type(value).__name__.lower()} where an array is expected")
    if value.dtype == h5py.ref_dtype:
        cells = [_from_hdf5(file, file[reference]) for reference in value[()].T.ravel()]
        return np.array([_unwrapped(cell) for cell in cells], dtype=object)
    array = np.asarray(value[()]).T
    if value.attrs.get("MATLAB_class", b"") == b"char":
        rows = [_characters(row) for row in np.atleast_2d(array)]
        return np.array(rows, dtype=object)
    return array


def _unwrapped(cell: np.ndarray) -> Any:
    """Return the one value of a cell, or the cell where it holds several or none."""
    return cell.ravel()[0] if cell.size == 1 else cell


def _characters(codes: np.ndarray) -> str:
    """Return numbers as text; raises ValueError where they are no characters."""
    if codes.dtype.kind not in "iu" or ((codes < 0) | (codes > sys.maxunicode)).any():
        raise ValueError("text whose numbers are no characters")
    return "".join(map(chr, codes))


def _tidy(value: Any) -> np.ndarray:
    """Return cells and character arrays as flat object arrays of str, numbers in the machine's byte
    order.
    """
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        return np.array([_text(cell) for cell in array.ravel()], dtype=object)
    return array.astype(array.dtype.newbyteorder("="))


def _text(cell: Any) -> str:
    """Return the text of one cell, however often it is wrapped; numbers as their digits."""
    while isinstance(cell, np.ndarray):
        if cell.size != 1:
            return "".join(map(str, cell.ravel()))
        cell = cell.ravel()[0]
    return str(cell).strip()


def required(variables: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """Return one variable; raises InputError naming the file and what it does hold."""
    if name not in variables:
        held = ", ".join(sorted(variables)) or "none that is known"
        raise InputError(f"{path}: no variable {name!r}; it holds {held}")
    return variables[name]


def texts(value: np.ndarray, name: str, path: Path) -> tuple[str, ...]:
    """Return a cell array as a tuple of str; raises InputError where it is something else or has
    empty cells.
    """
    if value.dtype.kind != "O":
        raise InputError(f"{path}: {name} holds numbers, a cell array of text expected")
    empty = [str(row + 1) for row, text in enumerate(value) if not text]
    if empty:
        fault = f"no text in {len(empty)} of {len(value)} rows, first row {empty[0]}"
        raise InputError(f"{path}: {name} has {fault}")
    if not len(value):
        raise InputError(f"{path}: {name} is empty, a cell array of text expected")
    return tuple(value)


def zero_based(value: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Return MATLAB's 1-based numbers as a flat int64 array from 0: the one place where 1 is
    subtracted.

    Raises InputError where the numbers are not a vector of whole numbers from 1 (0-based files
    included).
    """
    if value.dtype.kind not in "iuf" or value.size not in (0, max(value.shape, default=0)):
        found = f"{name} has shape {value.shape}, type {value.dtype}"
        raise InputError(f"{path}: {found}; a vector of numbers expected")
    # NaN is not equal to itself rounded, infinity is.
    if not (np.array_equal(value, np.round(value)) and np.isfinite(value).all()):
        raise InputError(f"{path}: {name} holds numbers that are not whole")
    numbers = value.ravel().astype(np.int64)
    if len(numbers) and numbers.min() < 1:
        found = f"{(numbers < 1).sum()} numbers below 1, smallest {numbers.min()}"
        raise InputError(f"{path}: {name} holds {found}; numbers must count from 1")
    return numbers - 1


def class_rows(value: np.ndarray, name: str, path: Path, classes: int) -> np.ndarray:
    """Return class vectors, stored one class a column, as (class, ?) float64.

    Raises InputError where the columns are not as many as the classes, or the values are no
    numbers.
    """
    if value.dtype.kind not in "iufb" or value.ndim != 2:
        found = f"{name} has shape {value.shape}, type {value.dtype}"
        raise InputError(f"{path}: {found}; numbers, a column a class, expected")
    if value.shape[1] != classes:
        hint = " (it lies transposed)" if value.shape[0] == classes else ""
        raise InputError(f"{path}: {name} has {value.shape[1]} columns for {classes} classes{hint}")
    return np.ascontiguousarray(value.T, np.float64)
