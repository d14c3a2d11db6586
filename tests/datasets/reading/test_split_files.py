"""Split files whose content is wrong: one clear line."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.made_up import lookalike
from tests.made_up.damage import SPLITS, change, message_of, put
from zslpipe.datasets.adapters import xlsa17

CLASSES = [f"class{number}" for number in range(12)]


def move_to_val(root: Path) -> None:
    train = scipy.io.loadmat(root / SPLITS)["train_loc"]
    change(SPLITS, train_loc=lambda old: old[1:], val_loc=lambda old: np.vstack([old, train[:1]]))(
        root
    )


# What is broken: how, and what the line has to say.
WRONG = {
    "file does not exist": (lambda root: (root / SPLITS).unlink(), "no such file"),
    "splits from 0": (
        change(SPLITS, test_unseen_loc=lambda old: old - old.min()),
        "numbers must count from 1",
    ),
    "split beyond the images": (
        change(SPLITS, test_unseen_loc=put(0, 500)),
        "splits name image 500",
    ),
    "no test_unseen": (change(SPLITS, test_unseen_loc=None), "no variable 'test_unseen_loc'"),
    "train without val": (
        change(SPLITS, val_loc=None),
        "one of train_loc and val_loc is absent",
    ),
    "an empty split": (
        change(SPLITS, test_seen_loc=np.zeros((0, 1))),
        "test_seen_loc is empty",
    ),
    "image in training and test_seen": (
        change(SPLITS, test_seen_loc=put(0, 2)),
        "1 images lie in both trainval and test_seen, first number 2",
    ),
    "image in training and test_unseen": (
        change(SPLITS, test_unseen_loc=put(0, 2)),
        "1 images lie in both trainval and test_unseen, first number 2",
    ),
    "image twice in a split": (
        change(SPLITS, test_unseen_loc=lambda old: np.vstack([old, old[:1]])),
        "lists 1 images twice",
    ),
    "unseen class in training": (
        change(
            SPLITS,
            trainval_loc=lambda old: np.vstack([old, [[96]]]),
            val_loc=lambda old: np.vstack([old, [[96]]]),
            test_unseen_loc=lambda old: old[:-1],
        ),
        "1 images of unseen classes in trainval, first 012",
    ),
    "train and val short of trainval": (
        change(SPLITS, val_loc=lambda old: old[1:]),
        "train and val together are not trainval, 1 images differ",
    ),
    "class in both train and val": (
        move_to_val,
        "1 classes in both train and val, first 004.Some_Bird_3",
    ),
    "NaN attributes": (
        change(SPLITS, att=put((0, 2), np.nan)),
        "att of 1 classes is all zero or not finite",
    ),
    "infinite attributes": (
        change(SPLITS, original_att=put((0, 2), np.inf)),
        "original_att of 1 classes",
    ),
    "class without attributes": (
        change(SPLITS, att=put((slice(None), 2), 0)),
        "att of 1 classes is all zero",
    ),
    "a class too few in att": (
        change(SPLITS, att=lambda old: old[:, 1:]),
        "att has shape 6 x 11 for 12 classes; attribute x class expected",
    ),
    "attributes as text": (
        change(SPLITS, att=lookalike.cells(CLASSES)),
        "numbers, a column a class, expected",
    ),
    "no attributes": (change(SPLITS, att=None), "no variable 'att'"),
    "class names twice": (
        change(SPLITS, allclasses_names=lookalike.cells([*CLASSES[:11], "class0"])),
        "names given twice: class0",
    ),
    "class names as numbers": (
        change(SPLITS, allclasses_names=np.ones((12, 1))),
        "allclasses_names holds numbers",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_split_files_are_refused_in_one_line(tmp_path, case):
    breaks, expected = WRONG[case]
    settings = lookalike.write_xlsa17(tmp_path)
    breaks(tmp_path)
    output = tmp_path / "results/mine/index.h5"
    text = message_of(lambda: xlsa17.write(settings, output, tmp_path))
    assert re.search(expected, text), text
    assert not output.exists()
