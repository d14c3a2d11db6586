"""How names of different files are joined: pairs by hand that fit, and pairs that do not."""

import unicodedata

import pytest

from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, in_words, joined, readable, same_form, text_name

FITTING = [
    ("Caf\u00e9", "Cafe\u0301"),  # composed, decomposed
    ("Caf\u00e9", "caf\u00c9"),
    ("black footed albatross", "Black_footed-Albatross"),
    ("grizzly+bear", "Grizzly  bear"),
    ("trail\u2013runner", "trail-runner"),  # an en dash, as Word writes it
    ("thing\u00a01", "thing 1"),  # a space that does not break
    ("\ufeffthing 1", "thing 1"),  # a byte-order mark copied along
    ("001.Black_footed_Albatross", "Black footed albatross"),
    ("Laysan Albatross", "002.Laysan_Albatross"),
    ("Stra\u00dfe", "STRASSE"),
    ("Caf\udce9", "Caf\u00e9"),  # a folder whose name is Latin-1 on the disk
]


@pytest.mark.parametrize(("name", "known"), FITTING)
def test_names_that_fit(name, known):
    assert KnownNames(["another", known]).fitting(name) == [1]


APART = [
    ("1.2", "12"),
    ("1.2", "2"),
    ("2", "1.2"),
    ("thing 1", "thing 11"),
    ("thing 1", "thing1"),
    ("1.5mm drill", "5mm drill"),
    ("002.Albatross", "001.Albatross"),
    ("v1.0", "v10"),
    ("resume", "r\u00e9sum\u00e9"),
]


@pytest.mark.parametrize(("name", "known"), APART)
def test_names_that_do_not_fit(name, known):
    assert KnownNames([known]).fitting(name) == []


def test_the_equal_name_comes_before_those_of_the_same_form():
    known = KnownNames(["Thing_1", "thing 1"])
    assert [known.fitting("thing 1"), known.fitting("THING 1")] == [[1], [0, 1]]
    assert (known.one("Thing_1"), known.one("THING 1"), known.one("thing 2")) == (0, None, None)


def test_a_name_that_may_be_two_is_refused_with_both():
    with pytest.raises(InputError, match="'THING 1' may be 'Thing_1' and 'thing 1'; write"):
        KnownNames(["Thing_1", "thing 1"]).position("THING 1", "list.txt")


def test_a_name_without_its_number_that_may_be_two_is_refused():
    with pytest.raises(InputError, match=r"'gull' may be '1.Gull' and '2.Gull'"):
        KnownNames(["1.Gull", "2.Gull"]).position("gull", "list.txt")


def test_two_names_of_one_are_refused():
    names = ["Caf\u00e9", unicodedata.normalize("NFD", "Caf\u00e9")]
    with pytest.raises(InputError, match="are both class 'CAF\u00c9'; rename or merge them"):
        joined(names, ["CAF\u00c9"], "folders", "class")


def test_joined_names_keep_the_order_of_those_that_ask():
    assert joined(["b c", "A"], ["a", "B_C", "d"], "folders", "class") == [1, 0]


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"list.txt: no class is called 'thong 1'; did you mean"):
        KnownNames(["thing 1", "cup"]).position("thong 1", "list.txt")


@pytest.mark.parametrize(
    ("name", "known", "letter"),
    [
        ("zebr\u0430", "zebra", "CYRILLIC SMALL LETTER A"),
        ("o'brien", "o\u2019brien", "RIGHT SINGLE QUOTATION MARK"),
        ("l\u0131on", "LION", "LATIN SMALL LETTER DOTLESS I"),
    ],
)
def test_letters_that_look_like_others_are_named(name, known, letter):
    with pytest.raises(
        InputError, match=rf"did you mean '{known}'\? \(they differ in .*, {letter}"
    ):
        KnownNames([known, "cup"]).position(name, "list.txt")


def test_foreign_bytes_are_read_as_windows_text():
    name = b"Caf\xe9 \x93x\x94".decode("utf-8", "surrogateescape")
    assert readable(name) == "Caf\u00e9 \u201cx\u201d"
    assert same_form(name) == same_form("CAF\u00c9 \u201cX\u201d")


WORDS = {
    "001.Black_footed_Albatross": "Black footed Albatross",
    "grizzly+bear": "grizzly bear",
    "Blue-winged_Warbler": "Blue-winged Warbler",
    "  a__b ": "a b",
    "cre\u0301cerelle": "cr\u00e9cerelle",
    "1.2": "1.2",
    "class 3.b": "class 3.b",
}


@pytest.mark.parametrize("name", WORDS)
def test_a_class_s_name_in_words(name: str) -> None:
    assert in_words(name) == WORDS[name]


def test_texts_have_a_name_of_their_own() -> None:
    assert (text_name("text/prompts"), text_name("att"), text_name("texts")) == (
        "prompts",
        None,
        None,
    )
