"""What a kind of rebalancing is given and gives back, and how one that chooses on the validation
classes is held to do no worse there than the scores as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zslpipe.scores import gating
from zslpipe.scores.changes import Change, Kept

if TYPE_CHECKING:  # the workflow asks for kinds before any job and needs no HDF5 for that
    from zslpipe.formats.scores import IrrelevantScores, ScoreMatrix

# What changes scores, and what was chosen.
Prepared = tuple[Change, dict[str, Any]]
# What ``chosen`` says where "none" is the best on the validation classes.
KEPT = {"kept": "none"}


@dataclass(frozen=True, eq=False)
class Given:
    """The files of one run: scores.h5; validation.h5 and irrelevant.h5 where they are needed."""

    matrix: "ScoreMatrix"
    validation: "ScoreMatrix | None" = None
    irrelevant: "IrrelevantScores | None" = None

    def choosing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scores (image, class), float64, and labels (image,) of all test images of the
        validation problem, and which of its classes (class,) are seen.
        """
        if self.validation is None:
            raise ValueError("a kind that chooses has to name 'validation' among its needs")
        return *tested(self.validation), self.validation.seen

    def unrelated(self) -> np.ndarray:
        """Return scores (image, class), float64, of the task-irrelevant images."""
        if self.irrelevant is None:
            raise ValueError("a kind that reads them has to name 'irrelevant' among its needs")
        return self.irrelevant.scores.astype(np.float64)


def tested(matrix: "ScoreMatrix") -> tuple[np.ndarray, np.ndarray]:
    """Return scores (image, class), float64, and labels (image,) of all test images, those of seen
    classes first.
    """
    splits = ("test_seen", "test_unseen")
    scores = np.concatenate([matrix.scores[split] for split in splits])
    labels = np.concatenate([matrix.labels[split] for split in splits])
    return scores.astype(np.float64), labels


def best_or_none(given: Given, change: Change, used: Mapping[str, Any]) -> Prepared:
    """Return a ``change`` chosen on the validation classes, and what was chosen; the scores as they
    are where these are better there.
    """
    scores, labels, seen = given.choosing()
    before = gating.harmonic_as_written(scores, scores, labels, seen)
    after = gating.harmonic_as_written(scores, change(scores, seen, labels), labels, seen)
    if after < before:
        return Kept(), {**used, "validation_H": before, **KEPT}
    # the kind's own figure, where rounding has not changed it
    figure = used.get("validation_H", after)
    return change, {**used, "validation_H": figure if np.isclose(figure, after) else after}
