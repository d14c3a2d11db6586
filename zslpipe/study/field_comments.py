"""What stands beside the fields of a class of settings: its comments, from the source."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

# Where a default is from, as comments say it first: the paper, its authors' code, code of the same
# family, or us.
SOURCE = re.compile(r"\b(paper|code|family|ours)\b", re.IGNORECASE)


def field_comments(path: Path, name: str) -> dict[str, str]:
    """Return the comments of a class's fields by field: those on the lines above, then those
    behind it; empty for a field without.
    """
    text = path.read_text(encoding="utf8")
    comments = _comments(text)
    found = {}
    for node in _fields(ast.parse(text), name):
        above: list[str] = []
        line = node.lineno - 1
        while line in comments and comments[line][1]:
            above.insert(0, comments[line][0])
            line -= 1
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        behind = [comments[line][0] for line in lines if line in comments]
        if isinstance(node.target, ast.Name):
            found[node.target.id] = " ".join([*above, *behind])
    return found


def source_of(comment: str) -> str:
    """Return where a default is from: the first of paper, code, family and ours that its comment
    names, or nothing.
    """
    found = SOURCE.search(comment)
    return found[1].lower() if found else ""


def _comments(text: str) -> dict[int, tuple[str, bool]]:
    """Return each comment by its line, and whether nothing stands before it there."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (token.string.lstrip("# "), alone)
    return found


def _fields(tree: ast.Module, name: str) -> Iterator[ast.AnnAssign]:
    """Yield the fields of a class at the top level."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from (line for line in node.body if isinstance(line, ast.AnnAssign))
