"""Units of scores: stated, checked, and probabilities turned into log-probabilities."""

import math

import h5py
import numpy as np
import pytest

from tests.made_up.runs import run, write_run
from zslpipe.formats.scores import read_irrelevant, read_scores, write_scores
from zslpipe.formats.units import UNITS, check_unit, logarithms_of, stated_unit
from zslpipe.machine.errors import InputError


def stated(path, unit):
    """State another unit in a file, or none."""
    with h5py.File(path, "r+") as file:
        del file.attrs["unit"]
        if unit is not None:
            file.attrs["unit"] = unit


def test_the_unit_comes_back(tmp_path):
    scores, validation, irrelevant = write_run(tmp_path, *run())
    assert read_scores(scores).unit == read_irrelevant(irrelevant).unit == "logits"
    stated(validation, None)
    assert read_scores(validation).unit == ""


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_probabilities_become_their_logarithms(kind):
    given = np.array([[0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 1e-38, 1e-44]], kind)
    found = logarithms_of(given)
    assert found.dtype == given.dtype and np.isfinite(found).all()
    assert found[0, :3].tolist() == pytest.approx([math.log(0.5)] + 2 * [math.log(0.25)])
    assert found[1, 0] == 0.0 and found[1, 1] < found[1, 3] < found[1, 2]
    assert found[0, 3] == found[1, 1]


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("probabilities", r"trainval/scores go from -[\d.]+ to [\d.]+, which are no probabilities"),
        ("log-probabilities", "which are no log-probabilities; state the attribute 'unit' as it"),
        ("logit", r"unit 'logit'; did you mean 'logits'\?"),
        ("percent", "unit 'percent'; known: log-probabilities, logits, probabilities"),
    ],
)
def test_a_unit_that_cannot_be_is_refused(tmp_path, unit, message):
    scores, _, irrelevant = write_run(tmp_path, *run())
    for path, read in ((scores, read_scores), (irrelevant, read_irrelevant)):
        stated(path, unit)
        with pytest.raises(InputError, match=message.removeprefix("trainval/")) as told:
            read(path)
        assert str(told.value).startswith(str(path)) and "\n" not in str(told.value)


def test_what_rounding_carries_above_its_limit_is_taken():
    check_unit(np.array([[1.0005, 0.0]]), "probabilities", "here")
    check_unit(np.array([[0.0005, -3.0]]), "log-probabilities", "here")
    for unit in UNITS:
        check_unit(np.empty((0, 4)), unit, "here")
    with pytest.raises(InputError, match=r"here go from 0 to 1\.002"):
        check_unit(np.array([[1.002, 0.0]]), "probabilities", "here")


def test_a_unit_that_is_not_stated_is_asked_for():
    assert stated_unit("logits", "here") == "logits"
    with pytest.raises(InputError) as told:
        stated_unit("", "here")
    assert str(told.value) == (
        "here: does not state the unit of its scores; set the file's attribute 'unit' to "
        "'logits', 'log-probabilities' or 'probabilities'"
    )


def test_whole_numbers_and_empty_arrays_of_other_programs_are_read(tmp_path):
    path = tmp_path / "scores.h5"
    write_scores(path, run()[0])
    with h5py.File(path, "r+") as file:
        for split in ("trainval", "test_seen"):
            counts = np.rint(file[f"{split}/scores"][()]).astype(np.int16)
            del file[f"{split}/scores"]
            file[f"{split}/scores"] = counts
        for name, empty in (("scores", np.empty((0, 9))), ("labels", []), ("images", [])):
            del file[f"test_unseen/{name}"]
            file[f"test_unseen/{name}"] = empty
    found = read_scores(path)
    assert found.scores["test_seen"].dtype == np.float32
    assert found.labels["test_unseen"].shape == (0,)


def test_labels_that_are_no_class_numbers_are_refused(tmp_path):
    path = tmp_path / "scores.h5"
    write_scores(path, run()[0])
    with h5py.File(path, "r+") as file:
        halves = file["test_seen/labels"][()] + 0.5
        del file["test_seen/labels"]
        file["test_seen/labels"] = halves
    with pytest.raises(InputError, match="test_seen/labels are float64; write whole class numbers"):
        read_scores(path)


def test_a_class_named_twice_is_refused(tmp_path):
    path = tmp_path / "scores.h5"
    write_scores(path, run()[0])
    with h5py.File(path, "r+") as file:
        file["classes"][3] = "class 1"
    with pytest.raises(InputError, match="class 'class 1' is named twice"):
        read_scores(path)
