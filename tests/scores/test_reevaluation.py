"""Figures of merit after a change of what computes them."""

import json
import os

import pytest

from tests.made_up.runs import run
from tests.made_up.writings import writing
from zslpipe.commands.cli import main
from zslpipe.formats.scores import write_scores
from zslpipe.scores import evaluation, reevaluation
from zslpipe.scores.evaluation import write_metrics
from zslpipe.scores.reevaluation import reevaluate


@pytest.fixture
def matrices(tmp_path):
    """Three evaluated score matrices."""
    paths = [tmp_path / f"seed{seed}" / "scores.h5" for seed in range(3)]
    for seed, path in enumerate(paths):
        write_scores(path, run(seed)[0])
        write_metrics(path, path.with_name("metrics.json"))
    return paths


def figures(matrices):
    return [writing(path.with_name("metrics.json")) for path in matrices]


def test_what_is_current_stays_and_is_listed(matrices, tmp_path):
    before = figures(matrices)
    assert main(["reevaluate", "--output", str(tmp_path / "out"), *map(str, matrices)]) == 0
    assert figures(matrices) == before
    assert set(json.loads((tmp_path / "out").read_text())) == {str(p.parent) for p in matrices}


def test_missing_older_and_of_other_code_are_written_again(matrices, tmp_path):
    metrics = [path.with_name("metrics.json") for path in matrices]
    expected = [path.read_bytes() for path in metrics]
    reevaluate(matrices, tmp_path / "first")
    metrics[0].unlink()
    os.utime(metrics[1], (0, 0))
    told = json.loads(expected[2])
    metrics[2].write_text(json.dumps(told | {"H": 0.0, "evaluated_by": "other code"}))
    reevaluate(matrices, tmp_path / "second")
    assert [path.read_bytes() for path in metrics] == expected
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_other_code_writes_all_of_them(matrices, tmp_path, monkeypatch):
    before = figures(matrices)
    for module in (evaluation, reevaluation):
        monkeypatch.setattr(module, "evaluation_code", lambda: "changed")
    reevaluate(matrices, tmp_path / "out")
    assert not set(before) & set(figures(matrices))
    told = [json.loads(path.with_name("metrics.json").read_text()) for path in matrices]
    assert [one["evaluated_by"] for one in told] == ["changed"] * 3


def test_a_damaged_one_is_written_again(matrices, tmp_path, caplog):
    reevaluate(matrices, tmp_path / "evaluated.json")
    path = matrices[0].with_name("metrics.json")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"H": 0', b'"H": 1', 1))
    assert path.read_bytes() != whole
    reevaluate(matrices, tmp_path / "evaluated.json")
    assert path.read_bytes() == whole
    assert f"{path} is damaged: evaluated again" in caplog.text
