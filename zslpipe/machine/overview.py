"""The whole run of a workflow as one view: how many jobs are done, running, queued and failed, what
runs and how far it is, why jobs failed, and how long it will take.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from zslpipe.machine.failures import FOLDER, failures_since
from zslpipe.machine.progress import duration
from zslpipe.machine.status import owner_of, position
from zslpipe.machine.workflow_log import (
    DONE,
    FAILED,
    RUNNING,
    Job,
    RunLog,
    earlier_seconds,
    is_alive,
    mean_seconds,
    newest_log,
    seconds_left,
)

QUEUED, NOT_RUN = "queued", "not run"
NO_REASON = "it left no reason; see its lines in the log"


@dataclass(frozen=True, eq=False)
class Overview:
    """The newest run of a workflow at a moment: its log, whether it still works (None: on another
    machine, where nobody can tell), mean seconds by rule, and why jobs failed, by output.
    """

    results: Path
    log: RunLog
    alive: bool | None
    means: Mapping[str, float]
    reasons: Mapping[str, str]
    now: float

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of this run."""
        return self.alive is False

    @property
    def state(self) -> str:
        """The run in a word: running, ended, killed, or unknown on another machine."""
        if self.log.ended:
            return "ended"
        return {True: "running", False: "killed", None: "unknown"}[self.alive]

    def counts(self, rule: str | None = None) -> dict[str, int]:
        """Return how many jobs, of a rule or of all, are done, running, queued and failed; of a run
        that is over nothing runs, and what is queued was not run.
        """
        rules = [rule] if rule is not None else list(self.log.planned)
        found = {}
        for state in (DONE, RUNNING, FAILED):
            found[state] = sum(self.log.of_rule(one, state) for one in rules)
        waiting = sum(self.log.waiting(one) for one in rules)
        if self.is_over:
            waiting, found[RUNNING] = waiting + found[RUNNING], 0
        return {
            DONE: found[DONE],
            RUNNING: found[RUNNING],
            "queued": waiting,
            FAILED: found[FAILED],
        }

    def summary(self) -> str:
        """Return the run in one line."""
        counts = self.counts()
        told = [f"{counts[DONE]} of {sum(counts.values())} jobs done"]
        names = {RUNNING: RUNNING, QUEUED: NOT_RUN if self.is_over else QUEUED}
        for state, name in {**names, FAILED: "failed"}.items():
            if counts[state]:
                told.append(f"{counts[state]} {name}")
        clock = time.strftime("%H:%M:%S", time.localtime(self.log.begun))
        return f"{self._how(clock)}: {', '.join(told)}{self._left()}"

    def _how(self, clock: str) -> str:
        """Return whether the run that began at a time still works."""
        how = {
            "running": f"snakemake runs since {clock}",
            "ended": f"snakemake's run of {clock} has ended",
            "killed": f"snakemake's run of {clock} was killed (where the folder is locked: "
            "snakemake --unlock)",
            "unknown": f"snakemake began at {clock} on {self.log.host}, which cannot be asked",
        }
        return how[self.state]

    def _left(self) -> str:
        """Return how long the run will take, "" for one that is over."""
        if self.is_over:
            return ""
        seconds, unknown = seconds_left(self.log, self.means, self.now)
        if not unknown:
            return f"; about {duration(seconds)} left"
        known = f"at least about {duration(seconds)} left" if seconds else "time left unknown"
        return f"; {known} (no job of {', '.join(unknown)} was measured yet)"

    def text(self) -> str:
        """Return the view as lines: the summary, a table of rules, what runs and what failed."""
        queued = NOT_RUN if self.is_over else QUEUED
        columns = ("rule", DONE, RUNNING, queued, FAILED, "mean time")
        rows = []
        for rule in self.log.planned:
            counts = [str(count or "") for count in self.counts(rule).values()]
            mean = duration(self.means[rule]) if rule in self.means else "unknown"
            rows.append([rule, *counts, mean])
        sides = ["left", *["right"] * (len(columns) - 1)]
        table = tabulate([columns, *rows], tablefmt="plain", disable_numparse=True, colalign=sides)
        lines = [self.summary(), "", table]
        if not self.is_over:
            lines += self._section("running", [self._running(job) for job in self.of(RUNNING)])
        lines += self._section("failed", self._failures())
        return "\n".join(lines)

    def of(self, state: str) -> list[Job]:
        """Return the jobs in a state, in the order of their starts."""
        return [job for job in self.log.jobs if job.state == state]

    def _section(self, title: str, lines: list[str]) -> list[str]:
        """Return lines below a title, nothing where there are none."""
        return ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []

    def named(self, job: Job) -> str:
        """Return a job by its rule and what it makes."""
        return f"{job.rule} {owner_of(Path(self.results.name), Path(job.output))}"

    def place(self, job: Job) -> str:
        """Return how far a running job says it is, "" where it says nothing."""
        output = self.results.absolute().parent / job.output
        # the log's clock has whole seconds
        return position(self.results.absolute(), output, job.started - 1)

    def _running(self, job: Job) -> str:
        """Return a running job in one line."""
        place = self.place(job)
        return f"{self.named(job)}, for {duration(self.now - job.started)}" + (
            f": {place}" if place else ""
        )

    def _failures(self) -> list[str]:
        """Return the failed jobs, those of one rule and reason in one line."""
        alike: dict[tuple[str, str], list[Job]] = {}
        for job in self.of(FAILED):
            alike.setdefault((job.rule, self.reason(job)), []).append(job)
        lines = []
        for (_, reason), jobs in alike.items():
            more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
            lines.append(f"{self.named(jobs[0])}{more}: {reason}")
        return lines

    def reason(self, job: Job) -> str:
        """Return what a job said when it failed."""
        for output, message in self.reasons.items():
            if job.output == output or job.output.startswith(f"{output}/"):
                return " ".join(message.split())
        return NO_REASON

    def as_json(self) -> dict[str, Any]:
        """Return the view for programs: numbers and plain texts."""
        seconds, unknown = seconds_left(self.log, self.means, self.now)
        rules = {}
        for rule in self.log.planned:
            rules[rule] = {**self.counts(rule), "mean_seconds": self.means.get(rule)}
        running = []
        for job in self.of(RUNNING) if not self.is_over else ():
            told = {"rule": job.rule, "output": job.output, "seconds": self.now - job.started}
            running.append({**told, "position": self.place(job)})
        failed = []
        for job in self.of(FAILED):
            told = {"rule": job.rule, "output": job.output}
            failed.append({**told, "reason": self.reason(job)})
        return {
            "state": self.state,
            "begun": self.log.begun,
            **self.counts(),
            "seconds_left": None if unknown or self.is_over else seconds,
            "unmeasured": [] if self.is_over else list(unknown),
            "rules": rules,
            "running_jobs": running,
            "failed_jobs": failed,
        }


def overview(results: Path, now: float | None = None) -> Overview | None:
    """Return the newest run of the workflow in the checkout that holds ``results``; None where its
    Snakemake has left no log of one.
    """
    checkout = results.absolute().parent
    log = newest_log(checkout)
    if log is None:
        return None
    means = mean_seconds(log, earlier_seconds(checkout))
    reasons = failures_since(log.begun, results / FOLDER.name)
    moment = time.time() if now is None else now
    return Overview(results, log, is_alive(log, checkout), means, reasons, moment)
