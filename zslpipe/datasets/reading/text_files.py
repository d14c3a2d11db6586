"""Text files that a user names: there, readable, not empty, whichever program saved them."""

import codecs
import gzip
import logging
from pathlib import Path

from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)

# First bytes of what is given in a text's place, and what it is (the formats' own definitions).
GZIP = "compressed by gzip"
CONTAINERS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x1f\x8b": GZIP,
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "a numpy array (.npy)",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB ": "a MATLAB file",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself (run git lfs pull)",
}
WEB_PAGE = (b"<!doctype html", b"<html", b"<?xml")
TAR = slice(257, 262)  # where a tar archive says "ustar" (POSIX)
HEAD = 512  # bytes that are looked at
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ADVICE = "save it as plain text in UTF-8"


def existing_file(data_root: Path, name: str, where: str) -> Path:
    """Return ``data_root / name``; raises InputError where that is not a file."""
    path = data_root / name
    if not path.is_file():
        raise InputError(f"{where}: {path}: no such file")
    return path


def optional_path(data_root: Path, name: str | None) -> Path | None:
    """Return ``data_root / name``, None where there is no name; whether anything lies there is for
    its reader to say.
    """
    return None if name is None else data_root / name


def container(head: bytes) -> str:
    """Return in words what a file is by its first bytes, "" for a text or something unknown."""
    if head[TAR] == b"ustar":
        return "a tar archive"
    if head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower().startswith(WEB_PAGE):
        return "a web page or XML, perhaps saved in place of a download"
    known = [told for mark, told in CONTAINERS.items() if head.startswith(mark)]
    return known[0] if known else ""


def container_of(path: Path) -> str:
    """Return what a file is by its first bytes, as :func:`container`; of a file that gzip
    compressed, what is in it where that is no text ("a tar archive, compressed by gzip").
    """
    with path.open("rb") as file:
        found = container(file.read(HEAD))
    if found != GZIP:
        return found
    try:
        with gzip.open(path) as file:
            inside = container(file.read(HEAD))
    except (OSError, EOFError):
        inside = ""
    return f"{inside}, {found}" if inside else found


def read_text(path: Path) -> str:
    """Return a text file's content: UTF-8 or UTF-16, with or without a byte-order mark, else
    Windows-1252, which the log says.

    Raises InputError where the file is absent, no text, or something else by its first bytes, such
    as a workbook.
    """
    try:
        data = path.read_bytes()
        found = container_of(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: not a readable text file ({reason})") from None
    if found:
        raise InputError(f"{path}: {found}, not a text file; {ADVICE}")
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        fault = "neither UTF-8, UTF-16 nor Windows-1252"
        raise InputError(f"{path}: not a readable text file ({fault}); {ADVICE}") from None
    if "\0" in text:
        raise InputError(f"{path}: not a readable text file (it holds zero bytes); {ADVICE}")
    if encoding == "cp1252":
        logger.info("%s: read as Windows-1252, since it is no UTF-8", path)
    return text


def _encoding(data: bytes) -> str:
    """Return the encoding that a text's bytes show."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return encoding
    if b"\0" in data[:HEAD]:  # no text in UTF-8 has one: UTF-16 without a mark, or no text
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def read_lines(path: Path) -> list[str]:
    """Return a text file's non-empty lines, stripped; raises InputError where it is absent, empty
    or not text.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise InputError(f"{path}: the file is empty")
    return lines
