"""Checkpoints: what an interrupted training goes on from, in one file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from zslpipe.machine.files import written_whole
from zslpipe.machine.seals import check_seal, seal
from zslpipe.training.contract import TrainingRun
from zslpipe.training.optimisers import Schedule

logger = logging.getLogger(__name__)

# Seconds that an epoch takes at least (ours): a clock may see none.
SHORTEST = 1e-9


@dataclass(eq=False)
class TrainingState:
    """What the steps of a training change: all that a checkpoint holds besides the state of the
    random numbers.

    ``epoch``: how many are done. Of the one under way: ``step``, how many of its batches are done,
    the ``seconds`` that they took, of these the seconds ``waited`` for batches, and ``sums``, of
    every loss term its sum and over how many steps (an objective is not met at each of them).
    ``history``: the run's, one row an epoch.
    """

    model: nn.Module
    optimizers: Sequence[Optimizer]
    schedules: Sequence[Schedule | None]
    history: list[dict[str, Any]]
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)

    def row(self, phase: str, stage: str) -> dict[str, Any]:
        """Return the history's row of the epoch that ends: the mean of every loss term, and times;
        ``waiting`` is the share of the seconds in which no further step was begun for want of a
        batch (a GPU may still be busy with earlier ones).
        """
        means = {name: total / count for name, (total, count) in self.sums.items()}
        return {
            "phase": phase,
            "stage": stage,
            "epoch": self.epoch + 1,
            "step": self.step,
            "loss": sum(means.values()),
            **means,
            "waiting": round(self.waited / max(self.seconds, SHORTEST), 4),
            "seconds": round(self.seconds, 3),
        }

    def next_epoch(self) -> None:
        """Begin an epoch: nothing of it is done."""
        self.epoch += 1
        self.step, self.seconds, self.waited, self.sums = 0, 0.0, 0.0, {}


def save_checkpoint(path: Path, state: TrainingState, run: TrainingRun) -> None:
    """Write the checkpoint whole or not at all: a kill at any moment leaves the last one."""
    optimizers = [optimizer.state_dict() for optimizer in state.optimizers]
    schedules = [_schedule_state(schedule) for schedule in state.schedules]
    on_gpu = run.device.type == "cuda"
    saved = {
        "stamp": run.stamp,
        "model": state.model.state_dict(),
        "optimizers": optimizers,
        "schedules": schedules,
        "epoch": state.epoch,
        "step": state.step,
        "seconds": state.seconds,
        "waited": state.waited,
        "sums": state.sums,
        "history": state.history,
        "random": torch.get_rng_state(),
        "random_gpu": torch.cuda.get_rng_state(run.device) if on_gpu else None,
    }
    # An open file: torch would write the temporary name into it.
    with written_whole(path) as temporary:
        with temporary.open("wb") as file:
            torch.save(saved, file)
        seal(temporary)


def _schedule_state(schedule: Schedule | None) -> dict[str, Any]:
    """Return where a schedule stands; nothing where there is none."""
    return {} if schedule is None else schedule.state_dict()


def load_checkpoint(path: Path, state: TrainingState, run: TrainingRun) -> None:
    """Bring ``state`` and the random numbers to where the checkpoint of the run's stamp stands,
    where there is one; another stamp's, or a damaged one, is left behind.
    """
    if not path.is_file():
        return
    try:
        check_seal(path)
    except ValueError as error:
        logger.info("%s is damaged (%s): left behind", path.name, error)
        return
    saved = torch.load(path, map_location=run.device, weights_only=True)
    if saved["stamp"] != run.stamp:
        logger.info("%s belongs to other settings, code or data: starting afresh", path.name)
        return
    state.model.load_state_dict(saved["model"])
    for optimizer, values in zip(state.optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    for schedule, values in zip(state.schedules, saved["schedules"], strict=True):
        if schedule is not None:
            schedule.load_state_dict(values)
    state.epoch, state.step = saved["epoch"], saved["step"]
    state.seconds, state.waited, state.sums = saved["seconds"], saved["waited"], saved["sums"]
    state.history[:] = saved["history"]
    torch.set_rng_state(saved["random"].cpu())
    if saved["random_gpu"] is not None:
        torch.cuda.set_rng_state(saved["random_gpu"].cpu(), run.device)
    logger.info("resumed %s at epoch %d, step %d", path.name, state.epoch + 1, state.step)
