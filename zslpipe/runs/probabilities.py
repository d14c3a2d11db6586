"""How the scores of a finished run become probabilities: its rebalancing, then a softmax."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.identity import check_run
from zslpipe.formats.scores import read_scores
from zslpipe.scores.changes import Kept, LearnedChange, TakenOff, Weighed
from zslpipe.scores.choosing import tested
from zslpipe.scores.gating import likeliest_temperature
from zslpipe.scores.rebalancing import applied


@dataclass(frozen=True, eq=False)
class Probabilities:
    """How a run's scores become probabilities: the ``change`` that a rebalancing makes, then a
    softmax at ``temperature`` (None: nothing says which, and 1 is taken).

    ``rebalancing`` is that of the scores.h5 that was named, ``change`` what it does. The
    temperature makes the labels of the validation problem likeliest, after the same change
    (:func:`likeliest_temperature`).
    """

    rebalancing: str = "none"
    change: LearnedChange = field(default_factory=Kept)
    temperature: float | None = None

    def changed(self, scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Return (image, class) scores after the rebalancing, as a scores.h5 holds them."""
        return applied(self.change, scores, seen)

    @property
    def told(self) -> str:
        """Return what the rebalancing does in a few words."""
        if isinstance(self.change, TakenOff):
            return f"{self.rebalancing}: {self.change.factor:.4g} off the scores of seen classes"
        if isinstance(self.change, Kept):
            return f"{self.rebalancing}: on the validation classes no better than none, not applied"
        return f"{self.rebalancing}: as on the dataset's images, gate and temperature as learned"


def temperature_of(seed: Path, run: Mapping[str, Any], change: LearnedChange) -> float | None:
    """Return the temperature that makes the labels of validation.h5 likeliest after a change, None
    where there is none, it has no validation classes, or the change is of other classes' scores.

    Raises InputError where it is of another ``run``.
    """
    path = seed / "validation.h5"
    if not path.is_file() or (isinstance(change, Weighed) and change.reading == "logits"):
        return None
    matrix = read_scores(path)
    check_run(path, run, matrix.run)
    if not len(matrix.labels["test_unseen"]):
        return None
    scores, labels = tested(matrix)
    return likeliest_temperature(change(scores, matrix.seen), labels)
