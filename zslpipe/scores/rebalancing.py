"""Rebalancing of seen and unseen classes: score matrix in, score matrix out, for any method.

What each kind does stands in :mod:`zslpipe.scores.kinds`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.scores import (
    SPLITS,
    IrrelevantScores,
    ScoreMatrix,
    read_irrelevant,
    read_scores,
    write_scores,
)
from zslpipe.formats.units import LOG_PROBABILITIES, LOGITS, stated_unit
from zslpipe.machine.errors import InputError, nearest
from zslpipe.scores.changes import Change
from zslpipe.scores.choosing import Given
from zslpipe.scores.gating import LIMIT, rounded
from zslpipe.scores.kinds import KINDS, Rebalancing, are_log_probabilities
from zslpipe.settings import parse_settings


def rebalance(
    kind: str,
    scores: Path,
    output: Path,
    validation: Path | None,
    irrelevant: Path | None,
    settings: Mapping[str, Any],
) -> None:
    """Rebalance ``scores.h5`` and write ``output``, a score matrix whose ``chosen`` says what was
    chosen.

    ``validation`` and ``irrelevant`` are given where the kind with its settings needs them. Raises
    InputError for an unknown kind or setting, for a file that is missing, damaged or of another
    run, for scores that are rebalanced already, where a group of classes or images is empty, and
    for a kind that learns or chooses from scores that do not state their unit.
    """
    chosen = settings_of(kind, settings)
    given = read_given(chosen, scores, validation, irrelevant)
    result = rebalanced(chosen, given)
    run = given.matrix.run
    told = {**run, "rebalancing": {kind: dict(settings)}} if run else {}
    write_scores(output, replace(result, run=told))


def read_given(
    kind: Rebalancing, scores: Path, validation: Path | None, irrelevant: Path | None
) -> Given:
    """Return what a kind with its settings needs of a run's files; InputError as
    :func:`rebalance`.
    """
    matrix = _sound(read_scores(scores), scores)
    where = f"rebalancing {kind.name!r}"
    choosing, unrelated = None, None
    if kind.needs():
        stated_unit(matrix.unit, f"{scores}, for {where}")
    if "validation" in kind.needs():
        path = _given(validation, "validation", where)
        choosing = _sound(read_scores(path), path)
        stated_unit(choosing.unit, f"{path}, for {where}")
        _check_validation(choosing, matrix, path)
    if "irrelevant" in kind.needs():
        path = _given(irrelevant, "irrelevant", where)
        unrelated = read_irrelevant(path)
        stated_unit(unrelated.unit, f"{path}, for {where}")
        check_run(unrelated, matrix, matrix.classes, path)
        if not len(matrix.scores["trainval"]):
            raise InputError(f"{scores}: trainval is empty; {where} learns from training images")
    return Given(matrix, choosing, unrelated)


def settings_of(kind: str, settings: Mapping[str, Any]) -> Rebalancing:
    """Return a kind with its settings; InputError for an unknown kind or name, a wrong type or a
    value out of range.
    """
    if kind not in KINDS:
        raise InputError(f"rebalancing {kind!r}; {nearest(kind, KINDS)}")
    return parse_settings(KINDS[kind], settings, f"rebalancing {kind!r}")


def rebalanced(kind: Rebalancing, given: Given) -> ScoreMatrix:
    """Return the score matrix of ``given`` after rebalancing, in the unit that it is in then.

    Float32, finite. Rounding makes no ties: the best class of either group stays the best of its
    group.
    """
    matrix = given.matrix
    change, used = kind.prepare(given)
    scores = {}
    for split in SPLITS:
        scores[split] = applied(change, matrix.scores[split], matrix.seen, matrix.labels[split])
    chosen = dict(matrix.chosen)
    if used:
        chosen[kind.name] = used
    result = replace(matrix, scores=scores, rebalancing=kind.name, chosen=chosen)
    return replace(result, unit=_unit(matrix.unit, result))


def applied(
    change: Change, scores: np.ndarray, seen: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """Return (image, class) scores after a change, as they are written."""
    if not len(scores):  # a standard split sets no image of a seen class aside
        return scores
    return rounded(scores, change(scores.astype(np.float64), seen, labels), seen)


def _unit(before: str, result: ScoreMatrix) -> str:
    """Return the unit of scores that were in ``before`` before they were rebalanced."""
    if are_log_probabilities(result):
        return LOG_PROBABILITIES
    # a constant makes other scores of log-probabilities, of which a softmax can be taken
    return LOGITS if before and result.rebalancing != "none" else before


def _given(path: Path | None, name: str, where: str) -> Path:
    """Return ``path``; InputError where it is None."""
    if path is None:
        raise InputError(f"{where} needs {name}.h5 of the same run, none is given")
    return path


def _sound(matrix: ScoreMatrix, path: Path) -> ScoreMatrix:
    """Return a matrix that can be rebalanced; InputError where it has been already or lacks a group
    of classes.
    """
    if matrix.rebalancing != "none":
        raise InputError(
            f"{path}: already rebalanced by {matrix.rebalancing!r}; give the scores of the method"
            " itself"
        )
    if matrix.seen.all() or not matrix.seen.any():
        absent = "unseen" if matrix.seen.all() else "seen"
        raise InputError(f"{path}: no {absent} class; there is nothing to rebalance")
    highest = max(float(np.abs(part).max(initial=0)) for part in matrix.scores.values())
    if highest > LIMIT / 10:
        told = f"scores up to {highest:.4g}, with which float32 cannot reckon"
        raise InputError(f"{path}: {told}; divide all scores of the run by one number")
    return matrix


def _check_validation(validation: ScoreMatrix, matrix: ScoreMatrix, path: Path) -> None:
    """Raise InputError unless ``validation`` is the same run on the seen classes, with both kinds
    of test images.
    """
    seen = tuple(name for name, member in zip(matrix.classes, matrix.seen, strict=True) if member)
    check_run(validation, matrix, seen, path)
    for split in ("test_seen", "test_unseen"):
        if not len(validation.labels[split]):
            raise InputError(
                f"{path}: {split} is empty; nothing can be chosen on these validation classes"
            )


def check_run(
    other: ScoreMatrix | IrrelevantScores,
    matrix: ScoreMatrix | IrrelevantScores,
    classes: tuple[str, ...] | None,
    path: Path,
) -> None:
    """Raise InputError unless ``other`` is of the matrix's dataset, method, variant and seed, with
    these classes (None: whatever its classes are).
    """
    for name in ("dataset", "method", "variant", "seed"):
        found, expected = getattr(other, name), getattr(matrix, name)
        if found != expected:
            told = f"{name} is {found!r}, that of the scores {expected!r}"
            raise InputError(f"{path}: {told}; give files of one run")
    if classes is not None and other.classes != classes:
        kind = "all" if classes == matrix.classes else "the seen"
        raise InputError(
            f"{path}: its {len(other.classes)} classes are not {kind} {len(classes)} of the scores"
        )
