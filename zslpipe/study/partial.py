"""What a run that failed has made all the same: which results are there, and why others are not.

Asked by the Snakefile when a run has ended with an error. A result that had to be made and was not
is missing, even where an older file of it lies there.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from zslpipe.formats.figures import SCREEN
from zslpipe.formats.kept import MADE_ALL_THE_SAME
from zslpipe.machine.failures import FOLDER, failures_since
from zslpipe.study.paths import PATHS
from zslpipe.study.refused_submissions import refused_submissions
from zslpipe.study.study import Study

RESULT = re.compile(
    r"results/(?P<dataset>[^/]+)/runs/(?P<run>[^/]+/[^/]+)/seed(?P<seed>\d+)"
    r"(?:/(?P<kind>[^/]+))?/(?P<file>[^/]+)"
)
# What Snakemake writes of a command that failed, and how it says that the job was killed: of the
# shell itself, and of a program in it (128 + 9).
ENDED = re.compile(r"^Command '.* --output (\S+).*' (returned non-zero|died with) (.*?)\.?$", re.M)
KILLED = ("<Signals.SIGKILL: 9>", "exit status 137")
NO_MEMORY = "killed by SIGKILL, as jobs are that need more memory than there is"
# Of what a page can show.
ENDINGS = (".png", f".{SCREEN}")
NO_REASON = "no reason recorded, see its lines in the log"


class Graph(Protocol):
    """What is asked of Snakemake's graph of jobs."""

    jobs: Iterable[Any]
    dependencies: Mapping[Any, Mapping[Any, Any]]

    def needrun(self, job: Any) -> bool:
        """Return whether a job had to run."""

    def finished(self, job: Any) -> bool:
        """Return whether it has."""


class Partial:
    """The results of a study after a run that failed: ``graph`` is Snakemake's, ``failed`` are its
    jobs that failed, ``started`` is the time of the run's beginning (unix), ``log`` its log files.
    """

    def __init__(
        self,
        study: Study,
        graph: Graph,
        failed: Collection[Any],
        started: float,
        log: Sequence[str] = (),
    ):
        self.study, self.graph, self.failed, self.started = study, graph, failed, started
        # what a job says itself tells more than how it ended
        self.reasons = {**_endings(log), **refused_submissions(log), **failures_since(started)}
        self.makers = {str(path): job for job in graph.jobs for path in job.output}

    def made(self, paths: Iterable[str]) -> list[str]:
        """Return those of ``paths`` that are there and are not to be made again, or that can be
        made at once of what is there.
        """
        return [path for path in paths if self._is_made(path)]

    def missing(self) -> list[str]:
        """Return a line for each row of the table and seed that is missing, with its reason."""
        expected = self.study.results.tabled
        made = set(self.made(expected))
        return [f"{_named(path)}: {self.why(path)}" for path in expected if path not in made]

    def why(self, path: str) -> str:
        """Return why a file was not made: the job that failed, and what it said last."""
        if path not in self.makers:
            return "not asked for in this run"
        roots = self._roots(self.makers[path])
        told = [job for job in roots if self._reason(job)]
        failed = [*told, *[job for job in roots if job in self.failed]]
        if failed:
            return f"{failed[0].rule.name} failed: {self._reason(failed[0]) or NO_REASON}"
        return f"{roots[0].rule.name} of {roots[0].output[0]} was not run to its end"

    def tables_are_due(self) -> bool:
        """Return whether this run was to make the main table and has not."""
        return self._is_due(f"{PATHS.tables}/main.csv")

    def contents(self) -> dict[str, Any]:
        """Return what the command partial-tables is given: files to draw from by what is drawn."""
        figures = [path for path in self.study.targets.all() if path.endswith(ENDINGS)]
        curves, confusions = {}, {}
        for dataset in self.study.datasets.entries:
            curves[dataset] = self.made(self.study.results.metrics_of_first_seed(dataset))
            confusions[dataset] = self.made(self.study.results.scores_of_first_seed(dataset))
        tabled = self.made(self.study.results.tabled)
        return {
            "metrics": tabled,
            "unfinished": [path for path in tabled if self._is_due(path)],
            "expected": len(self.study.results.tabled),
            "missing": self.missing(),
            "localizations": self.made(self.study.targets.localizations()),
            "curves": curves,
            "confusions": confusions,
            "figures": self.made(figures),
            "waiting": [self._waiting(dataset) for dataset in self.study.datasets.entries],
        }

    def _waiting(self, dataset: str) -> dict[str, Any]:
        """Return what can be drawn (kind, path without ending, files) and measured (attention.h5)
        of a dataset's runs, whose jobs wait for runs that failed.
        """
        figures, attention = [], []
        for drawn in self.study.figures.of_datasets:
            for one in drawn.figures:
                whole = len(self.made(one.files)) == len(one.files)
                if one.dataset == dataset and self._is_due(one.screen) and whole:
                    figures.append([one.kind, one.stem, list(one.files)])
        for located in self.study.localizations.of_datasets:
            for looked, file in zip(located.attention, located.files, strict=True):
                if located.dataset == dataset and self._is_due(file):
                    attention += self.made([looked])
        told = {"figures": figures, "attention": attention}
        index = PATHS.index.format(dataset=dataset)
        return {**told, "index": index, "images": self.study.datasets.pictures(dataset)}

    def _is_made(self, path: str) -> bool:
        """Return whether a file is there; a rebalancing whose job failed at another one; the best
        epoch of a run that ended, whose job waits for all results of the dataset.
        """
        if not self._is_due(path):
            return Path(path).is_file()
        if path.endswith("/best_on_test.json"):
            folder = Path(path).parent
            return all(
                self._is_made(f"{folder}/{name}") for name in ("metrics.json", "history.csv")
            )
        record = Path(path).with_name(MADE_ALL_THE_SAME)
        failed = self.makers[path] in self.failed
        return failed and record.is_file() and record.stat().st_mtime >= self.started

    def _is_due(self, path: str) -> bool:
        """Return whether a file's job had to run in this run and has not ended well."""
        job = self.makers.get(path)
        return job is not None and self._is_unfinished(job)

    def _is_unfinished(self, job: Any) -> bool:
        """Return whether a job had to run and has not ended well."""
        return self.graph.needrun(job) and not self.graph.finished(job)

    def _reason(self, job: Any) -> str:
        """Return what a job said when it failed, "" where it said nothing."""
        outputs = [str(output) for output in job.output]
        for output, message in self.reasons.items():
            if any(made == output or made.startswith(f"{output}/") for made in outputs):
                return message
        return ""

    def _roots(self, job: Any) -> list[Any]:
        """Return the jobs that a job waits for and that wait for none; itself where it waits for
        none.
        """
        waits, roots, met = [job], [], set()
        while waits:
            one = waits.pop(0)
            before = [dep for dep in self.graph.dependencies.get(one, {}) if dep not in met]
            met.update(before)
            unfinished = [dep for dep in before if self._is_unfinished(dep)]
            waits += unfinished
            if not unfinished:
                roots.append(one)
        return roots


