"""Ensembles: the mean of the softmax outputs of several runs, as V&S-CC is of V-CC and S-CC
(Classifier Crafting, 2.1).

The result is a score matrix like any other (the log of the mean, all splits), so every rebalancing
works on it. The paper's figure 6 does it the other way round: rebalance each member, then take the
mean. Members that were rebalanced by a kind that writes log-probabilities are averaged as they
stand, without another softmax; the member with the lowest temperature then outweighs the others.
"""

import itertools
from collections.abc import Mapping, Sequence
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
    write_irrelevant,
    write_scores,
)
from zslpipe.machine.errors import InputError
from zslpipe.scores.gating import log_softmax
from zslpipe.scores.kinds import PROBABILITIES

# what has to be equal in all members
SAME = ("dataset", "seed", "protocol", "rebalancing", "classes")
SAME_IRRELEVANT = ("dataset", "seed", "source", "classes")
# what may differ, and is told of each
TOLD = ("extractor", "semantics", "words", "selection")


def ensemble(members: Sequence[Path], output: Path, method: str, variant: str) -> None:
    """Write the ensemble of several ``scores.h5`` (or ``validation.h5``) as a run of ``method`` and
    ``variant``.

    Scores that are no log-probabilities yet go through a softmax as they are: a method's scores are
    logits in the temperature that it was trained with. Raises InputError for fewer than two
    members, and for members of different dataset, seed, classes, images, labels or rebalancing.
    """
    _check_count(members)
    matrices = [read_scores(path) for path in members]
    first = matrices[0]
    for path, matrix in zip(members, matrices, strict=True):
        _check_same(path, matrix, members[0], first, SAME)
        if not _same_images(matrix, first):
            raise InputError(
                f"{path}: other images or labels than {members[0]}; an ensemble needs one index"
            )
    scores = {}
    for split in SPLITS:
        scores[split] = _mean([_logarithms(matrix, split) for matrix in matrices])
    chosen: dict[str, object] = {}
    for matrix in matrices:
        if matrix.chosen:
            chosen[f"{matrix.method} / {matrix.variant}"] = dict(matrix.chosen)
    changed: dict[str, Any] = {"method": method, "variant": variant}
    for name in TOLD:
        changed[name] = _joined([getattr(matrix, name) for matrix in matrices])
    changed["reads"] = _joined_reads([matrix.reads for matrix in matrices])
    write_scores(output, replace(first, **changed, scores=scores, chosen=chosen))


def ensemble_irrelevant(members: Sequence[Path], output: Path, method: str, variant: str) -> None:
    """Write the ensemble of several ``irrelevant.h5``; InputError as :func:`ensemble`, and for
    other sources.
    """
    _check_count(members)
    found = [read_irrelevant(path) for path in members]
    for path, irrelevant in zip(members, found, strict=True):
        _check_same(path, irrelevant, members[0], found[0], SAME_IRRELEVANT)
        if len(irrelevant.scores) != len(found[0].scores):
            raise InputError(
                f"{path}: {len(irrelevant.scores)} images, {members[0]} has {len(found[0].scores)}"
            )
    scores = _mean([log_softmax(irrelevant.scores) for irrelevant in found])
    write_irrelevant(output, replace(found[0], method=method, variant=variant, scores=scores))


def _check_count(members: Sequence[Path]) -> None:
    """Raise InputError for fewer than two members."""
    if len(members) < 2:
        raise InputError(f"an ensemble needs two members or more, {len(members)} given")


def _check_same(
    path: Path,
    member: ScoreMatrix | IrrelevantScores,
    first_path: Path,
    first: ScoreMatrix | IrrelevantScores,
    names: Sequence[str],
) -> None:
    """Raise InputError where a member and the first differ in one of these fields."""
    for name in names:
        found, expected = getattr(member, name), getattr(first, name)
        if found != expected:
            told = f"{name} {found!r}, not {expected!r}"
            if name == "classes":
                told = "other classes, or in another order,"
            agree = "members of an ensemble have to agree in it"
            raise InputError(f"{path}: {told} as in {first_path}; {agree}"[:300])


def _joined_reads(members: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what members read: where they agree as it is, else as text, side by side."""
    joined: dict[str, object] = {}
    for name in dict.fromkeys(itertools.chain(*members)):
        values = [member.get(name) for member in members]
        told = [str(value or "none") for value in values]
        joined[name] = values[0] if values.count(values[0]) == len(values) else _joined(told)
    return joined


def _same_images(matrix: ScoreMatrix, first: ScoreMatrix) -> bool:
    """Return whether two score matrices have the same seen classes, images and labels."""
    same = np.array_equal(matrix.seen, first.seen)
    for split in SPLITS:
        same &= np.array_equal(matrix.images[split], first.images[split])
        same &= np.array_equal(matrix.labels[split], first.labels[split])
    return same


def _joined(texts: Sequence[str]) -> str:
    """Return what members say of themselves: once where they agree, else side by side."""
    return " + ".join(dict.fromkeys(text for text in texts if text))


def _logarithms(matrix: ScoreMatrix, split: str) -> np.ndarray:
    """Return a split's (image, class) log-probabilities, float64."""
    scores = matrix.scores[split]
    if matrix.rebalancing in PROBABILITIES:
        return scores.astype(np.float64)
    return log_softmax(scores)


def _mean(logarithms: Sequence[np.ndarray]) -> np.ndarray:
    """Return the log of the mean of probabilities given as logarithms, float32 and finite."""
    mean: np.ndarray = np.logaddexp.reduce(logarithms) - np.log(len(logarithms))
    return mean.astype(np.float32)
