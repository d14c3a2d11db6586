"""Docstrings as Markdown."""

import ast
import re
import textwrap
from pathlib import Path

from zslpipe.provenance import PACKAGE

# ``literal``, :mod:`name` or :func:`name`.
QUOTED = re.compile(r"(``.+?``|:\w+:`~?[\w.]+`)", re.DOTALL)
# What Markdown or HTML would take for something else.
MEANT = re.compile(r"([<*\[\]]|(?<!\w)_|_(?!\w))")


def docstring(module: str) -> str:
    """Return the docstring of a module named as in Python, without importing it."""
    parts = module.split(".")[1:]
    path = PACKAGE.joinpath(*parts)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return of_file(path)


def of_file(path: Path) -> str:
    """Return the docstring of a Python file, empty where it has none."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))) or ""


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a docstring; an indented block is one with its blank lines."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        if found and block.startswith(" ") and found[-1].startswith(" "):
            found[-1] += f"\n\n{block}"
        else:
            found.append(block)
    return found


def as_markdown(text: str) -> str:
    """Return a docstring as Markdown: a block behind ``::`` as code, what stands indented under a
    word alone ("Deviations") as a list under a heading, literals in backticks.
    """
    blocks, literal = [], False
    for block in paragraphs(text):
        title, _, rest = block.partition("\n")
        if literal:
            blocks.append(f"```text\n{textwrap.dedent(block)}\n```")
        elif rest.startswith("    - "):
            blocks += [f"## {title}", listed(rest)]
        else:
            blocks.append(inline(re.sub("::$", ":", block)))
        literal = block.endswith("::")
    return "\n\n".join(blocks)


def listed(text: str) -> str:
    """Return an indented list of a docstring as a list of Markdown."""
    items = re.split(r"^- ", textwrap.dedent(text), flags=re.MULTILINE)[1:]
    return "\n".join(f"- {inline(' '.join(item.split()))}" for item in items)


def inline(text: str) -> str:
    """Return running text with its literals in backticks, and with what Markdown would take for
    something else escaped.
    """
    pieces = []
    for number, piece in enumerate(QUOTED.split(text)):
        if number % 2:
            pieces.append(f"`{piece.split('`', 1)[1].strip('`')}`")
        else:
            pieces.append(MEANT.sub(r"\\\1", piece))
    return "".join(pieces)
