"""The schema of a configuration, for editors: written from :mod:`zslpipe.study.sections`.

``python -m zslpipe.study.schema`` writes ``workflow/schemas/config.schema.yaml`` again. What a
method's Config or an adapter's Settings say is no part of it: a new method or dataset is one file.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter

from zslpipe.provenance import PACKAGE
from zslpipe.settings import RULES
from zslpipe.study.sections import Configuration, RunSection, Variants

FILE = PACKAGE.parent / "workflow" / "schemas" / "config.schema.yaml"
HEAD = "# Written by `python -m zslpipe.study.schema` from zslpipe/study/sections.py.\n"
DESCRIBED = ConfigDict(**RULES, use_attribute_docstrings=True)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration; other sections than those known are methods'."""
    definitions = _definitions(Configuration)
    whole = definitions.pop("Configuration")
    row = _definitions(RunSection)["RunSection"] | {"additionalProperties": True}
    variants = _definitions(Variants)["Variants"]["properties"]["variants"]
    variants["additionalProperties"] = {"$ref": "#/$defs/RunSection"}
    method = {**row, "properties": {**row["properties"], "variants": variants}}
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "additionalProperties": {"$ref": "#/$defs/Method"},
        "$defs": {**definitions, "RunSection": row, "Method": method},
    }
    untitled: dict[str, Any] = _without_titles(made)
    return untitled


def _definitions(kind: Any) -> dict[str, Any]:
    """Return the schemas of a dataclass and of those that it holds, by name."""
    definitions: dict[str, Any] = TypeAdapter(tuple[kind], config=DESCRIBED).json_schema()["$defs"]
    return definitions


def _without_titles(value: Any) -> Any:
    """Return a schema without pydantic's titles, which say a key's name once more."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if key != "title"}
        return {key: _without_titles(item) for key, item in kept.items()}
    if isinstance(value, list | tuple):
        return [_without_titles(item) for item in value]
    return value


def as_text() -> str:
    """Return the schema as its file holds it."""
    return HEAD + yaml.safe_dump(schema(), sort_keys=False, width=100)


if __name__ == "__main__":
    FILE.write_text(as_text(), encoding="utf8")
