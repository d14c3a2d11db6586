"""Broken inputs, each of which has to give one clear line: what, where, what to do. Never a
traceback.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.made_up import lookalike
from tests.made_up.damage import (
    FEATURES,
    HTML,
    SPLITS,
    change,
    content,
    message_of,
    nothing,
    put,
)
from zslpipe.datasets.adapters import xlsa17
from zslpipe.machine.errors import InputError


def remove_images(root: Path) -> None:
    for path in sorted((root / "CUB/images/001.Some_Bird_0").iterdir())[:7]:
        path.unlink()


FIRST = "CUB/images/001.Some_Bird_0/Bird_00000.jpg"
NAMES, PARTS = {"attribute_names": "n.txt"}, {"parts": "p.csv"}
COLUMNS = b"image,part,x,y,visible\n"
CLASSES = [f"class{number}" for number in range(12)]

# What is broken, how, settings beside the right ones, what the line has to say.
XLSA17 = {
    "labels of the other byte order": (
        change(FEATURES, labels=lambda old: old.astype(np.uint16).byteswap()),
        {},
        "labels without a name: up to",
    ),
    "no labels": (
        change(FEATURES, labels=None),
        {},
        "no variable 'labels'; it holds features, image_files, expected labels",
    ),
    "labels out of range": (
        change(FEATURES, labels=put(3, 99)),
        {},
        "1 labels without a name: up to 99",
    ),
    "labels from 0": (
        change(FEATURES, labels=lambda old: old - 1),
        {},
        "labels holds 8 numbers below 1, smallest 0",
    ),
    "fractional labels": (
        change(FEATURES, labels=put(0, 1.5)),
        {},
        "labels holds numbers that are not whole",
    ),
    "NaN labels": (
        change(FEATURES, labels=put(0, np.nan)),
        {},
        "labels holds numbers that are not whole",
    ),
    "labels as a matrix": (
        change(FEATURES, labels=np.ones((96, 12))),
        {},
        r"labels has shape \(96, 12\)",
    ),
    "labels as text": (
        change(FEATURES, labels=lookalike.cells(CLASSES)),
        {},
        "a vector of numbers expected",
    ),
    "a label too few": (
        change(FEATURES, labels=lambda old: old[:-1]),
        {},
        "96 image_files but 95 labels",
    ),
    "paths as numbers": (
        change(FEATURES, image_files=np.ones((96, 1))),
        {},
        "image_files holds numbers",
    ),
    "an empty path": (
        change(FEATURES, image_files=put((4, 0), "")),
        {},
        "no text in 1 of 96 rows, first row 5",
    ),
    "images missing": (remove_images, {}, "7 of 96 image files under .* are missing: 001"),
    "no image folder": (
        nothing,
        {"images": "elsewhere"},
        "image folder .*elsewhere does not exist",
    ),
    "JPEG that is HTML": (
        content(FIRST, lambda _: HTML),
        {},
        "1 of 96 image .* no images that can be read",
    ),
    "empty JPEG": (
        content(FIRST, lambda _: b""),
        {},
        "1 of 96 image .* no images that can be read",
    ),
    "image that is a folder": (
        lambda root: ((root / FIRST).unlink(), (root / FIRST).mkdir()),
        {},
        "1 of 96 .* are missing",
    ),
    "wrong anchor": (nothing, {"anchor": "photos"}, "no stored image path has a folder photos"),
    "a file for the image folder": (
        nothing,
        {"images": FEATURES},
        "is a file; give the folder, or u",
    ),
    "unknown setting": (
        nothing,
        {"feature": "x"},
        "unknown setting 'feature'; did you mean 'features'",
    ),
    "setting of the wrong type": (
        nothing,
        {"seed": "one"},
        "seed: 'one' is not of type int; write a whole number",
    ),
    "unknown dataset name": (nothing, {"known_as": "CUP"}, "known_as: 'CUP' is none of CUB, "),
    "misspelt unseen class": (
        content("u.txt", lambda _: b"001.Some_Burd_0\n"),
        {"unseen_classes": "u.txt"},
        "no class is called '001.Some_Burd_0'; did you mean '001.Some_Bird_0'",
    ),
    "all classes unseen": (
        content("u.txt", lambda _: "\n".join(f"Some_Bird_{n}" for n in range(12)).encode()),
        {"unseen_classes": "u.txt"},
        "12 of 12 classes are unseen",
    ),
    "validation class that is unseen": (
        lambda root: (
            change(SPLITS, train_loc=None, val_loc=None)(root),
            (root / "v.txt").write_text("Some_Bird_11"),
        ),
        {"validation_classes": "v.txt"},
        "validation class '012.Some_Bird_11' has no image in trainval",
    ),
    "absent list": (nothing, {"unseen_classes": "none.txt"}, "none.txt: not a readable text file"),
    "too few attribute names": (
        content("n.txt", lambda _: b"1 red\n2 blue\n"),
        NAMES,
        "2 attribute names, the class .* att 6",
    ),
    "attribute names twice": (
        content("n.txt", lambda _: b"1 red\n2 red\n"),
        NAMES,
        "attribute names given twice: red",
    ),
    "attribute names not text": (
        content("n.txt", lambda _: b"\xff\xfe\x80"),
        NAMES,
        "n.txt: not a readable text file",
    ),
    "part columns": (
        content("p.csv", lambda _: b"file,x,y\na,1,2\n"),
        PARTS,
        "x,y,visible expected",
    ),
    "part of other images": (
        content("p.csv", lambda _: COLUMNS + b"a.jpg,beak,1,2,1\n"),
        PARTS,
        "none of its images",
    ),
    "part that is no number": (
        content("p.csv", lambda _: COLUMNS + b"a.jpg,beak,left,2,1\n"),
        PARTS,
        "p.csv, line 2",
    ),
    "parts without images": (
        content("p.csv", lambda _: b"x"),
        {"parts": "p.csv", "images": None},
        "set 'images'.*or drop 'parts'",
    ),
    "too few boxes": (
        content("b.txt", lambda _: b"Bird_00000.jpg bird 1 2 3 4\n"),
        {"boxes": ["b.txt"]},
        "1 boxes for 96 images",
    ),
}


@pytest.mark.parametrize("case", XLSA17)
def test_field_files(tmp_path, case):
    breaks, changed, expected = XLSA17[case]
    settings = lookalike.write_xlsa17(tmp_path)
    breaks(tmp_path)
    output = tmp_path / "results/mine/index.h5"
    text = message_of(lambda: xlsa17.write(settings | changed, output, tmp_path))
    assert re.search(expected, text), text
    assert not output.exists()


BOXES = {
    "another order": (lambda lines: lines[::-1], "box of .*, but image 1 is"),
    "no numbers": (
        lambda lines: ["2008_000000.jpg thing a b c d", *lines[1:]],
        "line 1: four numbers expected",
    ),
    "empty box": (
        lambda lines: [lines[0].replace("1 2 7 6", "7 6 1 2"), *lines[1:]],
        "1 boxes hold no pixel",
    ),
}


@pytest.mark.parametrize("case", BOXES)
def test_boxes(tmp_path, case):
    edit, expected = BOXES[case]
    settings = lookalike.write_xlsa17(tmp_path, "aPY")
    stored = [
        cell[0] for cell in scipy.io.loadmat(tmp_path / "aPY/res101.mat")["image_files"].ravel()
    ]
    lookalike.write_boxes(tmp_path, stored, 1)
    path = tmp_path / "apascal_train.txt"
    path.write_text("\n".join(edit(path.read_text().splitlines())))
    settings = settings | {"boxes": [path.name]}
    with pytest.raises(InputError, match=expected):
        xlsa17.write(settings, tmp_path / "results/mine/index.h5", tmp_path)


POOLED = {
    "of fewer images": (
        change(FEATURES, features=lambda old: old[:, 1:]),
        r"features has shape \(5, 95\).*d x 96 numbers expected",
    ),
    "NaN": (
        change(FEATURES, features=put((2, 7), np.nan)),
        "features of 1 images are not finite, first image 8",
    ),
    "absent": (change(FEATURES, features=None), "no variable 'features'"),
    "other images": (
        change(FEATURES, image_files=lambda old: old[::-1]),
        "its images are not those of",
    ),
}


@pytest.mark.parametrize("case", POOLED)
def test_pooled_features(tmp_path, case):
    breaks, expected = POOLED[case]
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    index, output = tmp_path / "results/mine/index.h5", tmp_path / "results/mine/features/res101.h5"
    xlsa17.write(settings, index, tmp_path)
    breaks(tmp_path)
    with pytest.raises(InputError, match=expected):
        xlsa17.write_pooled(settings, index, output, tmp_path)
    assert not output.exists()
