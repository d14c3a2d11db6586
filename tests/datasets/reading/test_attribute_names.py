"""Lists of attributes' names: numbers of lines are told from numbers that belong to a name."""

from pathlib import Path

import pytest

from tests.made_up.damage import message_of
from zslpipe.datasets.reading.attributes import read_attribute_names

READ = {
    "1 red\n2 4 legs\n3 a::b_(c)\n": ("red", "4 legs", "a::b_(c)"),  # CUB's
    "1\tred\n2\tblue\n": ("red", "blue"),  # AWA's
    "0 red\n1 blue\n": ("red", "blue"),
    "1. red\n2. blue\n": ("red", "blue"),
    "1,red\n2,blue\n": ("red", "blue"),
    "3 red\n11 blue\n": ("red", "blue"),  # some lines of a longer list
    "2 legs\n4 legs\n": ("2 legs", "4 legs"),
    "4 legs\nred\n": ("4 legs", "red"),
    "4 legs\n2 wings\n": ("4 legs", "2 wings"),
    "1\n2\n": ("1", "2"),
    "2.5 cm\n3.5 cm\n": ("2.5 cm", "3.5 cm"),
}


@pytest.mark.parametrize("text", READ)
def test_numbers_of_lines_are_dropped_and_those_of_names_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.txt").write_text(text)
    assert read_attribute_names(tmp_path / "names.txt") == READ[text]


@pytest.mark.parametrize("text", ["1 red\n2 red\n", "red\nblue\nRed\n"])
def test_a_name_given_twice_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.txt").write_text(text)
    text = message_of(lambda: read_attribute_names(tmp_path / "names.txt"))
    assert "names.txt: attribute names given twice" in text
