"""Names, kinds of rebalancing and lists as a configuration may write them: what the fields of
:mod:`zslpipe.study.sections` are checked by.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from zslpipe.machine.errors import nearest
from zslpipe.machine.ranges import OneOrMore
from zslpipe.names import TEXT
from zslpipe.scores.kinds import KINDS
from zslpipe.settings import known_names

# Names under results/ that are taken.
TAKEN = (
    *("tables", "figures", "report", "benchmarks", "studies", "logs", "irrelevant"),
    *("README.md", "report.html"),
)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
WORD = re.compile(r"[A-Za-z0-9_]+")
LONGEST = 80  # characters of a name: three of them and a word behind stay below a file's 255
WITH_SETTINGS = tuple(name for name, kind in KINDS.items() if known_names(kind, ()))


def _name(text: str) -> str:
    """Return a name that can stand in a path; ValueError for another one."""
    if not NAME.fullmatch(text) or len(text) > LONGEST:
        raise ValueError(
            "is no name that can stand in a path: use letters from A to Z, digits, _ . and -, "
            f"beginning with a letter, a digit or _, {LONGEST} at most"
        )
    return text


def _dataset_name(text: str) -> str:
    """Return a name that can stand under results/; ValueError for another one."""
    if text.casefold() in (name.casefold() for name in TAKEN):
        raise ValueError("stands for something else under results/; choose another name")
    return _name(text)


def _extractor_name(text: str) -> str:
    """Return a name for a feature file; ValueError for one that another extractor's has."""
    if text.casefold().endswith(".irrelevant"):
        raise ValueError("ends as features of task-irrelevant images do; choose another name")
    return _name(text)


def row_name(text: str) -> str:
    """Return a name of letters, digits and _; ValueError for another one."""
    if not WORD.fullmatch(text) or len(text) > LONGEST:
        raise ValueError(
            "is no name for a row of the table: use letters from A to Z, digits and _, "
            f"{LONGEST} at most"
        )
    return text


def _variant(text: str) -> str:
    """Return a variant's name; ValueError for one that is taken or no word."""
    if text.casefold() == "default":
        raise ValueError("is the method without a variant's changes; choose another name")
    return row_name(text)


def _kind(text: str) -> str:
    """Return a kind of rebalancing; ValueError for a text that names none."""
    if text not in KINDS:
        raise ValueError(f"is none of {', '.join(KINDS)}; {nearest(text, KINDS)}")
    return text


def _kind_with_settings(text: str) -> str:
    """Return a kind of rebalancing that has settings; ValueError for another one."""
    if text not in WITH_SETTINGS:
        raise ValueError(f"is none of {', '.join(WITH_SETTINGS)}; {nearest(text, WITH_SETTINGS)}")
    return text


def _different(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list whose items differ; ValueError for another one."""
    if len(set(items)) < len(items):
        raise ValueError("has non-unique elements; give each once")
    return items


def _apart(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section whose names differ in more than case; ValueError for another one."""
    met: dict[str, str] = {}
    for name in section:
        other = met.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"{other!r} and {name!r} differ in case alone and would be one file on some "
                "systems; choose another name"
            )
    return section


def _semantics(given: Any) -> Any:
    """Return class vectors of texts, written {text: NAME}, by the one name that they go by here;
    ValueError for another section.
    """
    if not isinstance(given, Mapping):
        return given
    if set(given) != {"text"} or not isinstance(given["text"], str):
        raise ValueError("is no kind of class vectors; write att, or {text: NAME} of texts")
    return f"{TEXT}{given['text']}"


Apart = AfterValidator(_apart)
Name = Annotated[str, AfterValidator(_name)]
ExtractorName = Annotated[str, AfterValidator(_extractor_name)]
DatasetName = Annotated[str, AfterValidator(_dataset_name)]
EnsembleName = Annotated[str, AfterValidator(row_name)]
VariantName = Annotated[str, AfterValidator(_variant)]
Text = Annotated[str, Field(min_length=1)]
OF_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "a name under texts"}},
    "required": ["text"],
    "additionalProperties": False,
}
Semantics = Annotated[
    Text,
    BeforeValidator(_semantics),
    WithJsonSchema(
        {
            "oneOf": [{"type": "string", "minLength": 1}, OF_TEXT],
            "examples": ["att", "{text: NAME}"],
        }
    ),
]
# The settings of others, checked by their own dataclasses.
Others = Mapping[str, Any]
Different = AfterValidator(_different)
Normalisation = Literal["none", "unit", "minmax"]
InputKind = Literal["regions", "pooled", "images"]
Rebalancing = Annotated[str, AfterValidator(_kind), WithJsonSchema({"enum": list(KINDS)})]
RebalancingWithSettings = Annotated[
    str, AfterValidator(_kind_with_settings), WithJsonSchema({"enum": list(WITH_SETTINGS)})
]
Candidates = Annotated[tuple[Any, ...], OneOrMore]
Rebalancings = Annotated[tuple[Rebalancing, ...], OneOrMore, Different]
