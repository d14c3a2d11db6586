"""The schemas of a configuration and of a study, for editors: written from
:mod:`zslpipe.study.sections` and :mod:`zslpipe.study.study_sections`.

``python -m zslpipe.study.schema`` writes ``workflow/schemas/*.schema.yaml`` again. What a
method's Config or an adapter's Settings say is no part of it: a new method or dataset is one file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter

from zslpipe.provenance import PACKAGE
from zslpipe.settings import RULES
from zslpipe.study.sections import Configuration, RunSection, Variants
from zslpipe.study.study_sections import PaperStudy

FILE = PACKAGE.parent / "workflow" / "schemas" / "config.schema.yaml"
STUDY_FILE = FILE.with_name("study.schema.yaml")
HEAD = "# Written by `python -m zslpipe.study.schema` from zslpipe/study/{}.py.\n"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
DESCRIBED = ConfigDict(**RULES, use_attribute_docstrings=True)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration; other sections than those known are methods'."""
    definitions = _definitions(Configuration)
    whole = definitions.pop("Configuration")
    row = _definitions(RunSection)["RunSection"] | {"additionalProperties": True}
    beside = _definitions(Variants)["Variants"]["properties"]
    for section in beside.values():
        section["additionalProperties"] = {"$ref": "#/$defs/RunSection"}
    of_studies = _study_definitions()
    beside["sweep"] = of_studies["PaperStudy"]["properties"]["sweep"]
    method = {**row, "properties": {**row["properties"], **beside}}
    whole["properties"]["studies"]["additionalProperties"] = {"$ref": "#/$defs/PaperStudy"}
    made = {
        "$schema": DRAFT,
        **whole,
        "additionalProperties": {"$ref": "#/$defs/Method"},
        "$defs": {**definitions, **of_studies, "RunSection": row, "Method": method},
    }
    untitled: dict[str, Any] = _without_titles(made)
    return untitled


def study_schema() -> dict[str, Any]:
    """Return the JSON schema of a file in ``workflow/studies``."""
    definitions = _study_definitions()
    whole = definitions.pop("PaperStudy")
    untitled: dict[str, Any] = _without_titles({"$schema": DRAFT, **whole, "$defs": definitions})
    return untitled


def _study_definitions() -> dict[str, Any]:
    """Return the schemas of a study and of what it holds, by name; one sweep may stand alone."""
    definitions = _definitions(PaperStudy)
    sweep = definitions["PaperStudy"]["properties"]["sweep"]
    one = sweep["items"]
    alone = {"anyOf": [one, {"type": "array", "items": one}], "description": sweep["description"]}
    definitions["PaperStudy"]["properties"]["sweep"] = alone
    return definitions


def _definitions(kind: Any) -> dict[str, Any]:
    """Return the schemas of a dataclass and of those that it holds, by name."""
    definitions: dict[str, Any] = TypeAdapter(tuple[kind], config=DESCRIBED).json_schema()["$defs"]
    return definitions


def _without_titles(value: Any) -> Any:
    """Return a schema without pydantic's titles, which say a key's name once more."""
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            if key != "title" or isinstance(item, Mapping):  # a key may be called title
                kept[key] = item
        return {key: _without_titles(item) for key, item in kept.items()}
    if isinstance(value, list | tuple):
        return [_without_titles(item) for item in value]
    return value


def texts() -> dict[Path, str]:
    """Return both schemas as their files hold them."""
    made = {FILE: ("sections", schema()), STUDY_FILE: ("study_sections", study_schema())}
    found = {}
    for path, (module, one) in made.items():
        found[path] = HEAD.format(module) + yaml.safe_dump(one, sort_keys=False, width=100)
    return found


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf8")
