"""Which writing of a file lies there: what differs after another one, of the same bytes too."""

from pathlib import Path


def writing(path: Path) -> tuple[int, int]:
    """Return the file's number and time. Time alone is not enough: a file system counts it in steps
    of milliseconds, or seconds, in which a file may be written again. Files that are written whole
    have another number then.
    """
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns
