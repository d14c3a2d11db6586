"""What a command says, kept in a file as well: the terminal shows it beside progress bars, and is
closed some day; a cluster's job has none.

A file of ``log:`` Snakemake deletes before each attempt. This one is appended to, so that what an
attempt said that was killed, or retried, stands above what the next one says.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

# Names the file, "" or none: nothing is kept.
LOG_VARIABLE = "ZSLPIPE_LOG"
LONGEST = 200  # characters of the command that are told (ours): the log of Snakemake has all


class _Kept(logging.FileHandler):
    """Appends lines to a file, in a folder that is made. Where that fails later on, a full disk for
    one, it says nothing: every line is said elsewhere too.
    """

    def __init__(self, path: str):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, mode="a", encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            super().close()


@contextmanager
def kept_log(path: str, arguments: Sequence[str]) -> Iterator[None]:
    """Append what is logged within the block to a file, behind a line that says when the command
    with these ``arguments`` began; do nothing for an empty ``path``. A file that cannot be written
    to is told of, and ends nothing.
    """
    handler = _opened(path)
    if handler is None:
        yield
        return
    with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
        file.write("\n" if file.tell() else "")
    root = logging.getLogger()
    root.addHandler(handler)
    told = f"zslpipe {shlex.join(arguments)}"
    handler.emit(logging.makeLogRecord({"msg": told[:LONGEST]}))
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def keep(line: str, path: str) -> None:
    """Append a line to a file, as what is logged there; do nothing for an empty ``path``."""
    handler = _opened(path)
    if handler is not None:
        handler.emit(logging.makeLogRecord({"msg": line}))
        handler.close()


def _opened(path: str) -> _Kept | None:
    """Return what appends to a file, None for an empty ``path`` and, which is told, for one that
    cannot be written to.
    """
    if not path:
        return None
    try:
        return _Kept(path)
    except OSError as error:
        logging.getLogger(__name__).warning("no log is kept: %s", error)
        return None
