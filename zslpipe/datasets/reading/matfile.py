"""MATLAB files as numpy arrays: versions 5 to 7 through scipy, 7.3 (HDF5) through h5py."""

import struct
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

# All that scipy.io.loadmat and h5py were seen to raise on files that are cut off, overwritten or
# something else.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    MemoryError,
    NameError,
    AttributeError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zlib.error,
    scipy.io.matlab.MatReadError,
)


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
        warnings.simplefilter(
            "ignore"
        )  # repeated variable names and odd headers: the values are checked afterwards
        found = scipy.io.loadmat(path, variable_names=names)
    return {name: found[name] for name in names if name in found}


def _read_hdf5(path: Path, names: list[str]) -> dict[str, Any]:
    """Read the named variables of a version 7.3 file: HDF5 holds MATLAB's arrays transposed, cells
    as references.
    """
    with h5py.File(path) as file:
        return {name: _from_hdf5(file, file[name]) for name in names if name in file}


def _from_hdf5(file: h5py.File, value: h5py.Dataset) -> np.ndarray:
    """Return one variable of an HDF5 .mat file; characters are numbers marked by an attribute."""
    if value.dtype == h5py.ref_dtype:
        cells = [_from_hdf5(file, file[reference]) for reference in value[()].T.ravel()]
        return np.array(
            [cell.ravel()[0] if cell.size == 1 else cell for cell in cells], dtype=object
        )
    array = np.asarray(value[()]).T
    if value.attrs.get("MATLAB_class", b"") == b"char":
        return np.array(["".join(map(chr, row)) for row in np.atleast_2d(array)], dtype=object)
    return array


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
        raise InputError(
            f"{path}: no variable {name!r}; it holds {', '.join(sorted(variables)) or 'none that is known'}"
        )
    return variables[name]


def texts(value: np.ndarray, name: str, path: Path) -> tuple[str, ...]:
    """Return a cell array as a tuple of str; raises InputError where it is something else or has
    empty cells.
    """
    if value.dtype.kind != "O":
        raise InputError(f"{path}: {name} holds numbers, a cell array of text expected")
    empty = [str(row + 1) for row, text in enumerate(value) if not text]
    if empty or not len(value):
        raise InputError(
            f"{path}: {name} has no text in {len(empty)} of {len(value)} rows, first row {(*empty, '1')[0]}"
        )
    return tuple(value)


def zero_based(value: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Return MATLAB's 1-based numbers as a flat int64 array from 0: the one place where 1 is
    subtracted.

    Raises InputError where the numbers are not a vector of whole numbers from 1 (0-based files
    included).
    """
    if value.dtype.kind not in "iuf" or value.size not in (0, max(value.shape, default=0)):
        raise InputError(
            f"{path}: {name} has shape {value.shape}, type {value.dtype}; a vector of numbers expected"
        )
    if value.dtype.kind == "f" and not (
        np.isfinite(value).all() and np.array_equal(value, np.round(value))
    ):
        raise InputError(f"{path}: {name} holds numbers that are not whole")
    numbers = value.ravel().astype(np.int64)
    if len(numbers) and numbers.min() < 1:
        count = int((numbers < 1).sum())
        raise InputError(
            f"{path}: {name} holds {count} numbers below 1, smallest {numbers.min()}; numbers must count from 1"
        )
    return numbers - 1


def class_rows(value: np.ndarray, name: str, path: Path, classes: int) -> np.ndarray:
    """Return class vectors, stored one class a column, as (class, ?) float64.

    Raises InputError where the columns are not as many as the classes, or the values are no
    numbers.
    """
    if value.dtype.kind not in "iufb" or value.ndim != 2:
        raise InputError(
            f"{path}: {name} has shape {value.shape}, type {value.dtype}; numbers, a column a class, expected"
        )
    if value.shape[1] != classes:
        hint = " (it lies transposed)" if value.shape[0] == classes else ""
        raise InputError(f"{path}: {name} has {value.shape[1]} columns for {classes} classes{hint}")
    return np.ascontiguousarray(value.T, np.float64)
