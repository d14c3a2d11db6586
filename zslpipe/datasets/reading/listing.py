"""The pictures that a folder holds, and what was passed over: hidden and system files never count;
a picture is known by its name's suffix or, under any other name, by its first bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zslpipe.folders import FoundFile, list_files
from zslpipe.pictures import is_picture

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
SHOWN = 5  # files named in a note before the count


@dataclass(frozen=True)
class Pictures:
    """Paths of pictures below a folder, sorted, relative to it, and notes on what was passed over
    or taken in spite of its name.
    """

    paths: tuple[str, ...]
    notes: tuple[str, ...]


def list_pictures(root: Path, depths: range | None = None) -> Pictures:
    """Return the pictures below ``root`` that lie in as many folders below it as ``depths`` says
    (any, where None).

    A file of a usual suffix is taken for a picture unopened; one of another suffix, or of none, is
    a picture if it begins like one.
    """
    listing = list_files(root)
    usual = [file for file in listing.files if _suffix(file) in SUFFIXES]
    others = [file for file in listing.files if _suffix(file) not in SUFFIXES]
    unusual = [file for file in others if is_picture(root / file.path)]
    no_pictures = _paths_of(set(others).difference(unusual))
    taken = _paths_of([*usual, *unusual])
    beside = [path for path in taken if depths is not None and path.count("/") not in depths]
    kept = sorted(set(taken).difference(beside))
    notes = (
        *_note("pictures without a usual suffix taken", sorted({*_paths_of(unusual)} & {*kept})),
        *_note("files passed over, no pictures of a format that is read", no_pictures),
        *_note("pictures passed over that lie beside or below the folders looked into", beside),
        *_note("links, folders or pipes passed over that cannot be read", listing.unread),
    )
    return Pictures(tuple(kept), notes)


def _suffix(file: FoundFile) -> str:
    """Return the suffix of a file's name in lower case, with its dot."""
    return PurePosixPath(file.path).suffix.lower()


def _paths_of(files: Sequence[FoundFile] | set[FoundFile]) -> list[str]:
    """Return the paths of files, sorted."""
    return sorted(file.path for file in files)


def _note(what: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Return a note of how many ``paths`` there are with the first ones, none where there are
    none.
    """
    if not paths:
        return ()
    more = ", ..." if len(paths) > SHOWN else ""
    return (f"{len(paths)} {what}: {', '.join(paths[:SHOWN])}{more}",)
