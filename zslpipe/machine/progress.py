"""``progress.json``: how far a running job is, for ``zslpipe status``; kept beside its resumable
state.
"""

import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from zslpipe.machine.files import work_folder, written_whole

logger = logging.getLogger(__name__)

# Seconds between words of how far a job is (ours): `zslpipe status` takes two minutes of silence
# for the end.
REPORT_SECONDS = 10.0
# Seconds between lines in a log that is no terminal and shows no progress bar (ours).
LINE_SECONDS = 60.0
# Seconds until a bar is shown (ours): what is done sooner needs none.
BAR_AFTER = 2.0

Item = TypeVar("Item")


def write_progress(folder: Path, state: Mapping[str, object]) -> None:
    """Write ``state`` with time, process and host to ``folder/progress.json``, whole or not at
    all.
    """
    process = os.getpid()
    told = {**state, "updated": time.time(), "pid": process, "host": platform.node()}
    told["started"] = process_start(process)
    with written_whole(folder / "progress.json") as temporary:
        temporary.write_text(json.dumps(told))


def process_start(process: int) -> int | None:
    """Return when a process of this machine began, in ticks since the machine's start (which no
    clock that is set changes); None where it has ended.
    """
    try:
        said = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): after the name, in parentheses, the state (Z: ended, not waited for) and, as the
    # 22nd field, the start.
    fields = said.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else int(fields[19])


@contextmanager
def reported(output: Path, what: str) -> Iterator[None]:
    """Let ``zslpipe status`` know of the job that writes ``output`` while the block lasts; for a
    job that resumes from nothing and takes minutes.
    """
    folder = work_folder(output)
    write_progress(folder, {"what": what})
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class ProgressLines:
    """A line a minute of how far a job is, for a log that is no terminal; a terminal has a bar.

    ``what`` of ``total`` things of the name ``unit``, of which ``before`` were there already.
    """

    def __init__(self, what: str, unit: str, total: int, before: int = 0):
        self.what, self.unit, self.total, self.before = what, unit, total, before
        self.started = self.said = time.monotonic()

    def tell(self, done: int) -> None:
        """Say that ``done`` things are done, those before included, where it is time to."""
        now = time.monotonic()
        if now - self.said < LINE_SECONDS or sys.stderr.isatty():
            return
        self.said = now
        rate = (done - self.before) / (now - self.started)
        left = f", about {duration((self.total - done) / rate)} left" if rate else ""
        count = f"{done:,} of {self.total:,} {self.unit}"
        logger.info("%s: %s, %.3g/s%s", self.what, count, rate, left)


def _one(item: object) -> int:
    """Return what an item counts for where every item counts alike."""
    return 1


def counted(
    items: Iterable[Item],
    what: str,
    unit: str,
    total: int,
    size: Callable[[Item], int] = _one,
    scaled: bool = False,
) -> Iterator[Item]:
    """Yield ``items``, and say how far one is, at which rate and how long it will take: by a bar on
    a terminal, by :class:`ProgressLines` elsewhere; nothing where it is done in two seconds.

    ``what`` of ``total`` things of the name ``unit`` (plural), of which an item holds ``size``;
    ``scaled`` writes thousands and millions short, as of bytes.
    """
    lines, done = ProgressLines(what, unit, total), 0
    told = tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        unit_scale=scaled,
        disable=None,
        leave=False,
        delay=BAR_AFTER,
    )
    with told as bar:
        for item in items:
            yield item
            done += size(item)
            bar.update(size(item))
            lines.tell(done)


def duration(seconds: float) -> str:
    """Return seconds as "12 s", "5 min", "3.4 h" or "2.1 days"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
