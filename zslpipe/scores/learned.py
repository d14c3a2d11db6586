"""What a rebalancing has learned, told by the files that it read: its scores.h5 holds the numbers
that were chosen, and a gate is fitted on the same scores again, which takes seconds.

Whether it is the same function is looked at: applied to the scores that were rebalanced it has to
give those that were written.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zslpipe.formats.scores import SPLITS, ScoreMatrix, read_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.changes import Kept, LearnedChange, Revealed, TakenOff
from zslpipe.scores.choosing import KEPT
from zslpipe.scores.kinds import CalibratedStacking, Unchanged
from zslpipe.scores.rebalancing import applied, read_given, settings_of

# Ours: scores of a gate that another version of scikit-learn fits stay within.
TOLERANCE = 1e-3


def learned_change(path: Path) -> LearnedChange:
    """Return what the rebalancing that wrote ``path`` does, in a folder beside the scores.h5 that
    it read, with validation.h5 and irrelevant.h5 where its kind needs them.

    Raises InputError for the oracle, which reads labels, for an unknown kind, where a file is
    missing, damaged or of another run, and where the files beside it give other scores than
    ``path`` holds: they are no longer those that it was made of.
    """
    matrix, folder = read_scores(path), path.parent.parent
    change = _change(path, folder, matrix)
    if (folder / "scores.h5").is_file():
        _check_same(path, folder, matrix, change)
    return change


def _change(path: Path, folder: Path, matrix: ScoreMatrix) -> LearnedChange:
    """Return what a rebalancing does: as it says itself, or learned again."""
    used = matrix.chosen.get(matrix.rebalancing)
    told = used if isinstance(used, Mapping) else {}
    if matrix.rebalancing == Unchanged.name or KEPT.items() <= told.items():
        return Kept()
    if matrix.rebalancing == CalibratedStacking.name and "factor" in told:
        return TakenOff(float(told["factor"]))
    kind = settings_of(matrix.rebalancing, _settings(matrix))
    validation = _needed(path, folder, "validation", kind.needs())
    irrelevant = _needed(path, folder, "irrelevant", kind.needs())
    given = read_given(kind, folder / "scores.h5", validation, irrelevant)
    change, _ = kind.prepare(given)
    if isinstance(change, Revealed):
        fault = "the oracle knows from their labels which images are of seen classes"
        raise InputError(f"{path}: {fault}, and other pictures have none; name another result")
    if not isinstance(change, LearnedChange):
        fault = f"what {matrix.rebalancing!r} does is none of zslpipe.scores.changes"
        raise InputError(f"{path}: {fault}; name the folder of the seed")
    return change


def _check_same(path: Path, folder: Path, matrix: ScoreMatrix, change: LearnedChange) -> None:
    """Raise InputError where a change makes other scores of those beside it than were written."""
    before = read_scores(folder / "scores.h5")
    for split in SPLITS:
        found, written = before.scores[split], matrix.scores[split]
        same = found.shape == written.shape
        if same:
            same = np.allclose(
                applied(change, found, before.seen), written, rtol=TOLERANCE, atol=TOLERANCE
            )
        if not same:
            fault = f"it was not made of the files that {folder} holds now"
            raise InputError(f"{path}: {fault}; run the workflow, which makes it again")


def _settings(matrix: ScoreMatrix) -> Mapping[str, object]:
    """Return the settings of the kind that made a matrix."""
    told = matrix.run.get("rebalancing")
    settings = told.get(matrix.rebalancing) if isinstance(told, Mapping) else None
    return settings if isinstance(settings, Mapping) else {}


def _needed(path: Path, folder: Path, name: str, needs: tuple[str, ...]) -> Path | None:
    """Return a file of a kind's needs, None where it has no need of it; InputError where it is not
    there.
    """
    if name not in needs:
        return None
    file = folder / f"{name}.h5"
    if not file.is_file():
        fault = f"what {path.parent.name} learned is learned from it again, and it is not there"
        raise InputError(f"{file}: {fault}; run the workflow, which makes it, or copy it too")
    return file
