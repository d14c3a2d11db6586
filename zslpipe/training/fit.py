"""fit(): the only optimisation loop. Any device, resumable at any step, a history row an epoch."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import (
    InterruptedTraining,
    StopRequest,
    ended_by_stop,
    stop_requests,
)
from zslpipe.machine.progress import REPORT_SECONDS, ProgressLines, write_progress
from zslpipe.training.batches import epoch_seed
from zslpipe.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zslpipe.training.contract import Batch, TrainingData
from zslpipe.training.optimisers import Schedule, step_schedule, take_step, weights_of

logger = logging.getLogger(__name__)

Sampler = Callable[[Tensor, torch.Generator], list[Tensor]]

# A GPU is asked for its losses this often (ours): asking at each step would make it wait for the
# CPU.
STEPS_BETWEEN_CHECKS = 32


class NonFiniteLossError(InputError):
    """A loss term became NaN or infinite; the message names stage, epoch, step and term."""


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss (batch -> named terms, already weighted; their sum is minimised) and what minimises
    it.

    ``schedule`` steps once an epoch; a plateau is one of the epoch's mean loss. ``every``: only
    each so-many-th batch (a generator after its critic's steps). ``accumulate``: the gradients of
    that many batches are averaged for one step. ``largest_gradient``: the norm that all gradients
    together are clipped to.
    """

    loss: Callable[[Batch], dict[str, Tensor]]
    optimizer: torch.optim.Optimizer
    schedule: Schedule | None = None
    every: int = 1
    accumulate: int = 1
    largest_gradient: float | None = None


def fit(
    model: nn.Module,
    data: TrainingData,
    sampler: Sampler,
    objectives: Objective | Sequence[Objective],
    epochs: int,
    stage: str = "train",
) -> None:
    """Train ``model`` for ``epochs``: each batch goes through every objective in turn.

    ``sampler(labels, generator)`` returns an epoch's batches as positions; its generator is seeded
    by (seed, stage, epoch) and goes on to draw the images' augmentation, so that an interrupted
    epoch is drawn again the same. A checkpoint in ``data.run.folder`` with the run's stamp is
    resumed at its step; on a CPU the weights end the same as without the interruption. Each epoch
    appends a row to ``data.run.history``. Raises NonFiniteLossError, and InterruptedTraining after
    SIGTERM (the checkpoint is written first).
    """
    listed = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
    with stop_requests() as request:
        loop = _Loop(model, data, listed, epochs, stage, request)
        loop.resume()
        model.train()
        while loop.state.epoch < epochs:
            seed = epoch_seed(data.run.seed, stage, loop.state.epoch)
            generator = torch.Generator().manual_seed(seed)
            positions = sampler(data.labels, generator)
            batches = data.batches(positions, generator, loop.state.step)
            for batch in loop.remaining(batches, len(positions)):
                loop.update(batch)
            loop.finish_epoch()
    model.eval()


