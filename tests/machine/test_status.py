"""What is done, running or stopped, told from the files under results/ alone."""

import json
import os
import socket
import subprocess
import sys

import h5py
import pytest

from zslpipe.machine.errors import InputError
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
        f"{place}6": "stopped at train, epoch 3/20, step 10/141, loss 1.235 (no update for 3.0 h)",
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
