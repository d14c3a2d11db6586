"""Choosing on the validation classes: settings and epochs that do best there, before any test image
is scored.

Nothing is trained twice. What a method's module says of its settings decides what candidates share:

``SCORING``
    names of settings that ``Model.scores`` alone reads, from ``model.config``: candidates that
    differ in nothing else are scores of one training.
``STAGES``
    the stages of its ``train`` in their order, each with the settings that nothing before it reads,
    neither the weights' shapes and start nor a random number; a setting in no stage is read from
    the start. Candidates that differ in later stages alone share the checkpoint of a stage.
"""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.runs.models import RunInputs, score_rows, train_model
from zslpipe.runs.problems import Problem
from zslpipe.runs.validation_loss import validation_loss
from zslpipe.scores.accuracy import generalized, t1
from zslpipe.training.contract import Model, TrainingRun

logger = logging.getLogger(__name__)

# The history's rows of a training, and (epochs done, figure) pairs; epochs 0 where it has none.
Tried = tuple[list[dict[str, Any]], list[tuple[int, float]]]


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

    Every combination of ``candidates`` (setting -> values) is tried on the validation problem;
    where the method has epochs, the figure ``criterion`` (T1 or H) is taken after each of them and
    the best number of epochs is chosen as well; beside it the history gets ``validation_loss``,
    which decides nothing. Ties go to the first combination and the fewest epochs. Figures, history
    and choice are those of a training for each combination. Raises InputError where the criterion
    needs images that the problem has not.
    """
    if criterion == "H" and not problem.classes.seen[problem.test_labels].any():
        fault = "no class has two images to train on: none can be set aside to measure S and H"
        raise InputError(f"{fault} while choosing; set criterion: T1, or selection: last")
    combinations = itertools.product(*candidates.values())
    changes = [dict(zip(candidates, values, strict=True)) for values in combinations]
    configs = [replace(config, **changed) for changed in changes]
    tried: dict[int, Tried] = {}
    for first, numbers in _trainings(module, configs).items():
        trial = replace(
            run,
            folder=run.folder / f"validation{first}",
            shared=_shared(module, configs, first, run.folder),
            phase="validation",
            history=[],
        )
        members = [configs[number] for number in numbers]
        results = _tried(module, members, criterion, problem, run_inputs, trial)
        tried |= zip(numbers, results, strict=True)
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for number, changed in enumerate(changes):
        rows, figures = tried[number]
        run.history.extend({**row, **changed} for row in rows)
        epochs, figure = max(figures, key=itemgetter(1))  # the first of equals
        logger.info("validation classes: %s gives at best %s %.4f", changed, criterion, figure)
        if figure > best[0]:
            best = (figure, {**changed, "epochs": epochs} if epochs else changed)
    if not best[1]:
        raise ValueError("nothing to choose: neither candidates nor epochs")
    return replace(config, **best[1]), {**best[1], f"validation_{criterion}": round(best[0], 6)}


def _trainings(module: ModuleType, configs: Sequence[Any]) -> dict[int, list[int]]:
    """Return the numbers of the candidates that a training serves, by the first of them."""
    served: dict[int, list[int]] = {}
    for number, first in enumerate(_first_alike(configs, _of(module, "SCORING", ()))):
        served.setdefault(first, []).append(number)
    return served


def _shared(
    module: ModuleType, configs: Sequence[Any], number: int, folder: Path
) -> dict[str, Path]:
    """Return the folders of earlier candidates whose checkpoints are candidate ``number``'s too, by
    stage.
    """
    stages: Mapping[str, tuple[str, ...]] = _of(module, "STAGES", {})
    ignored = {*_of(module, "SCORING", ()), *itertools.chain.from_iterable(stages.values())}
    folders = {}
    for stage, names in stages.items():
        ignored -= set(names)
        first = _first_alike(configs, ignored)[number]
        if first < number:
            folders[stage] = folder / f"validation{first}"
    return folders


def _of(module: ModuleType, name: str, otherwise: Any) -> Any:
    """Return what a module says of its settings, ``otherwise`` where it says nothing."""
    return getattr(module, name, otherwise)


def _first_alike(configs: Sequence[Any], ignored: Iterable[str]) -> list[int]:
    """Return, of each configuration, the number of the first that differs from it in ``ignored``
    settings alone.
    """
    same = {name: getattr(configs[0], name) for name in ignored}
    compared = [replace(config, **same) for config in configs]
    return [compared.index(one) for one in compared]


def _tried(
    module: ModuleType,
    configs: Sequence[Any],
    criterion: str,
    problem: Problem,
    run_inputs: RunInputs,
    run: TrainingRun,
) -> list[Tried]:
    """Train the first of ``configs``, which differ in scoring alone, and return what each gave."""
    called = f"validation_{criterion}"
    # Names of their own in the training's history: a checkpoint has the figures of all.
    names = [called, *(f"{called} {number}" for number in range(1, len(configs)))]

    def measure(model: Model, _: int) -> dict[str, float]:
        """Return the criterion on the validation problem, of each configuration by its name."""
        figures = {}
        for name, config in zip(names, configs, strict=True):
            model.config = config
            figures[name] = _figure(model, criterion, problem, run_inputs)
        model.config = configs[0]
        return figures

    def after_epoch(model: Model, epochs: int) -> dict[str, float]:
        """Return the criterion, and the loss of the held-out images of seen classes."""
        return measure(model, epochs) | validation_loss(model, problem, run_inputs)

    has_epochs = any(field.name == "epochs" for field in fields(configs[0]))
    run = replace(run, after_epoch=after_epoch if has_epochs else None)
    model = train_model(module, configs[0], problem, run_inputs, run)
    if not has_epochs or not run.history:  # a closed form, whatever the settings are
        return [(run.history, [(0, figure)]) for figure in measure(model, 0).values()]
    return [_of_one(run.history, name, names) for name in names]


def _of_one(history: Sequence[Mapping[str, Any]], name: str, names: Sequence[str]) -> Tried:
    """Return a candidate's rows of its training's history, whose figures have ``names``: its own is
    ``name`` and gets the first; and its figures after each epoch of the last stage. A stage before
    it may be without figures (crafting's linear layer, which sees no images).
    """
    rows = []
    for row in history:
        kept = {key: value for key, value in row.items() if key not in names}
        if name in row:
            kept[names[0]] = row[name]
        rows.append(kept)
    last = [row for row in rows if row["stage"] == rows[-1]["stage"]]
    return rows, [(row["epoch"], row[names[0]]) for row in last]


def _figure(model: Model, criterion: str, problem: Problem, run_inputs: RunInputs) -> float:
    """Return T1 or H of the validation problem."""
    scores = score_rows(model, run_inputs.inputs, problem.test_rows)
    labels, seen = problem.test_labels.numpy(), problem.classes.seen.numpy()
    if criterion == "H":
        return generalized(scores, labels, seen)[2]
    unseen = ~seen[labels]
    return t1(scores[unseen], labels[unseen], seen)
