"""Choosing on the validation classes: settings and epochs that do best there, before any test image
is scored.
"""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

from zslpipe.runs.models import RunInputs, score_rows, train_model
from zslpipe.runs.problems import Problem
from zslpipe.runs.validation_loss import validation_loss
from zslpipe.scores.accuracy import generalized, t1
from zslpipe.training.contract import Model, TrainingRun

logger = logging.getLogger(__name__)


def choose(
    module: ModuleType,
    config: Any,
    candidates: Mapping[str, list[Any]],
    criterion: str,
    problem: Problem,
    run_inputs: RunInputs,
    run: TrainingRun,
) -> tuple[Any, dict[str, Any]]:
    """Return ``config`` with what does best on the validation classes, and a dict of what was
    chosen.

    Every combination of ``candidates`` (setting -> values) trains on the validation problem; where
    the method has epochs, the figure ``criterion`` (T1 or H) is taken after each of them and the
    best number of epochs is chosen as well; beside it the history gets ``validation_loss``, which
    decides nothing. Ties go to the first combination and the fewest epochs.
    """
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for number, values in enumerate(itertools.product(*candidates.values())):
        changes = dict(zip(candidates, values, strict=True))
        folder = run.folder / f"validation{number}"
        trial = replace(run, folder=folder, phase="validation", history=[])
        candidate = replace(config, **changes)
        for epochs, figure in _figures(module, candidate, criterion, problem, run_inputs, trial):
            chosen = {**changes, "epochs": epochs} if epochs else changes
            if figure > best[0]:
                best = (figure, chosen)
        logger.info("validation classes: %s gives at best %s %.4f", changes, criterion, best[0])
        run.history.extend({**row, **changes} for row in trial.history)
    if not best[1]:
        raise ValueError("nothing to choose: neither candidates nor epochs")
    return replace(config, **best[1]), {**best[1], f"validation_{criterion}": round(best[0], 6)}


def _figures(
    module: ModuleType,
    config: Any,
    criterion: str,
    problem: Problem,
    run_inputs: RunInputs,
    run: TrainingRun,
) -> list[tuple[int, float]]:
    """Train one candidate and return (epochs done, figure on the validation problem) pairs; epochs
    0 where it has none.
    """

    def measure(model: Model, _: int) -> dict[str, float]:
        """Return the criterion on the validation problem, by its name in the history."""
        scores = score_rows(model, run_inputs.inputs, problem.test_rows)
        labels, seen = problem.test_labels.numpy(), problem.classes.seen.numpy()
        if criterion == "H":
            return {f"validation_{criterion}": generalized(scores, labels, seen)[2]}
        unseen = ~seen[labels]
        return {f"validation_{criterion}": t1(scores[unseen], labels[unseen], seen)}

    def after_epoch(model: Model, epochs: int) -> dict[str, float]:
        """Return the criterion, and the loss of the held-out images of seen classes."""
        return measure(model, epochs) | validation_loss(model, problem, run_inputs)

    has_epochs = any(field.name == "epochs" for field in fields(config))
    run = replace(run, after_epoch=after_epoch if has_epochs else None)
    model = train_model(module, config, problem, run_inputs, run)
    if not has_epochs or not run.history:  # a closed form, whatever the settings are
        return [(0, measure(model, 0)[f"validation_{criterion}"])]
    # Epochs are those of the last stage, where a method has several.
    rows = [row for row in run.history if row["stage"] == run.history[-1]["stage"]]
    return [(row["epoch"], row[f"validation_{criterion}"]) for row in rows]
