"""Text files that a user names: there, readable, not empty, whichever program saved them."""

import codecs
import logging
from pathlib import Path

from zslpipe.first_bytes import HEAD, container_of
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ADVICE = "save it as plain text in UTF-8"


def existing_file(data_root: Path, name: str, where: str) -> Path:
    """Return ``data_root / name``; raises InputError where that is not a file."""
    path = data_root / name
    if path.is_dir():
        raise InputError(f"{where}: {path}: a folder, a file expected")
    if not path.is_file():
        raise InputError(f"{where}: {path}: no such file")
    return path


def check_folder(root: Path, where: str) -> None:
    """Raise InputError unless ``root`` is a folder of images."""
    if root.is_file():
        advice = "give the folder, or unpack it where it is an archive"
        raise InputError(f"{where}: image folder {root} is a file; {advice}")
    if not root.is_dir():
        raise InputError(f"{where}: image folder {root} does not exist")


def optional_path(data_root: Path, name: str | None) -> Path | None:
    """Return ``data_root / name``, None where there is no name; whether anything lies there is for
    its reader to say.
    """
    return None if name is None else data_root / name


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
        told = (
            "read as Windows-1252, since it is no UTF-8; where letters look wrong save it in UTF-8"
        )
        logger.info("%s: %s", path, told)
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
