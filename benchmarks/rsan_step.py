"""RSAN's training step on cached regions, and its concentrate loss alone, against plain forms of
the equations.

Run: python benchmarks/rsan_step.py [--rounds 5]. CUB's shape through MobileNetV2: 32 images, 14 x
14 regions x 1280, 312 attributes, 200 classes, one thread of the CPU. A step is forward, backward
and update. The plain step goes attribute by attribute with a tensor of distances for each, the
concentrate loss alone also map by map. The forms take turns in one run; CPU time, medians. Memory:
growth of the peak resident size over a call, each form in a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.methods.rsan import Config, Model, concentrate_loss
from zslpipe.training.contract import Batch, Classes

IMAGES, SIDE, WIDTH, ATTRIBUTES, CLASSES, WORD_WIDTH = 32, 14, 1280, 312, 200, 300
REGIONS = SIDE * SIDE
# Ours: targets of the concentrate loss alone, against the loops.
CONCENTRATE_AIM, CONCENTRATE_FLOOR = 150, 50


@dataclass(frozen=True)
class Case:
    """What every form works on: ``saliency`` are the model's own maps (b, r, a)."""

    model: Model
    optimizer: torch.optim.Optimizer
    batch: Batch
    saliency: Tensor


def case(images: int = IMAGES) -> Case:
    """Return a fresh model, its optimiser, a batch of random features and that batch's maps."""
    torch.manual_seed(0)
    seen = torch.arange(CLASSES) < 150
    names = tuple(str(number) for number in range(CLASSES))
    attributes = tuple(str(number) for number in range(ATTRIBUTES))
    classes = Classes(
        names,
        torch.rand(CLASSES, ATTRIBUTES),
        seen,
        attributes,
        torch.randn(ATTRIBUTES, WORD_WIDTH),
    )
    model = Model(Config(), classes, (REGIONS, WIDTH))
    # The rate is too small to change anything: every call works on the same weights.
    optimizer = torch.optim.SGD([model.P, model.kernels], lr=1e-12, momentum=0.9, weight_decay=1e-5)
    batch = Batch(torch.randn(images, REGIONS, WIDTH).relu(), torch.randint(150, (images,)))
    return Case(model, optimizer, batch, (batch.inputs @ model.P).detach().requires_grad_())


def cells() -> tuple[Tensor, Tensor]:
    """Return the rows i and columns j of a map's cells, each (h, w)."""
    i, j = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return i, j


def plain_loss(model: Model, batch: Batch) -> Tensor:
    """Return equation (12), one attribute at a time."""
    features = batch.inputs.view(-1, SIDE, SIDE, WIDTH)
    i, j = cells()
    predicted, concentrate = [], []
    for column in model.P.T:
        maps = features @ column
        strongest, peaks = maps.flatten(1).max(1)
        peak_i, peak_j = peaks // SIDE, peaks % SIDE
        distances = (i - peak_i[:, None, None]) ** 2 + (j - peak_j[:, None, None]) ** 2
        predicted.append(strongest)
        concentrate.append((maps.sigmoid() * distances).mean())
    cosines = F.cosine_similarity(torch.stack(predicted, 1)[:, None], model.attributes, dim=2)
    scores = model.config.scale * cosines
    # The first 150 classes are the seen ones.
    classification = F.cross_entropy(scores[:, model.seen], batch.labels)
    attribute_maps = F.conv2d(features.permute(0, 3, 1, 2), model.kernels).relu()
    regressed = F.max_pool2d(attribute_maps, SIDE).flatten(1)
    regression = (regressed - model.attributes[batch.labels]).square().sum(1).mean()
    concentrated = model.config.concentrate_weight * sum(concentrate) / ATTRIBUTES
    return classification + concentrated + regression


def package_step(given: Case) -> None:
    """Take one step with the package."""
    given.optimizer.zero_grad()
    torch.stack(list(given.model.loss(given.batch).values())).sum().backward()
    given.optimizer.step()


def plain_step(given: Case) -> None:
    """Take one step with the plain form."""
    given.optimizer.zero_grad()
    plain_loss(given.model, given.batch).backward()
    given.optimizer.step()


def backward(loss: Tensor, given: Case) -> None:
    """Take the gradient of a loss of the maps."""
    given.saliency.grad = None
    loss.backward()


