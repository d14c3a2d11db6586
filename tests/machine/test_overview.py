"""The whole run of a workflow as one view: from a made-up checkout with jobs done, running, failed
and queued.
"""

import base64
import json
import os
import socket
import subprocess
import time
from datetime import datetime

import pytest

from zslpipe.commands.cli import main
from zslpipe.machine import overview as overviews
from zslpipe.machine import watching, workflow_log
from zslpipe.machine.overview import overview
from zslpipe.machine.watching import view, watch

BEGUN = datetime(2026, 11, 26, 7, 20, 57).timestamp()
HEAD = """\
Assuming unrestricted shared filesystem usage.

SNAKEMAKE
=========
  Date: 2026-11-26 07:20:55
  Host: {host}
  Command: /somewhere/bin/snakemake -c2

Building DAG of jobs...
Provided cores: {cores}
Rules claiming more threads will be scaled down.
Job stats:
job         count
--------  -------
extract         1
train           4
evaluate        4
tables          1
all             1
total          11

Select jobs to execute...
"""
TRAIN = "results/demo/runs/dazle/default/seed{}/weights.pt"


def stamp(seconds):
    return f"[{time.asctime(time.localtime(BEGUN + seconds))}]\n"


def started(seconds, number, rule, output, threads=1):
    lines = [f"localrule {rule}:" if rule == "evaluate" else f"rule {rule}:"]
    lines += ["    input: results/demo/index.h5", f"    output: {output}", f"    jobid: {number}"]
    lines += ["    reason: Missing output files: x", "    wildcards: dataset=demo, jobid: 99"]
    lines += [f"    threads: {threads}"] * (threads > 1)
    return stamp(seconds) + "\n".join(lines) + "\nSelect jobs to execute...\n"


def finished(seconds, number, rule):
    return f"{stamp(seconds)}Finished jobid: {number} (Rule: {rule})\n1 of 11 steps (9%) done\n"


def failed(seconds, number, rule, output):
    said = f"    message: None\n    jobid: {number}\n    output: {output}\n    shell:\n"
    said += f"        python -m zslpipe {rule}\n        (command exited with code 1)\n"
    before = "RuleException:\nCalledProcessError in file x\n"
    return f"{before}{stamp(seconds)}Error in rule {rule}:\n{said}"


RUN = [
    started(0, 5, "extract", "results/demo/features/demo_7x7.h5", 2),
    finished(30, 5, "extract"),
    started(30, 10, "train", TRAIN.format(0)),
    started(31, 11, "train", TRAIN.format(1)),
    finished(70, 10, "train"),
    started(70, 20, "evaluate", "results/demo/runs/dazle/default/seed0/metrics.json"),
    failed(71, 11, "train", TRAIN.format(1)),
    started(71, 12, "train", TRAIN.format(2)),
    finished(72, 20, "evaluate"),
]
END = "Complete log(s): /x/2.snakemake.log\nElapsed time: 0:00:18.88\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a function that writes a checkout's log and returns its results/."""
    monkeypatch.setattr(workflow_log, "snakemake_works", lambda folder: True)
    monkeypatch.setattr(watching, "snakemake_works", lambda folder: False)
    (tmp_path / "results" / "demo" / "runs").mkdir(parents=True)

    def write(*paragraphs, host=None, cores=2, name="2"):
        logs = tmp_path / ".snakemake" / "log"
        logs.mkdir(parents=True, exist_ok=True)
        text = HEAD.format(host=host or socket.gethostname(), cores=cores) + "".join(paragraphs)
        (logs / f"{name}.snakemake.log").write_text(text)
        return tmp_path / "results"

    return write


def record(results, output, rule, begun, ended):
    """Write what Snakemake keeps of an output that an earlier run made."""
    folder = results.parent / ".snakemake" / "metadata"
    folder.mkdir(parents=True, exist_ok=True)
    name = base64.urlsafe_b64encode(output.encode()).decode()
    told = {"rule": rule, "starttime": begun, "endtime": ended}
    (folder / name).write_text(json.dumps(told))


def note(results, output, message, seconds):
    (results / ".failed").mkdir(exist_ok=True)
    told = {"output": output, "message": message, "time": BEGUN + seconds}
    (results / ".failed" / f"{seconds}.json").write_text(json.dumps(told))


def progress(results, seconds):
    folder = results / "demo/runs/dazle/default/.seed2.work"
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(json.dumps({"phase": "train", "epoch": 3, "epochs": 20}))
    os.utime(folder / "progress.json", (BEGUN + seconds, BEGUN + seconds))


VIEW = """\
snakemake runs since 07:20:57: 3 of 10 jobs done, 1 running, 5 queued, 1 failed; at least about \
38 s left (no job of tables was measured yet)

rule      done  running  queued  failed  mean time
extract      1                                30 s
train        1        1       1       1       40 s
evaluate     1                3                2 s
tables                        1            unknown

running:
  train demo/runs/dazle/default/seed2, for 10 s: train, epoch 3/20

failed:
  train demo/runs/dazle/default/seed1: index.h5: no such file; the rule 'index' writes it"""


