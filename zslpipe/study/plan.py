"""What a run of the workflow will make and take, before anything runs: jobs by kind, bytes by file,
hours, and what costs most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslpipe.machine.dry_run import DueJob
from zslpipe.machine.hardware import has_card
from zslpipe.machine.stopwatch import Taken
from zslpipe.study.file_sizes import FileSizes
from zslpipe.study.job_costs import JobCost, JobCosts
from zslpipe.study.known_sizes import KnownSizes
from zslpipe.study.made_files import made
from zslpipe.study.measurements import (
    START,
    Measured,
    Measurement,
    of_extractor,
    of_run,
)
from zslpipe.study.schedule import wall_seconds
from zslpipe.study.study import Study

LIGHT = "other jobs"
# Files by what people call them; what is none of these is small.
CALLED = {
    "features": "features {extractor}",
    "irrelevant_features": "features {extractor}, task-irrelevant images",
    "scores": "scores",
    "rebalanced_scores": "scores",
    "validation": "scores, validation problem",
    "irrelevant": "scores, task-irrelevant images",
    "attention": "attention maps",
    "weights": "weights",
    "images": "drawn pictures",
    "auxiliary": "drawn pictures",
}


@dataclass(frozen=True)
class JobRow:
    """Jobs of one kind: how many, what they take in all (None: not known), the largest memory that
    one asks for (MB), cards, and where the numbers are from.
    """

    title: str
    dataset: str
    count: int
    taken: Taken | None
    mem_mb: int
    gpu: int
    source: str


@dataclass(frozen=True)
class FileRow:
    """Files of one kind: how many, bytes in all (None: not known)."""

    title: str
    dataset: str
    count: int
    size: int | None


@dataclass(frozen=True)
class Plan:
    """A study before it runs. ``wall``: seconds on ``cores``; ``free``: bytes free under the
    results; ``unknown``: titles of jobs whose time nobody knows; ``foreign``: kinds of machines,
    not this one, that numbers are from; ``notes``: where the datasets' sizes are from.
    """

    jobs: tuple[JobRow, ...]
    files: tuple[FileRow, ...]
    cores: int
    wall: float
    free: int
    unknown: tuple[str, ...]
    foreign: tuple[str, ...]
    on_card: bool
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Return how many jobs are due."""
        return sum(row.count for row in self.jobs)

    @property
    def core_seconds(self) -> float:
        """Return the seconds of processors of all jobs whose time is known."""
        return sum(row.taken.core for row in self.jobs if row.taken)

    @property
    def gpu_seconds(self) -> float:
        """Return the seconds for which all jobs together hold a card."""
        return sum(row.taken.wall for row in self.jobs if row.taken and row.gpu)

    @property
    def size(self) -> int:
        """Return the bytes of all files whose size is known."""
        return sum(row.size for row in self.files if row.size is not None)

    def as_json(self) -> dict[str, Any]:
        """Return the plan for programs: seconds and bytes, None where they are not known."""
        jobs, files = [], []
        for row in self.jobs:
            told = {"title": row.title, "dataset": row.dataset, "count": row.count}
            core = None if row.taken is None else row.taken.core
            wall = None if row.taken is None else row.taken.wall
            told |= {"core_seconds": core, "wall_seconds": wall, "source": row.source}
            jobs.append({**told, "mem_mb": row.mem_mb, "gpu": row.gpu})
        for one in self.files:
            told = {"title": one.title, "dataset": one.dataset, "count": one.count}
            files.append({**told, "bytes": one.size})
        return {
            "jobs": jobs,
            "files": files,
            "count": self.count,
            "core_seconds": self.core_seconds,
            "gpu_seconds": self.gpu_seconds,
            "cores": self.cores,
            "wall_seconds": self.wall,
            "bytes": self.size,
            "bytes_free": self.free,
            "unmeasured": list(self.unknown),
            "measured_elsewhere": list(self.foreign),
            "notes": list(self.notes),
        }


def planned(
    study: Study,
    jobs: Sequence[DueJob],
    sizes: KnownSizes,
    measured: Measured,
    checkout: Path,
    cores: int,
    free: int,
) -> Plan:
    """Return the plan of the jobs that are due."""
    costs = JobCosts(study, sizes, measured, checkout)
    each = [costs.of(job) for job in jobs]
    weights = _weights(study, costs)
    machines = {cost.machine for cost in each} - {"", measured.kind}
    cards = sum(cost.job.gpu for cost in each)
    return Plan(
        jobs=_job_rows(each),
        files=_file_rows(jobs, FileSizes(study, sizes, weights)),
        cores=cores,
        wall=wall_seconds(each, cores, cards=1),
        free=free,
        unknown=tuple(dict.fromkeys(cost.title for cost in each if cost.taken is None)),
        foreign=tuple(sorted(machines)),
        on_card=not cards or any(has_card(cost.machine or measured.kind) for cost in each),
        notes=_notes(sizes),
    )


