"""The schema for editors says what the configuration is checked by."""

from dataclasses import fields

import yaml

from tests.made_up.places import SCHEMA
from zslpipe.study import schema
from zslpipe.study.config import SECTIONS
from zslpipe.study.method_sections import RUN_KEYS
from zslpipe.study.study_sections import PaperStudy


def test_the_file_is_in_sync() -> None:
    assert schema.FILE == SCHEMA
    for path, text in schema.texts().items():
        assert path.read_text(encoding="utf8") == text, "run: python -m zslpipe.study.schema"
    assert yaml.safe_load(SCHEMA.read_text(encoding="utf8")) == schema.schema()


def test_every_key_is_described() -> None:
    made = schema.schema()
    of_study = schema.study_schema()
    assert set(of_study["properties"]) == {field.name for field in fields(PaperStudy)}
    for section in [of_study, made, *made["$defs"].values()]:
        without = [name for name, key in section["properties"].items() if "description" not in key]
        assert without == []
    assert set(made["properties"]) == set(SECTIONS)
    assert set(made["$defs"]["Method"]["properties"]) == {
        *RUN_KEYS,
        "variants",
        "by_dataset",
        "sweep",
    }


def test_ranges_defaults_and_choices_are_in_it() -> None:
    made = schema.schema()
    extractor = made["$defs"]["Extractor"]["properties"]
    assert (extractor["batch_size"]["minimum"], extractor["batch_size"]["maximum"]) == (1, 256)
    assert extractor["batch_size"]["default"] == 32
    assert extractor["dtype"]["enum"] == ["float32", "bfloat16", "float16"]
    assert made["properties"]["seeds"]["default"] == [0]
    assert made["properties"]["seeds"]["items"]["minimum"] == 0
    assert made["required"] == ["methods", "datasets", "extractors"]
