"""A look at a .mat file's structure before scipy reads it: scipy's reader crashes the process on
some damaged files.

Layout (MATLAB's "MAT-File Format", version 5): a header of 128 bytes, then elements: a tag (type,
bytes) and data padded to 8 bytes. A matrix element holds flags, dimensions, a name, then numbers,
one matrix element a cell, the names of a struct's fields and one matrix element a field, or a
sparse matrix's row numbers, column starts and numbers.
"""

import mmap
import struct
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

HEADER = 128
MATRIX, COMPRESSED = 14, 15  # element types
CELL, STRUCT, SPARSE = 1, 2, 5  # array classes beside those of numbers and text
# Element type -> bytes a number.
NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
CHARACTERS = {16: 1, 17: 2, 18: 4}
NAMED_WITHIN = 512  # bytes of an element within which its name lies


class Unusual(ValueError):
    """A variable that is whole and not of a form that is read: its name, "" where that is not
    known, and what it is.
    """


def check_structure(path: Path, names: Collection[str]) -> None:
    """Raise ValueError unless the file's elements, and inside them those of the named variables,
    are well-formed.

    Other variables are skipped, since features can be large. Raises zlib.error for a damaged
    compressed element.
    """
    with _opened(path) as (data, order):
        for kind, body in _elements(data, HEADER, len(data), order, padded=False):
            _check_variable(data, kind, body, order, names)


def variable_names(path: Path) -> dict[str, bool]:
    """Return the names of a file's variables, and whether each is a struct; of a damaged file those
    before the damage.
    """
    held: dict[str, bool] = {}
    try:
        with _opened(path) as (data, order):
            for kind, body in _elements(data, HEADER, len(data), order, padded=False):
                start = _beginning(data, kind, body)
                flags = struct.unpack_from(order + "I", start, 8)[0]
                held[_name(start, order)] = flags & 0xFF == STRUCT
    except (ValueError, OSError, struct.error, zlib.error):
        pass  # what is damaged is told by the checks of the variables that are read
    return held


@contextmanager
def _opened(path: Path) -> Iterator[tuple[mmap.mmap, str]]:
    """Yield a file's bytes and their order; raises ValueError where it has no header."""
    with path.open("rb") as file:
        if path.stat().st_size <= HEADER:
            raise ValueError("shorter than a header")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
            if order is None:
                raise ValueError("no header of MATLAB 5 or later")
            yield data, order


def _beginning(data: mmap.mmap, kind: int, body: slice) -> bytes:
    """Return the first bytes inside a top-level matrix element, decompressed where it is."""
    if kind == COMPRESSED:
        start = zlib.decompressobj().decompress(data[body.start : body.stop], NAMED_WITHIN)
        return start[8:]
    return data[body.start : body.start + NAMED_WITHIN]


def _check_variable(
    data: mmap.mmap, kind: int, body: slice, order: str, names: Collection[str]
) -> None:
    """Raise ValueError where a top-level element is no matrix, or is a named one and not
    well-formed; Unusual where it is of a class that is not read.
    """
    name = _name(_beginning(data, kind, body), order) if kind in (COMPRESSED, MATRIX) else ""
    try:
        if kind == COMPRESSED and name in names:
            whole = zlib.decompress(data[body])
            for inner, part in _elements(whole, 0, len(whole), order):
                _check_matrix(whole, inner, part, order)
        elif kind != COMPRESSED and (not name or name in names):
            _check_matrix(data, kind, body, order)
    except Unusual as error:
        raise Unusual(name, error.args[1]) from None


def _name(matrix: bytes, order: str) -> str:
    """Return the name in the first bytes of a matrix element: its third part."""
    for number, (_, part) in enumerate(_elements(matrix, 0, len(matrix), order, whole=False)):
        if number == 2:
            return bytes(matrix[part]).decode("latin-1")
    raise ValueError("a variable without a name")


