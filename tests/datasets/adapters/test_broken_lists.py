"""One's own data and DeepFashion's lists, broken: one clear line each."""

import re
from collections.abc import Callable

import pytest

from tests.made_up import lookalike
from tests.made_up.damage import HTML, content, message_of
from tests.made_up.deepfashion import CATEGORY_SIZES, write_deepfashion
from zslpipe.datasets.adapters import deepfashion, folder

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
    "list cut off": (
        content("list_attr_img.txt", lines(lambda rows: rows[:50])),
        "48 rows, the first line says 110",
    ),
    "value 2": (
        content("list_attr_img.txt", lambda old: old.replace(b" -1\n", b" 2\n", 1)),
        "6 values -1, 0 or 1",
    ),
    "another order": (
        content("list_attr_img.txt", lines(lambda rows: rows[:2] + rows[:1:-1])),
        "line 3: image .*, the category",
    ),
    "unknown partition": (
        content("list_eval_partition.txt", lambda old: old.replace(b" val", b" dev")),
        "dev",
    ),
    "category beyond": (
        content("list_category_img.txt", lambda old: old.replace(b" 1\n", b" 77\n", 1)),
        "'77'",
    ),
    "one column": (
        content("list_category_img.txt", lambda _: b"1\nname value\nimg.jpg\n"),
        "two columns expected",
    ),
    "not text": (
        content("list_attr_cloth.txt", lambda _: b"\xff\xfe\xfa" * 20),
        "not a readable text list",
    ),
}


@pytest.mark.parametrize("case", DEEPFASHION)
def test_deepfashion(tmp_path, case):
    breaks, expected = DEEPFASHION[case]
    settings = write_deepfashion(tmp_path)
    breaks(tmp_path)
    text = message_of(
        lambda: deepfashion.write(settings, tmp_path / "results/mine/index.h5", tmp_path)
    )
    assert re.search(expected, text), text


NUMBERING = {
    "another order": (
        lines(lambda rows: rows[:2] + rows[:1:-1]),
        "category 12 has to be the published unseen 'Jersey', found 'Coat'; with categories of",
    ),
    "counted from 0": (
        lines(lambda rows: [b"51", rows[1], b"None 1", *rows[2:]]),
        "category 12 has to be the published unseen 'Jersey', found 'Jacket'",
    ),
    "another spelling": (
        lambda old: old.replace(b"Romper", b"Rompers"),
        "category 48 has to be the published unseen 'Romper', found 'Rompers'",
    ),
    "no image of them": (
        lambda old: old,
        "none of the published unseen categories has an image",
    ),
    "too few": (
        lines(lambda rows: [b"44", *rows[1:46]]),
        "category 48 has to be the published unseen 'Romper', found 'no such row'",
    ),
}


@pytest.mark.parametrize("case", NUMBERING)
def test_deepfashion_categories_under_other_numbers(tmp_path, case):
    edit, expected = NUMBERING[case]
    settings = write_deepfashion(tmp_path, dict.fromkeys(CATEGORY_SIZES, 0) | {"Anorak": 5})
    del settings["unseen_classes"]
    content("list_category_cloth.txt", edit)(tmp_path)
    text = message_of(
        lambda: deepfashion.write(settings, tmp_path / "results/mine/index.h5", tmp_path)
    )
    assert expected in text, text