def test_a_run_under_way(checkout):
    results = checkout(*RUN)
    failure = "index.h5: no such file;\nthe rule 'index' writes it"
    note(results, "results/demo/runs/dazle/default/seed1", failure, 71)
    note(results, "results/demo/runs/dazle/default/seed1", "of an earlier run", -100)
    progress(results, 75)
    assert overview(results, BEGUN + 81).text() == VIEW
    # 30 s left of the running job, one more of 40 s, three of 2 s; on two cores
    assert (30 + 40 + 3 * 2) / 2 == 38


def test_what_earlier_runs_took_stands_in_for_what_this_one_has_not_measured(checkout):
    results = checkout(*RUN)
    record(results, "results/tables/main.csv", "tables", 100.0, 104.0)
    record(results, "results/tables/main.md", "tables", 100.0, 104.0)  # of the same job
    record(results, "results/tables/old.csv", "tables", 50.0, 60.0)
    record(results, "results/demo/x", "train", 0.0, 9999.0)  # this run knows better
    (results.parent / ".snakemake/metadata/broken").write_text("{")
    note(results, "results/demo/runs/dazle/default/seed1", "of an earlier run", -100)
    run = overview(results, BEGUN + 81)
    assert run.means == {"extract": 30, "train": 40, "evaluate": 2, "tables": 7}
    assert run.summary().endswith("1 failed; about 42 s left")  # (76 + 7) / 2
    told = run.as_json()
    assert (told["seconds_left"], told["unmeasured"]) == (41.5, [])
    assert told["rules"]["train"] == {
        "done": 1,
        "running": 1,
        "queued": 1,
        "failed": 1,
        "mean_seconds": 40,
    }
    assert told["running_jobs"] == [
        {"rule": "train", "output": TRAIN.format(2), "seconds": 10, "position": ""}
    ]
    reason = "it left no reason; see its lines in the log"
    assert told["failed_jobs"] == [{"rule": "train", "output": TRAIN.format(1), "reason": reason}]


def test_threads_and_the_longest_job_count(checkout):
    wide = [started(0, 5, "extract", "results/x.h5", 8), finished(30, 5, "extract")]
    means = {"extract": 30.0, "train": 40.0, "evaluate": 0.0, "tables": 0.0}
    run = overview(checkout(*wide, cores=4))
    # four trainings of one thread on four cores
    assert workflow_log.seconds_left(run.log, means, BEGUN + 30) == (40, ())
    again = [*wide, *(started(30, number, "train", "x") for number in (10, 11, 12, 13))]
    run = overview(checkout(*again, cores=4))
    assert workflow_log.seconds_left(run.log, means, BEGUN + 40) == (30, ())
    one = overview(checkout(*again[:3], cores=64))
    assert workflow_log.seconds_left(one.log, means, BEGUN + 35)[0] == 35  # not 155 / 64
    # a running and a waiting job of two threads each, on four cores
    pair = [
        started(0, 10, "train", "x", 2),
        finished(10, 10, "train"),
        started(10, 11, "train", "x", 2),
    ]
    two = overview(checkout(*pair, cores=4))
    only_trained = {"train": 40.0, "extract": 0.0, "evaluate": 0.0, "tables": 0.0}
    assert workflow_log.seconds_left(two.log, only_trained, BEGUN + 10) == (60, ())
    late = workflow_log.seconds_left(run.log, means, BEGUN + 500)[0]
    assert late == 0  # longer than the mean: not below nothing


def test_a_job_that_is_tried_again_runs_again(checkout):
    again = [*RUN, started(73, 11, "train", TRAIN.format(1))]
    counts = overview(checkout(*again), BEGUN + 81).counts("train")
    assert counts == {"done": 1, "running": 2, "queued": 1, "failed": 0}


def test_runs_that_are_over(checkout, monkeypatch):
    ended = overview(checkout(*RUN, failed(80, 12, "train", TRAIN.format(2)), END), BEGUN + 90)
    said = "snakemake's run of 07:20:57 has ended: 3 of 10 jobs done, 5 not run, 2 failed"
    assert ended.text().startswith(f"{said}\n\nrule      done  running  not run  failed")
    assert "train demo/runs/dazle/default/seed1 and 1 more: it left no reason" in ended.text()
    assert ended.as_json()["state"] == "ended"
    monkeypatch.setattr(workflow_log, "snakemake_works", lambda folder: False)
    killed = overview(checkout(*RUN), BEGUN + 90)
    said = "snakemake's run of 07:20:57 was killed (where the folder is locked: snakemake --unlock)"
    assert killed.summary() == f"{said}: 3 of 10 jobs done, 6 not run, 1 failed"
    assert "running:" not in killed.text()
    assert (killed.as_json()["state"], killed.as_json()["seconds_left"]) == ("killed", None)
    away = overview(checkout(*RUN, host="node7"), BEGUN + 90)
    said = "snakemake began at 07:20:57 on node7, which cannot be asked: 3 of 10 jobs done, 1 runn"
    assert away.summary().startswith(said)


