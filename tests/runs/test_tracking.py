"""`track: test`: the test images are measured after each epoch, and nothing else changes."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.made_up.miniature import write_miniature
from tests.made_up.specification import SPEC
from zslpipe.formats.scores import read_scores
from zslpipe.machine.devices import Compute
from zslpipe.runs import tracking
from zslpipe.runs.models import RunInputs
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.problems import Problem
from zslpipe.runs.tracking import tracked
from zslpipe.runs.train import run_method
from zslpipe.scores.evaluation import evaluate
from zslpipe.training.contract import Classes
from zslpipe.training.held import Held

CPU = Compute(device="cpu", threads=1, checkpoint_seconds=0.0)
DAZLE = SPEC | {
    "method": "dazle",
    "input": "regions",
    "track": "test",
    "settings": {"epochs": 3, "lr": 0.01, "batch_size": 8},
}
ESZSL = DAZLE | {"method": "eszsl", "input": "pooled", "settings": {}}
TIMES = ("waiting", "seconds")
FIGURES = ("test_T1", "test_U", "test_S", "test_H")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp("miniature"))


def run(spec, paths, output):
    files = (paths["index"], paths["features"], paths["index"].parent)
    run_inputs = open_run_inputs(spec, *files, None, CPU)
    words = paths["words"] if spec["method"] == "dazle" else None
    run_method(spec, 0, run_inputs, words, output, CPU)
    with (output / "history.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "seed0"
    return folder, run(DAZLE, paths, folder)


def test_the_last_epochs_figures_are_those_of_the_scores(whole):
    folder, history = whole
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    metrics = evaluate(read_scores(folder / "scores.h5"))
    for name in FIGURES:
        assert float(history[-1][name]) == pytest.approx(metrics[name.removeprefix("test_")])
    assert len({row["test_H"] for row in history}) > 1


def test_weights_and_scores_are_those_of_a_run_that_is_not_tracked(whole, paths, tmp_path):
    folder, history = whole
    plain = run(DAZLE | {"track": "none"}, paths, tmp_path / "seed0")
    states = []
    for where in (folder, tmp_path / "seed0"):
        states.append(torch.load(where / "weights.pt", weights_only=True)["state"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    first, second = (read_scores(where / "scores.h5") for where in (folder, tmp_path / "seed0"))
    assert np.array_equal(first.scores["test_unseen"], second.scores["test_unseen"])
    assert first.selection == second.selection == "last epoch"
    kept = [{name: row[name] for name in plain[0] if name not in TIMES} for row in history]
    assert kept == [
        {name: text for name, text in row.items() if name not in TIMES} for row in plain
    ]


def test_choosing_sees_no_test_figure(paths, tmp_path):
    spec = DAZLE | {"selection": "validation", "choose": {"lr": [0.01, 0.02]}}
    history = run(spec, paths, tmp_path / "tracked")
    for row in history:
        assert all(bool(row[name]) == (row["phase"] == "train") for name in FIGURES), row
    run(spec | {"track": "none"}, paths, tmp_path / "plain")
    chosen = [read_scores(tmp_path / name / "scores.h5").chosen for name in ("tracked", "plain")]
    assert chosen[0] == chosen[1]


def test_a_resumed_run_has_the_rows_of_an_uninterrupted_one(whole, paths, tmp_path, monkeypatch):
    counted = []

    def interrupted(*given):
        counted.append(given)
        if len(counted) == 3:
            raise KeyboardInterrupt
        return score_rows(*given)

    score_rows = tracking.score_rows
    monkeypatch.setattr(tracking, "score_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(DAZLE, paths, tmp_path / "seed0")
    history = run(DAZLE, paths, tmp_path / "seed0")
    assert len(counted) == 4  # the third epoch alone is measured again
    blank = dict.fromkeys(TIMES, "")
    assert [row | blank for row in history] == [row | blank for row in whole[1]]


def test_a_closed_form_has_no_epochs_to_track(paths, tmp_path):
    assert run(ESZSL, paths, tmp_path / "seed0") == []


def test_figures_by_hand():
    """Classes 0, 1 seen and 2, 3 unseen; an image's inputs are its scores."""
    scores = torch.tensor(
        [
            [5.0, 1, 0, 0],  # of class 0, right
            [1.0, 5, 0, 0],  # of class 0, taken for 1
            [1.0, 5, 0, 0],  # of class 1, right
            [9.0, 0, 5, 1],  # of class 2: right among unseen, taken for 0
            [0.0, 0, 5, 1],  # of class 2, right
            [0.0, 0, 1, 5],  # of class 2, wrong
            [9.0, 0, 5, 1],  # of class 3, wrong
        ]
    )
    labels, rows = torch.tensor([0, 0, 1, 2, 2, 2, 3]), torch.arange(7)
    seen = torch.tensor([True, True, False, False])
    classes = Classes(("a", "b", "c", "d"), torch.eye(4), seen, ("p", "q", "r", "s"))
    problem = Problem(classes, rows[:0], labels[:0], rows, labels)
    run_inputs = RunInputs(None, Held(scores), torch.device("cpu"), "")
    model = SimpleNamespace(eval=lambda: None, scores=lambda inputs: inputs)
    # T1: 2/3 of class 2, 0 of 3; U: 1/3 and 0; S: 1/2 and 1
    expected = {"test_T1": 1 / 3, "test_U": 1 / 6, "test_S": 3 / 4, "test_H": 3 / 11}
    assert tracked(problem, run_inputs)(model, 1) == pytest.approx(expected)
    unseen = Problem(classes, rows[:0], labels[:0], rows[3:], labels[3:])
    found = tracked(unseen, run_inputs)(model, 1)
    assert found == pytest.approx({"test_T1": 1 / 3, "test_U": 1 / 6})
