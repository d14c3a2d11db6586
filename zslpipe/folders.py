"""What a folder of a user's holds: links are followed, hidden and system files are no data."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Files and folders that systems, archives and network drives put beside a user's own, in lower
# case (ours, from Windows, macOS, Synology and QNAP drives, Linux).
SYSTEM_NAMES = frozenset(
    (
        *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *("$recycle.bin", "recycler", "system volume information", "@eadir", "#recycle"),
        *("#snapshot", "@recycle", "@recently-snapshot", "lost+found", "__pycache__"),
        *("network trash folder", "temporary items", "thevolumesettingsfolder", "picasa.ini"),
    )
)
# Hidden are also names that begin with a dot or with "~$" (an open office file), an editor's copies
# ("x.jpg~", "#x.jpg#"), and what Windows finds when it repairs a disk ("found.000").
OTHER_HIDDEN = re.compile(r"\..*|~\$.*|.*~|#.*#|found\.\d{3}", re.IGNORECASE | re.DOTALL)


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
    back to a folder above them, folders without permission, pipes and devices; both sorted by path.
    """

    files: tuple[FoundFile, ...]
    unread: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Return whether a file's or folder's own name says that it is a system's and no data."""
    return name.lower() in SYSTEM_NAMES or OTHER_HIDDEN.fullmatch(name) is not None


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
        if is_folder and _identity(found) not in above:
            _collect(entry.path, f"{path}/", above | {_identity(found)}, files, unread)
        elif stat.S_ISREG(found.st_mode):
            files.append(FoundFile(path, found.st_size, found.st_mtime_ns))
        else:  # whoever opens a pipe waits for its other end
            unread.append(path)


def _shown(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds, without hidden and system names."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                yield entry


def _identity(found: os.stat_result) -> tuple[int, int]:
    """Return the device and number of a folder, which links to it share."""
    return found.st_dev, found.st_ino
