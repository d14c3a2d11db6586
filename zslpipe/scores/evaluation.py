"""Figures of merit of score matrices: pure functions, numpy only.

The field's protocol (proposed splits): accuracies are means over classes, never over images.

    T1      unseen test images, label space restricted to unseen classes
    U, S    unseen / seen test images, all classes as label space
    H       2 U S / (U + S), and 0 where both are 0
    AUSUC   area under the curve of (U, S) while a constant is subtracted from all seen scores
            (Chao et al., ECCV 2016)

A class without test images is left out of every mean. A group (seen or unseen) without any test
image has no mean: NaN here, no key in metrics.json. The first class wins ties.
"""

from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.metrics import IDENTITY, write_metrics_file
from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.scores.accuracy import group_mean, harmonic_mean, per_class_accuracy, unseen_accuracies
from zslpipe.scores.calibration import states

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


def evaluate(matrix: ScoreMatrix) -> dict[str, Any]:
    """Return the content of metrics.json: identity, figures of merit as fractions, curve,
    accuracies of each class.

    The curve keeps at most 400 points, its ends among them. What is not defined (no test image) has
    no key.
    """
    scores = np.concatenate([matrix.scores["test_seen"], matrix.scores["test_unseen"]])
    labels = np.concatenate([matrix.labels["test_seen"], matrix.labels["test_unseen"]])
    seen, result = matrix.seen, {name: getattr(matrix, name) for name in (*IDENTITY, "seed")}
    result["reads"] = dict(matrix.reads)
    accuracies = per_class_accuracy(scores.argmax(axis=1), labels, len(seen))
    restricted = unseen_accuracies(scores, labels, seen)
    unseen_curve, seen_curve = seen_unseen_curve(scores, labels, seen)
    values = {"T1": group_mean(restricted, ~seen), "U": group_mean(accuracies, ~seen)}
    values["S"] = group_mean(accuracies, seen)
    values |= {
        "H": harmonic_mean(values["U"], values["S"]),
        "AUSUC": _area(unseen_curve, seen_curve),
    }
    result |= {name: value for name, value in values.items() if not np.isnan(value)}
    kept = np.unique(
        np.linspace(0, len(unseen_curve) - 1, min(len(unseen_curve), CURVE_POINTS))
        .round()
        .astype(int)
    )
    result["curve"] = {"U": unseen_curve[kept].tolist(), "S": seen_curve[kept].tolist()}
    parts = {"T1": (restricted, ~seen), "U": (accuracies, ~seen), "S": (accuracies, seen)}
    result["per_class"] = {name: _by_class(matrix.classes, *part) for name, part in parts.items()}
    result["images"] = {split: len(matrix.labels[split]) for split in ("test_seen", "test_unseen")}
    return result


def _by_class(
    names: tuple[str, ...], accuracies: np.ndarray, members: np.ndarray
) -> dict[str, float]:
    """Return class name -> accuracy for the member classes that have images."""
    return {
        names[number]: float(accuracies[number])
        for number in np.flatnonzero(members & ~np.isnan(accuracies))
    }


def write_metrics(scores_path: Path, output: Path) -> None:
    """Evaluate ``scores.h5`` and write metrics.json; InputError as ``read_scores``."""
    write_metrics_file(output, evaluate(read_scores(scores_path)))
