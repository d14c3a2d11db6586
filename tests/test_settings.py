"""Frozen dataclasses filled from what a user wrote, and one clear line for every mistake."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import (
    AnyNumber,
    BelowOne,
    BetweenZeroAndOne,
    Device,
    FileName,
    OneOrMore,
    Seed,
    Share,
    schema_of,
    told,
)
from zslpipe.settings import as_plain, parse_settings


@dataclass(frozen=True)
class Part:
    weight: PositiveFloat = 1.0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.weight > 100 and self.names:
            raise ValueError("heavy parts have no names")


@dataclass(frozen=True)
class Made:
    rate: PositiveFloat
    count: PositiveInt = 1
    momentum: BelowOne = 0.9
    share: Share = 1.0
    decay: NonNegativeFloat = 0.0
    seed: Seed = 0
    limit: Annotated[int, Field(ge=1, le=256)] = 32
    on: bool = False
    kind: Literal["some", "none"] = "some"
    file: FileName | None = None
    device: Device = "auto"
    shift: AnyNumber = 0.0
    parts: Mapping[str, Part] = field(default_factory=dict)
    steps: Annotated[tuple[PositiveInt, ...], OneOrMore] = (1,)


def made(**settings: object) -> Made:
    return parse_settings(Made, {"rate": 0.1, **settings}, "made")


def test_defaults_lists_sections_and_whole_numbers_for_floats() -> None:
    found = made(rate=1, steps=[1, 2], parts={"a": {"weight": 2, "names": ["x"]}, "b": {}})
    assert found == Made(rate=1.0, steps=(1, 2), parts={"a": Part(2.0, ("x",)), "b": Part()})
    assert isinstance(found.rate, float)


MISTAKES = [
    ({"rat": 1.0}, "made: unknown setting 'rat'; did you mean 'rate'?"),
    ({"rate": None}, "made, rate: nothing is written behind it; "),
    ({"rate": 0.0}, "made, rate: 0.0 is out of range; give a number above 0"),
    ({"rate": -1}, "made, rate: -1 is out of range; give a number above 0"),
    ({"rate": math.nan}, "made, rate: nan is not a finite number"),
    ({"rate": math.inf}, "made, rate: inf is not a finite number"),
    ({"rate": "1e-4"}, "made, rate: '1e-4' is not of type float (YAML reads 1e-4 as text: write"),
    ({"rate": True}, "made, rate: True is not of type float"),
    ({"rate": [0.1]}, "made, rate: [0.1] is not of type float"),
    ({"count": 0}, "made, count: 0 is out of range; give a whole number above 0"),
    ({"count": 1.0}, "made, count: 1.0 is not of type int"),
    ({"count": True}, "made, count: True is not of type int"),
    ({"momentum": 1.0}, "made, momentum: 1.0 is out of range; give a number from 0 to below 1"),
    ({"momentum": -0.1}, "made, momentum: -0.1 is out of range; give a number from 0 to below 1"),
    ({"share": 1.5}, "made, share: 1.5 is out of range; give a number above 0 and up to 1"),
    ({"share": 0}, "made, share: 0 is out of range; give a number above 0 and up to 1"),
    (
        {"rate": 1e39},
        "made, rate: 1e+39 is out of range; give 0, or a number of 1.2e-38 to 3.4e38: ",
    ),
    ({"rate": 1e-39}, "made, rate: 1e-39 is out of range; give 0, or a number of "),
    ({"count": 2**63}, f"made, count: {2**63} is out of range; give a whole number below 2**63"),
    ({"steps": [1, 2**64]}, f"made, steps.1: {2**64} is out of range; give a whole number below"),
    ({"parts": {"a": {"weight": 1e300}}}, "made, parts.a.weight: 1e+300 is out of range; give 0, "),
    ({"shift": 4e38}, "made, shift: 4e+38 is out of range; give any number"),
    ({"shift": -math.inf}, "made, shift: -inf is not a finite number"),
    (
        {"device": "gpu"},
        "made, device: 'gpu' is no device: write auto (a GPU where there is one), cp",
    ),
    ({"device": "CPU"}, "made, device: 'CPU' is no device: write auto "),
    (
        {"device": 0},
        "made, device: 0 is not of type str; write a text such as auto, cpu",
    ),
    ({"file": "~nobody/x"}, "made, file: '~nobody/x' begins with ~, "),
    ({"decay": -1.0}, "made, decay: -1.0 is out of range; give a number from 0 up"),
    (
        {"seed": -1},
        "made, seed: -1 is out of range; give a whole number from 0 to below 4294967296",
    ),
    (
        {"seed": 2**70},
        f"made, seed: {2**70} is out of range; give a whole number from 0 to below {2**32}",
    ),
    ({"limit": 257}, "made, limit: 257 is out of range; give a whole number from 1 to 256"),
    ({"on": "yes"}, "made, on: 'yes' is not of type bool"),
    ({"on": 1}, "made, on: 1 is not of type bool"),
    ({"kind": "sme"}, "made, kind: 'sme' is none of some, none; did you mean 'some'?"),
    ({"kind": True}, "made, kind: True is none of some, none; "),
    ({"file": 5}, 'made, file: 5 is not of type str (a number: quote it, "5")'),
    ({"file": False}, "made, file: False is not of type str (YAML reads yes, no, on and off as"),
    ({"file": ["a"]}, "made, file: ['a'] is not of type str"),
    ({"file": ""}, "made, file: '' is empty; write a text"),
    ({"file": "~/x.mat"}, "made, file: '~/x.mat' begins with ~, "),
    ({"file": "a/$HOME/x"}, "made, file: 'a/$HOME/x' names the variable $HOME, "),
    ({"file": "${DATA}/x"}, "made, file: '${DATA}/x' names the variable ${DATA}, "),
    ({"steps": []}, "made, steps: [] is too short; give at least 1"),
    ({"steps": 3}, "made, steps: 3 is not a list"),
    ({"steps": [1, -2]}, "made, steps.1: -2 is out of range; give a whole number above 0"),
    ({"parts": []}, "made, parts: [] is not a section; write keys with values"),
    ({"parts": {"a": None}}, "made, parts.a: nothing is written behind it; "),
    ({"parts": {"a": 3}}, "made, parts.a: 3 is not a section; "),
    ({"parts": {"a": {"wight": 1}}}, "made, parts.a: unknown setting 'wight'; did you mean 'we"),
    ({"parts": {"a": {"weight": 101, "names": ["x"]}}}, "made, parts.a: heavy parts have no names"),
]


@pytest.mark.parametrize(("settings", "line"), MISTAKES)
def test_a_mistake_is_one_clear_line(settings: dict, line: str) -> None:
    with pytest.raises(InputError) as error:
        made(**settings)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_a_misspelt_key_is_told_rather_than_the_one_that_is_missing_for_it() -> None:
    with pytest.raises(InputError, match=r"^made: unknown setting 'rte'; did you mean 'rate'\?"):
        parse_settings(Made, {"rte": 0.1}, "made")
    with pytest.raises(InputError, match=r"^made: setting 'rate' is missing$"):
        parse_settings(Made, {}, "made")


def test_a_price_in_a_file_s_name_is_no_variable() -> None:
    assert made(file="rich $ poor/5$").file == "rich $ poor/5$"


def test_the_largest_and_smallest_numbers_of_float32_pass() -> None:
    largest = (2 - 2**-23) * 2.0**127
    assert made(rate=largest, shift=-largest, decay=2.0**-126).rate == largest
    assert made(shift=0, count=2**63 - 1).count == 2**63 - 1


WORDS: dict[object, str] = {
    PositiveInt: "a whole number above 0",
    NonNegativeFloat: "a number from 0 up",
    BelowOne: "a number from 0 to below 1",
    Share: "a number above 0 and up to 1",
    BetweenZeroAndOne: "a number above 0 and below 1",
    Annotated[int, Field(ge=1, le=256)]: "a whole number from 1 to 256",
    AnyNumber: "any number",
    float: "any number",
    bool: "true or false",
    FileName | None: "a file or folder",
    Device: "a text such as auto, cpu, cuda, cuda:0",
    Literal["a", "b"]: "one of a, b",
    tuple[str, ...]: "a list, each a text",
    Annotated[tuple[BelowOne, ...], OneOrMore]: "a list, at least one, each a number from 0 to bel",
    Mapping[str, str]: "a section",
    Part: "a section",
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_type_and_its_range_in_words(kind: object) -> None:
    assert told(schema_of(kind)).startswith(WORDS[kind])


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(InputError) as error:
        made(rate="x" * 1000)
    assert len(str(error.value)) < 200


def test_as_plain_is_what_json_holds_without_what_is_not_given() -> None:
    found = as_plain(made(parts={"a": {}}))
    assert "file" not in found
    assert found["parts"] == {"a": {"weight": 1.0, "names": []}}
    assert json.loads(json.dumps(found)) == found
    assert parse_settings(Made, found, "made") == made(parts={"a": {}})
