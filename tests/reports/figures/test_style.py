"""People's names in figures: drawn as they are written, shortened, and what the font lacks is told
once.
"""

import logging
import warnings

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.made_up.figures import titles
from zslpipe.machine import glyphs
from zslpipe.reports.figures.style import (
    SHARP,
    STYLE,
    class_title,
    plain_name,
    result_label,
    save_figure,
    shortened,
    write_around,
)


def drawn(text: str, stem) -> list[str]:
    """Draw a text at every place where figures write names; return the pdf's lines."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.subplots()
        axes.set_title(text)
        axes.set_xticks([0, 1], [text, "b"])
        axes.text(0.5, 0.5, text)
        axes.plot([0, 1], [0, 1], label=text)
        axes.annotate(text, (0, 0))
        figure.legend()
        write_around(figure, text, text)
        return titles(save_figure(figure, stem)[1])


@pytest.mark.parametrize(
    "name",
    ["rich_$_poor_$_end", "$x^$", r"a\$b", "$\\frac{$", "50% & more_{x}", "a $1 and $2 coin", "{}"],
)
def test_names_are_drawn_as_text(name, tmp_path):
    assert drawn(name, tmp_path / "a").count(name) >= 6


def test_characters_that_the_font_lacks_are_told_once_and_nobody_is_warned(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(glyphs, "_told", set())
    drawn("大きな鳥 bird", tmp_path / "a")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"{tmp_path}/a.webp: 4 characters are no letters of DejaVu Sans and are drawn as boxes: "
        "き な 大 鳥"
    )
    drawn("大きな魚", tmp_path / "b")
    assert record.getMessage() != caplog.records[-1].getMessage()
    assert (
        caplog.records[-1]
        .getMessage()
        .endswith(" 1 characters are no letters of DejaVu Sans and are drawn as boxes: 魚")
    )
    assert len(caplog.records) == 2


def test_other_warnings_stay_what_they_are(tmp_path):
    with pytest.warns(UserWarning, match="something else"), glyphs.glyphs_told(tmp_path):
        warnings.warn("something else", UserWarning, stacklevel=1)


def test_long_names_are_shortened_where_they_stand_beside_others():
    long = "a_very long name " * 20
    assert len(class_title(long)) == 22 and class_title(long).endswith("…")
    assert len(plain_name(long)) == 48 and plain_name(long).startswith("a very long name a very")
    assert shortened("two\nlines\tand  more") == "two lines and more"
    assert shortened("x" * 48) == "x" * 48 and shortened("x" * 49) == "x" * 47 + "…"
    # Results are told apart by it: two long names that begin alike stay two.
    assert result_label("m", f"{long}1", "none") != result_label("m", f"{long}2", "none")


def test_a_name_of_250_characters_leaves_room_for_the_figure(tmp_path):
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3), layout="constrained")
        figure.subplots()
        write_around(figure, "n" * 250, "what it means")
        screen, _ = save_figure(figure, tmp_path / "a")
    with Image.open(screen) as image:
        assert image.width < 2 * 6 * SHARP
