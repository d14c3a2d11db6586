"""fit(): the only optimisation loop. Any device, resumable at any step, one history row an epoch."""

import logging
import os
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from tqdm import tqdm

from zslpipe.data import Batch, Model, TrainingData
from zslpipe.errors import InputError
from zslpipe.progress import write_progress

logger = logging.getLogger(__name__)

Sampler = Callable[[Tensor, torch.Generator], list[Tensor]]

# Seconds between words of how far a training is (ours): `zslpipe status` takes two minutes of silence for the end.
REPORT_SECONDS = 10.0
# A GPU is asked for its losses this often (ours): asking at each step would make it wait for the CPU.
STEPS_BETWEEN_CHECKS = 32


class NonFiniteLossError(InputError):
    """A loss term became NaN or infinite; the message names stage, epoch, step and term."""


def fit(
    model: Model,
    data: TrainingData,
    sampler: Sampler,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    stage: str = "train",
) -> None:
    """Minimise the sum of ``model.loss(batch)`` (named terms, already weighted) over ``epochs``.

    ``sampler(labels, generator)`` returns an epoch's batches as positions; its generator is seeded by (seed, stage,
    epoch), so that an interrupted epoch is drawn again the same. A checkpoint in ``data.run.folder`` with the run's
    stamp is resumed at its step; on a CPU the weights end the same as without the interruption. Each epoch appends a
    row to ``data.run.history``. Raises NonFiniteLossError.
    """
    loop = _Loop(model, data, optimizer, epochs, stage)
    loop.resume()
    model.train()
    while loop.epoch < epochs:
        generator = torch.Generator().manual_seed(_epoch_seed(data.run.seed, stage, loop.epoch))
        batches = sampler(data.labels, generator)
        for positions in loop.remaining(batches):
            loop.update(data.batch(positions))
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

    def __init__(self, model: Model, data: TrainingData, optimizer: torch.optim.Optimizer, epochs: int, stage: str):
        self.model, self.optimizer, self.run, self.epochs, self.stage = model, optimizer, data.run, epochs, stage
        self.loss = torch.compile(model.loss) if data.run.compiled else model.loss
        self.path = data.run.folder / f"{data.run.phase}.{stage}.checkpoint.pt"
        self.epoch, self.step = 0, 0
        self.seconds = 0.0
        self.names: list[str] = []
        self.sums = torch.zeros(0, dtype=torch.float64)
        self.pending: list[Tensor] = []
        self.saved = self.started = self.reported = time.monotonic()

    def remaining(self, batches: list[Tensor]) -> Iterator[Tensor]:
        """Yield the batches of the epoch that are still to do, with a progress bar and regular checkpoints."""
        self.started = time.monotonic()
        label = f"{self.run.phase} {self.stage} epoch {self.epoch + 1}/{self.epochs}"
        with tqdm(batches, desc=label, initial=self.step, mininterval=1.0, leave=False, disable=None) as bar:
            for positions in batches[self.step :]:
                yield positions
                bar.update()
                if time.monotonic() - self.saved >= self.run.checkpoint_seconds:
                    self.save()
                if time.monotonic() - self.reported >= REPORT_SECONDS:
                    self._report(len(batches))

    def update(self, batch: Batch) -> None:
        """Take one optimiser step on ``batch``."""
        with torch.autocast(self.run.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"):
            terms = self.loss(batch)
            total = torch.stack(list(terms.values())).sum()
        self.names = list(terms)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.step += 1
        self.pending.append(torch.stack([term.detach() for term in terms.values()]))
        if self.run.device.type == "cpu" or len(self.pending) >= STEPS_BETWEEN_CHECKS:
            self._collect()

    def _collect(self) -> None:
        """Add the pending losses to the epoch's sums; raises NonFiniteLossError at the first bad one."""
        if not self.pending:
            return
        losses = torch.stack(self.pending).double().cpu()
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            raise NonFiniteLossError(
                f"{self.run.phase} {self.stage}: loss term {self.names[term]!r} is {losses[step, term].item()} "
                f"at epoch {self.epoch + 1}, step {self.step - len(losses) + step + 1}; "
                "a smaller learning rate is the usual remedy"
            )
        self.sums = losses.sum(0) + (self.sums if len(self.sums) else 0.0)
        self.pending.clear()

    def finish_epoch(self) -> None:
        """Append the epoch's mean losses to the history and save a checkpoint."""
        self._collect()
        self.seconds += time.monotonic() - self.started
        means = (self.sums / max(self.step, 1)).tolist()
        row = {"phase": self.run.phase, "stage": self.stage, "epoch": self.epoch + 1, "step": self.step}
        row |= {"loss": sum(means), **dict(zip(self.names, means, strict=True)), "seconds": round(self.seconds, 3)}
        if self.run.after_epoch is not None:
            self.model.eval()
            row |= self.run.after_epoch(self.model, self.epoch + 1)
            self.model.train()
        self.run.history.append(row)
        shown = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        logger.info("%s", " ".join(shown))
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.started = time.monotonic()
        self.sums = torch.zeros(0, dtype=torch.float64)
        if self.epoch == self.epochs or time.monotonic() - self.saved >= self.run.checkpoint_seconds:
            self.save()
        self._report(0)

    def _report(self, steps: int) -> None:
        """Leave word of how far the training is, for ``zslpipe status``."""
        loss = self.run.history[-1]["loss"] if self.run.history else None
        state = {"phase": f"{self.run.phase} {self.stage}", "epoch": self.epoch, "epochs": self.epochs}
        write_progress(self.run.folder, {**state, "step": self.step, "steps": steps, "loss": loss})
        self.reported = time.monotonic()

    def save(self) -> None:
        """Write the checkpoint whole or not at all: a kill at any moment leaves the last one."""
        self._collect()
        self.run.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.partial")
        state = {
            "stamp": self.run.stamp,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds + time.monotonic() - self.started,
            "names": self.names,
            "sums": self.sums,
            "history": self.run.history,
            "random": torch.get_rng_state(),
        }
        torch.save(state, temporary)
        temporary.replace(self.path)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Continue from the checkpoint where there is one of the same stamp; another stamp's is left behind."""
        if not self.path.is_file():
            return
        state = torch.load(self.path, map_location=self.run.device, weights_only=True)
        if state["stamp"] != self.run.stamp:
            logger.info("%s belongs to other settings, code or data: starting afresh", self.path.name)
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.names, self.sums = state["names"], state["sums"].cpu()
        self.run.history[:] = state["history"]
        torch.set_rng_state(state["random"].cpu())
        logger.info("resumed %s at epoch %d, step %d", self.path.name, self.epoch + 1, self.step)
