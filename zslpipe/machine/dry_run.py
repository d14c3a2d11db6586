"""What a run of the workflow would do: the jobs that are due, as Snakemake itself plans them (a dry
run in a process of its own, which locks and changes nothing).

As Snakemake 9 writes it: a paragraph for each job, in the layout that its log has too
(:mod:`zslpipe.machine.workflow_log`).
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zslpipe.machine.errors import InputError
from zslpipe.machine.workflow_log import STARTED, listed_files

NAMED = re.compile(r"^    (\w+): (.*)$")
# What Snakemake says before the words of an error.
FAULT = re.compile(r"^(?:\w*(?:Error|Exception)\b.*|Error:.*)$")


@dataclass(frozen=True)
class DueJob:
    """A job that a run of the workflow would start; ``mem_mb`` and ``gpu`` are what its rule asks
    for, ``benchmark`` the file in which Snakemake writes what it took, "" for a rule without.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wildcards: Mapping[str, str]
    benchmark: str = ""
    threads: int = 1
    mem_mb: int = 0
    gpu: int = 0


def due_jobs(checkout: Path, arguments: Sequence[str], cores: int) -> tuple[DueJob, ...]:
    """Return the jobs that ``snakemake --cores {cores} {arguments}`` in a checkout would start, but
    for those that make no file.

    Raises InputError where Snakemake refuses, with what it says.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", str(cores), *arguments]
    run = subprocess.run(
        command,
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise InputError(f"plan: Snakemake refuses: {_fault(run.stdout)}")
    return read_dry_run(run.stdout)


def read_dry_run(text: str) -> tuple[DueJob, ...]:
    """Return the jobs that a dry run tells of, each once, but for those that make no file."""
    jobs: list[DueJob] = []
    rule, fields = "", dict[str, str]()
    for line in [*text.splitlines(), "end"]:
        told = NAMED.match(line)
        if rule and told:
            fields.setdefault(told[1], told[2])
            continue
        if rule and "output" in fields:
            jobs.append(_job(rule, fields))
        started = STARTED.match(line)
        rule, fields = (started[1] if started else ""), {}
    return tuple(jobs)


def _job(rule: str, fields: Mapping[str, str]) -> DueJob:
    """Return the job of a paragraph."""
    resources = _pairs(fields.get("resources", ""))
    return DueJob(
        rule=rule,
        inputs=listed_files(fields.get("input", "")),
        outputs=listed_files(fields["output"]),
        wildcards=_pairs(fields.get("wildcards", "")),
        benchmark=fields.get("benchmark", ""),
        threads=int(fields.get("threads", "1")),
        mem_mb=int(resources.get("mem_mb", "0")),
        gpu=int(resources.get("gpu", "0")),
    )


def _pairs(text: str) -> dict[str, str]:
    """Return the name=value pairs of a line."""
    return dict(pair.split("=", 1) for pair in text.split(", ") if "=" in pair)


def _fault(text: str) -> str:
    """Return the words of an error among what Snakemake said, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for place, line in enumerate(lines):
        if FAULT.match(line):
            return " ".join(lines[place : place + 3])
    return " ".join(lines[-2:]) or "it says nothing"