def test_the_newest_log_with_jobs_counts(checkout):
    results = checkout(*RUN, END)
    logs = results.parent / ".snakemake" / "log"
    (logs / "3.snakemake.log").write_text("Building DAG of jobs...\nNothing to be done.\n")
    of_a_job = HEAD.replace("snakemake -c2", "snakemake --mode remote")
    (logs / "4.snakemake.log").write_text(of_a_job.format(host="x", cores=1))
    assert overview(results).log.path.name == "2.snakemake.log"
    for path in logs.iterdir():
        path.unlink()
    assert overview(results) is None
    assert view(results) == "runs: none yet"


def test_a_snakemake_is_known_by_its_name_and_folder(tmp_path):
    (tmp_path / "other").mkdir()
    assert not workflow_log.snakemake_works(tmp_path)
    command = ["/x/bin/python", "/x/bin/snakemake", "60"]
    program = "import time; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [command[0], "-c", program, command[1]],
        executable=os.path.realpath("/proc/self/exe"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        assert workflow_log.snakemake_works(tmp_path)
        assert not workflow_log.snakemake_works(tmp_path / "other")
        process.kill()
    assert not workflow_log.snakemake_works(tmp_path)


def test_watching_tells_what_changes_and_ends_with_the_run(checkout, monkeypatch):
    results = checkout(*RUN[:2])
    steps = [RUN[:2], RUN[:3], [*RUN, finished(100, 12, "train"), END]]
    said, pauses = [], []

    def pause(seconds):
        pauses.append(seconds)
        checkout(*steps[len(pauses) - 1])

    monkeypatch.setattr(overviews.time, "time", lambda: BEGUN + 81)
    watch(results, 3.0, said.append, pause)
    starts = [text.split(";")[0].split("\n")[0] for text in said]
    assert starts == [
        "snakemake runs since 07:20:57: 1 of 10 jobs done, 9 queued",
        "snakemake runs since 07:20:57: 1 of 10 jobs done, 1 running, 8 queued",
        "snakemake's run of 07:20:57 has ended: 4 of 10 jobs done, 5 not run, 1 failed",
    ]
    assert pauses == [3.0, 3.0, 3.0]
    assert said[-1].endswith("runs: none yet")


def test_watching_waits_for_a_run_that_is_planned(checkout, monkeypatch):
    results = checkout(*RUN, END)
    works = iter([True, True, False, False])
    monkeypatch.setattr(watching, "snakemake_works", lambda folder: next(works))
    said = []
    watch(results, 1.0, said.append, lambda seconds: None)
    assert said[0] == "snakemake plans its jobs"
    assert said[1].startswith("snakemake's run of 07:20:57 has ended")
    assert len(said) == 2


def test_a_terminal_is_drawn_in_place(checkout, monkeypatch, capsys):
    results = checkout(*RUN)
    monkeypatch.setattr(watching.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    said = []
    watch(results, 1.0, said.append, lambda seconds: checkout(*RUN, END))
    assert "snakemake runs since 07:20:57" in capsys.readouterr().out
    assert said[0].startswith("snakemake's run of 07:20:57 has ended")


def test_the_command(checkout, capsys, caplog):
    results = checkout(*RUN, END)
    assert main(["status", str(results)]) == 0
    assert "has ended: 3 of 10 jobs done" in capsys.readouterr().out
    assert main(["status", str(results), "--watch", "--every", "0.1"]) == 0
    assert "has ended: 3 of 10 jobs done" in capsys.readouterr().out
    assert main(["status", str(results), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["snakemake"]["done"] == 3
    assert told["counts"] == {"done": 0, "running": 0, "queued": 0, "not done": 0}
    assert main(["status", str(results), "--json", "--watch"]) == 1
    assert "--watch is for people, --json for programs; give one" in caplog.text
    assert main(["status", str(results.parent / "absent"), "--watch"]) == 1


def test_rules_that_only_ask_for_studies_are_no_work(checkout, monkeypatch):
    head = HEAD.replace("all             1", "studies         1\nstudy_own       1")
    monkeypatch.setitem(globals(), "HEAD", head)
    results = checkout(*RUN)
    record(results, "results/tables/main.csv", "tables", 0, 4)
    found = overview(results, BEGUN + 81)
    assert set(found.log.planned) == {"extract", "train", "evaluate", "tables"}
    assert "time left unknown" not in found.summary()
