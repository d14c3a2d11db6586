"""Names that differ in form between a dataset's files: joined where one fits, told where not."""

import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.made_up import lookalike
from tests.made_up.damage import FEATURES, HTML, SPLITS, change, content, message_of
from zslpipe.datasets.adapters import folder, xlsa17
from zslpipe.datasets.inspection import inspect_dataset
from zslpipe.formats.index import Index, read_index
from zslpipe.pictures import open_picture


def renamed(root: Path, old: str, new: str | bytes) -> None:
    """Rename a class folder; bytes are taken as the disk has them."""
    pictures = os.fsencode(root / "pictures")
    name = new if isinstance(new, bytes) else os.fsencode(new)
    os.rename(os.path.join(pictures, os.fsencode(old)), os.path.join(pictures, name))  # noqa: PTH104, PTH118


def in_table(root: Path, old: str, new: str, encoding: str = "utf-8") -> None:
    path = root / "attributes.csv"
    path.write_bytes(path.read_text().replace(old, new).encode(encoding))


def indexed(root: Path, settings: dict[str, object]) -> Index:
    output = root / "results/mine/index.h5"
    folder.write(settings, output, root)
    return read_index(output)


NFC, NFD = (unicodedata.normalize(form, "Caf\u00e9 r\u00f6d") for form in ("NFC", "NFD"))
# A class's folder, its row in the table, its line in the list of unseen classes, the encoding.
FORMS = {
    "composed in the table": (NFD, NFC, NFC, "utf-8"),
    "decomposed in the table": (NFC, NFD, NFC.upper(), "utf-8"),
    "underscores and dashes": ("thing-one", "Thing one", "thing_one", "utf-8"),
    "a number in the folder": ("007.Thing_one", "Thing one", "thing one", "utf-8"),
    "Latin-1 on the disk and in the table": (b"Caf\xe9", "Caf\u00e9", "CAF\u00c9", "cp1252"),
    "Latin-1 on the disk alone": (b"Caf\xe9", "Caf\u00e9", "Cafe\u0301", "utf-8"),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_class_is_joined_over_its_three_files(tmp_path, case):
    on_disk, row, listed, encoding = FORMS[case]
    settings = lookalike.write_folder(tmp_path)
    before = indexed(tmp_path, settings)
    renamed(tmp_path, "thing 6", on_disk)
    in_table(tmp_path, "thing 6", row, encoding)
    (tmp_path / "unseen.txt").write_text(f"{listed}\nthing 1\n")
    after = indexed(tmp_path, settings)
    assert after.class_names == (*before.class_names[:6], row, *before.class_names[7:])
    np.testing.assert_array_equal(after.seen, before.seen)
    np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_array_equal(after.semantics["att"], before.semantics["att"])
    for path in after.paths:
        assert open_picture(tmp_path / "pictures" / path).size == lookalike.SIZE
    assert row in inspect_dataset(after)


def test_numbers_with_points_are_classes_of_their_own(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    for old, new in (("thing 3", "1.2"), ("thing 4", "12"), ("thing 5", "2")):
        renamed(tmp_path, old, new)
        in_table(tmp_path, old, new)
    (tmp_path / "unseen.txt").write_text("1.2\nthing 6\n")
    index = indexed(tmp_path, settings)
    assert [index.class_names[n] for n in np.flatnonzero(~index.seen)] == ["1.2", "thing 6"]


def test_two_folders_of_one_class_are_refused(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    renamed(tmp_path, "thing 6", "THING-5")
    text = message_of(lambda: indexed(tmp_path, settings))
    assert "'THING-5' and 'thing 5' are both class 'thing 5'; rename or merge them" in text


def test_a_folder_that_may_be_two_classes_is_refused(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    renamed(tmp_path, "thing 5", "Thing-5")
    renamed(tmp_path, "thing 6", "thing_5")
    in_table(tmp_path, "thing 6", "thing_5")
    text = message_of(lambda: indexed(tmp_path, settings))
    assert "'Thing-5' may be 'thing 5' and 'thing_5'; write the one that is meant" in text


def deeper(root: Path) -> None:
    (root / "pictures").rename(root / "train")
    (root / "pictures").mkdir()
    (root / "train").rename(root / "pictures/train")
    (root / "pictures/val").mkdir()


def deepest(root: Path) -> None:
    """As an archive leaves it that was packed with the folders above."""
    (root / "sets").mkdir()
    (root / "pictures").rename(root / "sets/train")
    (root / "pictures").mkdir()
    (root / "sets").rename(root / "pictures/sets")


def flat(root: Path) -> None:
    for file in sorted((root / "pictures").glob("*/*")):
        file.rename(root / "pictures" / f"{file.parent.name}_{file.name}")


def columns(root: Path) -> None:
    rows = [line.split(",") for line in (root / "attributes.csv").read_text().splitlines()]
    turned = [",".join(cells) for cells in zip(*rows, strict=True)]
    (root / "attributes.csv").write_text("\n".join(turned) + "\n")


def without_images(root: Path) -> None:
    with (root / "attributes.csv").open("a") as file:
        file.write("thing 8,1,1,1\n")
    (root / "unseen.txt").write_text("thing 8\nthing 1\n")


WRONG = {
    "an unseen class without images": (
        without_images,
        r"unseen.txt: class 'thing 8' has a row in attributes.csv and no image; add images, or ",
    ),
    "folders a level deeper": (
        deeper,
        "class folders lie deeper, in train, not in .*pictures; set 'images' to one of",
    ),
    "folders two levels deeper": (
        deepest,
        "class folders lie deeper, in sets/train, not in .*pictu",
    ),
    "all images in one folder": (
        flat,
        r"no class folder with images .*; 40 pictures passed over that lie beside or below .*: t",
    ),
    "classes in the columns": (columns, "the table of attributes has classes in its columns; wri"),
    "a page for a picture": (
        content("pictures/thing 0/0.jpg", lambda _: HTML),
        r"1 of 40 image files .*: thing 0/0.jpg \(a web page or XML",
    ),
    "an empty picture": (
        content("pictures/thing 0/0.jpg", lambda _: b""),
        r"thing 0/0.jpg \(the file is empty\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path, case):
    breaks, expected = WRONG[case]
    settings = lookalike.write_folder(tmp_path)
    breaks(tmp_path)
    text = message_of(lambda: indexed(tmp_path, settings))
    assert re.search(expected, text), text


def field_index(root: Path, settings: dict[str, object], name: str) -> Index:
    xlsa17.write(settings, root / f"results/{name}/index.h5", root)
    return read_index(root / f"results/{name}/index.h5")


def test_class_names_of_a_mat_file_may_differ_in_form_from_the_folders(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    usual = field_index(tmp_path, settings, "usual")
    change(SPLITS, allclasses_names=spelt)(tmp_path)
    other = field_index(tmp_path, settings, "other")
    assert other.class_names[0] != usual.class_names[0]
    np.testing.assert_array_equal(other.labels, usual.labels)
    assert not [note for note in other.notes if "joined by number" in note]


def spelt(cells: np.ndarray) -> np.ndarray:
    return lookalike.cells([str(cell[0]).lower().replace("_", "-") for cell in cells.ravel()])


def test_further_class_vectors_are_joined_by_names_of_another_form(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    held = scipy.io.loadmat(tmp_path / SPLITS)
    order = np.random.default_rng(5).permutation(12)
    moved = {
        "att": held["att"][:, order],
        "allclasses_names": spelt(held["allclasses_names"][order]),
    }
    scipy.io.savemat(tmp_path / "more.mat", moved)
    found = field_index(tmp_path, settings | {"extra_semantics": {"more": "more.mat"}}, "mine")
    np.testing.assert_array_equal(found.semantics["more"], found.semantics["att"])


def test_stored_paths_are_found_in_the_form_that_the_disk_has(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    images = tmp_path / "CUB/images"
    old, new = (
        images / "003.Some_Bird_2",
        images / unicodedata.normalize("NFD", "003.Some_B\u00efrd_2"),
    )
    old.rename(new)
    first = sorted(new.iterdir())[0]
    first.rename(new / first.name.upper())
    change(
        FEATURES,
        image_files=lambda cells: lookalike.cells(
            [str(cell[0]).replace("Some_Bird_2/", "Some_B\u00efrd_2/") for cell in cells.ravel()]
        ),
    )(tmp_path)
    change(
        SPLITS,
        allclasses_names=lambda cells: lookalike.cells(
            [re.sub("Some_Bird_2$", "Some_B\u00efrd_2", str(cell[0])) for cell in cells.ravel()]
        ),
    )(tmp_path)
    index = field_index(tmp_path, settings, "mine")
    assert all((images / path).is_file() for path in index.paths)
    noted = [note for note in index.notes if "stored image paths are spelt otherwise" in note]
    assert noted and noted[0].startswith(f"{len(list(new.iterdir()))} stored")
    output = tmp_path / "results/mine/res101.h5"
    xlsa17.write_pooled(settings, tmp_path / "results/mine/index.h5", output, tmp_path)


PARTS = {
    "semicolons and decimal commas": ("image;part;x;y;visible\n{};beak;2,5;5,0;1\n", "utf-8"),
    "tabs, UTF-16": ("image\tpart\tx\ty\tvisible\n{}\tbeak\t2.5\t5.0\t1\n", "utf-16"),
    "quotes": ('"image","part","x","y","visible"\n"{}","beak","2.5","5","1"\n', "cp1252"),
}


@pytest.mark.parametrize("case", PARTS)
def test_part_files_of_many_programs(tmp_path, case):
    settings = lookalike.write_xlsa17(tmp_path)
    rows, encoding = PARTS[case]
    path = "001.some-bird-0/bird_00000.JPG"  # another form of 001.Some_Bird_0/Bird_00000.jpg
    (tmp_path / "parts.csv").write_bytes(rows.format(path).encode(encoding))
    index = field_index(tmp_path, settings | {"parts": "parts.csv"}, "mine")
    width, height = lookalike.SIZE
    row = index.paths.index("001.Some_Bird_0/Bird_00000.jpg")
    np.testing.assert_allclose(index.part_locations[row], [[2.5 / width, 5 / height]], rtol=1e-6)
    assert np.isnan(np.delete(index.part_locations, row, axis=0)).all()
