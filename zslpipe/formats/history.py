"""``history.csv``: what a training went through, one row an epoch, a column each of phase, stage,
epoch, step, loss, what else rows hold, waiting (the share of the seconds in which no further step
was begun for want of a batch; absent in files of earlier versions), seconds. Imports no torch.

Its checksum stands in the training's record beside it (:mod:`zslpipe.formats.kept`): a line of
comment in the table would be a row to most programs that read it.
"""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.formats.kept import TRAINED, check_recorded
from zslpipe.machine.files import read_complete, written_whole

FIRST, LAST = ("phase", "stage", "epoch", "step", "loss"), ("waiting", "seconds")
NEEDED = ("epoch", "loss", "phase")


def write_history(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write ``history.csv``, whole or not at all: one row an epoch, the union of all rows' columns;
    only the header without epochs.
    """
    further = dict.fromkeys(itertools.chain(*history))
    columns = [*FIRST, *(name for name in further if name not in FIRST + LAST), *LAST]
    with (
        written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf8") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, str]]:
    """Read a history.csv into one dict an epoch; InputError where it is absent, no history or not
    what the training wrote.
    """
    damage = (KeyError, ValueError, csv.Error)
    return read_complete(path, _read, "history.csv", "training a method", damage)


def _read(path: Path) -> list[dict[str, str]]:
    """Read the rows; raises KeyError where a column that everyone asks for is missing, ValueError
    where the bytes are others than the record says.
    """
    check_recorded(path, path.with_name(TRAINED))
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        rows = list(reader)
    absent = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if absent:
        raise KeyError(f"it lacks the columns {', '.join(absent)}")
    return rows
