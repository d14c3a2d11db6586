"""What a folder of a user's holds: links are followed, hidden and system files are no data."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Files and folders that systems, archives and network drives put beside a user's own, in lower
# case (ours, from Windows, macOS, Synology and QNAP drives, Linux). Names that begin with a dot or
# with "~$" (an open office file) are hidden too.
SYSTEM_NAMES = frozenset(
    (
        *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *("$recycle.bin", "recycler", "system volume information", "@eadir", "#recycle"),
        *("#snapshot", "@recycle", "lost+found", "__pycache__"),
    )
)


@dataclass(frozen=True, order=True)
class FoundFile:
    """A file below a folder: ``path`` relative to it with ``/``, bytes, time of modification in
    ns.
    """

    path: str
    size: int
    modified: int


@dataclass(frozen=True)
class Listing:
    """All files below a folder and, ``unread``, what cannot be followed: links that lead nowhere or
    back to a folder above them, folders without permission; both sorted by path.
    """

    files: tuple[FoundFile, ...]
    unread: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Return whether a file's or folder's own name says that it is a system's and no data."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_NAMES


def list_files(root: Path) -> Listing:
    """Return all files below ``root``, at any depth, through links, without hidden and system
    ones.

    A folder that is not there holds nothing.
    """
    if not root.is_dir():
        return Listing((), ())
    files: list[FoundFile] = []
    unread: list[str] = []
    _collect(str(root), "", frozenset({_identity(root.stat())}), files, unread)
    return Listing(tuple(sorted(files)), tuple(sorted(unread)))


def _collect(
    folder: str,
    prefix: str,
    above: frozenset[tuple[int, int]],
    files: list[FoundFile],
    unread: list[str],
) -> None:
    """Add what ``folder`` holds to ``files`` and ``unread``; ``above`` are the folders on the way
    to it.
    """
    try:
        entries = list(_shown(folder))
    except OSError:
        unread.append(prefix.rstrip("/"))
        return
    for entry in entries:
        path = prefix + entry.name
        try:
            found, is_folder = entry.stat(), entry.is_dir()
        except OSError:
            unread.append(path)
            continue
        if not is_folder:
            files.append(FoundFile(path, found.st_size, found.st_mtime_ns))
        elif _identity(found) in above:
            unread.append(path)
        else:
            _collect(entry.path, f"{path}/", above | {_identity(found)}, files, unread)


def _shown(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds, without hidden and system names."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                yield entry


def _identity(found: os.stat_result) -> tuple[int, int]:
    """Return the device and number of a folder, which links to it share."""
    return found.st_dev, found.st_ino
