"""Files that appear whole or not at all, are read whole or refused in one line, and folders that
one process uses at a time.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from zslpipe.machine.errors import InputError, NotNowError, one_line

Content = TypeVar("Content")
# Times that a lock is asked for while its last holder removes its folder (ours).
ATTEMPTS = 10
# Seconds by which clocks of two machines differ without harm (ours).
CLOCKS = 60


def check_not_of_the_future(paths: Iterable[Path | None]) -> None:
    """Raise InputError where a file is newer than now (None: no file): Snakemake would refuse what
    a job makes of it only when the job has ended, and remove what lay there before.
    """
    now = time.time()
    for path in paths:
        if path is not None and path.is_file() and path.stat().st_mtime > now + CLOCKS:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
            raise InputError(
                f"{path} is of the future ({when}): a clock is or was wrong; set it right, "
                f"'touch {path}' and run again"
            )


def temporary_name(path: Path) -> Path:
    """Return a name beside ``path`` that only this process writes to."""
    return path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.partial")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` to write to; what is written there is renamed to
    ``path`` where nothing goes wrong and removed otherwise, so that whatever lay at ``path`` stays.

    The folder is made where it is missing. Raises InputError for what no file can take the place
    of: an empty name, a folder, a device (whoever may would put a file in place of /dev/null).
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {_what(path)}, where a file should be written; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with named(path):
            yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _what(path: Path) -> str:
    """Return what lies at a path that is no file."""
    return "a folder" if path.is_dir() else "a device or a pipe"


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let a system's error in the block say that it is about ``path`` where it names no file
    (neither HDF5 nor a write to a full disk does) or the temporary one.
    """
    try:
        yield
    except OSError as error:
        unknown = error.filename is None or str(error.filename) == str(temporary_name(path))
        if error.errno is not None and unknown:
            error.filename = str(path)
        raise


def read_complete(
    path: Path,
    read: Callable[[Path], Content],
    kind: str,
    writer: str,
    damage: tuple[type[Exception], ...] = (KeyError, ValueError),
) -> Content:
    """Return ``read(path)``; whatever keeps the file from being read is one line, an InputError.

    ``kind`` is what the file should be ("scores.h5"), ``writer`` who writes it ("the rule
    'extract'"). ``damage``: what ``read`` raises where the file is not of its kind, cut off, or
    lacks something; for HDF5 also an OSError without a number. A number is the system's own word: a
    lock or a missing permission is no damage, and nothing is told to be deleted for it. Nor is a
    file that lacks something (KeyError), unless ``writer`` wrote it: it may be a good one of
    another kind, which nobody makes again.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {_what(path)}, expected {kind}; name a file")
    faults: tuple[type[Exception], ...] = (OSError, *damage)
    try:
        return read(path)
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise NotNowError(f"{path}: no such file; {writer} writes it") from None
    except BlockingIOError:
        raise NotNowError(
            f"{path}: in use, another process writes to it; run again when that has ended"
        ) from None
    except faults as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read: {os.strerror(error.errno)}") from None
        remedy = f"delete it and run again: {writer} makes it again"
        if isinstance(error, KeyError):
            remedy = f"where {writer} wrote this one, delete it and run again"
        raise InputError(
            f"{path}: not a readable {kind} ({one_line(error)}); name another file, or {remedy}"
        ) from None


def work_folder(output: Path) -> Path:
    """Return the folder where the job that writes ``output`` keeps what it resumes from: named
    after the output, so that two jobs never share one.
    """
    return output.parent / f".{output.name.removesuffix('.h5')}.work"


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a work folder, made where it is missing, against every other process until the block is
    left; the lock ends with the process, however it ends.

    Raises InputError, which says who holds it, where another process does.
    """
    lock = _locked(folder)
    try:
        yield
    finally:
        lock.release()


def _locked(folder: Path) -> FileLock:
    """Return the lock of a work folder, held; InputError where another process holds it."""
    holder, lock = folder / "holder", FileLock(folder / "lock")
    for _ in range(ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            holder.write_text(f"process {os.getpid()} on {platform.node()}\n")
        except (FileNotFoundError, FileExistsError):  # its holder has ended and removes the folder
            lock.release()
        except Timeout:
            break
        else:
            return lock
    who = holder.read_text().strip() if holder.is_file() else "another process"
    raise NotNowError(f"{folder}: {who} writes here; wait for its end, or stop it, and run again")