def package_concentrate(given: Case) -> None:
    """Take the concentrate loss and its gradient with the package, the search of the peaks
    included.
    """
    peaks = given.saliency.max(1).indices
    backward(concentrate_loss(given.saliency, peaks, given.model.places), given)


def masked_concentrate(given: Case) -> None:
    """Take them with one tensor of distances (b, r, a)."""
    i, j = (coordinate.flatten() for coordinate in cells())
    peaks = given.saliency.argmax(1)
    distances = (i[:, None] - i[peaks][:, None]) ** 2 + (j[:, None] - j[peaks][:, None]) ** 2
    backward((given.saliency.sigmoid() * distances).mean(), given)


def looped_concentrate(given: Case) -> None:
    """Take them map by map."""
    i, j = cells()
    loss = given.saliency.new_zeros(())
    for image in given.saliency.unbind(0):
        for values in image.unbind(1):
            peak = int(values.argmax())
            distances = (i - peak // SIDE) ** 2 + (j - peak % SIDE) ** 2
            loss = loss + (values.view(SIDE, SIDE).sigmoid() * distances).sum()
    backward(loss / given.saliency.numel(), given)


STEPS = {"package step": package_step, "plain step": plain_step}
CONCENTRATE = {
    "package concentrate": package_concentrate,
    "tensor of distances": masked_concentrate,
    "loop over maps": looped_concentrate,
}


def in_turns(forms: dict[str, Callable[[Case], None]], rounds: int) -> dict[str, float]:
    """Return each form's median CPU seconds; the forms take turns, after a call of each that does
    not count.
    """
    given = case()
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name, form in forms.items():
            start = time.process_time()
            form(given)
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agreement(forms: dict[str, Callable[[Case], None]]) -> float:
    """Return the largest difference of any form's gradients from the first form's, relative to the
    largest gradient.
    """
    given = case(images=4)
    weights = [given.saliency] if forms is CONCENTRATE else [given.model.P, given.model.kernels]
    gradients = []
    for form in forms.values():
        form(given)
        changed = [weight for weight in weights if weight.grad is not None]
        gradients.append([torch.clone(weight.grad) for weight in changed])
    return max(
        float((mine - theirs).abs().max() / theirs.abs().max())
        for others in gradients[1:]
        for mine, theirs in zip(gradients[0], others, strict=True)
    )


def peak_growth(name: str) -> float:
    """Return by how many MiB one call of a form raises this process's resident size at its peak
    (Linux).

    A call on two images goes first, so that libraries and gradients are there already.
    """
    given = case()
    forms = STEPS | CONCENTRATE
    forms[name](case(images=2))
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present size
    before = resident_peak()
    forms[name](given)
    return resident_peak() - before


def resident_peak() -> float:
    """Return the peak resident size of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_growth_elsewhere(name: str) -> float:
    """Return :func:`peak_growth` of a fresh process that gives back every freed array of 64 KiB."""
    command = [sys.executable, __file__, "--memory", name]
    variables = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    return float(done.stdout)


def report(forms: dict[str, Callable[[Case], None]], rounds: int) -> None:
    """Print medians, memory and ratios of forms, the package's first."""
    print(f"largest relative difference of gradients {agreement(forms):.1e}")
    seconds = in_turns(forms, rounds)
    memory = {name: peak_growth_elsewhere(name) for name in forms}
    first = next(iter(forms))
    for name in forms:
        slower, larger = seconds[name] / seconds[first], memory[name] / memory[first]
        print(
            f"{name:24} {1e3 * seconds[name]:8.1f} ms {memory[name]:8.1f} MiB "
            f"{slower:6.1f} x time {larger:6.1f} x memory"
        )


def main() -> None:
    """Time steps and the concentrate loss, or print one form's memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--memory", help="print the MiB by which this form raises the peak, and nothing else"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print(peak_growth(arguments.memory))
        return
    report(STEPS, arguments.rounds)
    report(CONCENTRATE, arguments.rounds)
    print("concentrate loss against the loop over maps, in time: ", end="")
    print(f"aim {CONCENTRATE_AIM}, floor {CONCENTRATE_FLOOR}")


if __name__ == "__main__":
    main()
