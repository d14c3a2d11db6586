"""Figures of the test images after each epoch of the final training: looked at, never chosen by."""

import math
from collections.abc import Callable

from zslpipe.runs.models import RunInputs, score_rows
from zslpipe.runs.problems import Problem
from zslpipe.scores.accuracy import generalized, t1
from zslpipe.training.contract import Model


def tracked(problem: Problem, run_inputs: RunInputs) -> Callable[[Model, int], dict[str, float]]:
    """Return what measures a model after an epoch: ``test_T1``, ``test_U``, ``test_S``, ``test_H``
    of a problem's test images, as fractions (:mod:`zslpipe.scores.accuracy`); one that no image
    defines has no key.
    """
    labels, seen = problem.test_labels.numpy(), problem.classes.seen.numpy()

    def measure(model: Model, _: int) -> dict[str, float]:
        """Return the figures by their names in the history."""
        scores = score_rows(model, run_inputs.inputs, problem.test_rows)
        figures = (t1(scores, labels, seen), *generalized(scores, labels, seen))
        named = zip(("T1", "U", "S", "H"), figures, strict=True)
        return {f"test_{name}": value for name, value in named if not math.isnan(value)}

    return measure
