"""Whose split a file has is told from its sizes, whatever it says."""

import dataclasses

import numpy as np
import pytest

from zslpipe.formats.published_sizes import OTHER_SIZES, split_of_sizes
from zslpipe.formats.scores import ScoreMatrix
from zslpipe.scores.evaluation import evaluate

NAMES = ("trainval", "test_seen", "test_unseen", "seen", "unseen")
PROPOSED = [
    (7057, 1764, 2967, 150, 50),
    (10320, 2580, 1440, 645, 72),
    (19832, 4958, 5685, 40, 10),
    (23527, 5882, 7913, 40, 10),
    (5932, 1483, 7924, 20, 12),
    (5631, 1403, 1155, 82, 20),
    (204885, 50000, 34337, 36, 10),  # DeepFashion: the test images together
]


def sizes(*numbers):
    return dict(zip(NAMES, numbers, strict=True))


@pytest.mark.parametrize("published", PROPOSED)
def test_published_sizes_are_the_proposed_split(published):
    assert split_of_sizes("proposed split", sizes(*published)) == "proposed split"
    assert split_of_sizes("proposed split", sizes(0, *published[1:])) == "proposed split"
    assert split_of_sizes("own split", sizes(*published)) == "own split"
    assert split_of_sizes("standard split", sizes(*published)) == OTHER_SIZES


@pytest.mark.parametrize("published", PROPOSED)
@pytest.mark.parametrize("place", range(5))
def test_one_size_apart_is_no_published_split(published, place):
    cut = list(published)
    cut[place] -= 1
    assert split_of_sizes("proposed split", sizes(*cut)) == OTHER_SIZES
    assert "proposed split" not in OTHER_SIZES


def test_the_standard_split_has_its_own_sizes():
    assert split_of_sizes("standard split", sizes(8855, 0, 2933, 150, 50)) == "standard split"
    assert split_of_sizes("standard split", sizes(8854, 0, 2933, 150, 50)) == OTHER_SIZES
    assert split_of_sizes("proposed split", sizes(8855, 0, 2933, 150, 50)) == OTHER_SIZES


def test_the_evaluation_looks_at_the_sizes_of_the_scores():
    seen = np.arange(200) < 150
    labels = {
        "trainval": np.empty(0, int),
        "test_seen": np.arange(1764) % 150,
        "test_unseen": 150 + np.arange(2967) % 50,
    }
    made = ScoreMatrix(
        *("birds", "m", "default", 0, "", "", "", "", "proposed split"),
        classes=tuple(map(str, range(200))),
        seen=seen,
        scores={split: np.ones((len(rows), 200), "f4") for split, rows in labels.items()},
        labels=labels,
        images=labels,
    )
    assert evaluate(made)["protocol"] == "proposed split"
    parts = {}
    for name in ("scores", "labels", "images"):
        whole = getattr(made, name)
        parts[name] = whole | {"test_seen": whole["test_seen"][:-1]}
    assert evaluate(dataclasses.replace(made, **parts))["protocol"] == OTHER_SIZES
