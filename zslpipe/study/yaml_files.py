"""What YAML makes of a configuration without a word: keys given twice, names that become numbers.

Python's reader keeps the last of two equal keys, and reads ``2020:``, ``no:`` and ``on:`` as a
number, false and true.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zslpipe.machine.errors import InputError, one_line

TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}


def check_yaml(path: Path) -> None:
    """Raise InputError, naming file and line, for a key that is given twice in a section, for one
    that YAML reads as a number, true, false or nothing, and for a file that is no YAML.
    """
    try:
        text = path.read_text(encoding="utf8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        if _is_json(text):  # of which Snakemake reads more than YAML does, such as tabs
            return
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: no YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no YAML in UTF-8: {one_line(error)}") from None
    if root is not None:
        _check_node(root, path, set())


def _is_json(text: str) -> bool:
    """Return whether a text is JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _check_node(node: yaml.Node, path: Path, met: set[int]) -> None:
    """Check a node and all below it; one that several aliases share is met once."""
    if id(node) in met or isinstance(node, yaml.ScalarNode):
        return
    met.add(id(node))
    if isinstance(node, yaml.MappingNode):
        _check_keys_of(node, path)
        below = [value for _, value in node.value]
    else:
        below = node.value
    for child in below:
        _check_node(child, path, met)


def _check_keys_of(node: yaml.MappingNode, path: Path) -> None:
    """Raise InputError for a key of one section that is no text or there already."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag == MERGE:
            continue
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{path}, line {line}: a list or a section as a key; a key is a word")
        if key.tag != TEXT:
            kind, shown = READ_AS.get(key.tag.rsplit(":", 1)[1], "no text"), key.value
            raise InputError(
                f'{path}, line {line}: YAML reads the key {shown} as {kind}; quote it: "{shown}"'
            )
        if key.value in lines:
            raise InputError(
                f"{path}, line {line}: key {key.value!r} is given a second time (first in line "
                f"{lines[key.value]}); the first would be lost"
            )
        lines[key.value] = line


def check_keys(value: Any, where: str = "config") -> None:
    """Raise InputError for a key, at any depth, that is no text: its file is not known any more."""
    if isinstance(value, list):
        for item in value:
            check_keys(item, where)
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise InputError(
                f"{where}: the key {key} is no text: YAML reads digits as a number, and yes, no, "
                "on and off as true or false; quote it"
            )
        joint = ", " if where == "config" else "."
        check_keys(item, f"{where}{joint}{key}")
