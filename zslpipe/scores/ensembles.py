"""Ensembles: the mean of the softmax outputs of several runs, as V&S-CC is of V-CC and S-CC
(Classifier Crafting, 2.1).

Members are unequally sharp: one trained to be sure outweighs one whose probabilities are nearly
alike, whatever they know. Where validation.h5 of the members is given, each softmax is taken at the
temperature that makes the labels there likeliest (ours; the paper smoothes its figure 6 with a
temperature that it does not give); without them scores are logits as they were trained. On 127
classes of CUB, validation classes, seed 0: T1 66.3 with attributes (64.1 as trained, the better
member 64.5), 83.2 with sentences (81.3; 84.1). Members may be in different units, which each has
to state (:mod:`zslpipe.formats.units`): a softmax of log-probabilities is their probabilities.

The result is a score matrix like any other (the log of the mean, all splits), so every rebalancing
works on it. The paper's figure 6 does it the other way round: rebalance each member, then take the
mean. Members that were rebalanced by a kind that writes log-probabilities, smoothed by a
temperature of its own, are averaged as they stand, without another softmax.

Two members may be experts instead: the first of the seen classes, the second of the unseen ones
(:mod:`zslpipe.scores.experts`). They are not averaged but joined; all else is the same.

Somebody else's scores may be of no training image, and their validation.h5 of other training images
that were held out: the result then has no training images, and of the held-out ones those that all
members have.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.identity import run_hash
from zslpipe.formats.scores import (
    SPLITS,
    IrrelevantScores,
    ScoreMatrix,
    read_irrelevant,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.formats.units import LOG_PROBABILITIES, stated_unit
from zslpipe.machine.errors import InputError
from zslpipe.scores.choosing import tested
from zslpipe.scores.experts import joined_experts
from zslpipe.scores.gating import LIMIT, likeliest_temperature, log_softmax
from zslpipe.scores.kinds import are_log_probabilities
from zslpipe.scores.members import (
    check_count,
    check_same,
    held_out_in_all,
    read_members,
    same_images,
)
from zslpipe.scores.rebalancing import check_run

# what has to be equal in all members
SAME = ("dataset", "seed", "protocol", "rebalancing", "classes")
SAME_IRRELEVANT = ("dataset", "seed", "source", "classes")
# what may differ, and is told of each
TOLD = ("extractor", "semantics", "words", "selection")


def ensemble(
    members: Sequence[Path],
    validations: Sequence[Path],
    output: Path,
    method: str,
    variant: str,
    experts: bool = False,
) -> None:
    """Write the ensemble of several ``scores.h5`` as a run of ``method`` and ``variant``;
    ``chosen`` tells the temperatures.

    ``validations``: ``validation.h5`` of each member, in the same order, for its likeliest
    temperature; none of them where scores go through a softmax as they are. ``experts``: the first
    of two members is the expert of the seen classes, the second of the unseen ones. Raises
    InputError for fewer than two members (experts: not two), for a file that does not state its
    unit, for members of different dataset, seed, classes, images, labels or rebalancing, for a
    validation.h5 of another run, and where it has no validation classes.
    """
    matrices = read_members(members, experts)
    _write(members, matrices, validations, output, (method, variant), experts)


def ensemble_validation(
    members: Sequence[Path],
    validations: Sequence[Path],
    output: Path,
    method: str,
    variant: str,
    experts: bool = False,
) -> None:
    """Write the ensemble of several ``validation.h5``, over the held-out images that all members
    have; InputError as :func:`ensemble`, and where they have none in common.
    """
    matrices = held_out_in_all(members, read_members(members, experts))
    _write(members, matrices, validations, output, (method, variant), experts)


def _write(
    members: Sequence[Path],
    matrices: Sequence[ScoreMatrix],
    validations: Sequence[Path],
    output: Path,
    who: tuple[str, str],
    experts: bool,
) -> None:
    """Write what :func:`ensemble` promises of members that are read."""
    first = matrices[0]
    for path, matrix in zip(members, matrices, strict=True):
        stated_unit(matrix.unit, str(path))
        check_same(path, matrix, members[0], first, SAME)
        if not same_images(matrix, first):
            raise InputError(
                f"{path}: other images or labels than {members[0]}; an ensemble needs one index"
            )
    found = _temperatures(members, matrices, validations)
    scores = {}
    for split in SPLITS:
        pairs = zip(matrices, found, strict=True)
        parts = [_logarithms(matrix, split, heat) for matrix, heat in pairs]
        scores[split] = united(parts, first.seen, experts)
    chosen: dict[str, object] = {}
    for matrix, temperature in zip(matrices, found, strict=True):
        told = dict(matrix.chosen)
        if validations and not are_log_probabilities(matrix):
            told["likeliest_temperature"] = temperature
        if told:
            chosen[f"{matrix.method} / {matrix.variant}"] = told
    changed: dict[str, Any] = {"method": who[0], "variant": who[1], "unit": LOG_PROBABILITIES}
    for name in TOLD:
        changed[name] = _joined([getattr(matrix, name) for matrix in matrices])
    changed["run"] = _joined_runs(matrices, experts)
    changed["versions"] = _joined_reads([matrix.versions for matrix in matrices])
    changed["reads"] = _joined_reads([matrix.reads for matrix in matrices])
    write_scores(output, replace(first, **changed, scores=scores, chosen=chosen))


def ensemble_irrelevant(
    members: Sequence[Path],
    validations: Sequence[Path],
    output: Path,
    method: str,
    variant: str,
) -> None:
    """Write the ensemble of several ``irrelevant.h5``, at the temperatures of :func:`ensemble`;
    InputError as there, and for other sources.
    """
    check_count(members)
    found = [read_irrelevant(path) for path in members]
    for path, irrelevant in zip(members, found, strict=True):
        stated_unit(irrelevant.unit, str(path))
        check_same(path, irrelevant, members[0], found[0], SAME_IRRELEVANT)
        if len(irrelevant.scores) != len(found[0].scores):
            raise InputError(
                f"{path}: {len(irrelevant.scores)} images, {members[0]} has {len(found[0].scores)}"
            )
    pairs = zip(found, _temperatures(members, found, validations), strict=True)
    parts = [log_softmax(irrelevant.scores, heat) for irrelevant, heat in pairs]
    scores = united(parts)
    changed: dict[str, Any] = {"method": method, "variant": variant, "unit": LOG_PROBABILITIES}
    changed["run"] = _joined_runs(found)
    write_irrelevant(output, replace(found[0], **changed, scores=scores))


def _temperatures(
    paths: Sequence[Path],
    members: Sequence[ScoreMatrix | IrrelevantScores],
    validations: Sequence[Path],
) -> list[float]:
    """Return the temperature of each member's softmax: the likeliest on its validation.h5, or 1."""
    if not validations:
        return [1.0] * len(members)
    if len(validations) != len(members):
        raise InputError(
            f"{len(members)} members and {len(validations)} validation.h5; give one of each, in "
            "the same order"
        )
    found = []
    for path, member, validation in zip(paths, members, validations, strict=True):
        matrix = read_scores(validation)
        stated_unit(matrix.unit, str(validation))
        check_run(matrix, member, None, validation)
        if not set(matrix.classes) <= set(member.classes):
            raise InputError(f"{validation}: its classes are not among those of {path}")
        if not len(matrix.labels["test_unseen"]):
            raise InputError(
                f"{validation}: no validation classes; set the ensemble's temperature to 'trained'"
            )
        found.append(likeliest_temperature(*tested(matrix)))
    return found


