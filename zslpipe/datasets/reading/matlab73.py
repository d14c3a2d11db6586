"""MATLAB files of version 7.3 and files that h5py wrote: HDF5 through h5py.

MATLAB's arrays lie transposed, cells are references, text is numbers, a struct is a group, a sparse
matrix a group of three arrays. Files of h5py hold text as text and arrays as they are; which of the
two lies there is told by MATLAB's own attributes.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse

from zslpipe.datasets.reading.matlab5 import Unusual

MATLAB_CLASS, MATLAB_SPARSE = "MATLAB_class", "MATLAB_sparse"
# Groups in which MATLAB keeps what its cells, and its objects, refer to.
INTERNAL = ("#refs#", "#subsystem#")


def held_names(path: Path) -> dict[str, bool]:
    """Return the names of a file's variables, and whether each is a struct; none where the file
    cannot be read.
    """
    try:
        with h5py.File(path) as file:
            return _held(file)
    except (OSError, KeyError, RuntimeError):
        return {}


def _held(file: h5py.Group) -> dict[str, bool]:
    """Return the names of an open file's variables, and whether each is a struct."""
    names = [name for name in file if name not in INTERNAL]
    return {name: _is_struct(file[name]) for name in names}


def _is_struct(value: object) -> bool:
    """Return whether a variable is a struct: a group that is no sparse matrix."""
    return isinstance(value, h5py.Group) and MATLAB_SPARSE not in value.attrs


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return those of the named variables that the file, or its one struct where none lies beside
    it, holds, in MATLAB's shape.

    Raises what h5py does on damage, and Unusual for what is no array and no text.
    """
    with h5py.File(path) as file:
        held = _held(file)
        structs = [name for name, is_struct in held.items() if is_struct]
        place: h5py.Group = file
        if len(structs) == 1 and not any(name in held for name in names):
            place = file[structs[0]]
        return {name: _named(file, place, name) for name in names if name in place}


def _named(file: h5py.File, place: h5py.Group, name: str) -> np.ndarray:
    """Return one variable by its name, which Unusual tells."""
    try:
        return _array(file, place[name])
    except Unusual as error:
        raise Unusual(name, error.args[1]) from None


def _array(file: h5py.File, value: object) -> np.ndarray:
    """Return one variable; raises Unusual where it is a struct, a class of MATLAB's or has no first
    axis, ValueError where it is text that is no text.
    """
    if isinstance(value, h5py.Group) and MATLAB_SPARSE in value.attrs:
        return _full(value)
    if not isinstance(value, h5py.Dataset):
        raise Unusual("", f"a {type(value).__name__.lower()} where an array is expected")
    if h5py.check_ref_dtype(value.dtype) is not None:
        cells = [_array(file, file[reference]) for reference in value[()].T.ravel()]
        return np.array([_unwrapped(cell) for cell in cells], dtype=object)
    if value.attrs.get("MATLAB_empty", 0):  # what is stored are the dimensions
        return np.empty(0)
    if h5py.check_string_dtype(value.dtype) is not None:
        texts = [_decoded(text) for text in np.ravel(value[()])]
        return np.array(texts, dtype=object)
    kind = _class_of(value)
    array = np.asarray(value[()]).T
    if not kind and array.ndim == 2 and 1 < array.shape[0] == array.shape[1]:
        shape = f"{array.shape[0]} x {array.shape[1]}, not written by MATLAB"
        raise Unusual("", f"{shape}: which axis is which? use scipy.io.savemat")
    if kind == "char":
        rows = [_characters(row) for row in np.atleast_2d(array)]
        return np.array(rows, dtype=object)
    if kind in ("string", "table", "categorical"):
        raise Unusual("", f"of MATLAB's class {kind}; convert it with cellstr or table2array")
    return array


def _class_of(value: h5py.Dataset) -> str:
    """Return MATLAB's name of an array's class, "" where MATLAB did not write it."""
    found = value.attrs.get(MATLAB_CLASS, b"")
    return found.decode() if isinstance(found, bytes) else str(found)


def _full(group: h5py.Group) -> np.ndarray:
    """Return a sparse matrix (rows x columns) in full; raises ValueError where its parts
    contradict each other.
    """
    starts = np.asarray(group["jc"][()], np.int64)
    rows, columns = int(group.attrs[MATLAB_SPARSE]), len(starts) - 1
    if "data" not in group:  # a matrix of zeros
        return np.zeros((rows, columns))
    values, places = np.asarray(group["data"][()]), np.asarray(group["ir"][()], np.int64)
    matrix = scipy.sparse.csc_array((values, places, starts), shape=(rows, columns))
    matrix.check_format(full_check=True)  # reading beyond its arrays would crash
    return np.asarray(matrix.toarray())


def _decoded(text: bytes | str) -> str:
    """Return text that h5py wrote, UTF-8 or else Windows-1252."""
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def _unwrapped(cell: np.ndarray) -> object:
    """Return the one value of a cell, or the cell where it holds several or none."""
    return cell.ravel()[0] if cell.size == 1 else cell


def _characters(codes: np.ndarray) -> str:
    """Return numbers as text; raises ValueError where they are no characters."""
    if codes.dtype.kind not in "iu" or ((codes < 0) | (codes > sys.maxunicode)).any():
        raise ValueError("text whose numbers are no characters")
    return "".join(map(chr, codes))
