"""One step of an optimiser, one step of its schedule."""

import warnings

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

# What may change an optimiser's learning rate.
Schedule = LRScheduler | ReduceLROnPlateau


def weights_of(optimizer: Optimizer) -> list[Tensor]:
    """Return what an optimiser changes."""
    weights: list[Tensor] = []
    for group in optimizer.param_groups:
        weights.extend(weight for weight in group["params"] if weight.requires_grad)
    return weights


def take_step(optimizer: Optimizer, largest_gradient: float | None, factor: float = 1.0) -> None:
    """Multiply the gradients by ``factor``, clip their common norm to ``largest_gradient`` where
    there is one, and change the weights.
    """
    weights = weights_of(optimizer)
    if factor != 1.0:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.mul_(factor)
    if largest_gradient is not None:
        torch.nn.utils.clip_grad_norm_(weights, largest_gradient)
    optimizer.step()


def step_schedule(schedule: Schedule | None, loss: float) -> None:
    """Step a schedule once, where there is one; a plateau looks at the epoch's ``loss``."""
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(loss)
    elif schedule is not None:
        with warnings.catch_warnings():
            # The epoch's steps may have been another process's, before an interruption.
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            schedule.step()
