"""What a rebalancing does once its kind has chosen and learned: a function of any (image, class)
scores and of which classes are seen, made of plain numbers, so that it can be kept and applied to
pictures that no dataset lists.

What each of them means stands in :mod:`zslpipe.scores.kinds`, whose equations these are.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from zslpipe.machine.errors import InputError
from zslpipe.scores import gating
from zslpipe.settings import parse_settings

READINGS = {"confidence": gating.confidence, "logits": gating.logits}

# New scores (image, class), float64, of old ones, (class,) whether seen, and (image,) labels: they
# are None of pictures without, and the oracle alone reads them.
Change = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class Kept:
    """The scores as they are."""

    def __call__(
        self, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the scores."""
        return scores


@dataclass(frozen=True)
class TakenOff:
    """Eq. 1 of the kinds: a ``factor`` off the scores of seen classes."""

    factor: float

    def __call__(
        self, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return new scores."""
        changed: np.ndarray = scores - self.factor * seen
        return changed


@dataclass(frozen=True)
class Smoothed:
    """Eq. 2 of the kinds: the ``gate`` reads sorted probabilities, ``top`` of either group; log p_j
    at ``temperature``.
    """

    temperature: float
    gate_temperature: float
    top: int
    gate: gating.Sharpened

    def __call__(
        self, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return log p_j; InputError for a group with fewer classes than the gate reads."""
        fewest = int(min(seen.sum(), (~seen).sum()))
        if fewest < self.top:
            fault = f"the gate reads {self.top} seen and {self.top} unseen classes, one has"
            raise InputError(f"rebalancing 'cosmo': {fault} {fewest}")
        read = gating.sorted_probabilities(
            scores, seen, self.temperature, self.gate_temperature, self.top
        )
        return gating.smoothed(scores, seen, self.gate(read), self.temperature)


@dataclass(frozen=True)
class Weighed:
    """Eq. 3 of the kinds: D, the ``gate``, reads scores at the ``likeliest`` temperature; log p_j
    at ``temperature``.
    """

    reading: Literal["confidence", "logits"]
    likeliest: float
    temperature: float
    gate: gating.Logistic

    def __call__(
        self, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return log p_j; InputError where D learned the logits of other classes."""
        learned = len(self.gate.weights)
        if self.reading == "logits" and scores.shape[1] != learned:
            fault = f"reads the logits of the {learned} classes that it learned, not of"
            raise InputError(f"rebalancing 'discriminator': {fault} {scores.shape[1]}")
        features = READINGS[self.reading](scores, seen, self.likeliest)
        return gating.weighed(scores, seen, self.gate(features), self.temperature)


@dataclass(frozen=True)
class Revealed:
    """An upper bound: the labels say which images are of seen classes."""

    def __call__(
        self, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores with every class of the wrong group below all of the right one."""
        if labels is None:
            raise InputError("rebalancing 'oracle': it reads labels, which such images lack")
        wrong = seen != seen[labels][:, None]
        spread = np.ptp(scores, axis=1, keepdims=True)
        # so far below that float32 tells them apart
        gap = 1 + 1e-5 * (spread + np.abs(scores).max(axis=1, keepdims=True))
        moved: np.ndarray = scores - wrong * (spread + gap)
        return moved


LearnedChange = Kept | TakenOff | Smoothed | Weighed
_NAMES: dict[str, type[LearnedChange]] = {
    "kept": Kept,
    "taken off": TakenOff,
    "smoothed": Smoothed,
    "weighed": Weighed,
}


def as_plain(change: LearnedChange) -> dict[str, Any]:
    """Return a change as JSON holds it."""
    (name,) = [name for name, kind in _NAMES.items() if isinstance(change, kind)]
    return {"does": name} | asdict(change)


def from_plain(told: Mapping[str, Any], where: str) -> LearnedChange:
    """Return the change that :func:`as_plain` told; InputError, which begins with ``where``, for
    anything else.
    """
    values = dict(told)
    name = values.pop("does", None)
    if name not in _NAMES:
        raise InputError(f"{where}: a rebalancing that does {name!r}, which this version lacks")
    return parse_settings(_NAMES[name], values, where)
