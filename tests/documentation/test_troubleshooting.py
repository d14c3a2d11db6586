"""The messages that the page of troubles quotes are those of the code.

A quoted message has dots, X and N where names and numbers stand; what lies between has to stand in
a text of the package, as it is.
"""

import ast
import re
from functools import cache

import pytest

from tests.made_up.places import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf8")
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
QUOTED = [row[0] for row in ROW.findall(PAGE) if row[0].startswith("`")]
# What stands for a name or a number.
PLACE = re.compile(r"\.\.\.|'X'|\b[XN]\b")


@cache
def texts() -> frozenset[str]:
    """Return the texts of the package, those of f-strings in pieces between their values, without
    docstrings.
    """
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.BinOp | ast.AugAssign):
                found.add(node_text(node))
    return frozenset(found)


def node_text(node: ast.AST) -> str:
    """Return the constant texts under a node, one behind the other."""
    parts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return "".join(part for part in parts if isinstance(part, str))


def pieces(message: str) -> list[str]:
    """Return what has to stand in the code of a quoted message, without marks at its ends."""
    found = [piece.strip(" ;:,'()?{}/`") for piece in PLACE.split(message)]
    return [piece for piece in found if piece]


def test_rows_are_quotations_with_cause_and_remedy() -> None:
    rows = [row for row in ROW.findall(PAGE) if row[0] not in ("message", "---")]
    assert len(rows) == len(QUOTED) > 40
    for message, cause, remedy in rows:
        assert re.fullmatch(r"`[^`]+`", message) and cause and remedy


@pytest.mark.parametrize("message", QUOTED)
def test_every_quoted_message_is_in_the_code(message: str) -> None:
    found = pieces(message)
    assert max(map(len, found)) >= 12, "too short to be told from others"
    missing = [piece for piece in found if not any(piece in text for text in texts())]
    assert missing == []


def test_a_message_that_nobody_says_is_found() -> None:
    assert not any("the moon is out of memory" in text for text in texts())
    assert pieces("`...: no file 'X' in ...; write N`") == ["no file", "in", "write"]
