"""The configuration reference says what the configuration is checked by."""

from pathlib import Path

import pytest

from zslpipe.study import reference
from zslpipe.study.declarations import adapter_names, method_names, read_method, read_settings
from zslpipe.study.field_comments import field_comments, source_of

TEXT = reference.as_text()


def rows_of(title: str) -> dict[str, list[str]]:
    """Return the cells of a section's table by key."""
    section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    # A bar inside a cell is written with a backslash.
    cells = [line.strip("| ").replace("\\|", "/").split(" | ") for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_the_file_is_in_sync() -> None:
    written = reference.FILE.read_text(encoding="utf8")
    assert written == TEXT, "run: python -m zslpipe.study.reference"


def test_rows_as_written_by_hand() -> None:
    extractor = rows_of("`extractors.NAME`")
    assert extractor["batch_size"][:2] == ["a whole number from 1 to 256", "`32`"]
    assert extractor["backbone"][1] == "**needed**"
    assert rows_of("`compute`")["device"][0] == "a text such as auto, cpu, cuda, cuda:0"
    dazle = rows_of("`dazle`")
    assert dazle["momentum"] == [
        "a number from 0 to below 1",
        "`0.9`",
        "code",
        *dazle["momentum"][3:],
    ]
    assert dazle["lr"] == [
        "a number above 0",
        "`0.0001`",
        "paper",
        "learning rate; paper, section 5.1",
    ]
    assert rows_of("`rebalancing.calibrated_stacking`")["factor"][:2] == ["any number", "nothing"]
    source = rows_of("`datasets.NAME.source`, adapter `xlsa17`")
    assert source["features"][:2] == ["a file or folder", "**needed**"]
    assert source["protocol"][:2] == ["one of proposed, standard", "`proposed`"]
    assert "- `SUN`: attribute_attention `false`, epochs `100`, sampler `class balanced`\n" in TEXT


def test_every_section_is_there_and_every_key_has_a_meaning() -> None:
    titles = [*reference.SECTIONS, "`words.NAME`", "METHOD and `METHOD.variants.NAME`"]
    titles += [f"`datasets.NAME.source`, adapter `{name}`" for name in adapter_names()]
    titles += [f"`{name}`" for name in method_names()]
    titles += [
        f"`rebalancing.{kind}`" for kind in ("calibrated_stacking", "cosmo", "discriminator")
    ]
    for title in titles:
        without = [key for key, cells in rows_of(title).items() if not cells[-1]]
        assert rows_of(title) and without == [], title


@pytest.mark.parametrize("name", method_names())
def test_every_default_of_a_method_carries_its_source(name: str) -> None:
    config, rows = read_method(name).config, rows_of(f"`{name}`")
    assert list(rows) == list(config.__dataclass_fields__)
    assert {cells[2] for cells in rows.values()} <= {"paper", "code", "family", "ours"}


def test_every_key_of_an_adapter_is_in_its_table() -> None:
    for name in adapter_names():
        fields = read_settings(f"datasets.adapters.{name}").__dataclass_fields__
        assert list(rows_of(f"`datasets.NAME.source`, adapter `{name}`")) == list(fields)


def test_comments_above_behind_and_inside_of_a_field(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text(
        "class Other:\n    size: int = 1  # not this\n\n\nclass Config:\n"
        "    # above,\n    # on two lines\n    size: int = 2  # behind\n"
        "    plain: int = 3\n"
        "    long: str = (\n        'x'  # inside\n    )\n",
        encoding="utf8",
    )
    found = field_comments(path, "Config")
    assert found == {"size": "above, on two lines behind", "plain": "", "long": "inside"}


@pytest.mark.parametrize(
    ("comment", "source"),
    [
        ("paper, section 2.1", "paper"),
        ("lambda; ours, likewise", "ours"),
        ("of the encoder; ours: a hundredth of lr; paper: lr", "ours"),
        ("code: CUB; elsewhere balanced", "code"),
        ("Family: He et al.", "family"),
        ("hours of coding", ""),
    ],
)
def test_the_source_of_a_default_is_the_first_that_its_comment_names(
    comment: str, source: str
) -> None:
    assert source_of(comment) == source
