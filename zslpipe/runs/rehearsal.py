"""A training rehearsed: a few steps in place of each stage's many, to know what all would take.

``fit`` is the only optimisation loop and every method calls it by that name, so that a stand-in for
it knows of each stage how many steps there would be and what a few of them take. All else that a
method does (closed forms, first stages, synthetic features) it does itself.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from zslpipe.machine.stopwatch import Taken, now
from zslpipe.training.contract import Model, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, Sampler, fit

# Seconds of work that a measurement lasts, where there is that much to do (ours: a hundred times
# what the system's clock of processor time counts in).
LONG_ENOUGH = 1.0
SHORTEST = 1e-3  # seconds; what seems to take less is taken for this


class Rehearsal:
    """Stands in for ``fit``: takes a few steps of each stage; ``left`` is what the rest would have
    taken. A stage's rates are measured once, for all trainings of the same shapes.

    ``tested_share``: which part of the images that are measured after each epoch there are here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.left = folder, Taken()
        self.rates: dict[tuple[str, str], tuple[Taken, Taken]] = {}
        self.tested_share = 1.0

    def fit(
        self,
        model: nn.Module,
        data: TrainingData,
        sampler: Sampler,
        objectives: Objective | Sequence[Objective],
        epochs: int,
        stage: str = "train",
    ) -> None:
        """Take a few of the steps that :func:`zslpipe.training.fit.fit` takes; a stage that another
        training shares takes none.
        """
        if stage in data.run.shared:
            return
        begun = now()
        listed = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
        whole = len(sampler(data.labels, torch.Generator().manual_seed(0)))
        unit = max(one.every * one.accumulate for one in listed)
        named = (data.run.phase, stage)
        if named not in self.rates:
            self.rates[named] = self._rate(model, data, sampler, listed, unit, whole)
        a_step, an_epoch = self.rates[named]
        taken = (an_epoch + a_step.times(whole)).times(epochs)
        model.eval()
        taken = taken + self._after_epochs(model, data.run, stage, epochs)
        self.left = self.left + taken - (now() - begun)

    def _rate(
        self,
        model: nn.Module,
        data: TrainingData,
        sampler: Sampler,
        objectives: Sequence[Objective],
        unit: int,
        whole: int,
    ) -> tuple[Taken, Taken]:
        """Return what a step takes, and an epoch beside its steps; ``unit`` steps are the fewest of
        which every objective has its turn.
        """

        def tried(steps: int) -> Taken:
            """Return what an epoch of so many steps takes."""
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            run = replace(data.run, folder=folder, after_epoch=None, history=[], compiled=False)
            begun = now()
            cut = _first(sampler, steps)
            fit(model, replace(data, run=run), cut, objectives, 1)
            taken = now() - begun
            shutil.rmtree(folder)
            return taken

        few = min(unit, whole)
        first = tried(few)
        if first.worked < LONG_ENOUGH:  # the first steps warm up
            first = tried(few)
        if whole < 2 * unit:
            return first.times(1 / few), Taken()
        groups = int(LONG_ENOUGH / max(first.worked, SHORTEST))
        more = few + unit * max(1, min(whole // unit - 1, groups))
        a_step = (tried(more) - first).at_least_nothing().times(1 / (more - few))
        return a_step, (first - a_step.times(few)).at_least_nothing()

    def _after_epochs(self, model: Model, run: TrainingRun, stage: str, epochs: int) -> Taken:
        """Leave a row of history, as an epoch does, and return what is measured after each epoch of
        a stage takes, on all test images.
        """
        row: dict[str, Any] = {"phase": run.phase, "stage": stage, "epoch": 1, "loss": 0.0}
        taken = Taken()
        if run.after_epoch is not None:
            begun = now()
            row |= run.after_epoch(model, 1)
            taken = (now() - begun).times(epochs / self.tested_share)
        run.history.append(row)
        return taken


def _first(sampler: Sampler, steps: int) -> Sampler:
    """Return a sampler of the first ``steps`` batches of another's epochs."""

    def cut(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return the first batches of an epoch."""
        return sampler(labels, generator)[:steps]

    return cut


@contextmanager
def rehearsed(module: ModuleType) -> Iterator[Rehearsal]:
    """Let a method's ``train`` call a :class:`Rehearsal` in place of ``fit``, in this process."""
    names = vars(module)
    original = names.get("fit", fit)  # a closed form calls none
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = Rehearsal(Path(folder))
        names["fit"] = rehearsal.fit
        try:
            yield rehearsal
        finally:
            names["fit"] = original
