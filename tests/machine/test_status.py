"""What is done, running or stopped, told from the files under results/ alone."""

import json
import logging
import os
import socket
import subprocess
import sys

import h5py
import pytest

from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import ProgressLines, process_start, reported
from zslpipe.machine.status import status

NOW = 1_700_000_000.0


def touch(path, age=0.0, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))
    return path


def progress(path, age, **content):
    filled = {
        "phase": "train",
        "epoch": 3,
        "epochs": 20,
        "step": 10,
        "steps": 141,
        "loss": 1.23456,
        "pid": 1,
        "host": "node7",
    }
    return touch(path, age, json.dumps(filled | {"updated": NOW - age} | content))


def states(results):
    return dict(row.split(": ", 1) for row in status(results, NOW).splitlines())


def test_runs_are_done_scored_or_running(tmp_path):
    runs = tmp_path / "demo" / "runs" / "dazle" / "default"
    for seed, files in enumerate(
        (("scores.h5", "metrics.json"), ("scores.h5",), (), ("metrics.json",))
    ):
        (runs / f"seed{seed}").mkdir(parents=True)
        for name in files:
            touch(runs / f"seed{seed}" / name, 500)
    touch(runs / "seed4" / "scores.h5", 100)
    touch(runs / "seed4" / "metrics.json", 400)
    progress(runs / ".seed5.work" / "progress.json", 30)
    progress(runs / ".seed6.work" / "validation0" / "progress.json", 3 * 3600)
    progress(runs / ".seed0.work" / "progress.json", 600)  # overtaken by its scores
    found = states(tmp_path)
    place = "demo/runs/dazle/default/seed"
    assert found == {
        f"{place}0": "done",
        f"{place}1": "scored, not evaluated",
        f"{place}2": "nothing finished",
        f"{place}3": "metrics.json without scores.h5",
        f"{place}4": "metrics.json is older than scores.h5",
        f"{place}5": "running, train, epoch 3/20, step 10/141, loss 1.235 (updated 30 s ago)",
        f"{place}6": "stopped at train, epoch 3/20, step 10/141, loss 1.235, as it seems "
        "(no word for 3.0 h, on node7)",
        "runs": "1 done, 1 running, 5 not done",
    }


def test_a_finished_run_that_runs_again_counts_as_running(tmp_path):
    run = tmp_path / "demo" / "runs" / "mlis" / "default" / "seed0"
    touch(run / "scores.h5", 500)
    touch(run / "metrics.json", 400)
    progress(
        run / ".work" / "progress.json", 20, phase="generator", epochs=None, steps=None, loss=None
    )
    found = states(tmp_path)
    assert (
        found["demo/runs/mlis/default/seed0"]
        == "done; since then running, generator, epoch 3, step 10 (updated 20 s ago)"
    )
    assert found["runs"] == "1 running"


def test_two_minutes_are_the_limit(tmp_path):
    for seed, age in ((0, 120), (1, 121)):
        progress(
            tmp_path / "demo" / "runs" / "rsan" / "default" / f".seed{seed}.work" / "progress.json",
            age,
        )
    assert [state.split()[0] for state in states(tmp_path).values()] == ["running,", "stopped", "1"]


def test_a_dead_process_of_this_machine_is_not_running(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    place = tmp_path / "demo" / "runs" / "rsan" / "default"
    progress(place / ".seed0.work" / "progress.json", 5, pid=ended.pid, host=socket.gethostname())
    progress(place / ".seed1.work" / "progress.json", 5, pid=os.getpid(), host=socket.gethostname())
    first, second, _ = states(tmp_path).values()
    assert first.startswith("stopped at train") and first.endswith(f"(process {ended.pid} is gone)")
    assert second.startswith("running")


def test_extraction_and_its_caches(tmp_path):
    features = tmp_path / "demo" / "features"
    features.mkdir(parents=True)
    for name, complete in (("small", True), ("half", False)):
        with h5py.File(features / f"{name}.h5", "w") as file:
            file.attrs["complete"] = complete
        os.utime(features / f"{name}.h5", (NOW - 50, NOW - 50))
    touch(features / "cut.h5", 50, "no HDF5")
    extraction = {"what": "extraction small", "phase": None, "epoch": None, "loss": None}
    progress(features / ".small.work" / "progress.json", 55, **extraction)
    progress(
        features / ".large.work" / "progress.json", 55, **extraction | {"what": "extraction large"}
    )
    found = states(tmp_path)
    assert found == {
        "demo/features/small": "done",
        "demo/features/half": "not stamped complete",
        "demo/features/cut": "not readable (cut off, or open for writing)",
        "demo/features/large": "running, extraction large, step 10/141 (updated 55 s ago)",
        "runs": "none yet",
    }


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("{", "progress.json is not readable (being written, or cut off)"),
        ("[]", "progress.json does not say when it was updated"),
        ('{"updated": "now"}', "progress.json does not say when it was updated"),
        (
            f'{{"updated": {NOW + 40}}}',
            "running, an unknown place (clock 40 s ahead of this machine's)",
        ),
    ],
)
def test_odd_progress_files_are_told_not_guessed(tmp_path, text, state):
    touch(
        tmp_path / "demo" / "runs" / "sgma" / "default" / ".seed0.work" / "progress.json", 0, text
    )
    assert states(tmp_path)["demo/runs/sgma/default/seed0"] == state