class _Loop:
    """The steps that change a training's state, and the moments at which it is kept."""

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        objectives: tuple[Objective, ...],
        epochs: int,
        stage: str,
        request: StopRequest,
    ):
        self.objectives, self.run = objectives, data.run
        self.epochs, self.stage, self.request = epochs, stage, request
        self.losses = [one.loss for one in objectives]
        if self.run.compiled:
            self.losses = [torch.compile(loss) for loss in self.losses]
        optimizers = [one.optimizer for one in objectives]
        schedules = [one.schedule for one in objectives]
        self.state = TrainingState(model, optimizers, schedules, self.run.history)
        self.path = data.run.checkpoint(stage)
        # Step, name and value of the losses whose values have not been asked for.
        self.pending: list[tuple[int, str, Tensor]] = []
        self.saved = self.started = self.reported = time.monotonic()

    @property
    def label(self) -> str:
        """Phase and stage, as messages name them."""
        return f"{self.run.phase} {self.stage}"

    def resume(self) -> None:
        """Continue from the checkpoint where there is one of the same stamp."""
        load_checkpoint(self.path, self.state, self.run)

    def remaining(self, batches: Iterator[Batch], count: int) -> Iterator[Batch]:
        """Yield the batches of the epoch that are still to do, with a progress bar and regular
        checkpoints.
        """
        self.started = time.monotonic()
        told = f"{self.label} epoch {self.state.epoch + 1}/{self.epochs}"
        lines = ProgressLines(told, "steps", count, self.state.step)
        with tqdm(
            total=count,
            desc=told,
            initial=self.state.step,
            mininterval=1.0,
            leave=False,
            disable=None,
        ) as bar:
            for batch in self._waited_for(batches):
                yield batch
                bar.update()
                lines.tell(self.state.step)
                self._keep()
                if time.monotonic() - self.reported >= REPORT_SECONDS:
                    self._report(count)

    def _waited_for(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches and add up how long each was waited for."""
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            self.state.waited += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    def update(self, batch: Batch) -> None:
        """Take one step on ``batch``: every objective whose turn it is."""
        self.state.step += 1
        for objective, loss in zip(self.objectives, self.losses, strict=True):
            if self.state.step % objective.every == 0:
                self._minimise(objective, loss, batch)
        if self.run.device.type == "cpu" or len(self.pending) >= STEPS_BETWEEN_CHECKS:
            self._collect()

    def _minimise(
        self, objective: Objective, loss: Callable[[Batch], dict[str, Tensor]], batch: Batch
    ) -> None:
        """Add the gradients of one objective and, when enough batches are accumulated, step its
        optimiser.
        """
        step = self.state.step
        mixed = self.run.precision == "bfloat16"
        with torch.autocast(self.run.device.type, torch.bfloat16, enabled=mixed):
            terms = loss(batch)
            total = torch.stack(list(terms.values())).sum()
        turn = (step // objective.every - 1) % objective.accumulate
        if turn == 0:
            objective.optimizer.zero_grad(set_to_none=True)
        # Only its own weights: others may be accumulating theirs.
        (total / objective.accumulate).backward(inputs=weights_of(objective.optimizer))
        self.pending.extend((step, name, term.detach()) for name, term in terms.items())
        if turn == objective.accumulate - 1:
            take_step(objective.optimizer, objective.largest_gradient)

    def _collect(self) -> None:
        """Add the pending losses to the epoch's sums; raises NonFiniteLossError at the first bad
        one.
        """
        if not self.pending:
            return
        values = torch.stack([term.float() for _, _, term in self.pending]).double().tolist()
        for (step, name, _), value in zip(self.pending, values, strict=True):
            if not math.isfinite(value):
                place = f"epoch {self.state.epoch + 1}, step {step}"
                remedy = "a smaller learning rate"
                if self.state.epoch == 0 and step == 1:  # nothing is learnt yet
                    remedy = "features or settings of the loss within what float32 holds"
                said = f"loss term {name!r} is {value} at {place}; the remedy: {remedy}"
                raise NonFiniteLossError(f"{self.label}: {said}")
            total, count = self.state.sums.get(name, (0.0, 0))
            self.state.sums[name] = (total + value, count + 1)
        self.pending.clear()

    def finish_epoch(self) -> None:
        """Append the epoch's mean losses to the history, step the schedules, save a checkpoint."""
        self._collect()
        self._complete_groups()
        self._count_seconds()
        row = self.state.row(self.run.phase, self.stage)
        for objective in self.objectives:
            step_schedule(objective.schedule, row["loss"])
        if self.run.after_epoch is not None:
            row |= self._measured(self.run.after_epoch)
        self.state.history.append(row)
        logger.info("%s", " ".join(map(_shown, row, row.values())))
        self.state.next_epoch()
        self.started = time.monotonic()
        due = time.monotonic() - self.saved >= self.run.checkpoint_seconds
        self._save_if(due or self.state.epoch == self.epochs)
        self._report(0)

    def _measured(self, measure: Callable[[nn.Module, int], dict[str, float]]) -> dict[str, float]:
        """Return what ``measure`` makes of the epoch that ends. It draws from random numbers of its
        own (a loader of images draws a seed): a training ends the same, measured or not. A stop
        ends it at once: of many images it may take longer than a scheduler waits.
        """
        place = f"{self.label}: told to stop while epoch {self.state.epoch + 1} was measured"
        devices = [self.run.device] if self.run.device.type == "cuda" else []
        self.state.model.eval()
        with torch.random.fork_rng(devices), ended_by_stop(place):
            measured = measure(self.state.model, self.state.epoch + 1)
        self.state.model.train()
        return measured

    def _complete_groups(self) -> None:
        """Take the step of every group of accumulated batches whose last batches do not come."""
        for objective in self.objectives:
            left = (self.state.step // objective.every) % objective.accumulate
            if left:
                factor = objective.accumulate / left
                take_step(objective.optimizer, objective.largest_gradient, factor)

    def _count_seconds(self) -> None:
        """Add the time since this was last done to the epoch's seconds."""
        now = time.monotonic()
        self.state.seconds += now - self.started
        self.started = now

    def _keep(self) -> None:
        """Save when it is time, or stop when SIGTERM asks for it; not between accumulated batches,
        whose gradients are not kept.
        """
        accumulating = [one for one in self.objectives if one.accumulate > 1]
        if any(self.state.step % (one.every * one.accumulate) for one in accumulating):
            return
        self._save_if(time.monotonic() - self.saved >= self.run.checkpoint_seconds)

    def _save_if(self, due: bool) -> None:
        """Save where it is ``due``; after SIGTERM save and raise InterruptedTraining."""
        asked = self.request.made  # read once: a signal after this line is the next step's
        if due or asked:
            self._save()
        if asked:
            reached = f"epoch {self.state.epoch + 1}, step {self.state.step}"
            told = f"{self.label}: told to stop at {reached}; the checkpoint is written"
            raise InterruptedTraining(f"{told} and the same command goes on from there")

    def _save(self) -> None:
        """Write the checkpoint, with the losses and seconds up to now."""
        self._collect()
        self._count_seconds()
        save_checkpoint(self.path, self.state, self.run)
        self.saved = time.monotonic()

    def _report(self, steps: int) -> None:
        """Leave word of how far the training is, for ``zslpipe status``."""
        history = self.state.history
        standing = {
            "phase": self.label,
            "epoch": self.state.epoch,
            "epochs": self.epochs,
            "step": self.state.step,
            "steps": steps,
            "loss": history[-1]["loss"] if history else None,
        }
        write_progress(self.run.folder, standing)
        self.reported = time.monotonic()


def _shown(name: str, value: object) -> str:
    """Return a figure of the history as the log shows it."""
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