def _joined_reads(members: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what members read: where they agree as it is, else as text, side by side."""
    joined: dict[str, object] = {}
    for name in dict.fromkeys(itertools.chain(*members)):
        values = [member.get(name) for member in members]
        told = [str(value or "none") for value in values]
        joined[name] = values[0] if values.count(values[0]) == len(values) else _joined(told)
    return joined


def _joined_runs(
    members: Sequence[ScoreMatrix | IrrelevantScores], experts: bool = False
) -> dict[str, object]:
    """Return the run of an ensemble: the hash of each member's, and which is which of experts;
    nothing where one has none.
    """
    if not all(member.run for member in members):
        return {}
    hashes = {f"{member.method}/{member.variant}": run_hash(member.run) for member in members}
    return {"members": hashes, "seed": members[0].seed} | (
        {"experts": [*hashes]} if experts else {}
    )


def _joined(texts: Sequence[str]) -> str:
    """Return what members say of themselves: once where they agree, else side by side."""
    return " + ".join(dict.fromkeys(text for text in texts if text))


def _logarithms(matrix: ScoreMatrix, split: str, temperature: float) -> np.ndarray:
    """Return a split's (image, class) log-probabilities, float64; those of a rebalancing that
    writes such stay.
    """
    scores = matrix.scores[split]
    if are_log_probabilities(matrix):
        return scores.astype(np.float64)
    return log_softmax(scores, temperature)


def united(
    logarithms: Sequence[np.ndarray], seen: np.ndarray | None = None, experts: bool = False
) -> np.ndarray:
    """Return (image, class) log-probabilities of members' as an ensemble, float32 and finite: the
    log of the mean of the probabilities, or those of two ``experts`` of the classes that are
    ``seen`` (class,) and of the others.
    """
    if experts and seen is not None:
        found = joined_experts(logarithms[0], logarithms[1], seen)
    else:
        found = np.logaddexp.reduce(logarithms) - np.log(len(logarithms))
    held: np.ndarray = np.maximum(found, -LIMIT).astype(np.float32)
    return held
