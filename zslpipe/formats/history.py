"""``history.csv``: what a training went through, one row an epoch. Imports no torch."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError


def write_history(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Write ``history.csv``: one row an epoch, the union of all rows' columns; only the header
    without epochs.
    """
    columns = ["phase", "stage", "epoch", "step", "loss"]
    columns += [
        name
        for name in dict.fromkeys(key for row in history for key in row)
        if name not in [*columns, "seconds"]
    ]
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, [*columns, "seconds"], restval="")
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, str]]:
    """Read a history.csv into one dict an epoch; InputError where it is absent or no history."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            absent = {"phase", "epoch", "loss"} - set(reader.fieldnames or ())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; training a method writes it") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not a readable history.csv ({error}); delete it and run again"
        ) from None
    if absent:
        raise InputError(
            f"{path}: not a history.csv, it lacks the columns {', '.join(sorted(absent))}"
        )
    return rows
