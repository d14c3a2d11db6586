"""What a run of the workflow has done, is doing and has still to do: read from Snakemake's own
log, ``.snakemake/log``, which it writes as it goes. Nothing is asked of Snakemake, nothing locked.

As Snakemake 9 writes it (``Job stats:`` once, then a paragraph for each job that starts, ends or
fails). How long jobs of a rule took in earlier runs stands in its records, ``.snakemake/metadata``.
"""

import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

RUNNING, DONE, FAILED = "running", "done", "failed"
# Rules that ask for others' files and do nothing themselves: no time of theirs is ever measured.
TARGET = re.compile(r"all|studies|study_\w+")
# "[Thu Nov 26 07:21:02 2026]": time.asctime, whatever the language of the machine.
MOMENT = re.compile(r"^\[\w{3} (\w{3}) +(\d+) (\d\d):(\d\d):(\d\d) (\d{4})\]$")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STARTED = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
FINISHED = re.compile(r"^Finished jobid: (\d+) ")
ERROR = re.compile(r"^Error in (?:rule|group) (\w+):?$")
FIELD = re.compile(r"^    (jobid|output|threads): (.*)$")
PROVIDED = re.compile(r"^Provided (?:cores|remote nodes): (\d+)")
PLANNED = re.compile(r"^(\w+) +(\d+)$")
# What Snakemake says of a file behind its path: "results/x/weights.pt (update)".
REMARK = re.compile(r" \((?:update|before update|temp|pipe|cached)\)$")
HOST = re.compile(r"^  Host: (\S+)")
ENDED = "Complete log(s):"
# A job of another machine has a Snakemake of its own, whose log is none of a run.
OF_A_JOB = re.compile(r"^  Command: .*--mode (?:remote|subprocess)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job that has started: ``number`` is Snakemake's; times are unix, ``ended`` 0 while it
    runs; ``output`` its first file.
    """

    number: int
    rule: str
    started: float
    state: str = RUNNING
    ended: float = 0.0
    output: str = ""
    threads: int = 1


@dataclass(frozen=True)
class RunLog:
    """A run of the workflow: ``planned`` jobs by rule, ``slots`` cores or jobs at a time, ``begun``
    unix time; ``ended`` whether its log is complete.
    """

    path: Path
    host: str
    begun: float
    slots: int
    planned: Mapping[str, int]
    jobs: tuple[Job, ...]
    ended: bool

    def of_rule(self, rule: str, state: str) -> int:
        """Return how many jobs of a rule are in a state."""
        return sum(job.rule == rule and job.state == state for job in self.jobs)

    def waiting(self, rule: str) -> int:
        """Return how many jobs of a rule have not started."""
        return max(0, self.planned[rule] - sum(job.rule == rule for job in self.jobs))


def listed_files(text: str) -> tuple[str, ...]:
    """Return the files of a line in which Snakemake lists inputs or outputs."""
    return tuple(REMARK.sub("", part) for part in text.split(", ") if part)


def newest_log(checkout: Path) -> RunLog | None:
    """Return the newest run in a checkout that had something to do, None where there is none."""
    for path in sorted((checkout / ".snakemake" / "log").glob("*.snakemake.log"), reverse=True):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "Job stats:" in text and not OF_A_JOB.search(text):
            return read_log(path, text)
    return None


def read_log(path: Path, text: str) -> RunLog:
    """Return the run that a log tells of."""
    lines = text.splitlines()
    jobs: dict[int, Job] = {}
    moment, rule, fields = 0.0, "", dict[str, str]()
    begun = 0.0
    for line in [*lines, "end of the log"]:
        told = FIELD.match(line)
        if rule and told:
            fields.setdefault(told[1], told[2])
            continue
        if rule and not line.startswith(" "):
            _enter(jobs, rule, fields, moment)
            rule = ""
        stamp = MOMENT.match(line)
        if stamp:
            moment = _unix(stamp)
            begun = begun or moment
        started, finished, error = STARTED.match(line), FINISHED.match(line), ERROR.match(line)
        if started:
            rule, fields = started[1], {}
        elif error:
            rule, fields = FAILED, {}
        elif finished and int(finished[1]) in jobs:
            job = jobs[int(finished[1])]
            jobs[job.number] = replace(job, state=DONE, ended=moment)
    return RunLog(
        path=path,
        host=_first(HOST, lines),
        begun=begun,
        slots=max(1, int(_first(PROVIDED, lines) or 1)),
        planned=_planned(lines),
        jobs=tuple(jobs.values()),
        ended=any(line.startswith(ENDED) for line in lines),
    )


def _enter(jobs: dict[int, Job], rule: str, fields: Mapping[str, str], moment: float) -> None:
    """Enter a paragraph about a job that started, or (``rule`` is FAILED) failed."""
    number = int(fields.get("jobid", "-1"))
    if rule == FAILED:
        if number in jobs:
            jobs[number] = replace(jobs[number], state=FAILED, ended=moment)
        return
    output = next(iter(listed_files(fields.get("output", ""))), "")
    jobs[number] = Job(number, rule, moment, output=output, threads=int(fields.get("threads", 1)))


def _planned(lines: list[str]) -> dict[str, int]:
    """Return rule -> number of jobs of the table behind ``Job stats:``."""
    planned: dict[str, int] = {}
    for line in lines[lines.index("Job stats:") + 3 :]:
        row = PLANNED.match(line)
        if row is None:
            break
        planned[row[1]] = int(row[2])
    return {rule: count for rule, count in planned.items() if not _is_no_work(rule)}


def _is_no_work(rule: str) -> bool:
    """Return whether a row of the table of jobs is the sum, or a rule that only asks."""
    return rule == "total" or TARGET.fullmatch(rule) is not None


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str:
    """Return what a pattern finds in the first line that has it, "" where none has."""
    for line in lines:
        found = pattern.match(line)
        if found:
            return found[1]
    return ""


def _unix(stamp: re.Match[str]) -> float:
    """Return a moment of the log, local time, as unix time."""
    month, day, hour, minute, second, year = stamp.groups()
    date = int(year), MONTHS.index(month) + 1, int(day)
    return datetime(*date, int(hour), int(minute), int(second)).timestamp()


def is_alive(log: RunLog, checkout: Path) -> bool | None:
    """Return whether the Snakemake of a run still works; None on another machine than its own,
    where nobody can tell.
    """
    if log.ended:
        return False
    return snakemake_works(checkout) if log.host == socket.gethostname() else None


def snakemake_works(checkout: Path) -> bool:
    """Return whether some Snakemake of this machine works in a checkout."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            is_snakemake = any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:4])
            if is_snakemake and (process / "cwd").resolve() == checkout.resolve():
                return True
        except OSError:  # it has ended, or is another user's
            continue
    return False


def earlier_seconds(checkout: Path) -> dict[str, float]:
    """Return rule -> mean seconds of its jobs in all runs that Snakemake has records of."""
    met: dict[str, set[tuple[float, float]]] = {}
    for record in (checkout / ".snakemake" / "metadata").rglob("*"):
        try:
            told = json.loads(record.read_text(encoding="utf-8"))
            times = float(told["starttime"]), float(told["endtime"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        # the outputs of one job have a record each
        met.setdefault(str(told["rule"]), set()).add(times)
    means = {}
    for rule, jobs in met.items():
        means[rule] = sum(ended - started for started, ended in jobs) / len(jobs)
    return means


def mean_seconds(log: RunLog, earlier: Mapping[str, float]) -> dict[str, float]:
    """Return rule -> mean seconds of its finished jobs: of this run, else of ``earlier`` ones."""
    taken: dict[str, list[float]] = {}
    for job in log.jobs:
        if job.state == DONE:
            taken.setdefault(job.rule, []).append(job.ended - job.started)
    return {**earlier, **{rule: sum(times) / len(times) for rule, times in taken.items()}}


def seconds_left(
    log: RunLog, means: Mapping[str, float], now: float
) -> tuple[float, tuple[str, ...]]:
    """Return about how many seconds a run still takes, and the rules of which no job was measured,
    whose jobs these seconds leave out: mean times, divided by the cores or jobs at a time.
    """
    threads = {job.rule: min(job.threads, log.slots) for job in log.jobs}
    work, longest = 0.0, 0.0
    for job in log.jobs:
        if job.state == RUNNING:
            rest = max(0.0, means.get(job.rule, 0.0) - (now - job.started))
            work += rest * threads[job.rule]
            longest = max(longest, rest)
    unknown = {job.rule for job in log.jobs if job.state == RUNNING and job.rule not in means}
    for rule in log.planned:
        if log.waiting(rule):
            work += log.waiting(rule) * means.get(rule, 0.0) * threads.get(rule, 1)
            unknown |= {rule} - means.keys()
    return max(work / log.slots, longest), tuple(sorted(unknown & log.planned.keys()))
