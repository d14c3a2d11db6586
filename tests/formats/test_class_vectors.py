"""Classes whose vectors are the same: told by name at the index, refused where nothing differs."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from tests.made_up.miniature import CLASSES, SEEN, miniature_index
from zslpipe.datasets.inspection import inspect_dataset
from zslpipe.formats.class_vectors import all_alike, groups_alike, notes_on_likeness, told_groups
from zslpipe.formats.index import Index, read_index, write_index
from zslpipe.machine.errors import InputError
from zslpipe.runs.problems import classes_of


def with_vectors(vectors: np.ndarray) -> Index:
    return replace(miniature_index(np.random.default_rng(0)), semantics={"att": vectors})


def distinct() -> np.ndarray:
    return np.random.default_rng(3).uniform(0.1, 1, (CLASSES, 4))


def test_groups_are_those_of_plain_loops():
    vectors = np.array([[1, 2], [2, 4], [1, 2], [0, 1], [2, 4], [2, 4 + 1e-3], [1, 2 + 1e-9]])
    expected = []
    for first in range(7):
        same = [n for n in range(7) if np.abs(vectors[first] - vectors[n]).max() < 1e-6]
        if len(same) > 1 and same not in expected:
            expected.append(same)
    assert expected == [[0, 2, 6], [1, 4]]
    assert [group.tolist() for group in groups_alike(vectors)] == expected


def test_likeness_does_not_depend_on_the_unit_of_the_numbers():
    for unit in (1e-9, 1.0, 1e9):
        assert [group.tolist() for group in groups_alike(unit * np.array([[1], [2], [1.0]]))] == [
            [0, 2]
        ]


def test_a_zero_with_a_sign_is_zero():
    assert len(groups_alike(np.array([[0.0, 1.0], [-0.0, 1.0]]))) == 1


def test_all_alike_takes_several_classes():
    assert all_alike(np.ones((3, 2)))
    assert not all_alike(np.ones((1, 2)))
    assert not all_alike(np.array([[1.0], [1.0], [2.0]]))
    assert not all_alike(np.array([[1.0], [1.0], [2.0], [2.0]]))


def test_groups_with_seen_and_unseen_classes_come_first():
    seen = np.array([True, True, True, False])
    told = told_groups([np.array([0, 1]), np.array([2, 3])], ("a", "b", "c", "d"), seen)
    assert told == "c (seen) = d (unseen); a = b"


def test_many_groups_are_counted():
    groups = [np.array([2 * row, 2 * row + 1]) for row in range(7)]
    names = [str(number) for number in range(14)]
    told = told_groups(groups, names, np.ones(14, bool))
    assert told == "0 = 1; 2 = 3; 4 = 5; 6 = 7; 8 = 9; and 2 more groups"


def test_equal_rows_are_noted_as_they_stand_and_longer_ones_at_unit_length():
    vectors = np.array([[1.0, 0], [0, 1], [0, 2], [1, 0]])
    notes = notes_on_likeness({"att": vectors}, ("a", "b", "c", "d"), np.array([1, 1, 0, 0], bool))
    assert notes == (
        "2 classes have equal vectors 'att': a (seen) = d (unseen)",
        "4 classes are equal under normalisation 'unit' by 'att': "
        "a (seen) = d (unseen); b (seen) = c (unseen)",
    )


def test_the_index_says_which_classes_are_the_same(tmp_path, caplog):
    vectors = distinct()
    vectors[2] = vectors[3]  # an unseen class and a seen one
    with caplog.at_level(logging.WARNING):
        write_index(with_vectors(vectors), tmp_path / "index.h5")
    said = "2 classes have equal vectors 'att': class 2 (unseen) = class 3 (seen)"
    assert [record.getMessage() for record in caplog.records] == [f"dataset 'miniature': {said}"]
    index = read_index(tmp_path / "index.h5")
    assert index.notes == (said,)
    assert said in inspect_dataset(index)


def test_nothing_is_said_of_classes_that_differ(tmp_path, caplog):
    write_index(with_vectors(distinct()), tmp_path / "index.h5")
    assert not caplog.records
    assert read_index(tmp_path / "index.h5").notes == ()


def test_an_index_of_equal_classes_is_refused(tmp_path):
    with pytest.raises(InputError, match="all 8 classes have the same class vector; give attrib"):
        write_index(with_vectors(np.full((CLASSES, 3), 0.5)), tmp_path / "index.h5")
    assert not (tmp_path / "index.h5").exists()


def test_one_attribute_at_unit_length_is_refused_with_what_helps():
    index = with_vectors(np.arange(1.0, CLASSES + 1)[:, None])
    with pytest.raises(InputError) as caught:
        classes_of(index, "att", "unit", None)
    assert str(caught.value) == (
        "dataset 'miniature': all 8 classes have the same class vector 'att' under normalisation "
        "'unit'; set normalisation: none or minmax"
    )
    assert classes_of(index, "att", "none", None).attributes.ravel().tolist() == list(range(1, 9))


def test_seen_classes_that_are_all_the_same_are_refused():
    vectors = distinct()
    vectors[SEEN] = 0.25
    with pytest.raises(InputError, match=r"all 6 seen classes .*; give attributes by which"):
        classes_of(with_vectors(vectors), "att", "none", None)
    index = with_vectors(distinct())
    index = replace(index, semantics={**index.semantics, "text/prompts": vectors})
    with pytest.raises(InputError, match=r"all 6 seen classes .*; give texts by which"):
        classes_of(index, "text/prompts", "none", None)


def test_a_run_warns_of_classes_that_its_normalisation_makes_the_same(caplog):
    vectors = distinct()
    vectors[6] = 2 * vectors[7]
    index = with_vectors(vectors)
    classes_of(index, "att", "none", None)
    assert not caplog.records
    classes_of(index, "att", "unit", None)
    assert [record.getMessage() for record in caplog.records] == [
        "att (unit) does not tell classes apart: class 6 (unseen) = class 7 (seen)"
    ]
