"""What a file is by its first bytes, whatever it is called: told where another kind is expected."""

import codecs
import gzip
from pathlib import Path

# First bytes of what is given in another file's place, and what it is (the formats' own
# definitions).
GZIP = "compressed by gzip"
CONTAINERS = {
    b"PK\x03\x04": "a zip archive (.zip, .npz, .pt) or an Excel workbook (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x1f\x8b": GZIP,
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"%PDF": "a PDF",
    b"{\\rtf": "a text of a word processor (.rtf)",
    b"\x93NUMPY": "a numpy array (.npy)",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB ": "a MATLAB file",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\xba\x16\x4f\x2f": "a fastText model (.bin)",
    b"8BPS": "a Photoshop document (.psd)",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself (run git lfs pull)",
}
# ISO media files say behind their first size which kind they are of: HEIF, in which phones keep
# photographs, under these names.
HEIF = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc")
WEB_PAGE = (b"<!doctype html", b"<html", b"<?xml")
TAR = slice(257, 262)  # where a tar archive says "ustar" (POSIX)
HEAD = 512  # bytes that are looked at


def container(head: bytes) -> str:
    """Return in words what a file is by its first bytes, "" for a text or something unknown."""
    if head[TAR] == b"ustar":
        return "a tar archive"
    if head[4:].startswith(HEIF):
        return "a HEIC picture"
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
