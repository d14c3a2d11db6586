"""``scores.h5``: the boundary between methods and everything behind them.

A method, or somebody else's program, ends by writing one matrix of images by all classes for each
split; what comes after (accuracies, rebalancing, tables, figures) knows no method. Layout (numbers
0-based)::

    attrs                 dataset, method, variant, seed, extractor, semantics, words, selection,
                          protocol (as in index.h5), chosen (JSON), reads, run and versions
                          (JSON; {} where absent), rebalancing ("none" where absent), unit (not
                          stated where absent), complete (true, written last)
    classes, seen         (class,)          names, and whether training images of the class exist
    {split}/scores        (image, class)    float32, larger is better, ALL classes
    {split}/labels        (image,)          class numbers
    {split}/images        (image,)          rows of index.h5

with the splits trainval, test_seen, test_unseen.

``unit`` says what a score is: "logits" (compatibilities; a softmax turns them into probabilities),
"log-probabilities" or "probabilities". A constant taken off scores, a temperature and a mean do
something else to each of them, so probabilities become log-probabilities as they are read: one
method comes out the same in all three units. A file that does not state its unit is good for what
asks for the order of the classes alone.

``reads`` says what the method reads: ``input`` (regions, pooled or images), ``backbone`` ("stored":
the dataset's own features), ``weights`` (a library's name, or a file's), ``size`` (px), ``grid``
(regions a side), ``width`` (d of cached features), ``class_vectors`` (their length); what does not
apply has no key. ``run`` is the run as it was configured, with its ``seed``; of an ensemble its
``members`` (method/variant -> hash of theirs); after a rebalancing with its settings. The workflow
compares it with what is configured now; a file of another program needs none.

``validation.h5`` has the same layout: the method trained on the problem of choosing, where
``classes`` are the seen classes in their order and the validation classes play the unseen ones
(``seen`` false). ``irrelevant.h5`` holds the scores of images that belong to no class of the
dataset, under the weights of one scores.h5::

    attrs                 dataset, method, variant, seed, source (whose images), unit (as in
                          scores.h5), run (JSON, as above), complete (true, written last)
    classes               (class,)          as in that scores.h5
    scores                (image, class)    float32
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from zslpipe.formats.hdf5 import array, attribute, read_stamped, stamped, texts, write_texts
from zslpipe.formats.units import LOG_PROBABILITIES, PROBABILITIES, check_unit, logarithms_of
from zslpipe.machine.errors import InputError

SPLITS = ("trainval", "test_seen", "test_unseen")
TEXTS = ("dataset", "method", "variant", "extractor", "semantics", "words", "selection", "protocol")
IRRELEVANT_TEXTS = ("dataset", "method", "variant", "source")


@dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """Everything of ``scores.h5``; scores, labels and images are keyed by split, shapes in the
    module's docstring.
    """

    dataset: str
    method: str
    variant: str
    seed: int
    extractor: str
    semantics: str
    words: str
    selection: str
    protocol: str
    classes: tuple[str, ...]
    seen: np.ndarray
    scores: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    images: Mapping[str, np.ndarray]
    chosen: Mapping[str, object] = field(default_factory=dict)
    reads: Mapping[str, object] = field(default_factory=dict)
    rebalancing: str = "none"
    unit: str = ""
    run: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class IrrelevantScores:
    """Everything of ``irrelevant.h5``: ``scores`` (image, class) of images of no class; ``source``
    names the images.
    """

    dataset: str
    method: str
    variant: str
    seed: int
    source: str
    classes: tuple[str, ...]
    scores: np.ndarray
    unit: str = ""
    run: Mapping[str, object] = field(default_factory=dict)


def check_scores(matrix: ScoreMatrix, where: str) -> None:
    """Raise InputError, one line that begins with ``where``, unless shapes, labels and values are
    sound.

    Sound: no class named twice; as many columns as classes; as many labels and images as rows;
    finite scores, in a known unit that they can be in; labels of trainval and test_seen are seen
    classes, labels of test_unseen unseen ones.
    """
    count = len(matrix.classes)
    if matrix.seen.shape != (count,):
        raise InputError(
            f"{where}: 'seen' has shape {matrix.seen.shape}, {count} classes are named"
        )
    if len(set(matrix.classes)) < count:
        twice = next(name for name in matrix.classes if matrix.classes.count(name) > 1)
        raise InputError(f"{where}: class {twice!r} is named twice; give every class its own name")
    for split in SPLITS:
        scores, labels, images = matrix.scores[split], matrix.labels[split], matrix.images[split]
        _check_columns(scores, count, f"{where}: {split}/scores")
        if labels.shape != (len(scores),) or images.shape != (len(scores),):
            found = f"{labels.shape} labels and {images.shape} images"
            raise InputError(f"{where}: {split} has {len(scores)} rows of scores but {found}")
        bad = ~np.isfinite(scores).all(axis=1)
        if bad.any():
            found = f"{bad.sum()} images with NaN or infinite scores"
            raise InputError(f"{where}: {split} has {found}, first image {int(images[bad][0])}")
        check_unit(scores, matrix.unit, f"{where}: {split}/scores")
        _check_labels(matrix, split, where)


def _check_columns(scores: np.ndarray, count: int, where: str) -> None:
    """Raise InputError unless ``scores`` has a column for each of ``count`` classes."""
    if scores.ndim != 2 or scores.shape[1] != count:
        raise InputError(
            f"{where} has shape {scores.shape}, expected (image, {count}): all classes"
        )


def check_irrelevant(irrelevant: IrrelevantScores, where: str) -> None:
    """Raise InputError, one line that begins with ``where``, unless there are images, all columns
    and finite scores.
    """
    _check_columns(irrelevant.scores, len(irrelevant.classes), f"{where}: scores")
    if not len(irrelevant.scores):
        raise InputError(f"{where}: scores of no image; name at least one task-irrelevant image")
    bad = ~np.isfinite(irrelevant.scores).all(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0]) + 1
        raise InputError(
            f"{where}: {bad.sum()} images with NaN or infinite scores, first row {first}"
        )
    check_unit(irrelevant.scores, irrelevant.unit, f"{where}: scores")


def _check_labels(matrix: ScoreMatrix, split: str, where: str) -> None:
    """Raise InputError where labels of a split are out of range or of the wrong kind of class."""
    labels = matrix.labels[split]
    if labels.dtype.kind not in "iu":
        raise InputError(f"{where}: {split}/labels are {labels.dtype}; write whole class numbers")
    if len(labels) and (labels.min() < 0 or labels.max() >= len(matrix.classes)):
        limits = f"{labels.min()} to {labels.max()}"
        raise InputError(
            f"{where}: {split}/labels go from {limits}, there are {len(matrix.classes)} classes"
        )
    wrong = labels[matrix.seen[labels] != (split != "test_unseen")]
    if len(wrong):
        kind = "seen" if split == "test_unseen" else "unseen"
        found = f"{len(wrong)} images of {kind} classes"
        raise InputError(f"{where}: {found} in {split}, first {matrix.classes[wrong[0]]}")


def write_scores(path: Path, matrix: ScoreMatrix) -> None:
    """Check ``matrix`` (InputError) and write it; the file appears whole, stamped complete, or not
    at all.
    """
    check_scores(matrix, str(path))
    with stamped(path) as file:
        for name in (*TEXTS, "rebalancing", "unit"):
            file.attrs[name] = getattr(matrix, name)
        file.attrs["seed"] = matrix.seed
        file.attrs["chosen"] = json.dumps(dict(matrix.chosen), sort_keys=True)
        file.attrs["reads"] = json.dumps(dict(matrix.reads), sort_keys=True)
        file.attrs["versions"] = json.dumps(dict(matrix.versions), sort_keys=True)
        file.attrs["run"] = json.dumps(dict(matrix.run), sort_keys=True)
        write_texts(file, "classes", matrix.classes)
        file["seen"] = matrix.seen.astype(bool)
        for split in SPLITS:
            file[f"{split}/scores"] = np.asarray(matrix.scores[split], np.float32)
            file[f"{split}/labels"] = np.asarray(matrix.labels[split], np.int64)
            file[f"{split}/images"] = np.asarray(matrix.images[split], np.int64)


def write_irrelevant(path: Path, irrelevant: IrrelevantScores) -> None:
    """Check ``irrelevant`` (InputError) and write it; the file appears whole, stamped complete, or
    not at all.
    """
    check_irrelevant(irrelevant, str(path))
    with stamped(path) as file:
        for name in (*IRRELEVANT_TEXTS, "seed", "unit"):
            file.attrs[name] = getattr(irrelevant, name)
        file.attrs["run"] = json.dumps(dict(irrelevant.run), sort_keys=True)
        write_texts(file, "classes", irrelevant.classes)
        file["scores"] = np.asarray(irrelevant.scores, np.float32)


def read_scores(path: Path) -> ScoreMatrix:
    """Read and check ``scores.h5``.

    Raises InputError in one line: absent, cut off or no HDF5 file, not stamped complete, a part
    missing, non-finite scores, shapes or labels that disagree, scores that are not in their unit.
    Probabilities come out as log-probabilities.
    """
    matrix = read_stamped(path, _read, "scores.h5", "training a method")
    check_scores(matrix, str(path))
    if matrix.unit != PROBABILITIES:
        return matrix
    logarithms = {split: logarithms_of(scores) for split, scores in matrix.scores.items()}
    return replace(matrix, scores=logarithms, unit=LOG_PROBABILITIES)


def read_irrelevant(path: Path) -> IrrelevantScores:
    """Read and check ``irrelevant.h5``; InputError in one line as :func:`read_scores`."""
    writer = "scoring the task-irrelevant images with a trained method"
    irrelevant = read_stamped(path, _read_irrelevant, "irrelevant.h5", writer)
    check_irrelevant(irrelevant, str(path))
    if irrelevant.unit != PROBABILITIES:
        return irrelevant
    return replace(irrelevant, scores=logarithms_of(irrelevant.scores), unit=LOG_PROBABILITIES)


def _read_irrelevant(file: h5py.File) -> IrrelevantScores:
    """Read an open file; raises KeyError where a part is missing."""
    return IrrelevantScores(
        **{name: str(attribute(file, name)) for name in IRRELEVANT_TEXTS},
        seed=int(attribute(file, "seed")),
        classes=texts(file, "classes"),
        scores=_floating(array(file, "scores")),
        run=json.loads(file.attrs.get("run", "{}")),
        unit=str(file.attrs.get("unit", "")),
    )


def _read(file: h5py.File) -> ScoreMatrix:
    """Read an open file; raises KeyError where a part is missing."""

    def by_split(name: str) -> dict[str, np.ndarray]:
        return {split: array(file, f"{split}/{name}") for split in SPLITS}

    scores, labels = by_split("scores"), by_split("labels")
    return ScoreMatrix(
        **{name: str(attribute(file, name)) for name in TEXTS},
        seed=int(attribute(file, "seed")),
        classes=texts(file, "classes"),
        seen=array(file, "seen").astype(bool),
        scores={split: _floating(values) for split, values in scores.items()},
        labels={split: _signed(numbers) for split, numbers in labels.items()},
        images=by_split("images"),
        chosen=json.loads(attribute(file, "chosen")),
        reads=json.loads(file.attrs.get("reads", "{}")),
        versions=json.loads(file.attrs.get("versions", "{}")),
        rebalancing=str(file.attrs.get("rebalancing", "none")),
        run=json.loads(file.attrs.get("run", "{}")),
        unit=str(file.attrs.get("unit", "")),
    )


def _floating(scores: np.ndarray) -> np.ndarray:
    """Return scores as floating numbers: somebody else's may be whole ones."""
    return scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float32)


def _signed(numbers: np.ndarray) -> np.ndarray:
    """Return class numbers as int64; what is no whole number stays, to be refused by name."""
    whole = numbers.dtype.kind in "iu" or not numbers.size
    return numbers.astype(np.int64) if whole else numbers
