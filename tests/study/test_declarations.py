"""What a file of the package declares, read without importing it."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tests.made_up.places import ROOT
from zslpipe.datasets.reading.expected_sizes import EXPECTED
from zslpipe.machine.errors import InputError
from zslpipe.settings import parse_settings
from zslpipe.study.declarations import (
    adapter_names,
    method_names,
    published_names,
    read_method,
    read_semantics,
    read_settings,
)

METHOD = '''"""A method."""

from dataclasses import dataclass
from typing import Literal

import torch_that_is_not_installed
from pydantic import PositiveFloat
from zslpipe.machine.ranges import BelowOne
from zslpipe.training.fit import fit

INPUT = Regions(size=448, grid=14)
DECLARES = ("words", "epochs", "attention")
TENSOR = torch_that_is_not_installed.zeros(3)


@dataclass(frozen=True)
class Config:
    """Settings."""

    rate: PositiveFloat = 0.1
    momentum: BelowOne = 0.9
    kind: Literal["plain", "twisted"] = "plain"
    LIMIT = 3


PUBLISHED = {"CUB": Config(), "SUN": Config(rate=0.2, kind="twisted")}


class Model:
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
    source = read_method("made", package)
    assert (source.name, source.inputs) == ("made", {"regions": {"size": 448, "grid": 14}})
    assert source.declares == ("words", "epochs", "attention")
    assert (source.uses_words, source.has_epochs, source.has_attention) == (True, True, True)
    assert (source.has_part_attention, source.has_attribute_scores) == (False, False)
    assert source.has_maps
    assert [field.name for field in fields(source.config)] == ["rate", "momentum", "kind"]


def test_the_config_is_the_dataclass_itself_with_its_ranges(package: Path) -> None:
    config = read_method("made", package).config
    assert asdict(config()) == {"rate": 0.1, "momentum": 0.9, "kind": "plain"}
    with pytest.raises(FrozenInstanceError):
        config().rate = 1.0
    for given in ({"rate": 0.0}, {"momentum": 1.0}, {"kind": "twistd"}):
        with pytest.raises(InputError, match=r"^made, \w+: "):
            parse_settings(config, given, "made")


def test_published_settings_are_those_to_start_from(package: Path) -> None:
    source = read_method("made", package)
    assert source.defaults("SUN") == {"rate": 0.2, "momentum": 0.9, "kind": "twisted"}
    assert source.defaults("AWA2") == source.defaults(None) == asdict(source.config())
    assert published_names(package) == ["CUB", "SUN"]


def test_a_small_file_declares_its_input_and_its_settings_alone(package: Path) -> None:
    declared = 'DECLARES = ("words", "epochs", "attention")\n'
    published = 'PUBLISHED = {"CUB": Config(), "SUN": Config(rate=0.2, kind="twisted")}\n'
    write(
        package,
        METHOD.replace(declared, "")
        .replace(published, "")
        .replace("Regions(size=448, grid=14)", "Pooled(size=224)"),
    )
    source = read_method("made", package)
    assert (source.inputs, source.declares) == ({"pooled": {"size": 224}}, ())
    assert (source.uses_words, source.has_maps, source.has_epochs) == (False, False, False)
    assert source.published == {}


def test_a_method_of_several_inputs(package: Path) -> None:
    both = "(Images(size=448), Regions(size=448, grid=14))"
    write(package, METHOD.replace("Regions(size=448, grid=14)", both))
    assert list(read_method("made", package).inputs.items()) == [
        ("images", {"size": 448}),
        ("regions", {"size": 448, "grid": 14}),
    ]


def test_a_file_that_changes_is_read_again(package: Path) -> None:
    assert read_method("made", package).defaults(None)["rate"] == 0.1
    write(package, METHOD.replace("PositiveFloat = 0.1", "PositiveFloat = 0.25"))
    assert read_method("made", package).defaults(None)["rate"] == 0.25


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Config:", "class Settings:", "methods/made.py declares no class Config"),
        ("class Model:", "class Network:", "methods/made.py declares no class Model"),
        ("INPUT = Regions", "INPUT = Patches", "methods/made.py declares no INPUT = Regions"),
        ("INPUT = Regions", "TAKES = Regions", "methods/made.py declares no INPUT = Regions"),
        ('"epochs"', '"epoch"', "methods/made.py, DECLARES: 'epoch'; did you mean 'epochs'?"),
        (
            'kind: Literal["plain", "twisted"] = "plain"',
            "kind: Tensor = TENSOR",
            "methods/made.py: Config and PUBLISHED can use Python's types, pydantic's and ",
        ),
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
    assert dazle.declares == ("words", "epochs", "attention", "attribute_scores")
    assert dazle.defaults("SUN")["epochs"] == 100
    assert eszsl.inputs == {"pooled": {"size": 224}}
    assert eszsl.declares == ("closed_form",)
    drawn = {name for name in method_names() if read_method(name).is_drawn}
    assert set(method_names()) - drawn == {"clip", "eszsl"}
    assert eszsl.defaults(None) == {"feature_regulariser": 1.0, "class_regulariser": 1.0}
    assert {"CUB", "SUN", "AWA2"} <= set(published_names())


def test_the_class_vectors_of_the_shipped_adapters() -> None:
    found = {name: read_semantics(name) for name in adapter_names()}
    assert found == {"demo": ("att",), "folder": ("att",), "deepfashion": ("att",), "xlsa17": ()}


def test_known_datasets_are_those_with_published_sizes() -> None:
    declared = get_type_hints(read_settings("datasets.adapters.xlsa17"))["known_as"]
    assert get_args(get_args(declared)[0]) == tuple(EXPECTED)


def test_settings_of_the_shipped_adapters() -> None:
    assert {"demo", "folder", "xlsa17", "deepfashion"} <= set(adapter_names())
    for name in adapter_names():
        assert fields(read_settings(f"datasets.adapters.{name}"))
    words = read_settings("datasets.words")
    assert parse_settings(words, {"kind": "random"}, "words").dimension == 300
    with pytest.raises(InputError, match=r"^words: kind 'glove' needs a 'file'"):
        parse_settings(words, {"kind": "glove"}, "words")


def test_reading_every_method_and_adapter_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys\n"
        "from zslpipe.study.declarations import adapter_names, method_names, read_method\n"
        "from zslpipe.study.declarations import read_settings\n"
        "read = [read_method(name) for name in method_names()]\n"
        "read += [read_settings(f'datasets.adapters.{name}') for name in adapter_names()]\n"
        "print(len(read), sorted({'torch', 'numpy', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(method_names()) + len(adapter_names())} []\n"
