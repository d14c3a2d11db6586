"""Frozen dataclasses filled from what a user wrote: known names, right types, numbers in range.

A number's range stands in the dataclass beside its default, in pydantic's terms
(``lr: PositiveFloat = 0.1``). What is checked is what JSON can hold: a list is a tuple, a section
of YAML a dataclass or a mapping, a whole number is a float too; nothing else is turned into
anything, and no number is infinite or nan.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import LARGEST, SMALLEST, WHOLE, schema_of, told

Settings = TypeVar("Settings")

RULES = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
SHOWN = 60  # characters of a wrong value in a message
# What pydantic calls a wrong type: what was expected, and what to do.
EXPECTED = {
    "bool_type": ("of type bool", "write true or false"),
    "int_type": ("of type int", "write a whole number, without a point"),
    "float_type": ("of type float", "write a number"),
    "string_type": ("of type str", "write a text"),
    "tuple_type": ("a list", "write [one, another]"),
    "dict_type": ("a section", "write keys with values"),
    "dataclass_type": ("a section", "write keys with values"),
    "finite_number": ("a finite number", "write one"),
}
# What pydantic calls a number out of range.
LIMITS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
EMPTY = ("too_short",)


def parse_settings(
    kind: type[Settings],
    settings: Mapping[str, Any],
    where: str,
    path: Sequence[str] = (),
    called: str = "setting",
) -> Settings:
    """Return ``kind(...)``, a frozen dataclass, filled from ``settings``; lists become tuples.

    Raises InputError in one line: ``where``, the keys that lead there (behind those of ``path``),
    and what is wrong, such as an unknown key, which is ``called`` so.
    """
    given = json.dumps([settings], default=str)
    checker: TypeAdapter[Any] = adapter(kind)  # type: ignore[arg-type]
    try:
        (parsed,) = checker.validate_json(given)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise InputError(_line(kind, _telling(faults), where, path, called)) from None
    _check_numbers(as_plain(parsed), where, path)
    found: Settings = parsed
    return found


def _check_numbers(value: Any, where: str, path: Sequence[str]) -> None:
    """Raise InputError for a number, at any depth, that float32 or 64 bits cannot hold: it would
    become infinite or zero.
    """
    place = f"{where}, {'.'.join(path)}: {value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{place} is not a finite number; write one")
    if isinstance(value, int) and abs(value) >= WHOLE:
        raise InputError(f"{place} is out of range; give a whole number below 2**63")
    if isinstance(value, float) and value != 0 and not SMALLEST <= abs(value) < LARGEST:
        raise InputError(
            f"{place} is out of range; give 0, or a number of 1.2e-38 to 3.4e38: networks compute "
            "in float32, which holds no other"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_numbers(item, where, (*path, str(key)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_numbers(item, where, (*path, str(number)))


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what checks lists of one ``kind``; a dataclass by itself would take no rules."""
    return TypeAdapter(tuple[kind], config=RULES)


def _telling(faults: Sequence[ErrorDetails]) -> ErrorDetails:
    """Return the fault that is told: a misspelt key rather than what is missing for it."""
    unknown = [fault for fault in faults if fault["type"] == "unexpected_keyword_argument"]
    return [*unknown, *faults][0]


def _line(kind: type, fault: ErrorDetails, where: str, path: Sequence[str], called: str) -> str:
    """Return a fault as one line."""
    keys = [*fault["loc"][1:]]
    if keys and keys[-1] == "[key]":
        said = _said(fault, kind)
        keys = keys[:-2]
    elif fault["type"] == "unexpected_keyword_argument":
        name = str(keys.pop())
        said = f"unknown {called} {name!r}; {nearest(name, known_names(kind, keys))}"
    elif fault["type"] == "missing":
        said = f"{called} {keys.pop()!r} is missing"
    else:
        said = _said(fault, kind)
    place = ".".join(str(key) for key in [*path, *keys])
    return f"{where}, {place}: {said}" if place else f"{where}: {said}"


def _said(fault: ErrorDetails, whole: type) -> str:
    """Return what is wrong with a value of the dataclass ``whole``, and the value."""
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    shown = repr(value)
    if len(shown) > SHOWN:
        shown = f"{shown[:SHOWN]}..."
    if value is None:
        return (
            "nothing is written behind it; give a value, or leave the key out (YAML reads ~ and "
            "null as nothing)"
        )
    if kind == "value_error":
        return str(context["error"]) if isinstance(value, dict) else f"{shown} {context['error']}"
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        return f"{shown} is none of {', '.join(options)}; {nearest(str(value), options)}"
    if kind in LIMITS:
        declared = schema_of(_held(whole, fault["loc"][1:]))
        return f"{shown} is out of range; give {told(declared)}"
    if kind == "string_too_short":
        return f"{shown} is empty; write a text"
    if kind == "string_too_long":
        return f"{shown} is too long; write {context['max_length']} characters at most"
    if kind in EMPTY:
        return f"{shown} is too short; give at least {context['min_length']}"
    if kind in EXPECTED:
        expected, advice = EXPECTED[kind]
        examples = schema_of(_held(whole, fault["loc"][1:])).get("examples")
        if kind == "string_type" and examples:
            return f"{shown} is not {expected}; write a text such as {', '.join(examples)}"
        return f"{shown} is not {expected}{_hint(value, kind) or f'; {advice}'}"
    return f"{shown}: {fault['msg']}"


def _hint(value: object, kind: str) -> str:
    """Return the advice for values that YAML reads as something else than they look like."""
    if isinstance(value, str) and kind in ("int_type", "float_type"):
        return number_hint(value)
    if isinstance(value, bool) and kind == "string_type":
        return " (YAML reads yes, no, on and off as true or false: quote the word)"
    if isinstance(value, int | float) and kind == "string_type":
        return f' (a number: quote it, "{value}")'
    return ""


def number_hint(text: str) -> str:
    """Return the advice for ``1e-4``, which YAML reads as a string, for a number in quotes, and
    nothing for other texts.
    """
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
        return ' (a text: take its quotes away; on the command line use --config set="...")'
    if not re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", text):
        return ""
    mantissa, exponent = re.split("[eE]", text)
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    sign = "" if exponent[0] in "+-" else "+"
    return f" (YAML reads {text} as text: write {mantissa}e{sign}{exponent})"


def known_names(kind: Any, keys: Sequence[int | str]) -> list[str]:
    """Return the fields of the dataclass that ``keys`` lead to from ``kind``."""
    return [field.name for field in dataclasses.fields(_without_none(_held(kind, keys)))]


def _held(kind: Any, keys: Sequence[int | str]) -> Any:
    """Return the declared type that ``keys`` lead to from ``kind``, with its ranges."""
    for key in keys:
        kind = _without_none(kind)
        if dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind, include_extras=True)[str(key)]
        else:  # the last argument is what a mapping or a tuple holds
            kind = [part for part in get_args(kind) if part is not Ellipsis][-1]
    return kind


def _without_none(kind: Any) -> Any:
    """Return a type without "or None" and without its ranges."""
    if get_origin(kind) is Annotated:
        return _without_none(get_args(kind)[0])
    if isinstance(kind, UnionType):
        return _without_none(next(part for part in get_args(kind) if part is not NoneType))
    return kind


def as_plain(value: Any) -> Any:
    """Return a dataclass as JSON has it, at every depth; what is None is left out of it."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        given = {name: getattr(value, name) for name in names}
        return {name: as_plain(item) for name, item in given.items() if item is not None}
    if isinstance(value, Mapping):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_plain(item) for item in value]
    return value
