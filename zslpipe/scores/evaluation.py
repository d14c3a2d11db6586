"""Figures of merit of score matrices: pure functions, numpy only.

The field's protocol (proposed splits): accuracies are means over classes, never over images.

    T1      unseen test images, label space restricted to unseen classes
    U, S    unseen / seen test images, all classes as label space
    H       2 U S / (U + S), and 0 where both are 0
    AUSUC   area under the curve of (U, S) while a constant is subtracted from all seen scores
            (Chao et al., ECCV 2016)
    T5, U5, S5, H5
            the same of images whose class is among the five with the highest scores
    U_group, S_group, H_group
            unseen / seen test images whose predicted class, of all classes, is unseen / seen as
            their own is: whether novelty is detected; and their harmonic mean

The last two lines are in the evaluation of DAZLE's code, which leaves the number of guesses open
(five: ours, the usual one). A class without test images is left out of every mean. A group (seen or
unseen) without any test image has no mean: NaN here, no key in metrics.json. The first class wins
ties.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.identity import run_hash
from zslpipe.formats.metrics import FURTHER_METRICS, IDENTITY, write_metrics_file
from zslpipe.formats.published_sizes import split_of_sizes
from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.provenance import code_hash
from zslpipe.scores.accuracy import group_mean, harmonic_mean, per_class_accuracy, unseen_accuracies
from zslpipe.scores.calibration import gaps, states

logger = logging.getLogger(__name__)

TOP = 5  # ours: the usual number of guesses
CURVE_POINTS = 400  # ours: finer than a printed figure resolves, and a metrics.json of some 15 kB


def seen_unseen_curve(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (U, S), each (point,): every state that some calibration constant reaches, from
    -infinity to +infinity.

    ``scores`` (image, class), floating and finite, and ``labels`` (image,) cover all test images,
    seen and unseen; ``seen`` (class,) bool. U rises from 0, S falls to 0. Both arrays are empty
    where the seen or the unseen classes have no test image.
    """
    of_seen = seen[labels]
    if of_seen.all() or not of_seen.any():
        return np.empty(0), np.empty(0)
    found = states(scores, labels, seen)
    return found.unseen, found.seen


