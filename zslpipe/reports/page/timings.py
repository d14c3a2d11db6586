"""How long jobs took and what memory they needed, as Snakemake's ``benchmark`` measured them."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.formats.history import read_history
from zslpipe.reports.page.given import Given

EPOCHS = "train (epochs)"
SEED = re.compile(r"seed\d+")


def timings(given: Given) -> dict[str, Any]:
    """Return a row a rule and subject with the seconds and megabytes of its jobs, the longest
    first: of trainings that were not measured the seconds of their epochs, by their own clock.
    """
    jobs = _jobs(given.benchmarks)
    measured = [job["subject"] for job in jobs if job["rule"] == "train"]
    told = _trainings(given.files["history.csv"])
    jobs += [training for training in told if training["subject"] not in measured]
    jobs.sort(key=lambda job: (-job["total"], job["rule"], job["subject"]))
    return {"jobs": jobs, "longest": max((job["total"] for job in jobs), default=0.0)}


def _jobs(folder: Path) -> list[dict[str, Any]]:
    """Return the measured jobs: folder/{rule}/{subject}.tsv, of a seed where the last part of the
    subject is one.
    """
    measured: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule, *subject = path.relative_to(folder).with_suffix("").parts
        parts = [part for part in subject if not SEED.fullmatch(part)]
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        measured.setdefault((rule, " / ".join(parts)), []).extend(rows)
    return [_job(*who, rows) for who, rows in measured.items()]


def _job(rule: str, subject: str, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the mean and the sum of the seconds of a rule's jobs, and their largest memory."""
    seconds = [_number(row.get("s", "")) for row in rows]
    memory = [_number(row.get("max_rss", "")) for row in rows]
    return _summed(rule, subject, seconds, max(memory, default=0.0))


def _trainings(histories: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the seconds of each run's epochs, of results/{dataset}/runs/{method}/{variant}/..."""
    found: dict[str, list[float]] = {}
    for path in histories:
        subject = " / ".join([path.parts[-6], *path.parts[-4:-2]])
        rows = read_history(path)
        seconds = sum(_number(row.get("seconds", "")) for row in rows)
        if rows:
            found.setdefault(subject, []).append(seconds)
    return [_summed(EPOCHS, who, times, 0.0) for who, times in found.items()]


def _summed(rule: str, subject: str, seconds: Sequence[float], memory: float) -> dict[str, Any]:
    """Return a row of the table."""
    return {
        "rule": rule,
        "subject": subject,
        "jobs": len(seconds),
        "mean": sum(seconds) / max(len(seconds), 1),
        "total": sum(seconds),
        "memory": memory,
    }


def _number(text: str) -> float:
    """Return a cell's number, 0 for one that was not measured."""
    try:
        return float(text)
    except ValueError:
        return 0.0
