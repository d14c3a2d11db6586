"""What rebalancing is made of: log-probabilities, gates between seen and unseen classes, how a gate
weighs scores.

Pure functions on arrays: ``scores`` are (image, class), ``seen`` (class,) bool, ``odds`` (image,)
the log-odds of an image to be of a seen class. Equations are those of
:mod:`zslpipe.scores.kinds`.
"""

import itertools
import logging
import warnings
from dataclasses import dataclass

import numpy as np

from zslpipe.scores.accuracy import group_mean, harmonic_mean, per_class_accuracy
from zslpipe.scores.calibration import best_of

logger = logging.getLogger(__name__)

# Temperatures tried, in standard deviations of an image's scores (ours): 5 % apart, from nearly
# hard to nearly uniform.
TEMPERATURES = np.geomspace(1e-3, 10, 190)
# What sharpens the gate of cosmo (code: in the ranges of its three datasets); probabilities and
# their differences.
THRESHOLDS = np.linspace(0, 1, 21).round(2).tolist()
SHARPNESSES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# Ours: scores that are written lie within; a third of what float32 holds.
LIMIT = 1e38
# Ours: below, a log-probability says no more to a gate; exp(-745) is 0 in float64 already.
LOWEST = -1e4


def keep_best(given: np.ndarray, changed: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return ``changed``, float32, with each group's best class of ``given`` raised by one step of
    float32 where rounding has cost it its place.
    """
    kept, rows = changed.copy(), np.arange(len(given))
    for members in (seen, ~seen):
        best, now = best_of(given, members), best_of(kept, members)
        lost = best != now
        kept[rows[lost], best[lost]] = np.nextafter(kept[rows[lost], now[lost]], np.float32(np.inf))
    return kept


def harmonic_of(
    of_seen: np.ndarray, scores: np.ndarray, labels: np.ndarray, seen: np.ndarray
) -> float:
    """Return H over (image,) labels; ``of_seen`` (image,) says which images go to their best seen
    class, the others to their best unseen one.
    """
    return _harmonic(np.where(of_seen, best_of(scores, seen), best_of(scores, ~seen)), labels, seen)


def rounded(given: np.ndarray, changed: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (image, class) scores as they are written: float32, finite, and the best class of
    either group is still the best of its group.
    """
    # what is below float32's range is no class of anybody's
    held = np.clip(changed, -LIMIT, LIMIT).astype(np.float32)
    return keep_best(given, held, seen)


def harmonic_as_written(
    given: np.ndarray, changed: np.ndarray, labels: np.ndarray, seen: np.ndarray
) -> float:
    """Return H over (image,) labels of (image, class) scores ``given`` once they are written as
    ``changed``.
    """
    return _harmonic(rounded(given, changed, seen).argmax(axis=1), labels, seen)


def _harmonic(predicted: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> float:
    """Return H of (image,) predicted classes."""
    accuracies = per_class_accuracy(predicted, labels, len(seen))
    return harmonic_mean(group_mean(accuracies, ~seen), group_mean(accuracies, seen))


def log_softmax(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return (image, class) log-probabilities, float64, of scores divided by ``temperature``."""
    scaled: np.ndarray = scores.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    scaled -= np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return scaled


def likeliest_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature under which scores make the (image,) labels likeliest (Guo et al.,
    ICML 2017), of ``TEMPERATURES``; 1 where no score differs from another one of its image.

    A constant of each image changes nothing: logits and their log-probabilities have the same.
    """
    spread = float((scores - scores.mean(axis=1, keepdims=True)).std())
    if spread < np.finfo(np.float32).tiny:
        return 1.0
    rows = np.arange(len(labels))
    return max(
        (log_softmax(scores, tried)[rows, labels].mean(), float(tried))
        for tried in spread * TEMPERATURES
    )[1]


@dataclass(frozen=True)
class Logistic:
    """The log-odds of a logistic regression: ``weights`` (feature,) and ``intercept``."""

    weights: tuple[float, ...]
    intercept: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (image,) log-odds of (image, feature) features."""
        odds: np.ndarray = features @ np.array(self.weights) + self.intercept
        return odds


@dataclass(frozen=True)
class Sharpened:
    """The log-odds (p - threshold) / sharpness of the probability p of ``gate``."""

    gate: Logistic
    threshold: float
    sharpness: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (image,) log-odds of (image, feature) features."""
        odds: np.ndarray = np.exp(log_sigmoid(self.gate(features))) - self.threshold
        return odds / self.sharpness


def logistic(features: np.ndarray, positive: np.ndarray, regulariser: float) -> Logistic:
    """Return a logistic regression on (image, feature) features; ``regulariser`` is scikit-learn's
    C. Says so in one line where the fit does not converge.
    """
    # takes a second to import, and few jobs need it
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted = LogisticRegression(C=regulariser, max_iter=5000).fit(features, positive)
    for warning in told[:1]:
        said = " ".join(str(warning.message).split()[:8])
        logger.warning("the gate between seen and unseen classes: %s", said)
    return Logistic(tuple(fitted.coef_[0].tolist()), float(fitted.intercept_[0]))


def log_sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the log of 1 / (1 + exp(-odds)), finite for finite odds."""
    logarithms: np.ndarray = -np.logaddexp(0.0, -odds)
    return logarithms


def smoothed_group(
    logarithms: np.ndarray, odds: np.ndarray, classes: int | np.integer
) -> np.ndarray:
    """Return eq. 2 of one group from the log-probabilities within it, the log-odds of the group,
    its class count.
    """
    spread = log_sigmoid(-odds) - np.log(classes)
    result: np.ndarray = log_sigmoid(odds) + np.logaddexp(logarithms, spread)
    return result


def smoothed(
    scores: np.ndarray, seen: np.ndarray, odds: np.ndarray, temperature: float
) -> np.ndarray:
    """Return log p_j (image, class) of eq. 2."""
    result = np.empty(scores.shape)
    for members, own in ((seen, odds), (~seen, -odds)):
        within = log_softmax(scores[:, members], temperature)
        result[:, members] = smoothed_group(within, own[:, None], np.count_nonzero(members))
    return result


def sharpened(
    gate: Logistic,
    features: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    seen: np.ndarray,
    temperature: float,
) -> tuple[Sharpened, dict[str, float]]:
    """Return the log-odds (p - threshold) / sharpness of a gate's probability p with the best H of
    eq. 2 over (image,) labels, and what was chosen. ``features`` are what the gate reads of these
    images.
    """
    probability = np.exp(log_sigmoid(gate(features)))
    own, other = (log_softmax(scores[:, group], temperature).max(axis=1) for group in (seen, ~seen))
    best = (-1.0, 0.0, 1.0)
    for threshold, sharpness in itertools.product(THRESHOLDS, SHARPNESSES):
        odds = (probability - threshold) / sharpness
        best_seen = smoothed_group(own, odds, seen.sum())
        best_unseen = smoothed_group(other, -odds, (~seen).sum())
        found = harmonic_of(best_seen >= best_unseen, scores, labels, seen)
        if found > best[0]:
            best = found, threshold, sharpness
    figure, threshold, sharpness = best
    chosen = {"threshold": threshold, "sharpness": sharpness, "validation_H": figure}
    return Sharpened(gate, threshold, sharpness), chosen


def weighed(
    scores: np.ndarray, seen: np.ndarray, odds: np.ndarray, temperature: float
) -> np.ndarray:
    """Return log p_j (image, class) of eq. 3: not normalised, as printed."""
    gate = np.where(seen, log_sigmoid(odds)[:, None], log_sigmoid(-odds)[:, None])
    return log_softmax(scores, temperature) + gate


def sorted_probabilities(
    scores: np.ndarray, seen: np.ndarray, temperature: float, gate_temperature: float, top: int
) -> np.ndarray:
    """Return (image, 2 top) what the gate of cosmo reads: the highest unseen probabilities among
    all classes, then the highest seen ones among the seen at ``gate_temperature``, each falling.
    """
    unseen = np.exp(log_softmax(scores, temperature)[:, ~seen])
    within = np.exp(log_softmax(scores[:, seen], temperature * gate_temperature))
    return np.concatenate([-np.sort(-group, axis=1)[:, :top] for group in (unseen, within)], axis=1)


def confidence(scores: np.ndarray, seen: np.ndarray, temperature: float) -> np.ndarray:
    """Return (image, 2) the best seen and the best unseen log-probability among all classes."""
    logarithms = log_softmax(scores, temperature)
    best = np.stack([logarithms[:, seen].max(axis=1), logarithms[:, ~seen].max(axis=1)], axis=1)
    held: np.ndarray = np.maximum(best, LOWEST)
    return held


def logits(scores: np.ndarray, seen: np.ndarray, temperature: float) -> np.ndarray:
    """Return (image, class) scores in ``temperature``; seen and unseen classes alike."""
    return scores / temperature


def mixed(trainval: np.ndarray, irrelevant: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return made-up scores of unseen images: ``share`` of every training image, the rest of a
    task-irrelevant one drawn for it.
    """
    drawn = np.random.default_rng(seed).integers(len(irrelevant), size=len(trainval))
    return share * trainval + (1 - share) * irrelevant[drawn]
