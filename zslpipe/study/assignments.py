"""``--config set="dazle.lr=0.5 seeds=[0,1]"``: nested values on the command line, typed by YAML."""

import re
from typing import Any

import yaml

from zslpipe.machine.errors import InputError

# A value in brackets, braces or quotes may contain spaces.
ASSIGNMENT = re.compile(r"\s*([\w.\-]+)=(\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'|\S+)")


def apply_assignments(config: dict[str, Any], text: str) -> None:
    """Set nested values from ``"dazle.lr=0.5 seeds=[0,1]"``; raises InputError if it does not
    parse.
    """
    position = 0
    while position < len(text.rstrip()):
        match = ASSIGNMENT.match(text, position)
        if match is None:
            raise InputError(
                f'--config set="...": cannot read {text[position:].strip()!r}; '
                "write name.key=value, separated by spaces"
            )
        position = match.end()
        _assign(config, match[1], _typed(match[2]))


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
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(
            f'--config set="...": {text!r} is not a value in YAML; '
            "an inner ] or } is not read, use dotted names"
        ) from None
