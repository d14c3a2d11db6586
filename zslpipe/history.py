"""``history.csv``: what a training went through, one row an epoch. Imports no torch."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_history(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Write ``history.csv``: one row an epoch, the union of all rows' columns; only the header without epochs."""
    columns = ["phase", "stage", "epoch", "step", "loss"]
    columns += [
        name for name in dict.fromkeys(key for row in history for key in row) if name not in [*columns, "seconds"]
    ]
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, [*columns, "seconds"], restval="")
        writer.writeheader()
        writer.writerows(history)
