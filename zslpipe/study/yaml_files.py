"""What YAML makes of a configuration without a word: keys given twice, names that become numbers,
numbers that become others.

Python's reader keeps the last of two equal keys, reads ``2020:``, ``no:`` and ``on:`` as a number,
false and true, 010 as 8 and 1:30 as 90.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zslpipe.machine.errors import InputError, one_line

TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}
# Tags of values that a configuration can hold.
VALUES = ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
# Numbers of YAML 1.1 that nobody means: octal, to the base of 60, with separators.
MISREAD = re.compile(r"[-+]?(0\d+|0[bx]\w+|[\d_]+(:[\d_.]+)+|[\d._]*_[\d._]*)")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def check_yaml(path: Path) -> None:
    """Raise InputError, naming file and line, for a key that is given twice in a section, for one
    that YAML reads as a number, true, false or nothing, for a number that it reads as another, and
    for a file that is no YAML with keys.
    """
    text = _text_of(path)
    if text.lstrip().startswith("{") and _is_json(text, path):
        # of which Snakemake reads more than YAML does, such as tabs
        return
    root = _composed(text, str(path))
    if not isinstance(root, yaml.MappingNode):
        kinds = {type(None): "nothing", yaml.SequenceNode: "a list"}
        found = kinds.get(type(root), "a single value")
        raise InputError(f"{path}: holds {found}; a configuration holds keys, such as methods:")


def check_value(text: str, where: str) -> None:
    """Raise InputError for a value in YAML as :func:`check_yaml` does for a file."""
    _composed(text, where)


def _text_of(path: Path) -> str:
    """Return a file's text; InputError where it cannot be read or is not in UTF-8."""
    try:
        found = path.read_bytes()
        return found.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        if found.startswith(UTF_16):
            raise InputError(f"{path}: is in UTF-16; save it in UTF-8") from None
        line = found[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: a character that is not in UTF-8; save the file in UTF-8"
        ) from None


def _composed(text: str, where: str) -> yaml.Node | None:
    """Return the checked node of a text."""
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: no YAML: {_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{where}: no YAML: sections in sections without an end") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where}: no YAML: {one_line(error)}") from None
    if root is not None:
        _check_node(root, where, set())
    return root


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong, with what to do where YAML's own words do not say it."""
    problem = error.problem or one_line(error)
    inside = error.context if str(error.context).startswith("while") else None
    if inside and error.context_mark and error.problem_mark:
        begun = error.context_mark.line
        if begun != error.problem_mark.line:
            problem += f" ({inside} that begins in line {begun + 1})"
    advice = {
        "found character '\\t'": "; indent with spaces, not with tabs",
        "but found another document": "; one file is one configuration: no line of ---",
        "mapping values are not allowed": "; quote a text with a colon in it, put a space behind "
        "each other colon, in the line before too, and indent the keys of a section alike",
    }
    for beginning, remedy in advice.items():
        if problem.startswith(beginning):
            return f"{problem}{remedy}"
    return problem


def _is_json(text: str, path: Path) -> bool:
    """Return whether a text is JSON; InputError for a key that is given twice in it."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(key for key, _ in pairs)
        for key, count in counts.items():
            if count > 1:
                raise InputError(f"{path}: key {key!r} is given {count} times in one section")

    try:
        json.loads(text, object_pairs_hook=check)
    except json.JSONDecodeError:
        return False
    return True


def _check_node(node: yaml.Node, where: str, met: set[int], above: tuple[int, ...] = ()) -> None:
    """Check a node and all below it; one that several aliases share is met once.

    ``above``: the nodes that hold it, of which it can be none.
    """
    line = node.start_mark.line + 1
    if id(node) in above:
        raise InputError(f"{where}, line {line}: a section that holds itself by an alias")
    if id(node) in met:
        return
    met.add(id(node))
    if node.tag.rsplit(":", 1)[-1] not in VALUES:
        raise InputError(f"{where}, line {line}: the tag {node.tag} is nothing that a key can be")
    if isinstance(node, yaml.ScalarNode):
        _check_number(node, where)
        return
    below = node.value
    if isinstance(node, yaml.MappingNode):
        _check_keys_of(node, where)
        below = [value for _, value in node.value]
    for child in below:
        _check_node(child, where, met, (*above, id(node)))


def _check_number(node: yaml.ScalarNode, where: str) -> None:
    """Raise InputError for a number that YAML reads as another than it looks like."""
    is_number = node.tag.endswith((":int", ":float"))
    if is_number and MISREAD.fullmatch(node.value):
        made = yaml.safe_load(node.value)
        raise InputError(
            f"{where}, line {node.start_mark.line + 1}: YAML reads {node.value} as the number "
            f'{made}; write {made}, or quote a text: "{node.value}"'
        )


def _check_keys_of(node: yaml.MappingNode, where: str) -> None:
    """Raise InputError for a key of one section that is no text or there already."""
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag == MERGE:
            _check_merged(value, where)
            continue
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{where}, line {line}: a list or a section as a key; a key is a word")
        if key.tag != TEXT:
            kind, shown = READ_AS.get(key.tag.rsplit(":", 1)[1], "no text"), key.value
            comma = " (or write a decimal point, no comma)" if node.flow_style else ""
            raise InputError(
                f"{where}, line {line}: YAML reads the key {shown} as {kind}; quote it: "
                f'"{shown}"{comma}'
            )
        if key.value in lines:
            raise InputError(
                f"{where}, line {line}: key {key.value!r} is given a second time (first in line "
                f"{lines[key.value]}); the first would be lost"
            )
        lines[key.value] = line


def _check_merged(value: yaml.Node, where: str) -> None:
    """Raise InputError for something else than sections behind ``<<``."""
    merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
    if not all(isinstance(node, yaml.MappingNode) for node in merged):
        line = value.start_mark.line + 1
        raise InputError(f"{where}, line {line}: << takes a section, such as *name, or a list of")


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
