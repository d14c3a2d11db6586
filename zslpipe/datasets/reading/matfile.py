"""MATLAB files as numpy arrays: versions 5 to 7 through scipy, 7.3 (HDF5) and files that h5py wrote
(:mod:`zslpipe.datasets.reading.matlab73`).

Variables may lie in the file itself or together in its one struct, and may be sparse.
"""

import logging
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.sparse

from zslpipe.datasets.reading.matlab5 import Unusual, check_structure, variable_names
from zslpipe.datasets.reading.matlab73 import held_names, read_arrays
from zslpipe.first_bytes import container_of
from zslpipe.machine.errors import InputError, nearest, one_line

logger = logging.getLogger(__name__)

# The field's variables and what each has to be (Xian et al. 2018's files).
EXPECTED = {
    "att": "attribute x class",
    "allclasses_names": "class x 1, a cell array of text",
    "features": "dimension x image",
    "labels": "image x 1, numbers of classes from 1",
    "image_files": "image x 1, a cell array of text",
    "trainval_loc": "numbers of images from 1",
    "test_seen_loc": "numbers of images from 1",
    "test_unseen_loc": "numbers of images from 1",
}

# What damaged files raise behind the checks of their structure (seen in 48,000 of them, cut off
# and overwritten): our checks ValueError and zlib.error; scipy OSError, ValueError, TypeError and
# zlib.error; h5py all but zlib.error (MemoryError: a size that no machine holds). A NameError or an
# AttributeError would be a mistake of ours.
SHOWN = 12  # names of variables in a message
UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, zlib.error)


def read_mat(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return those of the named variables that the .mat file holds, in MATLAB's shape (rows x
    columns).

    Cell arrays and character arrays come as one-dimensional object arrays of str. Raises InputError
    where the file is absent, no readable .mat file, or a variable of a form that is not read.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    names = list(names)
    found = container_of(path)
    if found and found not in ("an HDF5 file", "a MATLAB file"):
        raise InputError(f"{path}: not a readable .mat file: {found}; give the .mat file itself")
    try:
        read = read_arrays(path, names) if h5py.is_hdf5(path) else _read_version_5(path, names)
        return {name: _tidy(value) for name, value in read.items()}
    except Unusual as error:
        name, what = error.args
        raise InputError(f"{path}: {name} is {what}{_expected(name)}") from None
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a readable .mat file, cut off or something else ({one_line(error)})"
        ) from None


def _read_version_5(path: Path, names: list[str]) -> dict[str, Any]:
    """Read the named variables with scipy, from the file or its one struct; other variables are
    skipped, not read.
    """
    struct = _struct_of_all(variable_names(path), names)
    check_structure(path, [struct] if struct else names)
    with warnings.catch_warnings():
        # Repeated variable names and odd headers: the values are checked afterwards.
        warnings.simplefilter("ignore")
        found = scipy.io.loadmat(path, variable_names=[struct] if struct else names)
    if struct:
        found = _fields(found[struct], struct)
    return {name: found[name] for name in names if name in found}


def _struct_of_all(held: Mapping[str, bool], names: Iterable[str]) -> str:
    """Return the name of a file's one struct where none of the named variables lies beside it, ""
    otherwise; ``held`` says of each variable whether it is a struct.
    """
    structs = [name for name, is_struct in held.items() if is_struct]
    alone = len(structs) == 1 and not any(name in held for name in names)
    return structs[0] if alone else ""


def _expected(name: str) -> str:
    """Return what a variable has to be, in words, "" where the field has no such variable."""
    return f"; expected {name} ({EXPECTED[name]})" if name in EXPECTED else ""


def _fields(struct: np.ndarray, name: str) -> dict[str, Any]:
    """Return the fields of a struct of one element; raises Unusual where it has several."""
    if struct.size != 1 or struct.dtype.names is None:
        raise Unusual(name, f"a struct array of {struct.size} elements, one expected")
    element = struct.ravel()[0]
    return {name: element[name] for name in struct.dtype.names}


def _tidy(value: Any) -> np.ndarray:
    """Return cells and character arrays as flat object arrays of str, numbers in the machine's byte
    order, sparse matrices in full; raises ValueError where a sparse one is inconsistent.
    """
    if isinstance(value, scipy.sparse.csc_matrix | scipy.sparse.csc_array):
        value.check_format(full_check=True)  # reading beyond its arrays would crash
        value = value.toarray()
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
    """Return one variable; raises InputError naming the file, what it holds and what it should."""
    if name in variables:
        return variables[name]
    held = held_names(path) if h5py.is_hdf5(path) else variable_names(path)
    struct = _struct_of_all(held, [name])
    inside = f" (a struct without a field {name})" if struct else ""
    listed = ", ".join(sorted(held)[:SHOWN]) or "none"
    form = f" ({EXPECTED[name]})" if name in EXPECTED else ""
    advice = nearest(name, held) if held else ""
    advice = f"; {advice}" if advice.startswith("did you") else ""
    fault = f"no variable {name!r}; it holds {listed}{inside}, expected {name}{form}{advice}"
    raise InputError(f"{path}: {fault}")


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
    if {*numbers.tolist()} == {0, 1}:
        found = f"{name} holds 0 and 1 alone, such as a mask"
        raise InputError(f"{path}: {found}; numbers from 1 expected, MATLAB's find(...) gives them")
    if len(numbers) and numbers.min() < 1:
        found = f"{(numbers < 1).sum()} numbers below 1, smallest {numbers.min()}"
        raise InputError(f"{path}: {name} holds {found}; numbers must count from 1")
    return numbers - 1


def class_rows(value: np.ndarray, name: str, path: Path, classes: int) -> np.ndarray:
    """Return class vectors, stored one class a column, as (class, ?) float64; a class a row where
    only the rows are as many as the classes, which the log says.

    Raises InputError where neither are, or the values are no numbers.
    """
    if value.dtype.kind not in "iufb" or value.ndim != 2:
        found = f"{name} has shape {value.shape}, type {value.dtype}"
        raise InputError(f"{path}: {found}; numbers, a column a class, expected")
    if value.shape[1] == classes:
        return np.ascontiguousarray(value.T, np.float64)
    if value.shape[0] != classes:
        found = f"{name} has shape {value.shape[0]} x {value.shape[1]} for {classes} classes"
        raise InputError(f"{path}: {found}; {EXPECTED['att']} expected")
    logger.info("%s: %s lies transposed, a class a row, and is read so", path, name)
    return np.ascontiguousarray(value, np.float64)
