"""Somebody else's scores become the files of a run: ``scores.h5``, ``validation.h5`` and
``irrelevant.h5``, after which the chain does not know them from a trained method's.

Images and classes are joined by name with the dataset's index, in whatever order a file has them;
labels and splits are the index's. Probabilities are kept as their logarithms, which float32 holds
apart where the probabilities themselves would all be 0.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.datasets.reading.joined_scores import check_all, joined_scores, kept_unit, stated
from zslpipe.datasets.reading.score_files import ScoreFile, read_score_file
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import Index, read_index
from zslpipe.formats.scores import IrrelevantScores, ScoreMatrix, write_irrelevant, write_scores
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)

VARIANT = "default"
NOT_MEASURED = "imported"  # what ``selection`` begins with, so that every table says it


@dataclass(frozen=True)
class Method:
    """What its author says of a method whose scores are imported; ``file`` is what tables call the
    file that they came from.
    """

    name: str
    file: str
    unit: str = ""
    extractor: str = ""
    semantics: str = ""
    words: str = ""
    selection: str = ""


def import_scores(
    source: Path, index_path: Path, method: Method, seed: int, output: Path, run: Mapping[str, Any]
) -> None:
    """Write the ``scores.h5`` of a file with scores of all test images against all classes, and of
    all training images or of none; ``run`` is what the workflow calls the run.

    Raises InputError, one line with a count and a first example, for what
    :func:`zslpipe.datasets.reading.score_files.read_score_file` refuses, images and classes that
    the index does not have, that are given twice or missing, labels that contradict the index, and
    a unit that is not stated or that the scores cannot be in.
    """
    index, given = read_index(index_path), read_score_file(source)
    numbers = np.arange(len(index.class_names))
    rows, scores = joined_scores(given, index, numbers, method.unit)
    wanted = {name: index.splits[name] for name in ("test_seen", "test_unseen")}
    for name, images in wanted.items():
        check_all(given, index, np.setdiff1d(images, rows), f"images of {name}")
    trained = np.intersect1d(index.splits["trainval"], rows)
    if len(trained):
        absent = np.setdiff1d(index.splits["trainval"], rows)
        check_all(given, index, absent, "images of trainval (give all of them, or none)")
    wanted["trainval"] = index.splits["trainval"] if len(trained) else np.empty(0, np.int64)
    matrix = _matrix(given, index, method, seed, run)
    write_scores(output, _filled(matrix, scores, rows, wanted, index.labels))


def import_validation(
    source: Path, index_path: Path, method: Method, seed: int, output: Path, run: Mapping[str, Any]
) -> None:
    """Write the ``validation.h5`` of a file with scores of the validation classes' images, and of
    some images of ``train`` that were not trained on, against the seen classes: of the method as
    trained without the validation classes. InputError as :func:`import_scores`.
    """
    index, given = read_index(index_path), read_score_file(source)
    if not index.validation.any():
        raise InputError(f"dataset {index.dataset!r} has no validation classes to choose on")
    numbers = np.flatnonzero(index.seen)
    rows, scores = joined_scores(given, index, numbers, method.unit)
    check_all(given, index, np.setdiff1d(index.splits["val"], rows), "images of val")
    other = np.setdiff1d(rows, np.concatenate([index.splits["train"], index.splits["val"]]))
    if len(other):
        told = f"{len(other)} images are neither of train nor of val, first"
        first = f"{index.paths[other[0]]!r}; a validation file knows no test image"
        raise InputError(f"{source}: {told} {first}")
    held = np.intersect1d(index.splits["train"], rows)
    if not len(held):
        told = "no image of train (held out while choosing): S cannot be measured there"
        raise InputError(f"{source}: {told}; give scores of some")
    matrix = _matrix(given, index, method, seed, run)
    place = np.full(len(index.class_names), -1)
    place[numbers] = np.arange(len(numbers))
    nothing = np.empty(0, np.int64)
    wanted = {"trainval": nothing, "test_seen": held, "test_unseen": index.splits["val"]}
    names = tuple(index.class_names[number] for number in numbers)
    matrix = replace(matrix, classes=names, seen=~index.validation[numbers])
    write_scores(output, _filled(matrix, scores, rows, wanted, place[index.labels]))


def import_irrelevant(
    source: Path,
    index_path: Path,
    images_path: Path,
    method: Method,
    seed: int,
    output: Path,
    run: Mapping[str, Any],
) -> None:
    """Write the ``irrelevant.h5`` of a file with scores of all task-irrelevant images of a list
    (``images_path``) against all classes. InputError as :func:`import_scores`.
    """
    index, given = read_index(index_path), read_score_file(source)
    images = read_irrelevant_images(images_path)
    rows, scores = joined_scores(
        given, index, np.arange(len(index.class_names)), method.unit, images
    )
    every = np.arange(len(images.paths))
    check_all(given, images, np.setdiff1d(every, rows), "task-irrelevant images")
    found = IrrelevantScores(
        dataset=index.dataset,
        method=method.name,
        variant=VARIANT,
        seed=seed,
        source=images.dataset,
        classes=index.class_names,
        scores=scores[np.argsort(rows)],
        unit=kept_unit(stated(given, method.unit)),
        run=run,
    )
    write_irrelevant(output, found)


def _matrix(
    given: ScoreFile, index: Index, method: Method, seed: int, run: Mapping[str, Any]
) -> ScoreMatrix:
    """Return what a score matrix says of itself, without its images."""
    selection = f"{NOT_MEASURED}, {method.selection}" if method.selection else NOT_MEASURED
    return ScoreMatrix(
        dataset=index.dataset,
        method=method.name,
        variant=VARIANT,
        seed=seed,
        extractor=method.extractor,
        semantics=method.semantics,
        words=method.words,
        selection=selection,
        protocol=index.protocol,
        classes=index.class_names,
        seen=np.asarray(index.seen, bool),
        scores={},
        labels={},
        images={},
        reads={"input": NOT_MEASURED, "file": method.file},
        unit=kept_unit(stated(given, method.unit)),
        run=run,
    )


def _filled(
    matrix: ScoreMatrix,
    scores: np.ndarray,
    rows: np.ndarray,
    wanted: Mapping[str, np.ndarray],
    labels: np.ndarray,
) -> ScoreMatrix:
    """Return a matrix with the images ``wanted`` by split; ``scores`` are of the images ``rows``,
    ``labels`` those of the whole index.
    """
    place = np.full(len(labels), -1)
    place[rows] = np.arange(len(rows))
    parts: dict[str, dict[str, np.ndarray]] = {"scores": {}, "labels": {}, "images": {}}
    for split, images in wanted.items():
        parts["scores"][split] = scores[place[images]]
        parts["labels"][split] = labels[images]
        parts["images"][split] = np.asarray(images, np.int64)
    tested = [parts["scores"][split] for split in ("test_seen", "test_unseen")]
    _warn_of_ties(np.concatenate(tested), matrix)
    return replace(matrix, scores=parts["scores"], labels=parts["labels"], images=parts["images"])


def _warn_of_ties(scores: np.ndarray, matrix: ScoreMatrix) -> None:
    """Warn of images whose highest score several classes have."""
    highest = scores == scores.max(axis=1, keepdims=True)
    tied = int((highest.sum(axis=1) > 1).sum())
    if tied:
        told = "have their highest score in several classes, of which the first one wins"
        logger.warning("%s: %d of %d images %s", matrix.method, tied, len(scores), told)
