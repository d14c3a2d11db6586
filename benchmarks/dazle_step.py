"""DAZLE's training step and evaluation against the plain form that builds the attended features (b,
a, d).

Run: python benchmarks/dazle_step.py [--rounds 5]. CUB's shape: 49 regions x 2048, 312 attributes,
200 classes, 300-d word vectors; a step takes 50 images, an evaluation 256, as jobs score. One
thread of the CPU; freed memory is kept, as in a job (zslpipe.machine.libraries), by all forms. The
forms take turns in one run; CPU time, medians. Memory: growth of the peak resident size over a
call, each form in a process of its own. The last lines tell the evaluation's limit: its product of
all regions with (3a, d) rows, at the rate of this machine's product of square matrices. The plain
form has two products of that size instead of three, and pays for them by a tensor of 650 MB: 1.4 to
1.8 times is what it can be beaten by where products run at one rate.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.machine.libraries import keep_freed_memory
from zslpipe.methods.dazle import Config, Model
from zslpipe.training.contract import Batch, Classes

IMAGES, REGIONS, WIDTH, ATTRIBUTES, CLASSES, WORD_WIDTH = 50, 49, 2048, 312, 200, 300
EVALUATED = 256  # images at once: runs.cached_inputs
SQUARE = 2048  # side of the matrices whose product says the machine's rate
AIM, FLOOR = 4.5, 3.5  # ours: targets of the step
LIMIT_AIM = 0.9  # ours: share of the time that is its matrix product
MEMORY_AIM, MEMORY_FLOOR = 10, 8  # ours: the plain form's memory over the package's


def case(images: int = IMAGES) -> tuple[Model, Batch]:
    """Return a model whose three matrices are all random, and a batch of random features."""
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
    for matrix in (model.W_alpha, model.W_e, model.W_beta):
        torch.nn.init.normal_(matrix, 0, 0.1)
    return model, Batch(torch.randn(images, REGIONS, WIDTH).relu(), torch.randint(150, (images,)))


def plain_scores(model: Model, regions: Tensor) -> Tensor:
    """Return the scores (b, c) of equations (2)-(7) and (13), one einsum an equation."""
    features = F.normalize(regions, dim=2)
    words = model.word_vectors
    alpha = torch.einsum("av,vd,brd->bar", words, model.W_alpha, features).softmax(2)
    attended = torch.einsum("bar,brd->bad", alpha, features)
    e = torch.einsum("av,vd,bad->ba", words, model.W_e, attended)
    beta = torch.einsum("av,vd,bad->ba", words, model.W_beta, attended).sigmoid()
    return torch.einsum("ba,ca,ba->bc", e, model.attributes, beta) + model.margins


def plain_loss(model: Model, batch: Batch) -> Tensor:
    """Return equation (12), the calibration term as the package's default has it."""
    scores = plain_scores(model, batch.inputs)
    unseen_mass = scores.softmax(1)[:, ~model.seen].sum(1)
    return (
        F.cross_entropy(scores - model.margins, batch.labels)
        - model.config.calibration_weight * unseen_mass.mean().log()
    )


def package_step(model: Model, batch: Batch) -> None:
    """Take loss and gradients with the package."""
    model.zero_grad()
    torch.stack(list(model.loss(batch).values())).sum().backward()


def plain_step(model: Model, batch: Batch, reordered: bool = False) -> None:
    """Take loss and gradients with the plain form; ``reordered``: opt_einsum chooses the order of
    products.
    """
    model.zero_grad()
    with torch.backends.opt_einsum.flags(enabled=reordered):
        plain_loss(model, batch).backward()


def reordered_step(model: Model, batch: Batch) -> None:
    """Take the plain step with opt_einsum."""
    plain_step(model, batch, reordered=True)


def package_evaluation(model: Model, batch: Batch) -> None:
    """Score with the package."""
    with torch.inference_mode():
        model.scores(batch.inputs)


