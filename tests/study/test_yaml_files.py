"""What YAML makes of a configuration without a word is said in one line."""

from pathlib import Path

import pytest

from tests.made_up.places import ROOT
from zslpipe.machine.errors import InputError
from zslpipe.study.yaml_files import check_keys, check_yaml

MISTAKES = {
    "dazle: {lr: 0.1}\nseeds: [0]\ndazle: {}\n": (
        ", line 3: key 'dazle' is given a second time (first in line 1); the first would be lost"
    ),
    "a:\n  b:\n    c: 1\n    c: 2\n": ", line 4: key 'c' is given a second time (first in line 3)",
    "a:\n- x: 1\n  x: 2\n": ", line 3: key 'x' is given a second time",
    "datasets:\n  2020: {}\n": ', line 2: YAML reads the key 2020 as a number; quote it: "2020"',
    "datasets:\n  3.10: {}\n": ', line 2: YAML reads the key 3.10 as a number; quote it: "3.10"',
    "datasets: {no: {}}\n": ', line 1: YAML reads the key no as true or false; quote it: "no"',
    "words: {on: {}}\n": ', line 1: YAML reads the key on as true or false; quote it: "on"',
    "dazle:\n  variants:\n    yes: {}\n": ", line 3: YAML reads the key yes as true or false; ",
    "null: 1\n": ", line 1: YAML reads the key null as nothing; quote it: ",
    "2020-01-01: 1\n": ", line 1: YAML reads the key 2020-01-01 as no text; quote it: ",
    "? [a, b]\n: 1\n": ", line 1: a list or a section as a key; a key is a word",
    "a: [1\nb: 2\n": ", line 2: no YAML: ",
    "a: b: c\n": ", line 1: no YAML: mapping values are not allowed here; quote a text",
    "a: 1\n\tb: 2\n": ", line 2: no YAML: found character '\\t' that cannot start any token; in",
    "a: 1\n---\nb: 2\n": ", line 2: no YAML: but found another document; one file is",
    "a: *missing\n": ", line 1: no YAML: found undefined alias 'missing'",
    "a:\n  b: &itself {c: *itself}\n": ", line 2: a section that holds itself by an alias",
    "a: &list [1, *list]\n": ", line 1: a section that holds itself by an alias",
    "a: {<<: 5}\n": ", line 1: << takes a section, such as *name, or a list of",
    "a: !!python/object:os.system x\n": ", line 1: the tag tag:yaml.org,2002:python/object:os.sys",
    "a: !!set {x, y}\n": ", line 1: the tag tag:yaml.org,2002:set is nothing that a key can be",
    "a: !ENV x\n": ", line 1: the tag !ENV is nothing that a key can be",
    "seeds: [1, 010]\n": ", line 1: YAML reads 010 as the number 8; write 8, or quote a text",
    "a:\n  b: 1:30\n": ", line 2: YAML reads 1:30 as the number 90; ",
    "a: 1_000\n": ", line 1: YAML reads 1_000 as the number 1000; ",
    "a: 0x1F\n": ", line 1: YAML reads 0x1F as the number 31; ",
    "a: 1_0.5\n": ", line 1: YAML reads 1_0.5 as the number 10.5; ",
    '{\n\t"a": 1,\n\t"a": 2\n}\n': ": key 'a' is given 2 times in one section",
    "": ": holds nothing; a configuration holds keys",
    "# nothing but a comment\n": ": holds nothing; ",
    "- methods\n": ": holds a list; ",
    "methods\n": ": holds a single value; ",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_file_and_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError) as error:
        check_yaml(path)
    assert str(error.value).startswith(f"{path}{MISTAKES[text]}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a:[0]\nb: 1\n",
            "line 2: no YAML: mapping values are not allowed here; quote",
        ),
        ("a: [0, 1\nb: 2\n", "(while parsing a flow sequence that begins in line 1)"),
        ("a: 1\nb: 'x\nc: 3\n", "(while scanning a quoted scalar that begins in line 2)"),
        (
            "a: {b: 8,5}\n",
            'reads the key 5 as a number; quote it: "5" (or write a decimal',
        ),
        ("a: " + "[" * 3000 + "]" * 3000, "no YAML: sections in sections without an end"),
    ],
)
def test_where_a_mistake_begins_is_told(text: str, line: str, tmp_path: Path) -> None:
    """YAML says where it ends: a quote that is left open at the end of the file."""
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError) as error:
        check_yaml(path)
    assert line in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa: 1\n",
        "a: 1\r\nb: 2\r\n",
        "a: &shared {x: 1}\nb: [*shared, *shared]\nc: {<<: [*shared, {y: 1}]}\n",
        "a: [0, 0.5, -1, +2, 1.0e-3, 1e5, .inf, 2020-01-01, '010', '1:30']\n",
        'a: {"2020": 1, "no": 2, b: {a: 1}}\n',
        "a: &shared {x: 1}\nb: {<<: *shared, x: 2}\nc: {<<: *shared}\n",
        '{\n\t"a": 1\n}\n',
    ],
)
def test_what_is_in_order_passes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf8")
    check_yaml(path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nb: \xe9\n", ", line 2: a character that is not in UTF-8; save the file in UTF-8"),
        ("a: 1\n".encode("utf-16"), ": is in UTF-16; save it in UTF-8"),
        (b"a: \x00\n", ": no YAML: unacceptable character"),
    ],
)
def test_a_file_in_another_encoding_is_named(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        check_yaml(path)
    assert str(error.value).startswith(f"{path}{line}")


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError) as error:
            check_yaml(path)
        assert str(error.value).startswith(f"{path}: cannot be read: {reason}")


@pytest.mark.parametrize(
    "path", [ROOT / "config.yaml", *(ROOT / "workflow" / "experiments").glob("*.yaml")]
)
def test_the_shipped_configurations_pass(path: Path) -> None:
    check_yaml(path)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({2020: {}}, "config: the key 2020 is no text: "),
        ({"datasets": {False: {}}}, "config, datasets: the key False is no text: "),
        ({"dazle": {"variants": {1: {}}}}, "config, dazle.variants: the key 1 is no text: "),
        ({"a": [{"b": {None: 1}}]}, "config, a.b: the key None is no text: "),
    ],
)
def test_keys_that_are_no_text_are_told_to_be_quoted(given: dict, line: str) -> None:
    with pytest.raises(InputError) as error:
        check_keys(given)
    assert str(error.value).startswith(line)
    assert "quote it" in str(error.value)
