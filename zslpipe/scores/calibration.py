"""What a constant taken off all seen scores does: every state that it can reach, from one sort.

Calibrated stacking (Chao et al., ECCV 2016) predicts the class of the highest s_j - constant for
seen j, s_j for unseen j. An image leaves the seen classes when the constant passes its gap, best
seen score minus best unseen score: only there U and S change.
"""

from dataclasses import dataclass

import numpy as np

from zslpipe.scores.accuracy import harmonic_mean


@dataclass(frozen=True, eq=False)
class States:
    """All states, from a constant of -infinity to +infinity.

    ``gaps`` (step,), rising: where U or S changes. ``unseen`` and ``seen`` (step + 1,): U and S
    below the first gap, between two, and above the last one; U rises from 0, S falls to 0.
    """

    gaps: np.ndarray
    unseen: np.ndarray
    seen: np.ndarray


def states(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> States:
    """Return the states of (image, class) scores, floating and finite, over (image,) labels.

    ``seen`` (class,) bool, with both kinds of class. Images with one gap move together. A group
    without an image stays at 0.
    """
    of_seen = seen[labels]
    best_seen, best_unseen, distances = gaps(scores, seen)
    # a wrong image moves without changing U or S
    right = np.where(of_seen, best_seen, best_unseen) == labels
    images = np.bincount(labels, minlength=len(seen))
    classes = np.where(of_seen, np.count_nonzero(images[seen]), np.count_nonzero(images[~seen]))
    weights = (1.0 / (images[labels] * classes))[right]
    values, step = np.unique(distances[right], return_inverse=True)
    lost = np.bincount(step, weights=weights * of_seen[right], minlength=len(values))
    won = np.bincount(step, weights=weights * ~of_seen[right], minlength=len(values))
    unseen_accuracies = np.append(0.0, np.cumsum(won))
    seen_accuracies = np.append(np.cumsum(lost[::-1])[::-1], 0.0)
    return States(values, unseen_accuracies, seen_accuracies)


def gaps(scores: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, an image each, best seen class, best unseen class, and the seen one's score minus the
    unseen one's, float64.
    """
    best_seen, best_unseen = best_of(scores, seen), best_of(scores, ~seen)
    rows = np.arange(len(scores))
    # float64: the difference of two float32 numbers must not create ties that the scores do not
    # have
    distances = scores[rows, best_seen].astype(np.float64) - scores[rows, best_unseen]
    return best_seen, best_unseen, distances


def best_of(scores: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return (image,) the best class of the (class,) mask ``members``, the first of equals."""
    # a mask added to whole rows: three times as fast as copying the members' columns
    mask = np.where(members, 0.0, -np.inf).astype(scores.dtype)
    best: np.ndarray = (scores + mask).argmax(axis=1)
    return best


def best_factor(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Return the constant that, taken off the seen scores, gives the best H over (image,) labels,
    and that H; exact.

    The constant is the middle between two gaps, the smallest of equally good ones.
    """
    found = states(scores, labels, seen)
    if not found.gaps.size:  # no image can be right
        return 0.0, 0.0
    pairs = zip(found.unseen, found.seen, strict=True)
    harmonic = np.array([harmonic_mean(unseen, seen) for unseen, seen in pairs])
    middles = (found.gaps[1:] + found.gaps[:-1]) / 2
    constants = np.concatenate([found.gaps[:1] - 1, middles, found.gaps[-1:] + 1])
    return float(constants[harmonic.argmax()]), float(harmonic.max())
