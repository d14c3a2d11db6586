"""A dataset's or a word table's settings as they come from the configuration: known keys, right
types.
"""

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from zslpipe.machine.errors import InputError, nearest

Settings = TypeVar("Settings")


def parse_settings(kind: type[Settings], settings: Mapping[str, Any], where: str) -> Settings:
    """Return ``kind(...)``, a frozen dataclass, filled from ``settings``; lists become tuples.

    Raises InputError, starting with ``where``, for an unknown key, a missing one or a value of the
    wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in settings:
        if key not in fields:
            raise InputError(f"{where}: unknown setting {key!r}; {nearest(str(key), fields)}")
    hints = get_type_hints(kind)
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise InputError(f"{where}: setting {name!r} is missing")
        if name in values and not _fits(values[name], hints[name]):
            raise InputError(
                f"{where}: setting {name!r} is {settings[name]!r}, {_told(hints[name])} expected"
            )
    return kind(**values)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether ``value`` is of the annotated type (plain types, unions, tuples of one type,
    mappings).
    """
    if isinstance(hint, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    origin = get_origin(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if origin is not None:  # Mapping[str, str]
        keys, values = get_args(hint)
        return isinstance(value, Mapping) and all(
            _fits(k, keys) and _fits(v, values) for k, v in value.items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _told(hint: Any) -> str:
    """Return an annotated type in words."""
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "nothing",
    }
    if isinstance(hint, UnionType):
        return " or ".join(_told(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list ({_told(get_args(hint)[0])} each)"
    return words.get(hint, "a mapping of text to text")
