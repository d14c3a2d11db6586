"""What a method file declares, read without importing it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up.places import ROOT
from zslpipe.machine.errors import InputError
from zslpipe.study.declarations import MethodSource, method_names, read_method

METHOD = '''"""A method."""

from dataclasses import dataclass

import torch_that_is_not_installed
from zslpipe.training.fit import fit

INPUT = Regions(size=448, grid=14)


@dataclass(frozen=True)
class Config:
    """Settings."""

    rate: float = 0.1
    kind: str = "plain"
    LIMIT = 3


class Model:
    def __init__(self, config, classes, input_shape):
        self.vectors = classes.words

    def attention(self, inputs):
        return inputs
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "__init__.py").touch()
    write(tmp_path, METHOD)
    return tmp_path


def write(package: Path, text: str) -> None:
    (package / "methods" / "made.py").write_text(text, encoding="utf8")


def test_declarations_of_a_file_that_cannot_be_imported(package: Path) -> None:
    assert read_method("made", package) == MethodSource(
        name="made",
        inputs={"regions": {"size": 448, "grid": 14}},
        settings={"rate": "float", "kind": "str"},
        uses_words=True,
        has_attention=True,
        has_part_attention=False,
        has_attribute_scores=False,
        has_epochs=True,
    )


def test_what_a_method_does_not_have(package: Path) -> None:
    plain = METHOD.replace("Regions(size=448, grid=14)", "Pooled(size=224)").replace(
        "classes.words", "classes.names"
    )
    write(
        package,
        plain.replace("def attention", "def scores").replace(
            "zslpipe.training.fit", "zslpipe.training.contract"
        ),
    )
    source = read_method("made", package)
    assert source.inputs == {"pooled": {"size": 224}}
    assert (source.uses_words, source.has_attention, source.has_epochs) == (False, False, False)


def test_a_method_of_several_inputs(package: Path) -> None:
    write(
        package,
        METHOD.replace(
            "Regions(size=448, grid=14)", "(Images(size=448), Regions(size=448, grid=14))"
        ),
    )
    assert list(read_method("made", package).inputs.items()) == [
        ("images", {"size": 448}),
        ("regions", {"size": 448, "grid": 14}),
    ]


def test_words_in_a_docstring_are_no_use_of_words(package: Path) -> None:
    write(
        package,
        METHOD.replace('"""A method."""', '"""Reads no classes.words."""').replace(
            "= classes.words", "= 1"
        ),
    )
    assert not read_method("made", package).uses_words


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Config:", "class Settings:", "methods/made.py declares no class Config"),
        ("class Model:", "class Network:", "methods/made.py declares no class Model"),
        ("INPUT = Regions", "INPUT = Patches", "methods/made.py declares no INPUT = Regions"),
        ("INPUT = Regions", "TAKES = Regions", "methods/made.py declares no INPUT = Regions"),
    ],
)
def test_a_missing_declaration_is_named(package: Path, old: str, new: str, message: str) -> None:
    write(package, METHOD.replace(old, new))
    with pytest.raises(InputError) as error:
        read_method("made", package)
    assert str(error.value).startswith(message)


def test_an_unknown_method_names_the_nearest(package: Path) -> None:
    assert method_names(package) == ["made"]
    with pytest.raises(InputError) as error:
        read_method("mad", package)
    assert str(error.value) == "no method 'mad'; did you mean 'made'?"


def test_declarations_of_the_shipped_methods() -> None:
    assert {"dazle", "eszsl"} <= set(method_names())
    dazle, eszsl = read_method("dazle"), read_method("eszsl")
    assert dazle.inputs == {"regions": {"size": 224, "grid": 7}}
    assert (dazle.uses_words, dazle.has_attention, dazle.has_epochs) == (True, True, True)
    assert (dazle.has_attribute_scores, eszsl.has_attribute_scores) == (True, False)
    assert dazle.settings["lr"] == "float"
    assert dazle.settings["dense_attention"] == "bool"
    assert eszsl.inputs == {"pooled": {"size": 224}}
    assert (eszsl.uses_words, eszsl.has_attention, eszsl.has_epochs) == (False, False, False)
    assert eszsl.settings == {"feature_regulariser": "float", "class_regulariser": "float"}


def test_reading_every_method_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from zslpipe.study.declarations import method_names, read_method\n"
        "print(len([read_method(name) for name in method_names()]), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(method_names())} False\n"
