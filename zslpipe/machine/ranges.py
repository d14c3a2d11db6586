"""Ranges that numbers and texts of settings are declared with, beside pydantic's own, and what they
are in words.

Whoever reads a configuration refuses what lies outside of them; code that is handed a Config does
not look at them again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, WithJsonSchema

from zslpipe.machine.weight_names import OF_FOLDER

# What every number has to fit into: networks compute in float32, whose normal numbers these are.
SMALLEST, LARGEST = 2.0**-126, 2.0**128
WHOLE = 2**63

# From 0 to below 1, such as a momentum.
BelowOne = Annotated[float, Field(ge=0, lt=1)]
# Above 0, at most 1, such as a crop's share of an image.
Share = Annotated[float, Field(gt=0, le=1)]
# Above 0, below 1, such as a part of the images that both parts need.
BetweenZeroAndOne = Annotated[float, Field(gt=0, lt=1)]
# Of pictures a class: one to train on and one to test on.
AtLeastTwo = Annotated[int, Field(ge=2)]
# Said of a number that may be anything, where every other has its range.
AnyNumber = Annotated[float, Field(gt=-LARGEST, lt=LARGEST)]
# Of a list: at least one.
OneOrMore = Field(min_length=1)
# Of random numbers: scikit-learn takes no larger one.
Seed = Annotated[int, Field(ge=0, lt=2**32)]

# Of a job; ours: more than a machine has, fewer than it refuses to start.
Threads = Annotated[int, Field(ge=1, le=1024)]

# What the parts of a feature file begin at multiples of: a page of memory, or a stripe of Lustre.
Alignment = Literal[4096, 1048576]
# Where features lie: in the feature file itself, or in a zarr store beside it.
Storage = Literal["hdf5", "zarr"]


@dataclass(frozen=True)
class Extraction:
    """As how many processes an extraction runs, what its file is aligned to, in bytes, and where
    features lie; none of it belongs to what they are.
    """

    extract_tasks: Threads = 1
    extract_alignment: Alignment = 4096
    storage: Storage = "hdf5"


VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def _plain_path(text: str) -> str:
    """Return a file name; ValueError where only a shell would know which file is meant."""
    if text.removeprefix(OF_FOLDER).startswith("~"):
        raise ValueError(
            "begins with ~, which stands for your folder in data_root alone; "
            "write the whole path, or one relative to data_root"
        )
    variable = VARIABLE.search(text)
    if variable:
        raise ValueError(
            f"names the variable {variable[0]}, which is looked up in data_root alone; "
            "write the whole path, or one relative to data_root"
        )
    return text


# A file or folder, relative to data_root or absolute.
FileName = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_plain_path),
    WithJsonSchema({"type": "string", "minLength": 1, "format": "path"}),
]

# The same of a text tower's weights: a folder may be written as an extractor's (hf:FOLDER).
TowerWeights = Annotated[FileName, AfterValidator(lambda text: text.removeprefix(OF_FOLDER))]

# A program that makes vectors of texts (zslpipe.networks.text_encoders).
ENCODER = re.compile(r"sentence-transformers:(.+)|open_clip/.+|demo")
SENTENCES, PAIRS = "sentence-transformers:", "open_clip/"
ENCODERS = ("sentence-transformers:models/all-MiniLM-L6-v2", "open_clip/ViT-B-16", "demo")


def _encoder(text: str) -> str:
    """Return a text encoder; ValueError for a text that names none."""
    found = ENCODER.fullmatch(text)
    if not found:
        raise ValueError(
            "is no text encoder: write sentence-transformers:FOLDER, open_clip/ARCHITECTURE or demo"
        )
    if found[1]:
        _plain_path(found[1])
    return text


TextEncoder = Annotated[
    str,
    AfterValidator(_encoder),
    WithJsonSchema(
        {"type": "string", "pattern": f"^({ENCODER.pattern})$", "examples": list(ENCODERS)}
    ),
]

# What templates of texts are filled with.
CLASS, ATTRIBUTE, ATTRIBUTES = "{class}", "{attribute}", "{attributes}"
PLACE = re.compile(r"\{.*?\}")


def _class_template(text: str) -> str:
    """Return a template of a class's name; ValueError for another text."""
    if set(PLACE.findall(text)) != {CLASS}:
        raise ValueError(f"is no template: write {CLASS} where the class's name stands")
    return text


