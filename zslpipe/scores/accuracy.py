"""The field's accuracies (proposed splits): means over classes, never over images; numpy only.

T1: unseen test images, label space restricted to unseen classes. U, S: unseen / seen test images,
all classes as label space; H = 2 U S / (U + S). Apart from :mod:`zslpipe.scores.evaluation` because
choosing on validation classes needs them as well: a change of what is reported must not train
anything again.
"""

import numpy as np


def per_class_accuracy(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the (class,) fraction of each class's images with the right prediction, NaN for
    classes without images.

    ``predicted`` and ``labels`` are (image,) class numbers below ``classes``.
    """
    images = np.bincount(labels, minlength=classes)
    correct = np.bincount(labels[predicted == labels], minlength=classes)
    accuracies = np.full(classes, np.nan)
    np.divide(correct, images, out=accuracies, where=images > 0)
    return accuracies


def group_mean(accuracies: np.ndarray, members: np.ndarray) -> float:
    """Return the mean over the classes of the (class,) mask ``members`` that have images; NaN where
    none has.
    """
    values = accuracies[members]
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def harmonic_mean(unseen: float, seen: float) -> float:
    """Return 2 U S / (U + S); 0 where both are 0, NaN where one is."""
    return 0.0 if unseen + seen == 0 else 2 * unseen * seen / (unseen + seen)


def t1(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> float:
    """Return T1 of (image, class) scores; images whose label is a seen class do not take part."""
    return group_mean(unseen_accuracies(scores, labels, seen), ~seen)


def generalized(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray
) -> tuple[float, float, float]:
    """Return U, S and H of (image, class) scores over all test images; labels (image,), seen
    (class,) bool.
    """
    accuracies = per_class_accuracy(scores.argmax(axis=1), labels, len(seen))
    unseen_accuracy, seen_accuracy = group_mean(accuracies, ~seen), group_mean(accuracies, seen)
    return unseen_accuracy, seen_accuracy, harmonic_mean(unseen_accuracy, seen_accuracy)


def unseen_accuracies(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the (class,) accuracies of the unseen images with the label space restricted to unseen
    classes.
    """
    rows, columns = np.flatnonzero(~seen[labels]), np.flatnonzero(~seen)
    if not rows.size:
        return np.full(len(seen), np.nan)
    return per_class_accuracy(
        columns[scores[np.ix_(rows, columns)].argmax(axis=1)], labels[rows], len(seen)
    )