def _elements(
    data: bytes | mmap.mmap,
    start: int,
    stop: int,
    order: str,
    padded: bool = True,
    whole: bool = True,
) -> Iterator[tuple[int, slice]]:
    """Yield type and place of the elements between two positions; raises ValueError where one ends
    beyond ``stop``.
    """
    while start < stop:
        if start + 8 > stop:
            raise ValueError("cut off in a tag")
        kind, size = struct.unpack_from(order + "II", data, start)
        if kind >> 16:  # the small form: the size in the upper half, data in the tag
            kind, size, body, start = kind & 0xFFFF, kind >> 16, start + 4, start + 8
            if size > 4:
                raise ValueError("a small element larger than its tag")
        else:
            body, start = start + 8, start + 8 + size
            if whole and start > stop:
                raise ValueError("cut off in an element")
            start += -size % 8 if padded else 0
        yield kind, slice(body, body + size)


def _check_matrix(data: bytes | mmap.mmap, kind: int, body: slice, order: str) -> None:
    """Raise ValueError unless an element is a matrix whose parts are of the types and sizes its
    dimensions say.
    """
    if kind != MATRIX:
        raise ValueError(f"an element of type {kind}, a matrix expected")
    parts = list(_elements(data, body.start, body.stop, order))
    if len(parts) < 3 or [part for part, _ in parts[:3]] != [6, 5, 1] or _length(parts[0]) != 8:
        raise ValueError("a matrix without flags, dimensions and name")
    flags = struct.unpack_from(order + "I", data, parts[0][1].start)[0]
    count = 1
    for number in struct.unpack_from(f"{order}{_length(parts[1]) // 4}i", data, parts[1][1].start):
        count *= max(number, -1)
    if count < 0 or _length(parts[1]) < 8:
        raise ValueError("a matrix of impossible dimensions")
    if flags & 0xFF == CELL:
        _check_cells(data, parts[3:], count, order)
    elif flags & 0xFF == STRUCT:
        _check_fields(data, parts[3:], count, order)
    elif flags & 0xFF == SPARSE and not flags & 0x800:
        _check_sparse(parts[3:])
    elif not 4 <= flags & 0xFF <= 15 or flags & 0x800:
        what = "complex, or an object of MATLAB's; convert it with real, cellstr or table2array"
        raise Unusual("", what)
    else:
        _check_numbers(parts[3:], count, text=flags & 0xFF == 4)


def _length(part: tuple[int, slice]) -> int:
    """Return an element's size in bytes."""
    return int(part[1].stop - part[1].start)


def _check_cells(
    data: bytes | mmap.mmap, cells: list[tuple[int, slice]], count: int, order: str
) -> None:
    """Raise ValueError unless there is one well-formed matrix a cell."""
    if len(cells) != count:
        raise ValueError(f"{len(cells)} cells where {count} are announced")
    for kind, body in cells:
        if body.start != body.stop:  # an empty element stands for an empty cell
            _check_matrix(data, kind, body, order)


def _check_fields(
    data: bytes | mmap.mmap, parts: list[tuple[int, slice]], count: int, order: str
) -> None:
    """Raise ValueError unless the fields of ``count`` structs have names and values."""
    if len(parts) < 2 or _length(parts[0]) != 4 or parts[1][0] != 1:
        raise ValueError("a struct without names of fields")
    longest = struct.unpack_from(order + "i", data, parts[0][1].start)[0]
    if longest < 1 or _length(parts[1]) % longest:
        raise ValueError("names of fields of an impossible length")
    _check_cells(data, parts[2:], count * (_length(parts[1]) // longest), order)


def _check_sparse(parts: list[tuple[int, slice]]) -> None:
    """Raise ValueError unless there are three parts of numbers; whether they fit is checked once
    they are read.
    """
    if len(parts) != 3 or any(kind not in NUMBERS for kind, _ in parts):
        raise ValueError("a sparse matrix without row numbers, column starts and numbers")


def _check_numbers(parts: list[tuple[int, slice]], count: int, text: bool) -> None:
    """Raise ValueError unless there is one part with ``count`` numbers, or with that many
    characters.
    """
    known = NUMBERS | CHARACTERS if text else NUMBERS
    if not parts and not count:
        return
    if len(parts) != 1 or parts[0][0] not in known:
        raise ValueError("numbers of an unknown type")
    held, width = _length(parts[0]), known[parts[0][0]]
    # UTF-8 takes one to four bytes a character.
    if held != count * width and not (parts[0][0] == 16 and count <= held <= 4 * count):
        raise ValueError(f"{held} bytes where {count} numbers of {width} bytes are announced")
