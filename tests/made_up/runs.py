"""Score matrices of a made-up method, its validation problem and task-irrelevant images, and what
rebalancing makes of them.
"""

import numpy as np

from zslpipe.formats.scores import (
    IrrelevantScores,
    ScoreMatrix,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance

SEEN = np.array([True, True, False, True, True, False, True, False, True])
VALIDATION = np.array(
    [True, False, True, True, False, True]
)  # of the seen classes: seen in the problem of choosing
CLASSES = tuple(f"class {number}" for number in range(len(SEEN)))
FILES = ("scores", "validation", "irrelevant")
# The files that each kind of rebalancing needs beside scores.h5, by its default settings.
NEEDS = {name: kind().needs() for name, kind in KINDS.items()}


def made_up(seed, seen, classes, images=20, bias=3.0):
    """A method that knows its classes, favours seen ones, and is surest about training images."""
    generator = np.random.default_rng(seed)
    labels = {
        "trainval": np.repeat(np.flatnonzero(seen), images),
        "test_seen": np.repeat(np.flatnonzero(seen), images // 2),
        "test_unseen": np.repeat(np.flatnonzero(~seen), images // 2),
    }
    scores = {}
    for split, numbers in labels.items():
        drawn = generator.normal(size=(len(numbers), len(seen))) + bias * seen
        drawn[np.arange(len(numbers)), numbers] += {
            "trainval": 4,
            "test_seen": 3,
            "test_unseen": 2,
        }[split]
        scores[split] = drawn.astype(np.float32)
    return ScoreMatrix(
        *("demo", "made_up", "default", 3, "small", "att (unit)", "", "last epoch", "demo split"),
        classes=classes,
        seen=seen,
        scores=scores,
        labels=labels,
        images={split: np.arange(len(numbers)) for split, numbers in labels.items()},
        chosen={"epochs": 4},
        unit="logits",
    )


def run(seed=0):
    """Score matrix, that of the problem of choosing, and task-irrelevant scores of one run."""
    matrix = made_up(seed, SEEN, CLASSES)
    validation = made_up(seed + 100, VALIDATION, tuple(np.array(CLASSES)[SEEN]))
    noise = np.random.default_rng(seed + 200).normal(size=(30, len(SEEN))) + 3 * SEEN
    return (
        matrix,
        validation,
        IrrelevantScores(
            *("demo", "made_up", "default", 3, "bags", CLASSES, noise.astype("f4"), "logits")
        ),
    )


def write_run(folder, matrix, validation, irrelevant):
    write_scores(folder / "scores.h5", matrix)
    write_scores(folder / "validation.h5", validation)
    write_irrelevant(folder / "irrelevant.h5", irrelevant)
    return [folder / f"{name}.h5" for name in FILES]


def all_test_images(matrix):
    """Scores and labels of test_seen and test_unseen, one behind the other."""
    splits = ("test_seen", "test_unseen")
    scores = np.concatenate([matrix.scores[split] for split in splits])
    return [scores, np.concatenate([matrix.labels[split] for split in splits])]


def applied(folder, kind, settings=None, seed=0):
    """The made-up run after rebalancing by a kind, from file to file."""
    scores, validation, irrelevant = write_run(folder, *run(seed))
    rebalance(kind, scores, folder / "out.h5", validation, irrelevant, settings or {})
    return read_scores(folder / "out.h5")


def columns_and_labels(matrix, columns, place):
    """Scores and labels of a matrix of these columns; ``place`` is a class's new number."""
    scores = {split: values[:, columns] for split, values in matrix.scores.items()}
    labels = {split: place[numbers] for split, numbers in matrix.labels.items()}
    return {"scores": scores, "labels": labels}
