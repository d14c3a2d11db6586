"""Broken inputs, each of which has to give one clear line: what, where, what to do. Never a
traceback.
"""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tests.made_up import lookalike
from zslpipe.datasets.adapters import deepfashion, folder, xlsa17
from zslpipe.datasets.inspection import inspect_splits
from zslpipe.machine.errors import InputError

SPLITS, FEATURES = "CUB/att_splits.mat", "CUB/res101.mat"


def change(name: str, **values: object) -> Callable[[Path], None]:
    """Return what replaces variables of a .mat file: a value, a function of the old one, or None to
    leave it out.
    """

    def apply(root: Path) -> None:
        held = {
            key: value
            for key, value in scipy.io.loadmat(root / name).items()
            if not key.startswith("__")
        }
        for key, value in values.items():
            held[key] = value(held[key]) if callable(value) else value
        scipy.io.savemat(
            root / name, {key: value for key, value in held.items() if value is not None}
        )

    return apply


def content(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what replaces a file's bytes."""

    def apply(root: Path) -> None:
        path = root / name
        old = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)  # image files are links to one file
        path.write_bytes(edit(old))

    return apply


def put(place: object, value: object) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that copies an array (numbers as float64) with ``value`` at ``place``."""

    def apply(array: np.ndarray) -> np.ndarray:
        copy = array.copy() if array.dtype == object else array.astype(float)
        copy[place] = value
        return copy

    return apply


def half_hdf5(root: Path) -> None:
    path = root / FEATURES
    path.unlink()
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((5000, 8))
        file["labels"] = np.ones((1, 5000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_images(root: Path) -> None:
    for path in sorted((root / "CUB/images/001.Some_Bird_0").iterdir())[:7]:
        path.unlink()


def move_to_val(root: Path) -> None:
    train = scipy.io.loadmat(root / SPLITS)["train_loc"]
    change(SPLITS, train_loc=lambda old: old[1:], val_loc=lambda old: np.vstack([old, train[:1]]))(
        root
    )


def nothing(root: Path) -> None:
    """Leave the files as they are: the settings are what is wrong."""


FIRST = "CUB/images/001.Some_Bird_0/Bird_00000.jpg"
NAMES, PARTS = {"attribute_names": "n.txt"}, {"parts": "p.csv"}
COLUMNS = b"image,part,x,y,visible\n"
CLASSES = [f"class{number}" for number in range(12)]
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"

# What is broken, how, settings beside the right ones, what the line has to say.
XLSA17 = {
    "split file cut in half": (content(SPLITS, lambda old: old[: len(old) // 2]), {}, "not a readable .mat file"),
    "feature file cut in half": (content(FEATURES, lambda old: old[: len(old) // 2]), {}, "not a readable|no variable"),
    "text called .mat": (content(SPLITS, lambda _: b"trainval_loc 1 2 3\n" * 50), {}, "not a readable .mat file"),
    "web page called .mat": (content(FEATURES, lambda _: HTML * 20), {}, "not a readable .mat file"),
    "empty .mat": (content(SPLITS, lambda _: b""), {}, "not a readable .mat file"),
    "zeros called .mat": (content(SPLITS, lambda old: bytes(len(old))), {}, "not a readable|no variable"),
    "noise called .mat": (content(SPLITS, lambda _: np.random.default_rng(0).bytes(4000)), {}, "not a readable"),
    "HDF5 cut in half": (half_hdf5, {}, "res101.mat: not a readable .mat file"),
    "picture called .mat": (content(FEATURES, lambda _: b"\xff\xd8\xff\xe0\0" + bytes(500)), {}, "not a readable"),
    "header of the other byte order": (
        content(SPLITS, lambda old: old[:124] + old[124:128][::-1] + old[128:]), {}, "not a readable|no variable"),
    "labels of the other byte order": (
        change(FEATURES, labels=lambda old: old.astype(np.uint16).byteswap()), {}, "labels without a name: up to"),
    "file does not exist": (lambda root: (root / SPLITS).unlink(), {}, "no such file"),
    "no labels": (change(FEATURES, labels=None), {}, "no variable 'labels'; it holds image_files"),
    "labels out of range": (change(FEATURES, labels=put(3, 99)), {}, "1 labels without a name: up to 99"),
    "labels from 0": (change(FEATURES, labels=lambda old: old - 1), {}, "labels holds 8 numbers below 1, smallest 0"),
    "fractional labels": (change(FEATURES, labels=put(0, 1.5)), {}, "labels holds numbers that are not whole"),
    "NaN labels": (change(FEATURES, labels=put(0, np.nan)), {}, "labels holds numbers that are not whole"),
    "labels as a matrix": (change(FEATURES, labels=np.ones((96, 12))), {}, r"labels has shape \(96, 12\)"),
    "labels as text": (change(FEATURES, labels=lookalike.cells(CLASSES)), {}, "a vector of numbers expected"),
    "a label too few": (change(FEATURES, labels=lambda old: old[:-1]), {}, "96 image_files but 95 labels"),
    "paths as numbers": (change(FEATURES, image_files=np.ones((96, 1))), {}, "image_files holds numbers"),
    "an empty path": (change(FEATURES, image_files=put((4, 0), "")), {}, "no text in 1 of 96 rows, first row 5"),
    "splits from 0": (change(SPLITS, test_unseen_loc=lambda old: old - old.min()), {}, "numbers must count from 1"),
    "split beyond the images": (change(SPLITS, test_unseen_loc=put(0, 500)), {}, "splits name image 500"),
    "no test_unseen": (change(SPLITS, test_unseen_loc=None), {}, "no variable 'test_unseen_loc'"),
    "train without val": (change(SPLITS, val_loc=None), {}, "one of train_loc and val_loc is absent"),
    "an empty split": (change(SPLITS, test_seen_loc=np.zeros((0, 1))), {}, "test_seen_loc is empty"),
    "image in training and test_seen": (
        change(SPLITS, test_seen_loc=put(0, 2)), {}, "1 images lie in both trainval and test_seen, first number 2"),
    "image in training and test_unseen": (
        change(SPLITS, test_unseen_loc=put(0, 2)), {}, "1 images lie in both trainval and test_unseen, first number 2"),
    "image twice in a split": (
        change(SPLITS, test_unseen_loc=lambda old: np.vstack([old, old[:1]])), {}, "lists 1 images twice"),
    "unseen class in training": (
        change(SPLITS, trainval_loc=lambda old: np.vstack([old, [[96]]]), val_loc=lambda old: np.vstack([old, [[96]]]),
               test_unseen_loc=lambda old: old[:-1]), {}, "1 images of unseen classes in trainval, first 012"),
    "train and val short of trainval": (
        change(SPLITS, val_loc=lambda old: old[1:]), {}, "train and val together are not trainval, 1 images differ"),
    "class in both train and val": (move_to_val, {}, "1 classes in both train and val, first 004.Some_Bird_3"),
    "NaN attributes": (change(SPLITS, att=put((0, 2), np.nan)), {}, "att of 1 classes is all zero or not finite"),
    "infinite attributes": (change(SPLITS, original_att=put((0, 2), np.inf)), {}, "original_att of 1 classes"),
    "class without attributes": (change(SPLITS, att=put((slice(None), 2), 0)), {}, "att of 1 classes is all zero"),
    "attributes transposed": (change(SPLITS, att=lambda old: old.T), {}, r"6 columns for 12 .*it lies transposed"),
    "a class too few in att": (change(SPLITS, att=lambda old: old[:, 1:]), {}, "att has 11 columns for 12 classes"),
    "attributes as text": (change(SPLITS, att=lookalike.cells(CLASSES)), {}, "numbers, a column a class, expected"),
    "no attributes": (change(SPLITS, att=None), {}, "no variable 'att'"),
    "class names twice": (
        change(SPLITS, allclasses_names=lookalike.cells([*CLASSES[:11], "class0"])), {}, "names given twice: class0"),
    "class names as numbers": (change(SPLITS, allclasses_names=np.ones((12, 1))), {}, "allclasses_names holds numbers"),
    "images missing": (remove_images, {}, "7 of 96 image files under .* are missing: 001"),
    "no image folder": (nothing, {"images": "elsewhere"}, "image folder .*elsewhere does not exist"),
    "JPEG that is HTML": (content(FIRST, lambda _: HTML), {}, "1 of 96 image .* no images that can be read"),
    "empty JPEG": (content(FIRST, lambda _: b""), {}, "1 of 96 image .* no images that can be read"),
    "image that is a folder": (
        lambda root: ((root / FIRST).unlink(), (root / FIRST).mkdir()), {}, "1 of 96 .* are missing"),
    "wrong anchor": (nothing, {"anchor": "photos"}, "no stored image path has a folder photos"),
    "unknown setting": (nothing, {"feature": "x"}, "unknown setting 'feature'; did you mean 'features'"),
    "setting of the wrong type": (nothing, {"seed": "one"}, "seed: 'one' is not of type int; write a whole number"),
    "unknown dataset name": (nothing, {"known_as": "CUP"}, "known_as 'CUP': did you mean 'CUB'"),
    "misspelt unseen class": (
        content("u.txt", lambda _: b"001.Some_Burd_0\n"), {"unseen_classes": "u.txt"},
        "no class is called '001.Some_Burd_0'; did you mean '001.Some_Bird_0'"),
    "all classes unseen": (
        content("u.txt", lambda _: "\n".join(f"Some_Bird_{n}" for n in range(12)).encode()),
        {"unseen_classes": "u.txt"}, "12 of 12 classes are unseen"),
    "validation class that is unseen": (
        lambda root: (change(SPLITS, train_loc=None, val_loc=None)(root), (root / "v.txt").write_text("Some_Bird_11")),
        {"validation_classes": "v.txt"}, "validation class '012.Some_Bird_11' has no image in trainval"),
    "absent list": (nothing, {"unseen_classes": "none.txt"}, "none.txt: not a readable text file"),
    "too few attribute names": (
        content("n.txt", lambda _: b"1 red\n2 blue\n"), NAMES, "2 attribute names, the class .* att 6"),
    "attribute names twice": (
        content("n.txt", lambda _: b"1 red\n2 red\n"), NAMES, "attribute names given twice: red"),
    "attribute names not text": (
        content("n.txt", lambda _: b"\xff\xfe\x80\x81"), NAMES, "n.txt: not a readable text file"),
    "part columns": (content("p.csv", lambda _: b"file,x,y\na,1,2\n"), PARTS, "x,y,visible expected"),
    "part of other images": (
        content("p.csv", lambda _: COLUMNS + b"a.jpg,beak,1,2,1\n"), PARTS, "none of its images"),
    "part that is no number": (
        content("p.csv", lambda _: COLUMNS + b"a.jpg,beak,left,2,1\n"), PARTS, "p.csv, line 2"),
    "parts without images": (
        content("p.csv", lambda _: b"x"), {"parts": "p.csv", "images": None}, "set 'images'.*or drop 'parts'"),
    "too few boxes": (
        content("b.txt", lambda _: b"Bird_00000.jpg bird 1 2 3 4\n"), {"boxes": ["b.txt"]}, "1 boxes for 96 images"),
}  # fmt: skip


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert 20 < len(text) < 600
    return text


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
    "transposed": (
        change(FEATURES, features=lambda old: old.T),
        r"features has shape \(96, 5\).*d x 96 numbers expected",
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


FOLDER = {
    "class without attributes": (
        lambda root: (root / "pictures/thing 99").mkdir(),
        "first 'thing 99'; did you mean",
    ),
    "NaN": (
        content("attributes.csv", lambda old: old.replace(b"1.5", b"nan")),
        "'thing 1', attribute 'size': 'nan'",
    ),
    "no number": (
        content("attributes.csv", lambda old: old.replace(b"1.5", b"tall")),
        "'tall' is no finite number",
    ),
    "short row": (
        content("attributes.csv", lambda old: old.replace(b",1.5", b"")),
        "has 2 values for 3 attributes",
    ),
    "class twice": (
        content("attributes.csv", lambda old: old + b"thing 1,1,2,3\n"),
        "'thing 1' is given twice",
    ),
    "no header": (
        content("attributes.csv", lambda _: b"thing 1\n"),
        "the first line has to be class and then",
    ),
    "misspelt unseen": (
        content("unseen.txt", lambda _: b"thong 1\n"),
        "no class is called 'thong 1'",
    ),
    "empty list": (content("unseen.txt", lambda _: b"\n"), "the file is empty"),
    "page for a picture": (
        content("pictures/thing 0/0.jpg", lambda _: HTML),
        "1 of 40 image files",
    ),
}


@pytest.mark.parametrize("case", FOLDER)
def test_own_data(tmp_path, case):
    breaks, expected = FOLDER[case]
    settings = lookalike.write_folder(tmp_path)
    breaks(tmp_path)
    assert re.search(
        expected,
        message_of(lambda: folder.write(settings, tmp_path / "results/mine/index.h5", tmp_path)),
    )


def lines(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda old: b"\n".join(edit(old.splitlines())) + b"\n"


DEEPFASHION = {
    "list cut off": (content("list_attr_img.txt", lines(lambda rows: rows[:50])), "48 rows, the first line says 110"),
    "value 2": (content("list_attr_img.txt", lambda old: old.replace(b" -1\n", b" 2\n", 1)), "6 values -1, 0 or 1"),
    "another order": (
        content("list_attr_img.txt", lines(lambda rows: rows[:2] + rows[:1:-1])), "line 3: image .*, the category"),
    "unknown partition": (content("list_eval_partition.txt", lambda old: old.replace(b" val", b" dev")), "dev"),
    "category beyond": (content("list_category_img.txt", lambda old: old.replace(b" 1\n", b" 77\n", 1)), "'77'"),
    "one column": (content("list_category_img.txt", lambda _: b"1\nname value\nimg.jpg\n"), "two columns expected"),
    "not text": (content("list_attr_cloth.txt", lambda _: b"\xff\xfe\xfa" * 20), "not a readable text list"),
}  # fmt: skip


@pytest.mark.parametrize("case", DEEPFASHION)
def test_deepfashion(tmp_path, case):
    breaks, expected = DEEPFASHION[case]
    settings = lookalike.write_deepfashion(tmp_path)
    breaks(tmp_path)
    text = message_of(
        lambda: deepfashion.write(settings, tmp_path / "results/mine/index.h5", tmp_path)
    )
    assert re.search(expected, text), text


def test_any_damage_to_a_split_file_is_read_or_refused(tmp_path):
    """Cut off at 60 places and with bytes changed at 200: usable, or one line."""
    lookalike.write_xlsa17(tmp_path, images=False)
    whole, damaged = (tmp_path / SPLITS).read_bytes(), tmp_path / "damaged.mat"
    random = np.random.default_rng(0)
    variants = [whole[: int(cut)] for cut in np.linspace(0, len(whole) - 1, 60)]
    for place in random.integers(0, len(whole), 200):
        variants.append(
            whole[:place]
            + bytes([whole[place] ^ int(random.integers(1, 256))])
            + whole[place + 1 :]
        )
    refused = 0
    for variant in variants:
        damaged.write_bytes(variant)
        try:
            assert inspect_splits(damaged).startswith(str(damaged))
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 60
