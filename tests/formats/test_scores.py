import dataclasses

import h5py
import numpy as np
import pytest

from zslpipe.formats.scores import (
    SPLITS,
    TEXTS,
    IrrelevantScores,
    ScoreMatrix,
    read_irrelevant,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.machine.errors import InputError

SEEN = np.array([True, False, True, False])


def matrix(**changes):
    generator = np.random.default_rng(0)
    labels = {"trainval": [0, 2, 2], "test_seen": [2, 0], "test_unseen": [1, 3, 3, 1]}
    scores, images = {}, {}
    for split, rows in labels.items():
        scores[split] = generator.normal(size=(len(rows), 4)).astype(np.float32)
        images[split] = np.arange(len(rows)) + 10
    made = ScoreMatrix(
        dataset="demo",
        method="dazle",
        variant="default",
        seed=3,
        extractor="small_7x7",
        semantics="att (unit)",
        words="word2vec",
        selection="last epoch",
        protocol="demo split",
        classes=("heron", "wren", "Käuzchen", "ibis"),
        seen=SEEN,
        scores=scores,
        labels={split: np.array(rows) for split, rows in labels.items()},
        images=images,
        chosen={"epochs": 4},
        reads={"input": "regions", "backbone": "resnet18", "size": 224, "class_vectors": 5},
    )
    return dataclasses.replace(made, **changes)


def with_split(name, split, value):
    return {name: {**getattr(matrix(), name), split: value}}


def test_everything_comes_back(tmp_path):
    path = tmp_path / "new" / "scores.h5"
    write_scores(path, matrix())
    back, original = read_scores(path), matrix()
    for name in (*TEXTS, "seed", "classes", "chosen", "reads", "rebalancing"):
        assert getattr(back, name) == getattr(original, name), name
    assert np.array_equal(back.seen, SEEN) and back.seen.dtype == bool
    for split in SPLITS:
        assert (
            np.array_equal(back.scores[split], original.scores[split])
            and back.scores[split].dtype == np.float32
        )
        assert (
            np.array_equal(back.labels[split], original.labels[split])
            and back.labels[split].dtype == np.int64
        )
        assert (
            np.array_equal(back.images[split], original.images[split])
            and back.images[split].dtype == np.int64
        )
    assert [file.name for file in path.parent.iterdir()] == ["scores.h5"]


def test_same_matrix_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_scores(tmp_path / name, matrix())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


STAMPS = ("seed", "chosen", "reads", "run", "versions", "rebalancing", "unit", "complete")


def test_layout_is_the_documented_one(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix())
    with h5py.File(tmp_path / "scores.h5") as file:
        assert set(file) == {"classes", "seen", *SPLITS}
        assert all(set(file[split]) == {"scores", "labels", "images"} for split in SPLITS)
        assert set(file.attrs) == {*TEXTS, *STAMPS}
        assert file.attrs["chosen"] == '{"epochs": 4}' and file.attrs["complete"]


def test_another_program_need_not_say_what_it_reads(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix())
    with h5py.File(tmp_path / "scores.h5", "r+") as file:
        del file.attrs["reads"]
    assert read_scores(tmp_path / "scores.h5").reads == {}


def test_rebalancing_is_none_where_another_program_leaves_it_out(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix(rebalancing="cosmo"))
    assert read_scores(tmp_path / "scores.h5").rebalancing == "cosmo"
    with h5py.File(tmp_path / "scores.h5", "r+") as file:
        del file.attrs["rebalancing"]
    assert read_scores(tmp_path / "scores.h5").rebalancing == "none"


def test_empty_splits_are_allowed(tmp_path):
    empty = np.empty(0, np.int64)
    changes = with_split("scores", "test_seen", np.empty((0, 4), np.float32))
    changes |= with_split("labels", "test_seen", empty) | with_split("images", "test_seen", empty)
    write_scores(tmp_path / "scores.h5", matrix(**changes))
    assert read_scores(tmp_path / "scores.h5").scores["test_seen"].shape == (0, 4)


BAD = [
    (
        with_split("scores", "test_seen", np.zeros((2, 3), np.float32)),
        r"test_seen/scores has shape \(2, 3\)",
    ),
    (
        with_split("scores", "test_seen", np.zeros((3, 4), np.float32)),
        r"test_seen has 3 rows of scores but \(2,\) labels",
    ),
    (
        with_split("scores", "test_seen", np.full((2, 4), np.nan, np.float32)),
        "2 images with NaN .* first image 10",
    ),
    (
        with_split("scores", "trainval", np.full((3, 4), np.inf, np.float32)),
        "trainval has 3 images with NaN or infinite",
    ),
    (
        with_split("labels", "trainval", np.array([0, 2, 4])),
        "trainval/labels go from 0 to 4, there are 4 classes",
    ),
    (with_split("labels", "trainval", np.array([0, 2, -1])), "trainval/labels go from -1 to 2"),
    (
        with_split("labels", "test_unseen", np.array([1, 3, 0, 1])),
        "1 images of seen classes in test_unseen, first heron",
    ),
    (
        with_split("labels", "test_seen", np.array([1, 0])),
        "1 images of unseen classes in test_seen, first wren",
    ),
    ({"seen": SEEN[:3]}, r"'seen' has shape \(3,\), 4 classes are named"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_a_wrong_matrix_is_not_written(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as error:
        write_scores(tmp_path / "scores.h5", matrix(**changes))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def damage(path, how):
    if how == "cut":
        path.write_bytes(path.read_bytes()[:900])
        return
    with h5py.File(path, "r+") as file:
        if how == "incomplete":
            file.attrs["complete"] = False
        elif how == "unstamped":
            del file.attrs["complete"]
        elif how == "part":
            del file["trainval/labels"]
        elif how == "group":
            del file["seen"]
            file.create_group("seen")
        elif how == "chosen":
            file.attrs["chosen"] = "{epochs"
        elif how == "nan":
            file["test_seen/scores"][0, 0] = np.nan


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "not a readable scores.h5"),
        ("incomplete", "not stamped complete"),
        ("unstamped", "not stamped complete"),
        ("part", "not a readable scores.h5 .*labels"),
        ("group", "seen is a group, expected a dataset"),
        ("chosen", "not a readable scores.h5"),
        ("nan", "1 images with NaN or infinite scores"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, how, message):
    path = tmp_path / "scores.h5"
    write_scores(path, matrix())
    damage(path, how)
    with pytest.raises(InputError, match=message) as error:
        read_scores(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.h5: no such file"):
        read_scores(tmp_path / "absent.h5")


def irrelevant(**changes):
    scores = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    made = IrrelevantScores(
        "demo", "dazle", "default", 3, "VOC2008", ("heron", "wren", "Käuzchen", "ibis"), scores
    )
    return dataclasses.replace(made, **changes)


def test_irrelevant_scores_come_back(tmp_path):
    path = tmp_path / "new" / "irrelevant.h5"
    write_irrelevant(path, irrelevant())
    back, original = read_irrelevant(path), irrelevant()
    for name in ("dataset", "method", "variant", "seed", "source", "classes"):
        assert getattr(back, name) == getattr(original, name), name
    assert np.array_equal(back.scores, original.scores) and back.scores.dtype == np.float32
    assert [file.name for file in path.parent.iterdir()] == ["irrelevant.h5"]
    with h5py.File(path) as file:
        assert set(file) == {"classes", "scores"}
        stamps = {"dataset", "method", "variant", "seed", "source", "unit", "run", "complete"}
        assert set(file.attrs) == stamps


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((5, 3), np.float32), r"scores has shape \(5, 3\), expected \(image, 4\)"),
        (np.zeros(4, np.float32), r"scores has shape \(4,\)"),
        (np.zeros((0, 4), np.float32), "scores of no image"),
        (
            np.array([[0, 0, 0, 0], [0, np.inf, 0, 0]], np.float32),
            "1 images with NaN or infinite scores, first row 2",
        ),
    ],
)
def test_wrong_irrelevant_scores_are_not_written(tmp_path, scores, message):
    with pytest.raises(InputError, match=message) as error:
        write_irrelevant(tmp_path / "irrelevant.h5", irrelevant(scores=scores))
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


def test_damaged_irrelevant_scores_are_refused(tmp_path):
    path = tmp_path / "irrelevant.h5"
    with pytest.raises(
        InputError, match=r"irrelevant\.h5: no such file; scoring the task-irrelevant images"
    ):
        read_irrelevant(path)
    write_scores(path, matrix())
    with pytest.raises(InputError, match=r"is scores\.h5, expected irrelevant\.h5; name"):
        read_irrelevant(path)
    write_irrelevant(path, irrelevant())
    with h5py.File(path, "r+") as file:
        file["scores"][3, 2] = np.nan
    with pytest.raises(InputError, match="first row 4"):
        read_irrelevant(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]
    with pytest.raises(InputError, match="not stamped complete"):
        read_irrelevant(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"not a readable irrelevant\.h5"):
        read_irrelevant(path)
