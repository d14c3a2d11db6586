"""Rebalancing of seen and unseen classes: score matrix in, score matrix out, for any method.

All work on what ``scores`` holds, with the margins or constants that a method has put in itself.
The best class of either group stays the best of its group, so T1 is the same under all; numbers are
ours::

    none                  the scores as they are
    calibrated_stacking   (1)  s_j - factor  for seen j                            (Chao et al., ECCV 2016)
    cosmo                 (2)  p_j = p_S (p(j|S) + p_U / |S|)  for seen j,         (Atzmon and Chechik, CVPR 2019)
                               p_j = p_U (p(j|U) + p_S / |U|)  for unseen j, p_U = 1 - p_S
    discriminator         (3)  p_j = p_D softmax(s / tau)_j  for seen j,           (Classifier Crafting, eq. 2: "R")
                               p_j = (1 - p_D) softmax(s / tau)_j  for unseen j
    oracle                knows from the labels which images are of seen classes: an upper bound, not a method

p_S and p_D are an image's probability to be of a seen class, from logistic regressions on its
scores. cosmo and discriminator write log p_j, the others keep the unit of the scores. What has to
be chosen is chosen on validation.h5, the same method trained on the problem of choosing: by H
there, the temperature of a softmax by the likelihood there.

Deviations
    - calibrated_stacking: the factor is that of the validation problem, in the unit of the scores.
      That problem's model has seen fewer images and classes; on 127 classes of CUB its factor is 10
      to 40 % above the best one of the test.
    - cosmo: one matrix is both experts, p(j|S) and p(j|U) its softmax over either group. The gate
      learns from all test images of the validation problem; the public code keeps a third for
      choosing.
    - discriminator: the paper's D reads the logits class by class. Such a D learns what seen
      classes look like rather than what doubt looks like: on its validation classes it told seen
      from unseen images no better than chance. Here it reads the best seen and the best unseen
      log-probability ("confidence"; ours); "logits" is the paper's. Mixup coefficient and tau,
      which the paper does not give, are chosen on the validation classes.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
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
from zslpipe.machine.errors import InputError, nearest
from zslpipe.scores import gating
from zslpipe.settings import parse_settings

# The files that each kind needs beside scores.h5.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "calibrated_stacking": ("validation",),
    "cosmo": ("validation",),
    "discriminator": ("validation", "irrelevant"),
    "oracle": (),
}
KINDS = tuple(NEEDS)
READINGS = {"confidence": gating.confidence, "logits": gating.logits}


@dataclass(frozen=True)
class Nothing:
    """The settings of kinds that have none."""


@dataclass(frozen=True)
class CalibratedStacking:
    """Settings of calibrated_stacking."""

    factor: float | None = (
        None  # in the unit of the scores; chosen on the validation classes where absent
    )


@dataclass(frozen=True)
class Cosmo:
    """Settings of cosmo."""

    top: int = 5  # code: sorted probabilities of either group that the gate reads
    gate_temperature: float = 3.0  # code: of the seen probabilities that the gate reads
    regulariser: float = 1.0  # code: scikit-learn's C


@dataclass(frozen=True)
class Discriminator:
    """Settings of discriminator; of several candidates the best on the validation classes is taken."""

    reading: str = "confidence"  # ours (see the module's docstring); "logits": paper, sec. 2.2
    mixup: tuple[float, ...] = (
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
    )  # ours: share of the training image; flat above 0.9
    smoothing: tuple[float, ...] = (
        1.0,
        2.0,
        3.0,
        5.0,
        10.0,
        30.0,
    )  # ours: tau of fig. 6, in likeliest temperatures
    regulariser: float = 1.0  # scikit-learn's default C


Settings = Nothing | CalibratedStacking | Cosmo | Discriminator
# New scores (image, class) from old ones and labels (image,), float64, and what was chosen.
Prepared = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], dict[str, Any]]


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

    ``validation`` and ``irrelevant`` are needed as ``NEEDS`` says, ``validation`` not where the
    settings give the factor. Raises InputError for an unknown kind or setting, for a file that is
    missing, damaged or of another run, for scores that are rebalanced already, and where a group of
    classes or images is empty.
    """
    if kind not in KINDS:
        raise InputError(f"rebalancing {kind!r}; {nearest(kind, KINDS)}")
    where = f"rebalancing {kind!r}"
    chosen = _settings(kind, settings, where)
    matrix = _sound(read_scores(scores), scores)
    needed = (
        () if isinstance(chosen, CalibratedStacking) and chosen.factor is not None else NEEDS[kind]
    )
    choosing, unrelated = None, None
    if "validation" in needed:
        path = _given(validation, "validation", where)
        choosing = _sound(read_scores(path), path)
        _check_validation(choosing, matrix, path)
    if "irrelevant" in needed:
        path = _given(irrelevant, "irrelevant", where)
        unrelated = read_irrelevant(path)
        _check_run(unrelated, matrix, matrix.classes, path)
        if not len(matrix.scores["trainval"]):
            raise InputError(f"{scores}: trainval is empty; {where} learns from training images")
    write_scores(output, rebalanced(matrix, kind, chosen, choosing, unrelated))


