"""What finished jobs took, from the files that Snakemake's ``benchmark:`` leaves: better than any
rehearsal, where they are of what is configured now.
"""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from zslpipe.machine.dry_run import DueJob
from zslpipe.machine.stopwatch import Taken
from zslpipe.study.config import Run
from zslpipe.study.made_files import Made, made, run_folder
from zslpipe.study.study import Study

SEED_FILE = re.compile(r"seed\d+")
# Snakemake 9 looks at a job twice a second for 15.5 s, then every 30 s; processor time after its
# last look is not in the file.
OFTEN, SELDOM, OFTEN_UNTIL = 0.5, 30.0, 15.5
# What a run costs follows from these of its settings, beside its method's own.
SAME = ("input", "trunk", "selection", "choose", "semantics", "precision", "track")


def finished(job: DueJob, study: Study, checkout: Path) -> Taken | None:
    """Return what this job, or the same of another seed, took when it ran before: the mean, scaled
    by its epochs where these alone have changed; None where it has not run, or not as configured.
    """
    if not job.benchmark:
        return None
    path = checkout / job.benchmark
    files = [path]
    if SEED_FILE.fullmatch(path.stem):
        files = sorted(path.parent.glob("seed*.tsv"))
    taken = []
    for file in files:
        one = read_benchmark(file) if file.is_file() else None
        scale = _scale(job, study, checkout, file.stem)
        if one is not None and scale is not None:
            taken.append(one.times(scale))
    return sum(taken[1:], taken[0]).times(1 / len(taken)) if taken else None


def read_benchmark(path: Path) -> Taken | None:
    """Return what a benchmark file says, None where Snakemake came too late to see the job, and
    where the file is no such table.
    """
    with path.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        wall, core = float(rows[-1]["s"]), float(rows[-1]["cpu_time"])
    except (IndexError, KeyError, ValueError):
        return None
    looked = wall - wall % OFTEN
    if wall > OFTEN_UNTIL:
        looked = OFTEN_UNTIL + SELDOM * ((wall - OFTEN_UNTIL) // SELDOM)
    return Taken(core * wall / looked, wall) if looked and core else None


def _scale(job: DueJob, study: Study, checkout: Path, stem: str) -> float | None:
    """Return by how much more epochs a job has than the one of a benchmark file had, 1 for a job on
    no run; None where the run was another one.
    """
    for path in job.outputs:
        file = made(path)
        if file is None or "run" not in file.of:
            continue
        seed = stem.removeprefix("seed") if SEED_FILE.fullmatch(stem) else file.of["seed"]
        scores = checkout / run_folder({**file.of, "seed": seed}) / "scores.h5"
        run = configured_run(study, file)
        if run is None or not scores.is_file():
            return 1.0
        return epochs_ratio(run, _stored_run(scores))
    return 1.0


def configured_run(study: Study, file: Made) -> Run | None:
    """Return the run of a file, None of an ensemble."""
    method, variant = file.of["run"].split("/")
    return study.runs.known.get((file.dataset, method, variant))


def _stored_run(scores: Path) -> Mapping[str, Any]:
    """Return the run as it was configured when its scores were written, {} where that cannot be
    read.
    """
    try:
        with h5py.File(scores, "r") as file:
            found: dict[str, Any] = json.loads(str(file.attrs["run"]))
    except (OSError, KeyError, ValueError):
        return {}
    return found


def epochs_ratio(run: Run, stored: Mapping[str, Any]) -> float | None:
    """Return the epochs of a run over those of the stored one, 1 where neither counts any; None
    where they differ in more.
    """
    configured = json.loads(json.dumps(run.slice))
    if any(configured[name] != stored.get(name) for name in SAME):
        return None
    now, before = dict(configured["settings"]), dict(stored.get("settings", {}))
    ratio = float(now.pop("epochs", 1)) / float(before.pop("epochs", 1))
    return ratio if now == before else None
