"""A job that dies while it scores: the next one only scores, to the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.made_up.miniature import write_miniature
from tests.made_up.places import SCRIPT
from tests.made_up.specification import SPEC
from zslpipe.formats.scores import read_scores
from zslpipe.machine.devices import Compute
from zslpipe.machine.files import work_folder
from zslpipe.machine.interruption import Interrupted
from zslpipe.methods import dazle
from zslpipe.runs import train
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.rebalancing_inputs import write_validation_scores

CPU = Compute(device="cpu", threads=1)
DAZLE = SPEC | {
    "method": "dazle",
    "input": "regions",
    "words": "words",
    "settings": {"epochs": 2, "lr": 0.01, "batch_size": 8},
}
CHOOSING = {"selection": "validation", "choose": {"calibration_weight": [0.0, 0.1]}}
SPECS = {"last epoch": DAZLE, "chosen": DAZLE | CHOOSING}
MADE = ("weights.pt", "scores.h5", "history.csv")


def run(folder: Path, spec: dict, output: Path) -> Path:
    """Train and score the run ``spec`` on the miniature in ``folder``."""
    words, features = folder / "words.h5", folder / "features.h5"
    inputs = open_run_inputs(spec, folder / "index.h5", features, folder, None, CPU)
    train.run_method(spec, 0, inputs, words, output, CPU)
    return output


def validate(folder: Path, weights: Path, output: Path) -> Path:
    """Train and score the same on the validation problem."""
    inputs = open_run_inputs(DAZLE, folder / "index.h5", folder / "features.h5", folder, None, CPU)
    write_validation_scores(weights, inputs, folder / "words.h5", 0, output, CPU)
    return output


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    write_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(miniature, tmp_path_factory) -> dict[str, Path]:
    """Return the folders of runs that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {name: run(miniature, spec, folder / name / "seed0") for name, spec in SPECS.items()}


def bytes_of(path: Path) -> bytes:
    """Return a file's bytes; of a history all columns but those of the clock."""
    if path.suffix != ".csv":
        return path.read_bytes()
    return pd.read_csv(path).drop(columns=["seconds", "waiting"]).to_csv().encode()


def no_training(*arguments: object) -> None:
    """Stand for a method's training where none may run."""
    raise AssertionError("trained again")


def killed(folder: Path, output: Path, name: str) -> None:
    """Run this file as a program that is killed while it scores; the outputs are then deleted, as
    Snakemake does.
    """
    command = [sys.executable, __file__, str(folder), str(output), name]
    done = subprocess.run(command, capture_output=True, text=True, env=SCRIPT, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    for made in MADE:
        (output / made).unlink(missing_ok=True)


@pytest.mark.parametrize("name", SPECS)
def test_killed_while_it_scores_a_run_is_only_scored(
    miniature, undisturbed, tmp_path, monkeypatch, name
):
    output = tmp_path / "seed0"
    killed(miniature, output, name)
    monkeypatch.setattr(dazle, "train", no_training)
    run(miniature, SPECS[name], output)
    for made in MADE:
        assert bytes_of(output / made) == bytes_of(undisturbed[name] / made), made
    assert not work_folder(output).exists()


def test_the_validation_problem_is_only_scored_too(miniature, undisturbed, tmp_path, monkeypatch):
    weights = undisturbed["last epoch"] / "weights.pt"
    expected = validate(miniature, weights, tmp_path / "whole" / "validation.h5")
    output = tmp_path / "cut" / "validation.h5"

    def stop(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched, pytest.raises(Interrupted, match="while scoring, train"):
        patched.setattr(train, "score_rows", stop)
        validate(miniature, weights, output)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert not output.exists()
    monkeypatch.setattr(dazle, "train", no_training)
    assert validate(miniature, weights, output).read_bytes() == expected.read_bytes()
    with pytest.raises(AssertionError, match="trained again"):  # nothing is kept any more
        validate(miniature, weights, output)


def full_disk(*arguments: object) -> None:
    """Stand for the writing of scores where there is no room."""
    raise OSError("full")


@pytest.mark.parametrize("change", ["none", "settings", "damage"])
def test_only_the_same_training_is_taken_and_only_intact(
    miniature, undisturbed, tmp_path, monkeypatch, change
):
    output, spec, trainings = tmp_path / "seed0", DAZLE, []
    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(train, "write_scores", full_disk)
        run(miniature, spec, output)
    (kept,) = work_folder(output).glob("*.trained.pt")
    if change == "settings":
        spec = DAZLE | {"settings": DAZLE["settings"] | {"epochs": 3}}
    if change == "damage":
        damaged = bytearray(kept.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        kept.write_bytes(damaged)
    trained = dazle.train
    monkeypatch.setattr(dazle, "train", lambda *given: (trainings.append(1), trained(*given)))
    run(miniature, spec, output)
    assert len(trainings) == (change != "none")
    found = read_scores(output / "scores.h5").scores["test_unseen"]
    same = read_scores(undisturbed["last epoch"] / "scores.h5").scores["test_unseen"]
    assert np.array_equal(found, same) == (change != "settings")


if __name__ == "__main__":
    train.score_rows = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
    run(Path(sys.argv[1]), SPECS[sys.argv[3]], Path(sys.argv[2]))
