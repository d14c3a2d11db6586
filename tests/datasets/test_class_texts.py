"""Texts of classes against what a person would write for each class, from every kind of source."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.miniature import miniature_index
from zslpipe.datasets.reading.descriptions import read_new_classes
from zslpipe.datasets.texts import Settings, texts_of_classes
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.settings import parse_settings

NAMES = ("001.Black_footed_Albatross", "grizzly+bear", "Blue-winged_Warbler", "cr\u00e9cerelle")
ATTRIBUTES = ("has_bill_shape::hooked_(seabird)", "longleg", "has_wing_color::blue")
STRENGTHS = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]], float)


def index_of(strengths: np.ndarray = STRENGTHS) -> Index:
    made = miniature_index(np.random.default_rng(0))
    vectors = {"att": strengths, "sentences": np.ones((4, 7))}
    return replace(made, class_names=NAMES, attribute_names=ATTRIBUTES, semantics=vectors)


def texts(root: Path, index: Index | None = None, **given: object) -> dict[str, tuple[str, ...]]:
    chosen = parse_settings(Settings, {"encoder": "demo", **given}, "texts 'made up'")
    return texts_of_classes(index or index_of(), chosen, root, "texts 'made up'")


def test_templates_hold_class_names_in_words(tmp_path: Path) -> None:
    templates = ["a photo of a {class}.", "{class}, the {class}"]
    found = texts(tmp_path, templates=templates)
    assert list(found) == list(NAMES)
    assert found[NAMES[0]] == (
        "a photo of a Black footed Albatross.",
        "Black footed Albatross, the Black footed Albatross",
    )
    words = [found[name][0] for name in NAMES[1:]]
    assert words == [
        f"a photo of a {one}." for one in ("grizzly bear", "Blue-winged Warbler", "cr\u00e9cerelle")
    ]


def test_binary_attributes_make_a_text(tmp_path: Path) -> None:
    found = texts(tmp_path, from_attributes="a {class} with {attributes}")
    assert found[NAMES[0]] == ("a Black footed Albatross with bill shape hooked, wing color blue",)
    assert found[NAMES[3]] == (
        "a cr\u00e9cerelle with bill shape hooked, long leg, wing color blue",
    )
    unit = STRENGTHS / np.linalg.norm(STRENGTHS, axis=1, keepdims=True)
    assert texts(tmp_path, index_of(unit), from_attributes="a {class} with {attributes}") == found


def test_the_strongest_are_attributes_that_a_class_has(tmp_path: Path) -> None:
    found = texts(tmp_path, from_attributes="{attributes}", strongest=3)
    assert found == texts(tmp_path, from_attributes="{attributes}")


def test_strengths_need_a_threshold_or_a_number(tmp_path: Path) -> None:
    strengths = np.array([[0.9, 0.1, 0.5], [0.2, 0.6, 0.6], [0.5, 0.5001, 0], [0.7, 0.8, 0.9]])
    index, template = index_of(strengths), "{attributes}"
    with pytest.raises(InputError, match=r"'att' are not binary \(0 to 0\.9\); give 'threshold'"):
        texts(tmp_path, index, from_attributes=template)
    above = texts(tmp_path, index, from_attributes=template, threshold=0.5)
    assert above[NAMES[0]] == ("bill shape hooked",)  # 0.5 is not above 0.5
    assert above[NAMES[2]] == ("long leg",)
    assert above[NAMES[1]] == ("long leg, wing color blue",)
    # the strongest first, of equals the first
    strongest = texts(tmp_path, index, from_attributes=template, strongest=2)
    assert strongest[NAMES[3]] == ("wing color blue, long leg",)
    assert strongest[NAMES[1]] == ("long leg, wing color blue",)
    with pytest.raises(InputError, match=r"2 classes have no attribute: grizzly\+bear, B"):
        texts(tmp_path, index, from_attributes=template, threshold=0.85)


def test_values_have_to_be_of_attributes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'sentences' has 7 numbers a class, not one for each"):
        texts(tmp_path, from_attributes="{attributes}", values="sentences")
    with pytest.raises(InputError, match="no class vectors 'sentence'; did you mean 'sentences'"):
        texts(tmp_path, from_attributes="{attributes}", values="sentence")


WRONG = {
    "give one of 'templates', 'descriptions' and 'from_attributes'": {},
    "give one of": {"templates": ["{class}"], "descriptions": "a.csv"},
    "write {class} where": {"templates": ["a photo"]},
    "'a {clas}' is no template": {"templates": ["a {clas}"]},
    "write {attributes} where": {"from_attributes": "a {class}"},
    "of 'from_attributes' alone": {"templates": ["{class}"], "threshold": 0.5},
    "'values' are of 'from_attributes' alone": {"templates": ["{class}"], "values": "sentences"},
    "or 'strongest', not both": {
        "from_attributes": "{attributes}",
        "threshold": 0.5,
        "strongest": 3,
    },
    "needs 'weights'": {"encoder": "open_clip/ViT-B-16", "templates": ["{class}"]},
    "takes no 'weights'": {"weights": "a.pt", "templates": ["{class}"]},
    "is no text encoder: write sentence-transformers:FOLDER": {
        "encoder": "all-MiniLM-L6-v2",
        "templates": ["{class}"],
    },
    "begins with ~": {"encoder": "sentence-transformers:~/models", "templates": ["{class}"]},
}


@pytest.mark.parametrize("told", WRONG)
def test_what_does_not_fit_together_is_one_line(told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        texts(tmp_path, **WRONG[told])
    assert told in str(error.value) and "\n" not in str(error.value)


TABLE = [
    ("class", "text"),
    ("Black footed albatross", "a large, dark seabird"),
    ("Grizzly Bear", "brown"),
    ("grizzly_bear", "has a hump"),
    ("blue winged warbler", "yellow; small"),
    ("CR\u00c9CERELLE", "hovers"),
]


def quoted(rows: list[tuple[str, ...]], separator: str) -> str:
    return "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)


TABLES = {
    "commas": quoted(TABLE, ",").encode(),
    "semicolons and a mark": b"\xef\xbb\xbf" + quoted(TABLE, ";").encode(),
    "tabs, unquoted, Windows": "\r\n".join("\t".join(row) for row in TABLE).encode("cp1252"),
    "UTF-16 of a spreadsheet": quoted(TABLE, "\t").encode("utf-16"),
    "an index of pandas": quoted(
        [(str(number - 1) if number else "", *row) for number, row in enumerate(TABLE)], ","
    ).encode(),
    "a decomposed letter": quoted(TABLE, ",").replace("\u00c9", "E\u0301").encode(),
    "capitals in the header": quoted([("Class", "Text"), *TABLE[1:]], ",").encode(),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_programs_save_them(kind: str, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_bytes(TABLES[kind])
    assert texts(tmp_path, descriptions="texts.csv") == {
        NAMES[0]: ("a large, dark seabird",),
        NAMES[1]: ("brown", "has a hump"),
        NAMES[2]: ("yellow; small",),
        NAMES[3]: ("hovers",),
    }


def test_a_folder_holds_a_file_a_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "texts"
    root.mkdir()
    for name in (*NAMES[:3], "cre\u0301cerelle", "dodo", ".hidden"):
        (root / f"{name}.txt").write_text(f"about {name[:3]}\n\n  more \n", encoding="utf8")
    (root / "notes.md").write_text("no text of a class", encoding="utf8")
    with caplog.at_level(logging.INFO):
        found = texts(tmp_path, descriptions="texts")
    assert found[NAMES[0]] == ("about 001", "more") and found[NAMES[3]] == ("about cre", "more")
    assert "texts of 1 classes that the dataset has not are left out: dodo" in caplog.text
    assert "1 files and folders that are no .txt are left out: notes.md" in caplog.text


def test_a_text_that_is_given_twice_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*TABLE, ("grizzly.bear", "brown"), ("Grizzly-Bear", "brown")]
    (tmp_path / "texts.csv").write_text(quoted(rows, ","), encoding="utf8")
    found = texts(tmp_path, descriptions="texts.csv")
    assert found["grizzly+bear"] == ("brown", "has a hump", "brown")
    told = "1 classes have the same text more than once, each counts: "
    assert f"{told}grizzly+bear" in caplog.text
    assert read_new_classes(tmp_path / "texts.csv")["Grizzly Bear"] == found["grizzly+bear"]
    assert f"{told}Grizzly Bear" in caplog.text


def test_classes_without_a_text_are_named(tmp_path: Path) -> None:
    rows = [*TABLE[:2], ("grizly bear", "brown"), *TABLE[4:]]
    (tmp_path / "texts.csv").write_text(quoted(rows, ","), encoding="utf8")
    with pytest.raises(InputError) as error:
        texts(tmp_path, descriptions="texts.csv")
    assert "no text for 1 classes: 'grizzly+bear'" in str(error.value)
    assert str(error.value).endswith("for 'grizzly+bear': did you mean 'grizly bear'?")


BROKEN = {
    "columns class,text expected, found name,text": "name,text\na,b",
    "line 2: 3 values, a class and a text expected; put a text with ',' in quotes": (
        "class,text\ngrizzly bear,large, brown"
    ),
    "line 3: a class and a text expected, one is empty": (
        "class,text\ngrizzly bear,brown\ncr\u00e9cerelle,"
    ),
    "line 3: 'NaN' of 'cr\u00e9cerelle' is no text; write one": (
        "class,text\ngrizzly bear,brown\ncr\u00e9cerelle,NaN"
    ),
    "the file is empty": "",
    "a quote that is not closed": 'class,text\ngrizzly bear,"large',
}


@pytest.mark.parametrize("told", BROKEN)
def test_broken_tables_end_in_one_line(told: str, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text(BROKEN[told], encoding="utf8")
    with pytest.raises(InputError) as error:
        texts(tmp_path, descriptions="texts.csv")
    assert told in str(error.value) and "\n" not in str(error.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"texts 'made up': .*none\.csv: no such file or folder"):
        texts(tmp_path, descriptions="none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no text file in this folder; name them after classes"):
        texts(tmp_path, descriptions="empty")
    (tmp_path / "empty" / "001.Laysan_Albatross").mkdir()
    with pytest.raises(InputError, match=r"folder \(it holds 001\.Laysan_Albatross\); name them"):
        texts(tmp_path, descriptions="empty")
