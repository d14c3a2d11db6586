"""``zslpipe status --watch``: the view of a run again and again, until the run is over."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from zslpipe.machine.overview import Overview, overview
from zslpipe.machine.status import status
from zslpipe.machine.workflow_log import snakemake_works

PLANNING = "snakemake plans its jobs"


def view(results: Path) -> str:
    """Return the whole view: the newest run of the workflow, where there is one, and what lies
    under ``results``; InputError where the folder is absent.
    """
    found, run = status(results), overview(results)
    parts = [PLANNING] if _is_planning(results, run) else []
    return "\n\n".join([*parts, *([run.text()] if run else []), found])


def watch(
    results: Path,
    seconds: float,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show a run of the workflow every few ``seconds`` until it is over, then the whole view.

    A terminal shows the run in place; elsewhere ``say`` is given a line whenever a job starts, ends
    or fails. Without a run the view is shown once. InputError where the folder is absent.
    """
    status(results)  # an absent folder is told before anything
    if sys.stdout.isatty():
        _in_place(results, seconds, pause)
    else:
        _in_lines(results, seconds, say, pause)
    say(view(results))


def _is_planning(results: Path, run: Overview | None) -> bool:
    """Return whether Snakemake works and has not written yet which jobs it will run."""
    return (run is None or run.log.ended) and snakemake_works(results.absolute().parent)


def _looks(
    results: Path, seconds: float, pause: Callable[[float], None]
) -> Iterator[Overview | None]:
    """Yield the run of the workflow every few seconds until it is over, None while it is
    planned.
    """
    while True:
        run = overview(results)
        if _is_planning(results, run):
            yield None
        elif run is None or run.is_over:
            return
        else:
            yield run
        pause(seconds)


def _in_lines(
    results: Path, seconds: float, say: Callable[[str], None], pause: Callable[[float], None]
) -> None:
    """Say the summary whenever a count has changed."""
    last: object = "nothing"
    for run in _looks(results, seconds, pause):
        counts = run.counts() if run else None
        if counts != last:
            last = counts
            say(run.summary() if run else PLANNING)


def _in_place(results: Path, seconds: float, pause: Callable[[float], None]) -> None:
    """Draw the run in place, cut to the terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False, transient=True) as live:
        for run in _looks(results, seconds, pause):
            text = run.text() if run else PLANNING
            live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
