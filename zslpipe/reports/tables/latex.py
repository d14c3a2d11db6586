r"""A table as LaTeX: a booktabs tabular and the notes below it, for ``\input`` into a document.

The document needs ``\usepackage[T1]{fontenc}`` and ``\usepackage{booktabs,xcolor}``. People's
names may hold anything: what LaTeX would read is escaped, and a character that pdfLaTeX does not
know stands there as its number (XeLaTeX and LuaLaTeX set it, where their font has it).
"""

import re
from collections.abc import Hashable, Iterable, Sequence

ESCAPED = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "±": "$\\pm$",
    "×": "$\\times$",
}
ESCAPED |= {character: f"\\{character}" for character in "&%$#_{}"}
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
RAISED = str.maketrans("0123456789", SUPERSCRIPTS)
LOWERED = str.maketrans(SUPERSCRIPTS, "0123456789")
NUMBER = re.compile(f"[{SUPERSCRIPTS}]+")
# Beyond ASCII, what pdfLaTeX sets in the encoding T1: letters of Latin-1 and Latin Extended-A as
# far as they are in it, and marks of print.
T1 = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ"
    "ĂăĄąĆćČčĎďĐđĘęĚěĞğĹĺĽľŁłŃńŇňŐőŔŕŘřŚśŞşŠšŢţŤťŮůŰűŸŹźŻżŽž"
    "–—‘’“”„‚«»‹›…¡¿§"
)


def escaped(text: str) -> str:
    """Return a text as LaTeX that sets it, whatever it holds, in one line."""
    found = []
    for character in " ".join(text.split()):
        if character in ESCAPED:
            found.append(ESCAPED[character])
        elif character.isascii() or character in T1:
            found.append(character if character.isprintable() else "")
        else:
            other = f"U+{ord(character):04X}"
            found.append(f"\\ifdefined\\Umathchar {character}\\else {other}\\fi{{}}")
    return "".join(found)


def tabular(
    titles: Sequence[str], rows: Sequence[Sequence[str]], blocks: Sequence[Hashable], texts: int
) -> str:
    """Return a booktabs tabular of cells that are LaTeX already: the first ``texts`` columns to the
    left, numbers to the right, a rule where ``blocks``, one value a row, changes.
    """
    head = [escaped(title) for title in titles]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    sides = "l" * texts + "r" * (len(head) - texts)
    lines = [f"\\begin{{tabular}}{{{sides}}}", "\\toprule", _row(head, widths, texts), "\\midrule"]
    for number, row in enumerate(rows):
        if number and blocks[number] != blocks[number - 1]:
            lines.append("\\midrule")
        lines.append(_row(row, widths, texts))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


def _row(cells: Sequence[str], widths: Sequence[int], texts: int) -> str:
    """Return a line of a tabular, padded for those who read it."""
    padded = []
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        padded.append(cell.ljust(width) if number < texts else cell.rjust(width))
    return " & ".join(padded) + " \\\\"


def notes(text: str) -> str:
    """Return what stands below a table: paragraphs and lists ("- ") of plain text, small."""
    lines = []
    for line in filter(None, text.splitlines()):
        item = line.removeprefix("- ")
        mark = NUMBER.match(item)
        number, told = (mark[0], item[mark.end() :]) if mark else ("", item)
        parts = ["\\par", "" if item == line else "--", footnote_mark(number), escaped(told)]
        lines.append(" ".join(filter(None, parts)))
    return "\n".join(["\\par\\smallskip", "{\\footnotesize\\raggedright", *lines, "\\par}"])


def footnote_mark(number: str) -> str:
    """Return the number of a footnote, raised digits, as LaTeX; "" for none."""
    return f"$^{{{number.translate(LOWERED)}}}$" if number else ""


def comments(lines: Iterable[str]) -> str:
    """Return lines as comments: none can end before its own end."""
    return "".join(f"% {' '.join(line.split())}\n" for line in lines)
