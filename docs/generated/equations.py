"""The equations of a method's docstring as MathML, which browsers draw without any script.

A docstring writes an equation in letters that an editor shows. ``equations.yaml`` holds beside each
how it is typeset: by method, a list of ``plain`` (lines of the docstring), ``number`` and ``tex``
(one line, or a list of them).
The lines have to be the docstring's, so a changed equation cannot keep an old picture.
"""

import re
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from latex2mathml.converter import convert

from docs.generated.docstrings import docstring, paragraphs

FENCE = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
FILE = Path(__file__).with_name("equations.yaml")


@cache
def typeset() -> Mapping[str, list[dict[str, Any]]]:
    """Return the content of equations.yaml: rows of plain, number and tex by method."""
    found: Mapping[str, list[dict[str, Any]]] = yaml.safe_load(FILE.read_text(encoding="utf8"))
    return found


def plain_equations(method: str) -> str:
    """Return the equations of a method as its docstring writes them: the block behind the first
    ``::``.
    """
    blocks = paragraphs(docstring(f"zslpipe.methods.{method}"))
    before = next(number for number, block in enumerate(blocks) if block.endswith("::"))
    return textwrap.dedent(blocks[before + 1])


def equations(method: str) -> str:
    """Return the equations of a method as HTML, a row each.

    Raises ValueError where equations.yaml does not have the lines of the docstring.
    """
    plain = plain_equations(method)
    rows = typeset().get(method)
    if rows is None:
        return f"```text\n{plain}\n```"
    if "\n".join(row["plain"] for row in rows) != plain:
        raise ValueError(f"{FILE.name}: {method} has other lines than the docstring: {plain}")
    drawn = []
    for row in rows:
        first, *others = [row["tex"]] if isinstance(row["tex"], str) else row["tex"]
        drawn.append(equation(first, str(row.get("number", ""))))
        drawn += map(equation, others)
    return "\n\n".join(drawn)


def equation(tex: str, number: str = "") -> str:
    """Return an equation with its number as HTML; ValueError for TeX that is not understood."""
    drawn = convert(tex, display="block")
    if "\\" in drawn:
        raise ValueError(f"a command of TeX is left over: {drawn}")
    return f'<div class="equation">{drawn}<span class="number">{number}</span></div>'


def with_fences(text: str) -> str:
    """Return a page in Markdown with its fences ``math``, an equation a line, as HTML."""
    return FENCE.sub(lambda found: "\n\n".join(map(equation, found[1].splitlines())), text)
