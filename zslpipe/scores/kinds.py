"""Kinds of rebalancing, a class each: its name, its settings, what it needs and what it does.

All work on what ``scores`` holds, with the margins or constants that a method has put in itself.
The best class of either group stays the best of its group, so T1 is the same under all; numbers are
ours::

    none                  the scores as they are
    calibrated_stacking   (1)  s_j - factor  for seen j
    cosmo                 (2)  p_j = p_S (p(j|S) + p_U / |S|)  for seen j
                               p_j = p_U (p(j|U) + p_S / |U|)  for unseen j, p_U = 1 - p_S
    discriminator         (3)  p_j = p_D softmax(s / tau)_j  for seen j
                               p_j = (1 - p_D) softmax(s / tau)_j  for unseen j
    oracle                knows from the labels which images are of seen classes: an upper bound,
                          not a method

(1) Chao et al., ECCV 2016; (2) Atzmon and Chechik, CVPR 2019; (3) Classifier Crafting, eq. 2: "R".

p_S and p_D are an image's probability to be of a seen class, from logistic regressions on its
scores. cosmo and discriminator write log p_j, the others keep the scale of the scores; those of
probabilities are their logarithms (:mod:`zslpipe.formats.scores`). What has to be chosen is chosen
on validation.h5, the same method trained on the problem of choosing: by H there, the temperature of
a softmax by the likelihood there. One of the candidates is "none": where everything else is worse
on the validation classes, the scores stay as they are, and ``chosen`` says ``kept: none``.

A new kind is a new class here, named at the end of the file: a frozen dataclass of settings, each
with a default and its range, with the members of ``Rebalancing``.

Deviations
    - calibrated_stacking: the factor is that of the validation problem, in the unit of the scores.
      That problem's model has seen fewer images and classes; on 127 classes of CUB its factor is 10
      to 40 % above the best one of the test.
    - cosmo: p(j|S) and p(j|U) are the softmax of one matrix over either group: of one result that
      is both experts, or of an ensemble that joins two (:mod:`zslpipe.scores.experts`). The gate
      learns from all test images of the validation problem; the public code keeps a third for
      choosing.
    - discriminator: D reads the best seen and the best unseen log-probability ("confidence"; ours)
      and so does what calibrated stacking does, a threshold on their gap: it brings nothing over
      it here. On the validation classes of 127 classes of CUB D tells seen from unseen images with
      an AUC of 0.81 to 0.92, the gap itself with 0.82 to 0.92; on test, three seeds, H lies 0.9
      below to 1.8 above calibrated stacking's, by the factor chosen: AUSUC is within 0.4.
    - The paper's D reads all logits ("logits"): no better than chance (AUC 0.47 to 0.54), with
      logits standardised by class or by image, a share from Beta(1, 1) as in mixup (Zhang et al.,
      ICLR 2018), or Beta(0.2, 0.2), and five mixtures of each training image with 941 irrelevant
      ones: it learns what seen classes look like, not what doubt looks like. Of all probabilities
      instead of logits 0.78 to 0.89. So none of these is offered. Mixup coefficient and tau, which
      the paper does not give, are chosen on the validation classes.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from zslpipe.machine.ranges import AnyNumber, BelowOne, OneOrMore
from zslpipe.scores import gating
from zslpipe.scores.calibration import best_factor, gaps
from zslpipe.scores.changes import READINGS, Kept, Revealed, Smoothed, TakenOff, Weighed
from zslpipe.scores.choosing import KEPT, Given, Prepared, best_or_none

if TYPE_CHECKING:  # the workflow asks for kinds before any job and needs no HDF5 for that
    from zslpipe.formats.scores import ScoreMatrix


class Rebalancing(Protocol):
    """What every kind has."""

    name: ClassVar[str]
    log_probabilities: ClassVar[bool]  # what its scores are; else they keep their scale

    def needs(self) -> tuple[str, ...]:
        """Return the files that it needs beside scores.h5: "validation", "irrelevant"."""

    def prepare(self, given: Given) -> Prepared:
        """Return what changes scores, and what was chosen, plain JSON."""


@dataclass(frozen=True)
class Unchanged:
    """The scores as they are."""

    name: ClassVar[str] = "none"
    log_probabilities: ClassVar[bool] = False

    def needs(self) -> tuple[str, ...]:
        """Return no file."""
        return ()

    def prepare(self, given: Given) -> Prepared:
        """Change nothing."""
        return Kept(), {}


@dataclass(frozen=True)
class CalibratedStacking:
    """Eq. 1, with the factor that is given or the best one of the validation problem."""

    name: ClassVar[str] = "calibrated_stacking"
    log_probabilities: ClassVar[bool] = False

    # in the unit of the scores (of probabilities: of their logarithms); chosen on the validation
    # classes where absent
    factor: AnyNumber | None = None

    def needs(self) -> tuple[str, ...]:
        """Return the validation problem, unless the factor is given."""
        return ("validation",) if self.factor is None else ()

    def prepare(self, given: Given) -> Prepared:
        """Choose the factor and take it off the seen scores."""
        if self.factor is not None:
            return TakenOff(self.factor), {"factor": self.factor}
        factor, figure = best_factor(*given.choosing())
        return best_or_none(given, TakenOff(factor), {"factor": factor, "validation_H": figure})


@dataclass(frozen=True)
class Cosmo:
    """Eq. 2; the gate is trained on the validation problem, its threshold and sharpness are chosen
    there.
    """

    name: ClassVar[str] = "cosmo"
    log_probabilities: ClassVar[bool] = True

    top: PositiveInt = 5  # code: sorted probabilities of either group that the gate reads
    gate_temperature: PositiveFloat = 3.0  # code: of the seen probabilities that the gate reads
    regulariser: PositiveFloat = 1.0  # code: scikit-learn's C

    def needs(self) -> tuple[str, ...]:
        """Return the validation problem."""
        return ("validation",)

    def prepare(self, given: Given) -> Prepared:
        """Train the gate and choose how sharp it is."""
        scores, labels, seen = given.choosing()
        target = given.matrix.seen
        top = min(self.top, *(int(group.sum()) for group in (seen, ~seen, target, ~target)))
        temperature = gating.likeliest_temperature(scores, labels)
        features = gating.sorted_probabilities(
            scores, seen, temperature, self.gate_temperature, top
        )
        gate = gating.logistic(features, seen[labels], self.regulariser)
        sharp, chosen = gating.sharpened(gate, features, scores, labels, seen, temperature)
        change = Smoothed(temperature, self.gate_temperature, top, sharp)
        used = {"temperature": temperature, "top": top, "regulariser": self.regulariser}
        return best_or_none(given, change, used | chosen)


@dataclass(frozen=True)
class Discriminator:
    """Eq. 3; D learns training images against mixtures of these with task-irrelevant ones. Of
    several candidates the best on the validation classes is taken.
    """

    name: ClassVar[str] = "discriminator"
    log_probabilities: ClassVar[bool] = True

    # ours (see the module's docstring); "logits": paper, sec. 2.2
    reading: Literal["confidence", "logits"] = "confidence"
    # ours: share of the training image; flat above 0.9
    mixup: Annotated[tuple[BelowOne, ...], OneOrMore] = (0.5, 0.6, 0.7, 0.8, 0.9)
    # ours: tau of fig. 6, in likeliest temperatures
    smoothing: Annotated[tuple[PositiveFloat, ...], OneOrMore] = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
    regulariser: PositiveFloat = 1.0  # scikit-learn's default C

    def __post_init__(self) -> None:
        if self.reading == "logits" and len(self.mixup + self.smoothing) > 2:
            raise ValueError(
                "reading 'logits' has nothing to choose on, other classes have other logits; give"
                " one mixup and one smoothing"
            )

    def needs(self) -> tuple[str, ...]:
        """Return the validation problem and the task-irrelevant images."""
        return ("validation", "irrelevant")

    def prepare(self, given: Given) -> Prepared:
        """Train D for each candidate and choose among them."""
        scores, labels, seen = given.choosing()
        read = READINGS[self.reading]
        likeliest = gating.likeliest_temperature(scores, labels)
        gates = {share: self._gate(given, share, likeliest) for share in self.mixup}
        distances = gaps(scores, seen)[2]

        def figure(tried: tuple[float, float]) -> float:
            share, smoothing = tried
            odds = gates[share](read(scores, seen, likeliest))
            of_seen = distances / (smoothing * likeliest) + odds >= 0
            return gating.harmonic_of(of_seen, scores, labels, seen)

        candidates = list(itertools.product(self.mixup, self.smoothing))
        used: dict[str, Any] = {"reading": self.reading, "regulariser": self.regulariser}
        share, smoothing = candidates[0]
        if len(candidates) > 1:
            figures = [figure(tried) for tried in candidates]
            used["validation_H"] = max(figures)
            share, smoothing = candidates[figures.index(used["validation_H"])]
        temperature = smoothing * likeliest

        used |= {"mixup": share, "temperature": temperature}
        change = Weighed(self.reading, likeliest, temperature, gates[share])
        if self.reading == "logits":  # of other classes there are others
            return change, used
        return best_or_none(given, change, used)

    def _gate(self, given: Given, share: float, temperature: float) -> gating.Logistic:
        """Return D: training images against as many made-up unseen ones."""
        matrix, read = given.matrix, READINGS[self.reading]
        trainval = matrix.scores["trainval"].astype(np.float64)
        unseen = gating.mixed(trainval, given.unrelated(), share, matrix.seed)
        features = [read(scores, matrix.seen, temperature) for scores in (trainval, unseen)]
        positive = np.repeat([True, False], len(trainval))
        return gating.logistic(np.concatenate(features), positive, self.regulariser)


@dataclass(frozen=True)
class Oracle:
    """An upper bound: the labels say which images are of seen classes."""

    name: ClassVar[str] = "oracle"
    log_probabilities: ClassVar[bool] = False

    def needs(self) -> tuple[str, ...]:
        """Return no file."""
        return ()

    def prepare(self, given: Given) -> Prepared:
        """Put every class of the wrong group below all of the right one."""
        return Revealed(), {}


_ALL: tuple[type[Rebalancing], ...] = (
    Unchanged,
    CalibratedStacking,
    Cosmo,
    Discriminator,
    Oracle,
)
KINDS: Mapping[str, type[Rebalancing]] = {kind.name: kind for kind in _ALL}
# kinds whose scores are log-probabilities
PROBABILITIES = tuple(name for name, kind in KINDS.items() if kind.log_probabilities)


def are_log_probabilities(matrix: "ScoreMatrix") -> bool:
    """Return whether a rebalancing has made log-probabilities, at a temperature of its own."""
    used = matrix.chosen.get(matrix.rebalancing)
    kept = isinstance(used, Mapping) and KEPT.items() <= used.items()
    return matrix.rebalancing in PROBABILITIES and not kept
