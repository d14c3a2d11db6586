"""MLIS's five critic steps and one generator step against the plain form with a double backward.

Run: python benchmarks/mlis_step.py [--rounds 5]. CUB's shape: 64 features of 2048, 312 attributes,
4096 hidden units. One thread of the CPU, and the GPU where there is one. The forms take turns in
one run; CPU time (GPU: time until it is idle), medians; optimiser steps included, the same in both.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import torch
from torch import Tensor

from zslpipe.methods.mlis import BETAS, Config, Model
from zslpipe.training.contract import Batch, Classes

IMAGES, WIDTH, ATTRIBUTES, CLASSES = 64, 2048, 312, 200
AIM, FLOOR = 1.35, 1.2  # ours: targets of the iteration on a CPU


class Case:
    """A model, its optimisers and a batch on one device."""

    def __init__(self, device: str):
        torch.manual_seed(0)
        names, attributes = tuple(map(str, range(CLASSES))), tuple(map(str, range(ATTRIBUTES)))
        classes = Classes(
            names, torch.rand(CLASSES, ATTRIBUTES), torch.arange(CLASSES) < 150, attributes
        )
        self.model = Model(Config(), classes, (WIDTH,)).to(device)
        self.batch = Batch(
            torch.rand(IMAGES, WIDTH, device=device), torch.randint(150, (IMAGES,)).to(device)
        )
        self.critic = optimizer_of(self.model.critic)
        self.generator = optimizer_of(self.model.generator)


def optimizer_of(part: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of a part of the model."""
    return torch.optim.Adam(part.parameters(), lr=1e-4, betas=BETAS, fused=True)


def plain_critic_loss(model: Model, batch: Batch) -> Tensor:
    """Return equation (2) with a third pass through the critic, its gradient taken by autograd."""
    with torch.no_grad():
        synthetic = model.generate(batch.labels)
    vectors = model.attributes[batch.labels]
    share = torch.rand(len(synthetic), 1, device=synthetic.device)
    between = (share * batch.inputs + (1 - share) * synthetic).requires_grad_()
    values = model.critic(between, vectors)
    gradients = torch.autograd.grad(values.sum(), between, create_graph=True)[0]
    penalty = ((gradients.norm(dim=1) - 1) ** 2).mean()
    distance = model.critic(synthetic, vectors).mean() - model.critic(batch.inputs, vectors).mean()
    return distance + model.config.gradient_penalty * penalty


def closed_critic_loss(model: Model, batch: Batch) -> Tensor:
    """Return the package's equation (2)."""
    return torch.stack(list(model.critic_loss(batch).values())).sum()


def iteration(case: Case, critic_loss: Callable[[Model, Batch], Tensor]) -> None:
    """Take five critic steps and one generator step."""
    for _ in range(case.model.config.critic_steps):
        case.critic.zero_grad()
        critic_loss(case.model, case.batch).backward()
        case.critic.step()
    case.generator.zero_grad()
    case.model.generator_loss(case.batch)["generator"].backward()
    case.generator.step()


FORMS = {"closed form": closed_critic_loss, "double backward": plain_critic_loss}


def seconds_now(device: str) -> float:
    """Return CPU seconds, or on a GPU the clock once it is idle."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def in_turns(device: str, rounds: int) -> dict[str, float]:
    """Return each form's median seconds; the forms take turns, after a call of each that does not
    count.
    """
    cases = {name: Case(device) for name in FORMS}
    seconds: dict[str, list[float]] = {name: [] for name in FORMS}
    for number in range(rounds + 1):
        for name, form in FORMS.items():
            start = seconds_now(device)
            iteration(cases[name], form)
            if number:
                seconds[name].append(seconds_now(device) - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agreement() -> float:
    """Return the largest difference between the two forms' gradients, relative to the largest
    gradient.
    """
    case, gradients = Case("cpu"), []
    for form in FORMS.values():
        case.critic.zero_grad()
        torch.manual_seed(1)
        form(case.model, case.batch).backward()
        changed = [part for part in case.model.critic.parameters() if part.grad is not None]
        gradients.append([torch.clone(part.grad) for part in changed])
    largest = max(float(part.abs().max()) for part in gradients[1])
    pairs = zip(*gradients, strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs) / largest


def main() -> None:
    """Time the forms on each device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"largest relative difference of gradients {agreement():.1e}")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        seconds = in_turns(device, arguments.rounds)
        for name, value in seconds.items():
            slower = value / seconds["closed form"]
            print(f"{device:5} {name:16} {1e3 * value:8.1f} ms {slower:6.2f} x time")
    print(f"aim {AIM}, floor {FLOOR} on a CPU")


if __name__ == "__main__":
    main()
