"""What a failed run has made, and why the rest is missing, from a made-up graph of jobs."""

import json
import os
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.checkouts import CONFIG
from zslpipe.machine.failures import record_failure
from zslpipe.study.partial import Partial, clear_partial, write_partial
from zslpipe.study.study import Study


@dataclass(frozen=True)
class Job:
    name: str
    output: tuple[str, ...]

    @property
    def rule(self):
        return SimpleNamespace(name=self.name)


@dataclass
class Graph:
    """Trainings, evaluations and a table; all have to run, those of ``ended`` have."""

    jobs: list = field(default_factory=list)
    dependencies: dict = field(default_factory=dict)
    ended: set = field(default_factory=set)

    def needrun(self, job):
        return True

    def finished(self, job):
        return job in self.ended


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = yaml.safe_load(CONFIG)
    return Study(given | {"methods": ["eszsl"], "seeds": [0, 1, 2]})


def folder(seed):
    return f"results/demo/runs/eszsl/default/seed{seed}"


def graph_of(study, ended):
    """Return the graph of a run in which the trainings of the seeds ``ended`` went well."""
    graph = Graph()
    table = Job("tables", ("results/tables/main.csv",))
    graph.jobs.append(table)
    graph.dependencies[table] = {}
    for seed in study.runs.seeds:
        train = Job("train", (f"{folder(seed)}/weights.pt", f"{folder(seed)}/scores.h5"))
        evaluate = Job("evaluate", (f"{folder(seed)}/metrics.json",))
        graph.jobs += [train, evaluate]
        graph.dependencies |= {evaluate: {train: set()}}
        graph.dependencies[table][evaluate] = set()
        if seed in ended:
            graph.ended |= {train, evaluate}
    return graph


def made(tmp_path, seeds):
    for seed in seeds:
        path = tmp_path / folder(seed) / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")


def trained(graph, seed):
    return next(job for job in graph.jobs if job.output[0] == f"{folder(seed)}/weights.pt")


def test_each_missing_row_has_its_reason(study, tmp_path):
    made(tmp_path, [0, 1, 2])  # those of 1 and 2 are of an earlier run
    graph, start = graph_of(study, {0}), time.time()
    record_failure(["train", "--output", folder(1)], "no space left")
    log = tmp_path / "log"
    log.write_text(
        f"Command 'python -m zslpipe train --output {folder(2)} --threads 1' died with "
        "<Signals.SIGKILL: 9>.\n"
        f"Command 'python -m zslpipe train --output {folder(1)} --threads 1' returned non-zero "
        "exit status 1.\n"
    )
    failed = {trained(graph, 1), trained(graph, 2)}
    partial = Partial(study, graph, failed, start, [str(log)])
    assert partial.made(study.results.tabled) == [f"{folder(0)}/metrics.json"]
    one, two = partial.missing()
    assert one == "demo, eszsl / default, seed 1: train failed: no space left"
    killed = "killed by SIGKILL, as jobs are that need more memory than there is"
    assert two == f"demo, eszsl / default, seed 2: train failed: {killed}"
    # without a word from anybody, and of another run
    one, two = Partial(study, graph, failed, time.time() + 1).missing()
    assert one.endswith("train failed: no reason recorded, see its lines in the log")
    one, two = Partial(study, graph, {trained(graph, 1)}, time.time() + 1).missing()
    assert two.endswith(f"train of {folder(2)}/weights.pt was not run to its end")


def test_a_rebalancing_made_before_its_job_failed_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = ["none", "oracle", "cosmo", "calibrated_stacking"]
    given = yaml.safe_load(CONFIG)
    eszsl = given["eszsl"] | {"rebalancing": kinds}
    study = Study(given | {"methods": ["eszsl"], "seeds": [0], "eszsl": eszsl})
    graph, paths = graph_of(study, {0}), [f"{folder(0)}/{kind}/metrics.json" for kind in kinds[1:]]
    job = Job("rebalance", tuple(paths))
    graph.jobs.append(job)
    made(tmp_path, [0])
    for kind, time_of in (("oracle", 2000), ("cosmo", 500)):  # cosmo's is of an earlier run
        record = tmp_path / folder(0) / kind / ".metrics.json"
        record.parent.mkdir()
        record.touch()
        os.utime(record, (time_of, time_of))
    partial = Partial(study, graph, {job}, 1000)
    assert partial.made(study.results.tabled) == [f"{folder(0)}/metrics.json", paths[0]]
    assert [line.split(":")[0].split(", ")[-1] for line in partial.missing()] == kinds[2:]
    # a job that is to be run yet has made nothing
    assert Partial(study, graph, set(), 1000).made(paths) == []


def test_the_best_epoch_of_a_run_that_ended_is_there(tmp_path, monkeypatch):
    """Its job waits until all results of the dataset and seed are evaluated."""
    monkeypatch.chdir(tmp_path)
    given = yaml.safe_load(CONFIG)
    eszsl = given["eszsl"] | {"track": "test"}
    study = Study(given | {"methods": ["eszsl"], "seeds": [0, 1], "eszsl": eszsl})
    graph = graph_of(study, {0})
    made(tmp_path, [0, 1])
    best = [f"{folder(seed)}/best_on_test.json" for seed in (0, 1)]
    for seed in (0, 1):
        (tmp_path / folder(seed) / "history.csv").touch()
        graph.jobs.append(Job("best_on_test", (best[seed],)))
    contents = Partial(study, graph, set(), time.time()).contents()
    assert contents["metrics"] == [f"{folder(0)}/metrics.json", best[0]]
    assert contents["unfinished"] == best[:1]


def test_nothing_is_said_where_no_table_was_asked_for_or_no_row_is_missing(study, tmp_path):
    made(tmp_path, [0, 1, 2])
    everything = graph_of(study, {0, 1, 2})
    assert write_partial(study, everything, set(), 0.0, []) == ""
    other = graph_of(study, {0})
    other.jobs = [job for job in other.jobs if job.name == "train"]
    assert write_partial(study, other, set(), 0.0, []) == ""
    assert not (tmp_path / "results/tables").exists()


def test_without_a_table_the_missing_rows_are_told_all_the_same(study, tmp_path):
    """Here the metrics.json are empty, so there is no table; the handler says why."""
    made(tmp_path, [0, 1, 2])
    said = write_partial(study, graph_of(study, {0}), set(), 0.0, ["a.log"]).splitlines()
    assert said[0].startswith("PARTIAL: 2 of 3 results are missing (no partial table: ")
    assert len(said) == 4 and said[-1] == "log: a.log"
    given = json.loads((tmp_path / "results/tables/partial.json").read_text())
    assert given["metrics"] == [f"{folder(0)}/metrics.json"] and given["expected"] == 3


def test_what_was_partial_goes_once_every_row_is_there(study, tmp_path):
    made(tmp_path, [0, 1])
    partial = tmp_path / "results/tables/partial.md"
    partial.parent.mkdir()
    partial.touch()
    clear_partial(study)
    assert partial.exists()
    made(tmp_path, [2])
    clear_partial(study)
    assert not partial.exists()