def write_partial(
    study: Study, graph: Graph, failed: Collection[Any], started: float, log: Sequence[str]
) -> str:
    """Write tables and figures of what a failed run has made, and return what is to be said: the
    table, or why rows are missing. "" where this run was to make no table, or no row is missing.
    """
    _remove_partial()
    partial = Partial(study, graph, failed, started, log)
    if not partial.tables_are_due():
        return ""
    given = partial.contents()
    if not given["missing"]:
        return ""
    folder = Path(PATHS.tables)
    folder.mkdir(parents=True, exist_ok=True)
    contents = folder / "partial.json"
    contents.write_text(json.dumps(given, indent=1), encoding="utf-8")
    command = [sys.executable, "-m", "zslpipe", "partial-tables", "--given", str(contents)]
    done = subprocess.run([*command, "--output", str(folder)], capture_output=True, text=True)
    if done.stdout:
        return f"{done.stdout}log: {', '.join(log)}\n"
    # The environment of snakemake itself may lack what tables need.
    why = (done.stderr.strip().splitlines() or ["no word"])[-1]
    head = f"PARTIAL: {len(given['missing'])} of {given['expected']} results are missing"
    return "\n".join(
        [f"{head} (no partial table: {why})", *given["missing"], f"log: {', '.join(log)}", ""]
    )


def clear_partial(study: Study) -> None:
    """Remove what an earlier failed run has left, once every row of the table is there: tables and
    figures marked partial, and reasons.
    """
    if not all(Path(path).is_file() for path in study.results.tabled):
        return
    _remove_partial()
    shutil.rmtree(FOLDER, ignore_errors=True)


def _remove_partial() -> None:
    """Remove tables and figures marked partial."""
    for folder in (Path(PATHS.tables), Path(PATHS.tables).with_name("figures")):
        for path in folder.glob("partial.*"):
            path.unlink(missing_ok=True)


def _endings(logs: Sequence[str]) -> dict[str, str]:
    """Return output -> how the command that was to write it ended, from Snakemake's logs."""
    found = {}
    for log in filter(Path.is_file, map(Path, logs)):
        for output, _, how in ENDED.findall(log.read_text(encoding="utf-8", errors="replace")):
            found[output] = NO_MEMORY if how in KILLED else how
    return found


def _named(path: str) -> str:
    """Return a row of the table and a seed by the path of its file."""
    found = RESULT.fullmatch(path)
    if found is None:
        return path
    row = f"{found['dataset']}, {found['run'].replace('/', ' / ')}, seed {found['seed']}"
    told = [row, *([found["kind"]] if found["kind"] else [])]
    if found["file"] == "best_on_test.json":
        told.append("best epoch on test")
    return ", ".join(told)
