"""fit(): the only optimisation loop. Any device, resumable at any step, one history row an epoch."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from tqdm import tqdm

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.machine.interruption import InterruptedTraining, StopRequest, stop_requests
from zslpipe.machine.progress import REPORT_SECONDS, write_progress
from zslpipe.training.contract import Batch, Model, TrainingData

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
    schedule: LRScheduler | ReduceLROnPlateau | None = None
    every: int = 1
    accumulate: int = 1
    largest_gradient: float | None = None


def fit(
    model: Model,
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
        while loop.epoch < epochs:
            generator = torch.Generator().manual_seed(_epoch_seed(data.run.seed, stage, loop.epoch))
            batches = sampler(data.labels, generator)
            for batch in loop.remaining(data.batches(batches, generator, loop.step), len(batches)):
                loop.update(batch)
            loop.finish_epoch()
    model.eval()


def _epoch_seed(seed: int, stage: str, epoch: int) -> int:
    """Return a seed of its own for each (seed, stage, epoch), the same in every process."""
    state = seed
    for byte in f"{stage}:{epoch}".encode():
        state = (state * 1000003 + byte) % (1 << 62)
    return state


class _Loop:
    """Where an optimisation stands: what a checkpoint holds, and the steps that change it."""

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        objectives: tuple[Objective, ...],
        epochs: int,
        stage: str,
        request: StopRequest,
    ):
        self.model, self.objectives, self.run = model, objectives, data.run
        self.epochs, self.stage, self.request = epochs, stage, request
        self.losses = [
            torch.compile(one.loss) if self.run.compiled else one.loss for one in objectives
        ]
        self.path = data.run.folder / f"{data.run.phase}.{stage}.checkpoint.pt"
        self.epoch, self.step = 0, 0
        self.seconds = 0.0
        # Of every term: the sum over the epoch's steps, and over how many; an objective is not met
        # at each step.
        self.sums: dict[str, tuple[float, int]] = {}
        self.pending: list[tuple[int, str, Tensor]] = []
        self.saved = self.started = self.reported = time.monotonic()

    def remaining(self, batches: Iterator[Batch], count: int) -> Iterator[Batch]:
        """Yield the batches of the epoch that are still to do, with a progress bar and regular
        checkpoints.
        """
        self.started = time.monotonic()
        label = f"{self.run.phase} {self.stage} epoch {self.epoch + 1}/{self.epochs}"
        with tqdm(
            total=count, desc=label, initial=self.step, mininterval=1.0, leave=False, disable=None
        ) as bar:
            for batch in batches:
                yield batch
                bar.update()
                self._keep()
                if time.monotonic() - self.reported >= REPORT_SECONDS:
                    self._report(count)

    def _keep(self) -> None:
        """Save when it is time, or stop when SIGTERM asks for it; not between accumulated batches,
        whose gradients are not kept.
        """
        if any(
            self.step % (one.every * one.accumulate)
            for one in self.objectives
            if one.accumulate > 1
        ):
            return
        self._save_if(time.monotonic() - self.saved >= self.run.checkpoint_seconds)

    def _save_if(self, due: bool) -> None:
        """Save where it is ``due``; after SIGTERM save and raise InterruptedTraining."""
        asked = self.request.made  # read once: a signal after this line is the next step's
        if due or asked:
            self.save()
        if asked:
            raise InterruptedTraining(
                f"{self.run.phase} {self.stage}: told to stop at epoch {self.epoch + 1}, step {self.step}; "
                "the checkpoint is written and the same command goes on from there"
            )

    def update(self, batch: Batch) -> None:
        """Take one step on ``batch``: every objective whose turn it is."""
        self.step += 1
        for objective, loss in zip(self.objectives, self.losses, strict=True):
            if self.step % objective.every == 0:
                self._minimise(objective, loss, batch)
        if self.run.device.type == "cpu" or len(self.pending) >= STEPS_BETWEEN_CHECKS:
            self._collect()

    def _minimise(
        self, objective: Objective, loss: Callable[[Batch], dict[str, Tensor]], batch: Batch
    ) -> None:
        """Add the gradients of one objective and, when enough batches are accumulated, step its
        optimiser.
        """
        with torch.autocast(
            self.run.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"
        ):
            terms = loss(batch)
            total = torch.stack(list(terms.values())).sum()
        turn = (self.step // objective.every - 1) % objective.accumulate
        if turn == 0:
            objective.optimizer.zero_grad(set_to_none=True)
        # Only its own weights: others may be accumulating theirs.
        (total / objective.accumulate).backward(inputs=_weights(objective))
        self.pending.extend((self.step, name, term.detach()) for name, term in terms.items())
        if turn == objective.accumulate - 1:
            _take_step(objective)

    def _collect(self) -> None:
        """Add the pending losses to the epoch's sums; raises NonFiniteLossError at the first bad
        one.
        """
        if not self.pending:
            return
        values = torch.stack([term.float() for _, _, term in self.pending]).double().tolist()
        for (step, name, _), value in zip(self.pending, values, strict=True):
            if value - value != 0:  # NaN or infinite
                raise NonFiniteLossError(
                    f"{self.run.phase} {self.stage}: loss term {name!r} is {value} at epoch {self.epoch + 1}, "
                    f"step {step}; a smaller learning rate is the usual remedy"
                )
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)
        self.pending.clear()

    def finish_epoch(self) -> None:
        """Append the epoch's mean losses to the history, step the schedules and save a checkpoint."""
        self._collect()
        for objective in self.objectives:
            left = (self.step // objective.every) % objective.accumulate
            if left:  # the batches that complete it do not come
                _take_step(objective, objective.accumulate / left)
        self.seconds += time.monotonic() - self.started
        means = {name: total / count for name, (total, count) in self.sums.items()}
        row = {
            "phase": self.run.phase,
            "stage": self.stage,
            "epoch": self.epoch + 1,
            "step": self.step,
        }
        row |= {"loss": sum(means.values()), **means, "seconds": round(self.seconds, 3)}
        for objective in self.objectives:
            _step_schedule(objective.schedule, sum(means.values()))
        if self.run.after_epoch is not None:
            self.model.eval()
            row |= self.run.after_epoch(self.model, self.epoch + 1)
            self.model.train()
        self.run.history.append(row)
        shown = (
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        )
        logger.info("%s", " ".join(shown))
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.started = time.monotonic()
        self.sums = {}
        due = time.monotonic() - self.saved >= self.run.checkpoint_seconds
        self._save_if(due or self.epoch == self.epochs)
        self._report(0)

    def _report(self, steps: int) -> None:
        """Leave word of how far the training is, for ``zslpipe status``."""
        loss = self.run.history[-1]["loss"] if self.run.history else None
        state = {
            "phase": f"{self.run.phase} {self.stage}",
            "epoch": self.epoch,
            "epochs": self.epochs,
        }
        write_progress(self.run.folder, {**state, "step": self.step, "steps": steps, "loss": loss})
        self.reported = time.monotonic()

    def save(self) -> None:
        """Write the checkpoint whole or not at all: a kill at any moment leaves the last one."""
        self._collect()
        state = {
            "stamp": self.run.stamp,
            "model": self.model.state_dict(),
            "optimizers": [one.optimizer.state_dict() for one in self.objectives],
            "schedules": [
                one.schedule.state_dict() if one.schedule else {} for one in self.objectives
            ],
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds + time.monotonic() - self.started,
            "sums": self.sums,
            "history": self.run.history,
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state(self.run.device)
            if self.run.device.type == "cuda"
            else None,
        }
        with written_whole(self.path) as temporary:
            torch.save(state, temporary)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Continue from the checkpoint where there is one of the same stamp; another stamp's is
        left behind.
        """
        if not self.path.is_file():
            return
        state = torch.load(self.path, map_location=self.run.device, weights_only=True)
        if state["stamp"] != self.run.stamp:
            logger.info(
                "%s belongs to other settings, code or data: starting afresh", self.path.name
            )
            return
        self.model.load_state_dict(state["model"])
        for objective, optimizer, schedule in zip(
            self.objectives, state["optimizers"], state["schedules"], strict=True
        ):
            objective.optimizer.load_state_dict(optimizer)
            if objective.schedule is not None:
                objective.schedule.load_state_dict(schedule)
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.sums = state["sums"]
        self.run.history[:] = state["history"]
        torch.set_rng_state(state["random"].cpu())
        if state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"].cpu(), self.run.device)
        logger.info("resumed %s at epoch %d, step %d", self.path.name, self.epoch + 1, self.step)


def _weights(objective: Objective) -> list[Tensor]:
    """Return what an objective's optimiser changes."""
    groups = objective.optimizer.param_groups
    return [weight for group in groups for weight in group["params"] if weight.requires_grad]


def _take_step(objective: Objective, factor: float = 1.0) -> None:
    """Multiply the gradients by ``factor``, clip them where the objective says so, and step its
    optimiser.
    """
    if factor != 1.0:
        for weight in _weights(objective):
            if weight.grad is not None:
                weight.grad.mul_(factor)
    if objective.largest_gradient is not None:
        torch.nn.utils.clip_grad_norm_(_weights(objective), objective.largest_gradient)
    objective.optimizer.step()


def _step_schedule(schedule: LRScheduler | ReduceLROnPlateau | None, loss: float) -> None:
    """Step a schedule once; a plateau looks at the epoch's ``loss``."""
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(loss)
    elif schedule is not None:
        with warnings.catch_warnings():
            # The epoch's steps may have been another process's, before an interruption.
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            schedule.step()
