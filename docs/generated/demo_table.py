"""The table of the README: ``python -m docs.generated.demo_table RESULTS`` writes it again, between
its two comments, from the table of a demo that has run.
"""

import sys
from pathlib import Path

from zslpipe.provenance import PACKAGE

FILE = PACKAGE.parent / "README.md"
BEGIN, END = "<!-- table of the demo -->\n", "<!-- end of the table -->\n"
NAMES = ("Method", "Variant", "Rebalancing")
METRICS = ("T1", "U", "S", "H", "AUSUC")
USUAL = ("default", "none")


def shortened(table: str) -> str:
    """Return main.md's first table with whose each row is and its figures alone, as they stand
    there; what is as usual is left out.
    """
    header, _, *rows = [_cells(line) for line in table.splitlines() if line.startswith("|")]
    lines = [f"| {' | '.join((*NAMES, *METRICS))} |"]
    lines.append(f"|{'---|' * len(NAMES)}{'---:|' * len(METRICS)}")
    for row in rows:
        by_name = dict(zip(header, row, strict=True))
        # a column that all rows share is told below the table
        whose = [by_name.get(name, "") for name in NAMES]
        cells = ["" if name in USUAL else name for name in whose]
        cells += [by_name[name] for name in METRICS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(line: str) -> list[str]:
    """Return the cells of a row in Markdown."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def with_table(text: str, written: str) -> str:
    """Return a text with another table between its two comments."""
    before, rest = text.split(BEGIN)
    _, behind = rest.split(END)
    return f"{before}{BEGIN}{written}{END}{behind}"


if __name__ == "__main__":
    found = (Path(sys.argv[1]) / "tables" / "main.md").read_text(encoding="utf8")
    text = with_table(FILE.read_text(encoding="utf8"), shortened(found.split("\n\n")[0]))
    FILE.write_text(text, encoding="utf8")