def _attribute_template(text: str) -> str:
    """Return a template of one attribute; ValueError for another text."""
    if set(PLACE.findall(text)) != {ATTRIBUTE}:
        raise ValueError(f"is no template: write {ATTRIBUTE} where the attribute's words stand")
    return text


def _attributes_template(text: str) -> str:
    """Return a template of the attributes that a class has; ValueError for another text."""
    found = set(PLACE.findall(text))
    if ATTRIBUTES not in found or found - {CLASS, ATTRIBUTES}:
        fault = f"is no template: write {ATTRIBUTES} where the attributes stand"
        raise ValueError(f"{fault}, and {CLASS} where the class's name does")
    return text


ClassTemplate = Annotated[str, AfterValidator(_class_template)]
AttributeTemplate = Annotated[str, AfterValidator(_attribute_template)]
AttributesTemplate = Annotated[str, AfterValidator(_attributes_template)]

DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")
DEVICES = ("auto", "cpu", "cuda", "cuda:0")


def _device(text: str) -> str:
    """Return a device; ValueError for a text that names none."""
    if not DEVICE.fullmatch(text):
        raise ValueError(
            "is no device: write auto (a GPU where there is one), cpu, cuda, or cuda:0, cuda:1 ..."
        )
    return text


# Where a job computes.
Device = Annotated[
    str,
    AfterValidator(_device),
    WithJsonSchema(
        {"type": "string", "pattern": f"^({DEVICE.pattern})$", "examples": list(DEVICES)}
    ),
]


@cache
def schema_of(kind: Any) -> Mapping[str, Any]:
    """Return the JSON schema of a declared type, without "or null"."""
    schema: Mapping[str, Any] = TypeAdapter(kind).json_schema()
    for other in schema.get("anyOf", []):
        if other.get("type") != "null":
            return {**other, "$defs": schema.get("$defs", {})}
    return schema


def told(schema: Mapping[str, Any]) -> str:
    """Return what a value of a JSON schema has to be, in words: its type and its range."""
    if "enum" in schema:
        return f"one of {', '.join(str(value) for value in schema['enum'])}"
    if "examples" in schema:
        return f"a text such as {', '.join(schema['examples'])}"
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _told_number(schema)
    if kind == "array":
        least = ("", ", at least one", ", at least two")[schema.get("minItems", 0)]
        items = schema.get("items", {})
        return f"a list{least}, each {told(items)}" if items else f"a list{least}"
    if kind == "string":
        return "a file or folder" if schema.get("format") == "path" else "a text"
    return {"boolean": "true or false"}.get(str(kind), "a section")


def _told_number(schema: Mapping[str, Any]) -> str:
    """Return a number's range in words."""
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    words = []
    for key, word in (("exclusiveMinimum", "above"), ("minimum", "from")):
        if schema.get(key, -LARGEST) > -LARGEST:
            words.append(f"{word} {short(schema[key])}")
    for key, word in (("exclusiveMaximum", "below"), ("maximum", "up to")):
        if schema.get(key, LARGEST) < LARGEST:
            words.append(f"{word} {short(schema[key])}")
    if not words:
        return f"any {kind.removeprefix('a ')}"
    if words[0].startswith("from"):
        upper = "".join(words[1:]).removeprefix("up to ")
        return f"{kind} {words[0]} to {upper}" if upper else f"{kind} {words[0]} up"
    return f"{kind} {' and '.join(words)}"


def short(limit: float) -> str:
    """Return a limit without the point that a whole one has as a float."""
    return str(int(limit)) if float(limit).is_integer() else str(limit)
