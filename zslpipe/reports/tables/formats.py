"""Tables as padded Markdown and as booktabs, and how they are written."""

from collections.abc import Sequence
from pathlib import Path

from zslpipe.machine.files import written_whole


def write_formats(
    output_folder: Path, name: str, csv: str, markdown: str, latex: str
) -> tuple[Path, ...]:
    """Write name.csv, name.md and name.tex, each whole or not at all, and return their paths."""
    written = []
    for suffix, text in (("csv", csv), ("md", markdown), ("tex", latex)):
        path = output_folder / f"{name}.{suffix}"
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """Return a padded Markdown table, the first ``text_columns`` to the left, the others (numbers)
    to the right.
    """
    lines = [list(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(titles))]

    def join(line: Sequence[str]) -> str:
        left = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)][:text_columns]
        right = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)][text_columns:]
        return f"| {' | '.join(left + right)} |"

    left_rule = [f":{'-' * (width - 1)}" for width in widths[:text_columns]]
    right_rule = [f"{'-' * (width - 1)}:" for width in widths[text_columns:]]
    return (
        "\n".join(
            [join(lines[0]), join(left_rule + right_rule), *(join(line) for line in lines[1:])]
        )
        + "\n"
    )


def latex_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    text_columns: int,
    blocks: Sequence[object],
    comments: Sequence[str],
) -> str:
    """Return a booktabs tabular below its comments, with a rule wherever the rows' ``blocks``
    change.
    """
    columns = "l" * text_columns + "r" * (len(titles) - text_columns)
    lines = [
        *(f"% {comment}" for comment in comments),
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
    ]
    lines += [f"{' & '.join(titles)} \\\\", "\\midrule"]
    for number, row in enumerate(rows):
        if number and blocks[number] != blocks[number - 1]:
            lines.append("\\midrule")
        cells = [latex_text(cell).replace("±", "$\\pm$") for cell in row]
        lines.append(f"{' & '.join(cells)} \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def latex_text(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    special = {character: f"\\{character}" for character in "_&%#${}"}
    special |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return "".join(special.get(character, character) for character in text)
