"""``--config set="dazle.lr=0.5 seeds=[0,1]"``: nested values on the command line, typed by YAML.

A value with spaces stands in quotes or brackets. Snakemake takes the quotes at the end of the whole
text away, and makes a section of a text with one ``: `` in it; both are undone here.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from zslpipe.machine.errors import InputError
from zslpipe.study.yaml_files import check_value

WHERE = '--config set="...":'
NAME = re.compile(r"\s*([\w.\-]+)=(?=\S)")


def apply_assignments(config: dict[str, Any], given: object) -> None:
    """Set nested values from ``"dazle.lr=0.5 seeds=[0,1]"``; raises InputError if it does not
    parse.
    """
    text, names = _as_written(given), set()
    position = 0
    while position < len(text.rstrip()):
        match = NAME.match(text, position)
        if match is None:
            raise InputError(
                f"{WHERE} cannot read {text[position:].strip()!r}; write name.key=value, separated "
                "by spaces, and a value with spaces in quotes inside of the others: "
                "set=\"name='two words'\""
            )
        if match[1] in names:
            raise InputError(f"{WHERE} {match[1]} is given twice; the first would be lost")
        names.add(match[1])
        value, position = _value(text, match.end())
        _assign(config, match[1], _typed(value))


def _as_written(given: object) -> str:
    """Return the text behind ``set=`` as it was before Snakemake read it as YAML."""
    if isinstance(given, Mapping):
        return " ".join(f"{key}: {value}" for key, value in given.items())
    return "" if given is None else str(given)


def _value(text: str, start: int) -> tuple[str, int]:
    """Return the value that begins at ``start``, and where it ends: at the first space outside of
    quotes and brackets. Quotes that are not closed are closed at the end of the text.
    """
    depth, quote = 0, ""
    for position in range(start, len(text)):
        mark, before = text[position], text[position - 1]
        if quote:
            if mark == quote and not (quote == '"' and before == "\\"):
                quote = ""
        elif mark in "'\"" and not before.isalnum():
            quote = mark
        elif mark.isspace() and depth <= 0:
            return text[start:position], position
        else:
            depth += (mark in "[{") - (mark in "]}")
    return text[start:] + quote, len(text)


def _assign(config: dict[str, Any], name: str, value: Any) -> None:
    """Set ``folder.folder.key`` to a value; sections that are not there, or empty, are made."""
    *folders, last = name.split(".")
    target = config
    for folder in folders:
        if target.get(folder) is None:
            target[folder] = {}
        target = target[folder]
        if not isinstance(target, dict):
            raise InputError(f'--config set="{name}=...": {folder!r} is a value, not a section')
    target[last] = value


def _typed(text: str) -> Any:
    """Return a value as YAML types it; raises InputError where it is none, such as a list that is
    not closed.
    """
    check_value(text, f"{WHERE} {text}")
    return yaml.safe_load(text)
