"""A run rehearsed on made-up inputs of its size: seconds of each of its jobs on this machine.

On cached features a method meets as many images as there would be. From images it meets few of
them, twice, and what it takes grows along a straight line.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.extents import Extent
from zslpipe.machine.devices import Compute
from zslpipe.machine.stopwatch import Taken, now
from zslpipe.runs.made_up_inputs import made_up_index, made_up_run_inputs
from zslpipe.runs.models import configured, score_rows, train_model
from zslpipe.runs.problems import Problem, classes_of, validation_problem, whole_problem
from zslpipe.runs.rehearsal import LONG_ENOUGH, SHORTEST, Rehearsal, rehearsed
from zslpipe.runs.selection import choose
from zslpipe.training.contract import Model, TrainingRun

# Training images of the two rehearsals of a run from images (ours: as many as two or four
# batches of the papers' sizes).
FEW_IMAGES = (64, 128)
# Test images that are measured after an epoch: from images, and on cached features (ours).
FEW_TESTED, TESTED = 32, 1024
MOST_BATCHES = 8  # that a rate of scoring is measured on (ours)
# Seconds of work beside which it is nothing that the first one warms up (ours: passes that prepare
# themselves and libraries that are imported take a second or two, which are no image's share).
WARM = 20.0


class RehearsedRun:
    """The run ``spec`` on a dataset of an ``extent``.

    ``shape``: of one image's features; ``words``: length of word vectors, 0 for none; ``root`` and
    ``pictures``: a folder and paths in it of images as they are decoded.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        extent: Extent,
        shape: tuple[int, ...],
        words: int,
        root: Path,
        pictures: Sequence[str],
        compute: Compute,
    ):
        self.spec = spec
        self.module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
        self.config = configured(self.module, spec)
        self.index = made_up_index(extent, spec["semantics"], pictures)
        self.inputs = made_up_run_inputs(spec, self.index, shape, root, compute)
        vectors = np.random.default_rng(0).normal(size=(extent.attributes, max(1, words)))
        known = vectors if words else None
        self.classes = classes_of(self.index, spec["semantics"], spec["normalisation"], known)
        self.model: Model = None
        self.fits = False

    def taken(self, validated: bool) -> dict[str, Any]:
        """Return seconds: ``train`` and, where it is ``validated``, ``validate`` in all, without
        start and scoring; ``score`` and, where the method has maps, ``attend`` an image; the bytes
        of ``weights``, and whether a stage ``fits``, step by step.
        """
        found = {"train": self._extended(self._train, whole_problem(self.index, self.classes))}
        if validated or self.spec["selection"] == "validation":
            problem = validation_problem(self.index, self.classes, 0)
            if self.spec["selection"] == "validation":
                found["train"] += self._extended(self._choose, problem)
            if validated:
                found["validate"] = self._extended(self._train, problem)
        found["score"] = self._an_image(partial(score_rows, self.model, self.inputs.inputs))
        maps_of = self._maps()
        if maps_of is not None:
            found["attend"] = self._an_image(partial(self._looked, maps_of))
        told: dict[str, Any] = {name: asdict(one) for name, one in found.items()}
        tensors = self.model.state_dict().values()
        told["weights"] = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return {**told, "fits": self.fits}

    def _train(self, problem: Problem, run: TrainingRun) -> None:
        """Train on a problem, as configured."""
        self.model = train_model(self.module, self.config, problem, self.inputs, run)

    def _choose(self, problem: Problem, run: TrainingRun) -> None:
        """Choose among the candidates."""
        candidates, criterion = self.spec["choose"], self.spec["criterion"]
        choose(self.module, self.config, candidates, criterion, problem, self.inputs, run)

    def _extended(self, work: Callable[[Problem, TrainingRun], None], problem: Problem) -> Taken:
        """Return what ``work`` takes on all images of a problem."""
        images = len(problem.train_rows)
        with rehearsed(self.module) as rehearsal:
            if self.inputs.trunk is None or images <= FEW_IMAGES[1]:
                return self._on(work, problem, images, rehearsal)
            few, more = FEW_IMAGES
            first = self._on(work, problem, few, rehearsal)
            if first.worked < WARM:
                first = self._on(work, problem, few, rehearsal)
            second = self._on(work, problem, more, rehearsal)
        an_image = (second - first).at_least_nothing().times(1 / (more - few))
        return first + an_image.times(images - few)

    def _on(
        self,
        work: Callable[[Problem, TrainingRun], None],
        problem: Problem,
        images: int,
        rehearsal: Rehearsal,
    ) -> Taken:
        """Return what ``work`` takes on so many training images."""
        tested = TESTED if self.inputs.trunk is None else FEW_TESTED
        # Every so-many-th: images of seen and of unseen classes.
        step = max(1, len(problem.test_rows) // tested)
        part = replace(
            problem,
            train_rows=problem.train_rows[:images],
            train_labels=problem.train_labels[:images],
            test_rows=problem.test_rows[::step],
            test_labels=problem.test_labels[::step],
        )
        rehearsal.tested_share = len(part.test_rows) / max(1, len(problem.test_rows))
        rehearsal.left = Taken()
        folder, precision = rehearsal.folder, self.spec["precision"]
        run = TrainingRun(0, self.inputs.device, folder / "run", precision=precision)
        run.folder.mkdir(exist_ok=True)
        begun = now()
        work(part, run)
        taken = now() - begun
        self.fits = self.fits or bool(rehearsal.rates)
        for file in run.folder.rglob("*.h5"):  # a first stage that is kept is another's here
            file.unlink()
        return taken + rehearsal.left

    def _an_image(self, work: Callable[[Tensor], object]) -> Taken:
        """Return what ``work`` on rows of the index takes an image."""
        at_once = min(self.inputs.inputs.at_once, len(self.index.paths))
        begun = now()
        work(torch.arange(at_once))
        first = now() - begun
        batches = int(LONG_ENOUGH / max(first.worked, SHORTEST))
        rows = torch.arange(max(1, min(MOST_BATCHES, batches)) * at_once) % len(self.index.paths)
        begun = now()
        work(rows)
        return (now() - begun).times(1 / len(rows))

    def _maps(self) -> Callable[[Tensor], Tensor] | None:
        """Return what makes the method's maps, of attributes or parts, None where it has none."""
        for name in ("attention", "part_attention"):
            if getattr(type(self.model), name, None) is not None:
                maps_of: Callable[[Tensor], Tensor] = getattr(self.model, name)
                return maps_of
        return None

    def _looked(self, maps_of: Callable[[Tensor], Tensor], rows: Tensor) -> None:
        """Make the maps of the images ``rows``."""
        inputs = self.inputs.inputs
        with torch.inference_mode():
            for batch in inputs.stream(rows.split(inputs.at_once)):
                maps_of(batch).flatten(2).argmax(2)
