"""What a command says, kept in a file as well: the terminal shows it beside progress bars, and is
closed some day; a cluster's job has none.

A file of ``log:`` Snakemake deletes before each attempt. This one is appended to, so that what an
attempt said that was killed, or retried, stands above what the next one says.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Names the file, "" or none: nothing is kept.
LOG_VARIABLE = "ZSLPIPE_LOG"
LONGEST = 200  # characters of the command that are told (ours): the log of Snakemake has all


@contextmanager
def kept_log(path: str, arguments: Sequence[str]) -> Iterator[None]:
    """Append what is logged within the block to a file, behind a line that says when the command
    with these ``arguments`` began; do nothing for an empty ``path``.
    """
    if not path:
        yield
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write("\n" if file.tell() else "")
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    told = f"zslpipe {shlex.join(arguments)}"
    handler.emit(logging.makeLogRecord({"msg": told[:LONGEST]}))
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
