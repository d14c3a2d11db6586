"""What is done, what is running and how far: read from the files under ``results/`` alone, no job
is asked.
"""

import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import duration, process_start

# Ours, for jobs on other machines: a running job writes progress.json every ten seconds
# (progress.REPORT_SECONDS); two minutes are twelve missed.
FRESH_SECONDS = 120
# .seed0.work holds the state of seed0, .work that of its folder.
WORK_FOLDER = re.compile(r"^\.(.*?)\.?work$")
RUN_DEPTH = 5  # {dataset}/runs/{method}/{variant}/seed{n}


@dataclass(frozen=True)
class States:
    """What lies under a folder of results: ``jobs`` and ``runs`` are name -> state in words,
    ``counts`` how many runs are done, running, queued and not done, ``queue`` the files that a
    workflow under way has still to make.
    """

    jobs: Mapping[str, str]
    runs: Mapping[str, str]
    counts: Mapping[str, int]
    queue: Sequence[str]


def status(results: Path, now: float | None = None) -> str:
    """Return :func:`states` as plain lines: each feature cache, each run (a seed), each other job
    that reports progress; then counts.
    """
    found = states(results, now)
    lines = [f"{name}: {state}" for name, state in {**found.jobs, **found.runs}.items()]
    summary = ", ".join(f"{count} {kind}" for kind, count in found.counts.items() if count)
    lines.append(f"runs: {summary or 'none yet'}")
    if found.queue:
        lines.append(
            f"snakemake: {len(found.queue)} files still to be made, first {found.queue[0]} (if "
            "none runs any more, it was killed: snakemake --unlock)"
        )
    return "\n".join(lines)


def states(results: Path, now: float | None = None) -> States:
    """Return the states of feature caches, runs and other jobs that report progress.

    A run is done where scores.h5 and metrics.json lie there, metrics.json not older. A
    progress.json, anywhere under ``results``, is of a running job while its process lives; of a
    process on another machine nobody here knows, and it counts as running if it was updated within
    two minutes of ``now`` (unix time; default this moment). Else the job stopped, and the line says
    where and since when. One that a finished run has overtaken is left out. A run that is not begun
    is queued where a workflow of snakemake that has not ended is to make it. Raises InputError
    where the folder is absent.
    """
    if not results.is_dir():
        raise InputError(
            f"{results}: no such folder; status reads what a run of the workflow has written there"
        )
    moment = time.time() if now is None else now
    jobs = _progress_files(results)
    queue = queued_files(results)
    planned = set(filter(_is_run, (Path(name).parent.as_posix() for name in queue)))
    runs = _runs(results) | set(filter(_is_run, jobs)) | planned
    caches = _caches(results)
    others = {}
    for owner in sorted({*caches, *jobs} - runs):
        others[owner] = _other_state(caches.get(owner), jobs.get(owner, []), moment)
    found = {}
    counts = dict.fromkeys(("done", "running", "queued", "not done"), 0)
    for run in sorted(runs):
        state = _run_state(results / run, jobs.get(run, []), moment)
        if f"{run}/scores.h5" in queue and _kind(state) == "not done":
            state = f"queued, or failed ({state})"
        found[run] = state
        counts[_kind(state)] += 1
    return States(others, found, counts, queue)


def _progress_files(results: Path) -> dict[str, list[Path]]:
    """Return every progress.json under ``results`` by whose it is."""
    jobs: dict[str, list[Path]] = {}
    for path in sorted(results.rglob("progress.json")):
        jobs.setdefault(_owner(path, results), []).append(path)
    return jobs


def position(results: Path, output: Path, since: float) -> str:
    """Return how far the job is that makes ``output`` and has run ``since`` (unix time), "" where
    it has not said so.
    """
    owner = owner_of(results, output)
    newer = []
    for path in _progress_files(results).get(owner, []):
        if path.stat().st_mtime >= since:
            newer.append(path)
    if not newer:
        return ""
    try:
        content = json.loads(max(newer, key=lambda path: path.stat().st_mtime).read_text())
    except (OSError, ValueError):  # being written
        return ""
    return _position(content) if isinstance(content, dict) else ""


def owner_of(results: Path, output: Path) -> str:
    """Return whose a file is: its run's folder relative to ``results``, else itself without
    suffix.
    """
    name = output.relative_to(results) if output.is_relative_to(results) else output
    run = "/".join(name.parts[:RUN_DEPTH])
    return run if _is_run(run) else name.with_suffix("").as_posix()


def queued_files(results: Path) -> list[str]:
    """Return the files, relative to ``results``, that a workflow under way is to make and has not
    made, in order: Snakemake keeps the outputs of all its jobs as locks (persistence.file) until
    it ends. It does not keep which job runs, waits or has failed.
    """
    place, found = results.absolute(), []
    for lock in sorted((place.parent / ".snakemake" / "locks").glob("*.output.lock")):
        begun = lock.stat().st_mtime
        for name in lock.read_text(encoding="utf8").splitlines():
            path = place.parent / name
            inside = path.is_relative_to(place)
            if inside and not (path.exists() and path.stat().st_mtime >= begun):
                found.append(path.relative_to(place).as_posix())
    return found


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
    if state.startswith("queued"):
        return "queued"
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
    age, lives = now - updated, _lives(content)
    if lives is False:
        return f"stopped at {_position(content)} (process {content['pid']} is gone)"
    if age > FRESH_SECONDS and lives is None:
        host = f", on {content['host']}" if content.get("host") else ""
        return f"stopped at {_position(content)}, as it seems (no word for {duration(age)}{host})"
    clock = f"updated {duration(age)} ago"
    if age < 0:
        clock = f"clock {duration(-age)} ahead of this machine's"
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


def _lives(content: Mapping[str, Any]) -> bool | None:
    """Return whether the job's process lives, where it runs on this machine; None elsewhere, where
    nobody can tell.

    Another process may have got its number since: that one began at another time.
    """
    process = content.get("pid")
    if content.get("host") != socket.gethostname() or not isinstance(process, int) or process <= 0:
        return None
    begun = process_start(process)
    return begun is not None and content.get("started", begun) == begun