def ausuc(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> float:
    """Return the exact area under ``seen_unseen_curve`` (trapezoids between its points); NaN where
    it is empty.
    """
    return _area(*seen_unseen_curve(scores, labels, seen))


def _area(unseen: np.ndarray, seen: np.ndarray) -> float:
    """Return the area under S over U by trapezoids; NaN without points."""
    return (
        float(np.sum(np.diff(unseen) * (seen[1:] + seen[:-1])) / 2) if unseen.size else float("nan")
    )


def areas_by_class(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (class,) the area under S over U if a class were the only one of its group with test
    images; NaN for a class without any. Shapes as for ``ausuc``; both groups have images.

    U is a mean over unseen classes and S over seen ones, and the area is linear in either: AUSUC is
    the mean of these over the unseen classes, and over the seen ones as well.
    """
    found = states(scores, labels, seen)
    best_seen, best_unseen, distances = gaps(scores, seen)
    of_seen = seen[labels]
    right = np.where(of_seen, best_seen, best_unseen) == labels
    # at its step an image brings the other group's mean into the area, by trapezoids
    around_unseen = (found.unseen[1:] + found.unseen[:-1]) / 2
    around_seen = (found.seen[1:] + found.seen[:-1]) / 2
    step = np.searchsorted(found.gaps, distances[right])
    brought = np.where(of_seen[right], around_unseen[step], around_seen[step])
    images = np.bincount(labels, minlength=len(seen))
    sums = np.bincount(labels[right], weights=brought, minlength=len(seen))
    areas = np.full(len(seen), np.nan)
    np.divide(sums, images, out=areas, where=images > 0)
    return areas


def ranks(scores: np.ndarray, labels: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return (image,) how many of the classes ``allowed`` (class,) bool come before an image's own
    in its row of ``scores`` (image, class); of equal scores the first class comes first.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    numbers = np.arange(scores.shape[1])
    before = (scores > own) | ((scores == own) & (numbers < labels[:, None]))
    counts: np.ndarray = np.count_nonzero(before & allowed, axis=1)
    return counts


def top_accuracies(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray, count: int
) -> tuple[float, float, float]:
    """Return T, U and S where an image is right if its class is among the ``count`` of its highest
    scores; T with the label space restricted to unseen classes. Shapes as for ``ausuc``.
    """
    every = np.ones(len(seen), bool)
    found = _shares(ranks(scores, labels, every) < count, labels, len(seen))
    restricted = _shares(ranks(scores, labels, ~seen) < count, labels, len(seen))
    return group_mean(restricted, ~seen), group_mean(found, ~seen), group_mean(found, seen)


def group_accuracies(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray
) -> tuple[float, float]:
    """Return how often the predicted class is unseen where the image's own is, and seen where the
    image's own is: means over the unseen and over the seen classes. Shapes as for ``ausuc``.
    """
    detected = seen[scores.argmax(axis=1)] == seen[labels]
    shares = _shares(detected, labels, len(seen))
    return group_mean(shares, ~seen), group_mean(shares, seen)


def _shares(right: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the (class,) share of images with ``right``, NaN for classes without images."""
    return per_class_accuracy(np.where(right, labels, -1), labels, classes)


def evaluate(matrix: ScoreMatrix) -> dict[str, Any]:
    """Return the content of metrics.json: identity, figures of merit as fractions, curve,
    accuracies of each class.

    The curve keeps at most 400 points, its ends among them. What is not defined (no test image) has
    no key. A split is a published one where its sizes say so, whatever the file calls it.
    """
    scores = np.concatenate([matrix.scores["test_seen"], matrix.scores["test_unseen"]])
    labels = np.concatenate([matrix.labels["test_seen"], matrix.labels["test_unseen"]])
    seen, result = matrix.seen, {name: getattr(matrix, name) for name in (*IDENTITY, "seed")}
    result["protocol"] = split_of_sizes(matrix.protocol, _sizes(matrix))
    result["reads"] = dict(matrix.reads)
    result["versions"] = dict(matrix.versions)
    result["run"] = run_hash(matrix.run)
    result["evaluated_by"] = evaluation_code()
    accuracies = per_class_accuracy(scores.argmax(axis=1), labels, len(seen))
    restricted = unseen_accuracies(scores, labels, seen)
    unseen_curve, seen_curve = seen_unseen_curve(scores, labels, seen)
    values = {"T1": group_mean(restricted, ~seen), "U": group_mean(accuracies, ~seen)}
    values["S"] = group_mean(accuracies, seen)
    values |= {
        "H": harmonic_mean(values["U"], values["S"]),
        "AUSUC": _area(unseen_curve, seen_curve),
    }
    values |= _further(scores, labels, seen)
    result |= {name: value for name, value in values.items() if not np.isnan(value)}
    kept = np.unique(
        np.linspace(0, len(unseen_curve) - 1, min(len(unseen_curve), CURVE_POINTS))
        .round()
        .astype(int)
    )
    result["curve"] = {"U": unseen_curve[kept].tolist(), "S": seen_curve[kept].tolist()}
    parts = {"T1": (restricted, ~seen), "U": (accuracies, ~seen), "S": (accuracies, seen)}
    if unseen_curve.size:
        parts["AUSUC"] = (areas_by_class(scores, labels, seen), np.ones(len(seen), bool))
    result["per_class"] = {name: _by_class(matrix.classes, *part) for name, part in parts.items()}
    result["images"] = {split: len(matrix.labels[split]) for split in ("test_seen", "test_unseen")}
    return result


def _sizes(matrix: ScoreMatrix) -> dict[str, int]:
    """Return how many images each split has, and how many classes are seen and unseen."""
    images = {split: len(labels) for split, labels in matrix.labels.items()}
    seen = int(matrix.seen.sum())
    return {**images, "seen": seen, "unseen": len(matrix.seen) - seen}


def _further(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Return FURTHER_METRICS by name, NaN where no test image defines one."""
    restricted, unseen, seen_share = top_accuracies(scores, labels, seen, TOP)
    found_unseen, found_seen = group_accuracies(scores, labels, seen)
    top = (restricted, unseen, seen_share, harmonic_mean(unseen, seen_share))
    group = (found_unseen, found_seen, harmonic_mean(found_unseen, found_seen))
    return dict(zip(FURTHER_METRICS, (*top, *group), strict=True))


def _by_class(
    names: tuple[str, ...], accuracies: np.ndarray, members: np.ndarray
) -> dict[str, float]:
    """Return class name -> accuracy for the member classes that have images."""
    return {
        names[number]: float(accuracies[number])
        for number in np.flatnonzero(members & ~np.isnan(accuracies))
    }


def evaluation_code() -> str:
    """Return the hash of the code that computes figures of merit."""
    return code_hash("zslpipe.scores.evaluation")


def write_metrics(scores_path: Path, output: Path) -> None:
    """Evaluate ``scores.h5`` and write metrics.json; InputError as ``read_scores``.

    Warns where the unit is not stated: AUSUC alone depends on it.
    """
    matrix = read_scores(scores_path)
    if not matrix.unit:
        told = "does not state the unit of its scores; AUSUC takes them for logits"
        logger.warning("%s: %s", scores_path, told)
    write_metrics_file(output, evaluate(matrix))