def test_an_absent_folder_and_an_empty_one(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        status(tmp_path / "absent")
    assert status(tmp_path) == "runs: none yet"


def test_life_is_asked_before_age(tmp_path):
    """A living job is not called stopped however long it says nothing; its number in another
    process's hands is not it.
    """
    place = tmp_path / "demo" / "runs" / "rsan" / "default"
    here = {"pid": os.getpid(), "host": socket.gethostname()}
    progress(place / ".seed0.work" / "progress.json", 7200, **here)
    begun = process_start(os.getpid())
    progress(place / ".seed1.work" / "progress.json", 7200, **here, started=begun)
    progress(place / ".seed2.work" / "progress.json", 5, **here, started=begun - 1)
    found = [state for name, state in states(tmp_path).items() if "seed" in name]
    position = "train, epoch 3/20, step 10/141, loss 1.235"
    assert found == [
        f"running, {position} (updated 2.0 h ago)",
        f"running, {position} (updated 2.0 h ago)",
        f"stopped at {position} (process {os.getpid()} is gone)",
    ]


def test_a_process_that_nobody_has_waited_for_has_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(ended.pid) is None
    ended.wait()
    assert process_start(ended.pid) is None


def test_what_a_workflow_under_way_is_to_make_is_queued(tmp_path):
    results = tmp_path / "results"
    runs = results / "demo" / "runs" / "dazle" / "default"
    touch(runs / "seed0" / "scores.h5", 500)
    touch(runs / "seed0" / "metrics.json", 400)
    touch(runs / "seed1" / "scores.h5", 50)
    touch(runs / "seed1" / "metrics.json", 40)
    progress(runs / ".seed2.work" / "progress.json", 5)
    place = "results/demo/runs/dazle/default/seed"
    made = [f"{place}{seed}/{name}" for seed in range(4) for name in ("weights.pt", "scores.h5")]
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    touch(lock, 100, "\n".join([*made[2:], "results/demo/tables/a.md", "elsewhere/b"]) + "\n")
    found = states(results)
    place = place.removeprefix("results/")
    running = "train, epoch 3/20, step 10/141, loss 1.235 (updated 5 s ago)"
    assert found == {
        f"{place}0": "done",
        f"{place}1": "done",
        f"{place}2": f"running, {running}",
        f"{place}3": "queued, or failed (nothing finished)",
        "runs": "2 done, 1 running, 1 queued",
        "snakemake": "6 files still to be made, first demo/runs/dazle/default/seed1/weights.pt (if "
        "none runs any more, it was killed: snakemake --unlock)",
    }


def test_a_job_that_resumes_from_nothing_is_shown_while_it_lasts(tmp_path):
    run = tmp_path / "demo" / "runs" / "dazle" / "default" / "seed0"
    run.mkdir(parents=True)
    with reported(run / "attention.h5", "attention maps"):
        (told,) = run.glob("*/progress.json")
        now = json.loads(told.read_text())["updated"] + 3
        (state, _) = status(tmp_path, now).splitlines()
        expected = "demo/runs/dazle/default/seed0: running, attention maps (updated 3 s ago)"
        assert state == expected
    assert not list(run.iterdir())


def test_a_log_that_is_no_terminal_has_a_line_a_minute(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    clock = iter([0.0, 59.0, 60.0, 100.0, 128.0])
    monkeypatch.setattr("zslpipe.machine.progress.time.monotonic", lambda: next(clock))
    lines = ProgressLines("extraction mbv2", "images", total=7456, before=256)
    for done in (1000, 1336, 2000, 2560):
        lines.tell(done)
    assert [record.getMessage() for record in caplog.records] == [
        "extraction mbv2: 1,336 of 7,456 images, 18/s, about 6 min left",
        "extraction mbv2: 2,560 of 7,456 images, 18/s, about 5 min left",
    ]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    clock = iter([0.0, 60.0])
    ProgressLines("x", "images", 10).tell(5)
    assert len(caplog.records) == 2
