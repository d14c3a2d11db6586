"""Every number of every class of settings has its range where it is declared."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.made_up.places import PACKAGE
from zslpipe.commands.specification import Spec
from zslpipe.features.extractor import Extractor
from zslpipe.machine.devices import Compute
from zslpipe.machine.ranges import AnyNumber, Extraction, schema_of
from zslpipe.scores.kinds import KINDS
from zslpipe.settings import adapter, parse_settings
from zslpipe.study.declarations import adapter_names, method_names, read_method, read_settings
from zslpipe.study.sections import Configuration, RunSection, Variants
from zslpipe.study.study_sections import PaperStudy

LIMITS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "enum"}


def declared() -> dict[str, type]:
    """Return every class that settings are read into, by where it stands."""
    found: dict[str, type] = {
        "study.sections.Configuration": Configuration,
        "study.sections.RunSection": RunSection,
        "study.sections.Variants": Variants,
        "study.study_sections.PaperStudy": PaperStudy,
        "machine.devices.Compute": Compute,
        "machine.ranges.Extraction": Extraction,
        "commands.specification.Spec": Spec,
        "features.extractor.Extractor": Extractor,
    }
    for name in method_names():
        found[f"methods.{name}.Config"] = read_method(name).config
    for name in adapter_names():
        found[f"datasets.adapters.{name}.Settings"] = read_settings(f"datasets.adapters.{name}")
    for name in ("words", "irrelevant_images"):
        found[f"datasets.{name}.Settings"] = read_settings(f"datasets.{name}")
    for name, kind in KINDS.items():
        found[f"scores.kinds.{name}"] = kind
    return found


DECLARED = declared()


def numbers(schema: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every number in a JSON schema and where it stands."""
    if isinstance(schema, list):
        for item in schema:
            yield from numbers(item, place)
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") in ("integer", "number"):
        yield place, schema
    for key, item in schema.items():
        if key not in ("default", "examples"):
            yield from numbers(item, f"{place}/{key}")


@pytest.mark.parametrize("name", DECLARED)
def test_every_number_has_a_range(name: str) -> None:
    schema = adapter(DECLARED[name]).json_schema()
    without = [place for place, number in numbers(schema) if not LIMITS & set(number)]
    assert without == [], "declare a range, or AnyNumber of zslpipe.machine.ranges"


def test_a_number_without_a_range_is_found() -> None:
    @dataclasses.dataclass(frozen=True)
    class Careless:
        rates: tuple[float, ...] = ()
        count: int | None = None
        shift: AnyNumber = 0.0

    places = [place for place, number in numbers(schema_of(Careless)) if not LIMITS & set(number)]
    assert places == ["/properties/rates/items", "/properties/count/anyOf"]


def test_every_class_that_settings_are_read_into_is_looked_at() -> None:
    """Settings are read by ``parse_settings(KIND, ...)``: each KIND is one of those above."""
    kinds = {
        "Settings",
        "Configuration",
        "RunSection",
        "Variants",
        "PaperStudy",
        "Compute",
        "Extraction",
        "Extractor",
        "Spec",
    }
    # A method's Config, a kind of rebalancing, and, in study/config.py, either of these.
    kinds |= {"module.Config", "method.Config", "source.config", "self.source.config"}
    kinds |= {"KINDS[kind]", "kind"}
    kinds |= {"demo.Settings"}  # an adapter's
    kinds |= {"importing.Method"}  # texts alone
    kinds |= {"_NAMES[name]"}  # what a rebalancing has learned, as an export wrote it
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for call in path.read_text(encoding="utf8").split("parse_settings(")[1:]:
            found.add(call.split(",")[0].strip())
    assert found - {"kind: type[Settings]"} == kinds


@pytest.mark.parametrize("name", [name for name in DECLARED if name.startswith("methods.")])
def test_published_settings_are_in_range(name: str) -> None:
    method = read_method(name.split(".")[1])
    for published in [method.config(), *method.published.values()]:
        plain = dataclasses.asdict(published)
        assert parse_settings(method.config, plain, name) == published


@pytest.mark.parametrize("name", [name for name in DECLARED if name.startswith("methods.")])
def test_no_number_of_a_method_may_be_infinite_or_nan(name: str) -> None:
    config = DECLARED[name]
    for place, _ in numbers(adapter(config).json_schema()):
        field = place.rsplit("/", 1)[-1]
        for value in (float("nan"), float("inf"), float("-inf")):
            with pytest.raises(ValueError, match=rf"^{name}, {field}: "):
                parse_settings(config, {field: value}, name)