def _given(path: Path | None, name: str, where: str) -> Path:
    """Return ``path``; InputError where it is None."""
    if path is None:
        raise InputError(f"{where} needs {name}.h5 of the same run, none is given")
    return path


def _settings(kind: str, settings: Mapping[str, Any], where: str) -> Settings:
    """Return a kind's settings; InputError for an unknown name, a wrong type or a value out of
    range.
    """
    kinds = {
        "calibrated_stacking": CalibratedStacking,
        "cosmo": Cosmo,
        "discriminator": Discriminator,
    }
    parsed: Settings = parse_settings(kinds.get(kind, Nothing), settings, where)
    for name, value in asdict(parsed).items():
        numbers = value if isinstance(value, tuple) else (value,)
        if not numbers:
            raise InputError(
                f"{where}: setting {name!r} is an empty list; give at least one candidate"
            )
        if name in ("top", "gate_temperature", "regulariser", "smoothing") and min(numbers) <= 0:
            raise InputError(f"{where}: setting {name!r} is {value}, numbers above 0 expected")
        if name == "mixup" and not (min(numbers) >= 0 and max(numbers) < 1):
            raise InputError(
                f"{where}: setting 'mixup' is {value}, shares from 0 to below 1 expected"
            )
        if name == "reading" and value not in READINGS:
            raise InputError(f"{where}: reading {value!r}; {nearest(str(value), READINGS)}")
    if (
        isinstance(parsed, Discriminator)
        and parsed.reading == "logits"
        and len(parsed.mixup + parsed.smoothing) > 2
    ):
        raise InputError(
            f"{where}: reading 'logits' has nothing to choose on, other classes have other logits; give one mixup and"
            " one smoothing"
        )
    return parsed


def _sound(matrix: ScoreMatrix, path: Path) -> ScoreMatrix:
    """Return a matrix that can be rebalanced; InputError where it has been already or lacks a group
    of classes.
    """
    if matrix.rebalancing != "none":
        raise InputError(
            f"{path}: already rebalanced by {matrix.rebalancing!r}; give the scores of the method itself"
        )
    if matrix.seen.all() or not matrix.seen.any():
        raise InputError(
            f"{path}: no {'unseen' if matrix.seen.all() else 'seen'} class; there is nothing to rebalance"
        )
    return matrix


def _check_validation(validation: ScoreMatrix, matrix: ScoreMatrix, path: Path) -> None:
    """Raise InputError unless ``validation`` is the same run on the seen classes, with both kinds
    of test images.
    """
    seen = tuple(name for name, member in zip(matrix.classes, matrix.seen, strict=True) if member)
    _check_run(validation, matrix, seen, path)
    for split in ("test_seen", "test_unseen"):
        if not len(validation.labels[split]):
            raise InputError(
                f"{path}: {split} is empty; nothing can be chosen on these validation classes"
            )


def _check_run(
    other: ScoreMatrix | IrrelevantScores, matrix: ScoreMatrix, classes: tuple[str, ...], path: Path
) -> None:
    """Raise InputError unless ``other`` is of the matrix's dataset, method, variant and seed, with
    these classes.
    """
    for name in ("dataset", "method", "variant", "seed"):
        found, expected = getattr(other, name), getattr(matrix, name)
        if found != expected:
            raise InputError(
                f"{path}: {name} is {found!r}, that of the scores {expected!r}; give files of one run"
            )
    if other.classes != classes:
        kind = "all" if classes == matrix.classes else "the seen"
        raise InputError(
            f"{path}: its {len(other.classes)} classes are not {kind} {len(classes)} of the scores"
        )


def rebalanced(
    matrix: ScoreMatrix,
    kind: str,
    settings: Any,
    validation: ScoreMatrix | None,
    irrelevant: IrrelevantScores | None,
) -> ScoreMatrix:
    """Return the score matrix after rebalancing by ``kind`` with its settings (one of this module's
    dataclasses).

    Float32, finite. Rounding makes no ties: the best class of either group stays the best of its
    group.
    """
    prepare: Mapping[str, Callable[..., Prepared]] = {
        "none": _none,
        "calibrated_stacking": _calibrated_stacking,
        "cosmo": _cosmo,
        "discriminator": _discriminator,
        "oracle": _oracle,
    }
    change, used = prepare[kind](matrix, settings, validation, irrelevant)
    scores = {}
    for split in SPLITS:
        given = matrix.scores[split]
        changed = change(given.astype(np.float64), matrix.labels[split]).astype(np.float32)
        scores[split] = gating.keep_best(given, changed, matrix.seen)
    return replace(
        matrix,
        scores=scores,
        rebalancing=kind,
        chosen={**matrix.chosen, **({kind: used} if used else {})},
    )