def wanted(study: Study, jobs: Sequence[DueJob], sizes: KnownSizes) -> list[Measurement]:
    """Return what a calibration has to measure for the jobs that are due: extractors, then runs (of
    which those are left out whose features' width an extractor's measurement has to tell first).
    """
    extractors: dict[str, Measurement] = {}
    validated: dict[tuple[str, str, str], bool] = {}
    for job in jobs:
        for file in filter(None, map(made, job.outputs)):
            extractor = file.of.get("extractor")
            if extractor in study.extractors.computed:
                extractors[extractor] = of_extractor(study, extractor)
            if "run" in file.of:
                key = (file.dataset, *file.of["run"].split("/"))
                if key in study.runs.known:
                    again = file.kind == "validation"
                    validated[key] = validated.get(key, False) or again
    for key in validated:
        run = study.runs.known[key]
        if run.extractor in study.extractors.computed and run.trunk is None:
            extractors.setdefault(run.extractor, of_extractor(study, run.extractor))
    runs = [of_run(study, sizes, study.runs.known[key], again) for key, again in validated.items()]
    return [START, *extractors.values(), *(one for one in runs if one is not None)]


def _weights(study: Study, costs: JobCosts) -> dict[tuple[str, str], int]:
    """Return bytes of weights by (dataset, run), of runs that were measured."""
    found = {}
    for run in study.runs.known.values():
        if run.dataset in costs.sizes.extents:
            numbers, _ = costs.numbers(run)
            if "weights" in numbers:
                found[run.dataset, f"{run.method}/{run.variant}"] = int(str(numbers["weights"]))
    return found


def _notes(sizes: KnownSizes) -> tuple[str, ...]:
    """Return where each dataset's sizes are from."""
    notes = []
    for dataset, extent in sizes.extents.items():
        counted = f"{extent.images} images, {extent.classes} classes"
        notes.append(f"{dataset}: {counted} ({extent.told})")
    return tuple(notes)


def _job_rows(costs: Sequence[JobCost]) -> tuple[JobRow, ...]:
    """Return jobs by kind, those that take longest first, after those of unknown length; light ones
    in one row.
    """
    groups: dict[tuple[str, str], list[JobCost]] = {}
    for cost in costs:
        key = (cost.title, cost.dataset) if cost.dataset else (LIGHT, "")
        groups.setdefault(key, []).append(cost)
    rows = []
    for (title, dataset), members in groups.items():
        known = [cost.taken for cost in members if cost.taken is not None]
        whole = sum(known, Taken()) if len(known) == len(members) else None
        sources = dict.fromkeys(cost.source for cost in members)
        memory = max(cost.job.mem_mb for cost in members)
        gpu = max(cost.job.gpu for cost in members)
        told = ", ".join(sources)
        rows.append(JobRow(title, dataset, len(members), whole, memory, gpu, told))
    rows.sort(key=lambda row: -row.taken.core if row.taken else float("-inf"))
    return tuple(rows)


def _file_rows(jobs: Sequence[DueJob], sizes: FileSizes) -> tuple[FileRow, ...]:
    """Return files by kind, the largest first, after those of unknown size."""
    groups: dict[tuple[str, str], list[int | None]] = {}
    for path in [path for job in jobs for path in job.outputs]:
        file = made(path)
        key = ("other files", "")
        if file is not None and file.kind in CALLED:
            key = (CALLED[file.kind].format(**file.of), file.dataset)
        groups.setdefault(key, []).append(sizes.of(path))
    rows = []
    for (title, dataset), members in groups.items():
        known = [size for size in members if size is not None]
        whole = sum(known) if len(known) == len(members) else None
        rows.append(FileRow(title, dataset, len(members), whole))
    rows.sort(key=lambda row: float("-inf") if row.size is None else -row.size)
    return tuple(rows)


def largest(plan: Plan) -> JobRow | None:
    """Return the kind of jobs that costs most, None where nothing is due or known."""
    known = [row for row in plan.jobs if row.taken is not None]
    return max(known, key=lambda row: row.taken.core if row.taken else 0.0, default=None)