def plain_evaluation(model: Model, batch: Batch) -> None:
    """Score with the plain form."""
    with torch.inference_mode(), torch.backends.opt_einsum.flags(enabled=False):
        plain_scores(model, batch.inputs)


STEPS = {"package step": package_step, "plain step": plain_step}
if importlib.util.find_spec("opt_einsum"):
    STEPS["plain step, opt_einsum"] = reordered_step
EVALUATIONS = {"package evaluation": package_evaluation, "plain evaluation": plain_evaluation}


def matrix_product(first: Tensor, second: Tensor) -> None:
    """Multiply square matrices."""
    first @ second


def in_turns(forms: dict[str, Callable], rounds: int, given: tuple) -> dict[str, float]:
    """Return each form's median CPU seconds; the forms take turns, after a call of each that does
    not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name, form in forms.items():
            start = time.process_time()
            form(*given)
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agreement() -> float:
    """Return the largest difference between the two forms' gradients, relative to the largest
    gradient.
    """
    model, batch = case()
    gradients = []
    for step in (package_step, plain_step):
        step(model, batch)
        changed = [one for one in model.parameters() if one.grad is not None]
        gradients.append([torch.clone(parameter.grad) for parameter in changed])
    return max(
        float((ours - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(*gradients, strict=True)
    )


def peak_growth(name: str) -> float:
    """Return by how many MiB one call of a form raises this process's resident size at its peak
    (Linux).

    A call on two images goes first, so that libraries and gradients are there already.
    """
    model, batch = case(EVALUATED if name in EVALUATIONS else IMAGES)
    forms = STEPS | EVALUATIONS
    forms[name](model, Batch(batch.inputs[:2], batch.labels[:2]))
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present size
    before = resident_peak()
    forms[name](model, batch)
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


def report(forms: dict[str, Callable], rounds: int, images: int) -> dict[str, float]:
    """Print medians, memory and ratios of forms, the package's first; return the medians."""
    seconds = in_turns(forms, rounds, case(images))
    memory = {name: peak_growth_elsewhere(name) for name in forms}
    first = next(iter(forms))
    for name in forms:
        slower, larger = seconds[name] / seconds[first], memory[name] / memory[first]
        print(
            f"{name:24} {1e3 * seconds[name]:8.1f} ms {memory[name]:8.1f} MiB "
            f"{slower:6.2f} x time {larger:6.1f} x memory"
        )
    return seconds


def report_limit(seconds: dict[str, float], rounds: int) -> None:
    """Print how near the evaluation is to the machine's own rate of products."""
    matrices = torch.randn(SQUARE, SQUARE), torch.randn(SQUARE, SQUARE)
    square = in_turns({"square": matrix_product}, rounds, matrices)["square"]
    rate = 2 * SQUARE**3 / square
    least = 2 * EVALUATED * REGIONS * WIDTH * 3 * ATTRIBUTES / rate
    share = least / seconds["package evaluation"]
    print(f"square matrices: {rate / 1e9:.0f} GFLOP/s, at which the evaluation's product takes")
    print(f"{1e3 * least:.1f} ms: {share:.2f} of the evaluation, aim {LIMIT_AIM}")


def main() -> None:
    """Time steps and evaluations, or print one form's memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--memory", help="print the MiB by which this form raises the peak, and nothing else"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        # Here every freed array goes back: what is held at a time shows.
        print(peak_growth(arguments.memory))
        return
    keep_freed_memory()
    found = "installed" if "plain step, opt_einsum" in STEPS else "not installed"
    print(f"opt_einsum is {found}; largest relative difference of gradients {agreement():.1e}")
    report(STEPS, arguments.rounds, IMAGES)
    print(f"aim {AIM}, floor {FLOOR} in time; {MEMORY_AIM} and {MEMORY_FLOOR} in memory")
    evaluations = report(EVALUATIONS, arguments.rounds, EVALUATED)
    report_limit(evaluations, arguments.rounds)


if __name__ == "__main__":
    main()