def _none(matrix: ScoreMatrix, settings: Nothing, validation: None, irrelevant: None) -> Prepared:
    return lambda scores, labels: scores, {}


def _oracle(matrix: ScoreMatrix, settings: Nothing, validation: None, irrelevant: None) -> Prepared:
    """Put every class of the wrong group below all of the right one."""

    def change(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        wrong = matrix.seen != matrix.seen[labels][:, None]
        return scores - wrong * (np.ptp(scores, axis=1, keepdims=True) + 1)

    return change, {}


def _calibrated_stacking(
    matrix: ScoreMatrix,
    settings: CalibratedStacking,
    validation: ScoreMatrix | None,
    irrelevant: None,
) -> Prepared:
    """Eq. 1, with the factor that is given or the best one of the validation problem."""
    used: dict[str, Any] = {"factor": settings.factor}
    if validation is not None:
        used["factor"], used["validation_H"] = gating.best_factor(
            *_test(validation), validation.seen
        )
    return lambda scores, labels: scores - used["factor"] * matrix.seen, used


def _cosmo(
    matrix: ScoreMatrix, settings: Cosmo, validation: ScoreMatrix, irrelevant: None
) -> Prepared:
    """Eq. 2; the gate is trained on the validation problem, its threshold and sharpness are chosen
    there.
    """
    (scores, labels), seen = _test(validation), validation.seen
    temperature = gating.likeliest_temperature(scores, labels)
    top = min(
        settings.top, *(int(group.sum()) for group in (seen, ~seen, matrix.seen, ~matrix.seen))
    )

    def read(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return gating.sorted_probabilities(
            scores, seen, temperature, settings.gate_temperature, top
        )

    gate = gating.logistic(read(scores, seen), seen[labels], settings.regulariser)
    odds, used = gating.sharpened(gate, read(scores, seen), scores, labels, seen, temperature)

    def change(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return gating.smoothed(scores, matrix.seen, odds(read(scores, matrix.seen)), temperature)

    return change, {
        "temperature": temperature,
        "top": top,
        "regulariser": settings.regulariser,
        **used,
    }


def _discriminator(
    matrix: ScoreMatrix,
    settings: Discriminator,
    validation: ScoreMatrix,
    irrelevant: IrrelevantScores,
) -> Prepared:
    """Eq. 3; D learns training images against mixtures of these with task-irrelevant ones."""
    (scores, labels), seen = _test(validation), validation.seen
    likeliest, read = gating.likeliest_temperature(scores, labels), READINGS[settings.reading]
    gates = {
        share: _mixture_gate(matrix, irrelevant, share, likeliest, settings)
        for share in settings.mixup
    }
    distances = gating.gaps(scores, seen)[2]

    def figure(share: float, smoothing: float) -> float:
        odds = gates[share](read(scores, seen, likeliest))
        return gating.harmonic_of(
            distances / (smoothing * likeliest) + odds >= 0, scores, labels, seen
        )

    share, smoothing = settings.mixup[0], settings.smoothing[0]
    used: dict[str, Any] = {"reading": settings.reading, "regulariser": settings.regulariser}
    if len(gates) * len(settings.smoothing) > 1:
        figures = {
            tried: figure(*tried) for tried in itertools.product(settings.mixup, settings.smoothing)
        }
        share, smoothing = max(figures, key=lambda tried: figures[tried])
        used["validation_H"] = figures[share, smoothing]

    def change(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        odds = gates[share](read(scores, matrix.seen, likeliest))
        return gating.weighed(scores, matrix.seen, odds, smoothing * likeliest)

    return change, used | {"mixup": share, "temperature": smoothing * likeliest}


def _mixture_gate(
    matrix: ScoreMatrix,
    irrelevant: IrrelevantScores,
    share: float,
    temperature: float,
    settings: Discriminator,
) -> gating.Gate:
    """Return D: training images against as many made-up unseen ones."""
    trainval = matrix.scores["trainval"].astype(np.float64)
    unseen = gating.mixed(trainval, irrelevant.scores.astype(np.float64), share, matrix.seed)
    features = [
        READINGS[settings.reading](scores, matrix.seen, temperature)
        for scores in (trainval, unseen)
    ]
    positive = np.repeat([True, False], len(trainval))
    return gating.logistic(np.concatenate(features), positive, settings.regulariser)


def _test(matrix: ScoreMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (image, class), float64, and labels of all test images."""
    splits = ("test_seen", "test_unseen")
    scores = np.concatenate([matrix.scores[split] for split in splits]).astype(np.float64)
    return scores, np.concatenate([matrix.labels[split] for split in splits])
