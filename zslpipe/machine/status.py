"""What is done, what is running and how far: read from the files under ``results/`` alone, no job
is asked.
"""

import json
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from zslpipe.machine.errors import InputError

# Ours: a running job writes progress.json every ten seconds (progress.REPORT_SECONDS); two minutes
# are twelve missed.
FRESH_SECONDS = 120
# .seed0.work holds the state of seed0, .work that of its folder.
WORK_FOLDER = re.compile(r"^\.(.*?)\.?work$")
RUN_DEPTH = 5  # {dataset}/runs/{method}/{variant}/seed{n}


def status(results: Path, now: float | None = None) -> str:
    """Return plain lines: each feature cache, each run (a seed), each other job that reports
    progress; then counts.

    A run is done where scores.h5 and metrics.json lie there, metrics.json not older. A
    progress.json, anywhere under ``results``, counts as running if it was updated within two
    minutes of ``now`` (unix time; default this moment) and its process lives, as far as this
    machine can tell; else the job stopped, and the line says where and since when. One that a
    finished run has overtaken is left out. Raises InputError where the folder is absent.
    """
    if not results.is_dir():
        raise InputError(
            f"{results}: no such folder; status reads what a run of the workflow has written there"
        )
    moment = time.time() if now is None else now
    jobs: dict[str, list[Path]] = {}
    for path in sorted(results.rglob("progress.json")):
        jobs.setdefault(_owner(path, results), []).append(path)
    runs = _runs(results) | set(filter(_is_run, jobs))
    caches = _caches(results)
    lines = []
    for owner in sorted({*caches, *jobs} - runs):
        state = _other_state(caches.get(owner), jobs.get(owner, []), moment)
        lines.append(f"{owner}: {state}")
    counts = dict.fromkeys(("done", "running", "not done"), 0)
    for run in sorted(runs):
        state = _run_state(results / run, jobs.get(run, []), moment)
        lines.append(f"{run}: {state}")
        counts[_kind(state)] += 1
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    lines.append(f"runs: {summary or 'none yet'}")
    return "\n".join(lines)


def _runs(results: Path) -> set[str]:
    """Return the folders of seeds that lie under ``results``, relative to it."""
    folders = filter(Path.is_dir, results.glob("*/runs/*/*/seed*"))
    return {folder.relative_to(results).as_posix() for folder in folders}


def _caches(results: Path) -> dict[str, Path]:
    """Return the feature files under ``results`` by their names relative to it, without suffix."""
    files = results.glob("*/features/*.h5")
    return {path.relative_to(results).with_suffix("").as_posix(): path for path in files}


def _owner(progress: Path, results: Path) -> str:
    """Return whose progress.json it is: its run's folder, or the folder it lies in; working folders
    do not count.
    """
    parts = [WORK_FOLDER.sub(r"\1", part) for part in progress.relative_to(results).parent.parts]
    parts = [part for part in parts if part]
    run = "/".join(parts[:RUN_DEPTH])
    return run if _is_run(run) else "/".join(parts) or "."


def _is_run(name: str) -> bool:
    """Return whether a path relative to results/ is {dataset}/runs/{method}/{variant}/seed{n}."""
    parts = name.split("/")
    return len(parts) == RUN_DEPTH and parts[1] == "runs" and parts[4].startswith("seed")


def _kind(state: str) -> str:
    """Return done, running or not done for the line of a run."""
    if state.startswith("running") or "; since then running" in state:
        return "running"
    return "done" if state == "done" else "not done"


def _other_state(cache: Path | None, progress: list[Path], now: float) -> str:
    """Return what a feature cache and its job, or a job that is no run, have to say."""
    if cache is None:
        return _newest_state(progress, 0.0, now)
    return _joined(_cache_state(cache), _newest_state(progress, cache.stat().st_mtime, now))


def _cache_state(path: Path) -> str:
    """Return what a feature cache's complete stamp says."""
    try:
        with h5py.File(path) as file:
            return "done" if file.attrs.get("complete", False) else "not stamped complete"
    except OSError:
        return "not readable (cut off, or open for writing)"


def _run_state(run: Path, progress: list[Path], now: float) -> str:
    """Return what a run's folder shows: done, evaluated or not, and what its newest progress.json
    says.
    """
    scores, metrics = run / "scores.h5", run / "metrics.json"
    finished = "nothing finished"
    if scores.is_file():
        finished = "scored, not evaluated"
        if metrics.is_file():
            stale = metrics.stat().st_mtime < scores.stat().st_mtime
            finished = "metrics.json is older than scores.h5" if stale else "done"
    elif metrics.is_file():
        finished = "metrics.json without scores.h5"
    job = _newest_state(progress, scores.stat().st_mtime if scores.is_file() else 0.0, now)
    return job if job and finished == "nothing finished" else _joined(finished, job)


def _joined(finished: str, job: str) -> str:
    """Return what lies there and what a newer job says, if there is one."""
    return f"{finished}; since then {job}" if job else finished


def _newest_state(progress: list[Path], since: float, now: float) -> str:
    """Return what the newest progress.json written after ``since`` says; "" where there is none."""
    newer = [path for path in progress if path.stat().st_mtime > since]
    return _job_state(max(newer, key=lambda path: path.stat().st_mtime), now) if newer else ""


def _job_state(path: Path, now: float) -> str:
    """Return what one progress.json says: running or stopped, how far, how long ago."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "progress.json is not readable (being written, or cut off)"
    updated = content.get("updated") if isinstance(content, dict) else None
    if not isinstance(updated, int | float):
        return "progress.json does not say when it was updated"
    age = now - updated
    if age > FRESH_SECONDS:
        return f"stopped at {_position(content)} (no update for {_duration(age)})"
    if not _lives(content):
        return f"stopped at {_position(content)} (process {content['pid']} is gone)"
    clock = f"updated {_duration(age)} ago"
    if age < 0:
        clock = f"clock {_duration(-age)} ahead of this machine's"
    return f"running, {_position(content)} ({clock})"


def _position(content: Mapping[str, Any]) -> str:
    """Return what, phase, epoch, step and loss, as far as they are given."""
    parts = [str(content[name]) for name in ("what", "phase") if content.get(name)]
    for name, total in (("epoch", "epochs"), ("step", "steps")):
        if content.get(name) is not None:
            of_total = f"/{content[total]}" if content.get(total) else ""
            parts.append(f"{name} {content[name]}{of_total}")
    if isinstance(content.get("loss"), int | float):
        parts.append(f"loss {content['loss']:.4g}")
    return ", ".join(parts) or "an unknown place"


def _lives(content: Mapping[str, Any]) -> bool:
    """Return False only where the job ran on this machine and its process is gone; elsewhere nobody
    can tell.
    """
    process = content.get("pid")
    if content.get("host") != socket.gethostname() or not isinstance(process, int) or process <= 0:
        return True
    try:
        os.kill(process, 0)  # signal 0 only asks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _duration(seconds: float) -> str:
    """Return seconds as "12 s", "5 min", "3.4 h" or "2.1 days"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
