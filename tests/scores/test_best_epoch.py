"""The best epoch on the test images, from a history and a metrics.json."""

import json

import pytest

from zslpipe.formats.history import write_history
from zslpipe.formats.metrics import IDENTITY, read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.scores.best_epoch import best_epoch, write_best_epoch

METRICS = dict.fromkeys(IDENTITY, "x") | {"selection": "last epoch", "seed": 3}
METRICS |= {"T1": 0.61, "U": 0.5, "S": 0.6, "H": 0.55, "AUSUC": 0.4, "reads": {"size": 224}}


def row(epoch, t1, u, s, h, stage="train", phase="train"):
    """Return an epoch's row of a history as it is read: text, empty where nothing was measured."""
    figures = {"test_T1": t1, "test_U": u, "test_S": s, "test_H": h}
    shown = {name: "" if value is None else str(value) for name, value in figures.items()}
    return {"phase": phase, "stage": stage, "epoch": str(epoch), "step": "9", "loss": "1", **shown}


def test_all_four_figures_are_of_the_epoch_with_the_highest_h():
    # By the second epoch T1, U and S are higher apart; the third has the highest H: 0.58.
    history = [
        row(1, 0.5, 0.4, 0.5, 0.44),
        row(2, 0.67, 0.60, 0.3, 0.4),
        row(3, 0.65, 0.56, 0.6, 0.58),
    ]
    assert best_epoch(history, METRICS) == (3, {"T1": 0.65, "U": 0.56, "S": 0.6, "H": 0.58})


def test_the_first_of_equal_epochs_wins():
    history = [row(1, 0.5, 0.4, 0.5, 0.4), row(2, 0.6, 0.5, 0.4, 0.5), row(3, 0.7, 0.4, 0.5, 0.5)]
    assert best_epoch(history, METRICS)[0] == 2


def test_without_seen_test_images_t1_decides():
    history = [row(1, 0.60, 0.5, None, None), row(2, 0.67, 0.4, None, None)]
    history.append(row(3, 0.66, 0.6, None, None))
    assert best_epoch(history, METRICS) == (2, {"T1": 0.67, "U": 0.4})


def test_only_the_last_stage_of_the_final_training_counts():
    history = [
        row(1, 0.9, 0.9, 0.9, 0.9, phase="validation"),
        row(2, 0.8, 0.8, 0.8, 0.8, stage="generate"),
        row(1, 0.3, 0.3, 0.3, 0.3, stage="classify"),
        row(2, 0.2, 0.2, 0.2, 0.2, stage="classify"),
    ]
    assert best_epoch(history, METRICS) == (1, {"T1": 0.3, "U": 0.3, "S": 0.3, "H": 0.3})


def test_the_only_state_of_a_closed_form_is_the_best():
    assert best_epoch([], METRICS) == (0, {"T1": 0.61, "U": 0.5, "S": 0.6, "H": 0.55})
    trials = [row(1, 0.9, 0.9, 0.9, 0.9, phase="validation")]
    assert best_epoch(trials, METRICS)[0] == 0


def written(folder, history):
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    rows = [{name: text for name, text in one.items() if text} for one in history]
    write_history([{**one, "seconds": 1.0} for one in rows], folder / "history.csv")
    output = folder / "best_on_test.json"
    write_best_epoch(folder / "metrics.json", folder / "history.csv", output)
    return read_metrics(output)


def test_the_file_says_that_the_test_images_chose(tmp_path):
    found = written(tmp_path, [row(1, 0.5, 0.4, 0.5, 0.44), row(2, 0.6, 0.5, 0.5, 0.5)])
    expected = METRICS | {"selection": "best epoch on test (as the published code)", "epoch": 2}
    expected |= {"T1": 0.6, "U": 0.5, "S": 0.5, "H": 0.5, "run": ""}
    del expected["AUSUC"]
    assert found == expected


def test_a_run_that_was_not_tracked_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"history\.csv: no test_H .* train with 'track: test'"):
        written(tmp_path, [row(1, None, None, None, None)])
