"""SGMA's training step against a plain form that follows the equations one by one.

Run: python benchmarks/sgma_step.py [--rounds 3]. MobileNetV2 (random weights, frozen), 16 images at
224 px, crops at 112 px, 312 attributes, 150 seen of 200 classes, one thread of the CPU. The plain
form sends every image through the network again for its map and for the whole view, masks each
image for each part, crops and classifies one part after the other; the package takes the first
stage from its store, both crops at once, and has its batch norms folded. The forms take turns in
one run; CPU time, medians. Reading the store is part of the package's step. Memory: growth of the
peak resident size over a step, each form in a process of its own.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
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

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.features import FeatureFile
from zslpipe.methods.sgma import Config, Model, stored_first_stage
from zslpipe.networks.backbones import folded
from zslpipe.networks.cropping import BLOB, CONTRAST
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

IMAGES, SIDE, ATTRIBUTES, CLASSES, SEEN = 16, 224, 312, 200, 150
AIM, FLOOR = 3.0, 2.6  # ours: the plain step's time over the package's
MEMORY_AIM, MEMORY_FLOOR = 1.5, 1.3  # ours: the plain step's memory over the package's


@dataclass(frozen=True, eq=False)
class Case:
    """A model, the same as training has it, a batch of all images and their stored first stage."""

    model: Model
    training: Model
    batch: Batch
    stored: FeatureFile


def case(folder: Path) -> Case:
    """Return a model whose attention is no longer at its start, random images and their first stage
    in ``folder``.
    """
    torch.manual_seed(0)
    names = tuple(str(number) for number in range(CLASSES))
    attributes = tuple(str(number) for number in range(ATTRIBUTES))
    classes = Classes(
        names, torch.rand(CLASSES, ATTRIBUTES), torch.arange(CLASSES) < SEEN, attributes
    )
    model = Model(Config(backbone="mobilenet_v2", batch_size=IMAGES), classes, (3, SIDE, SIDE))
    model.attention.start(torch.randint(2, model.attention.clusters.shape))
    torch.nn.init.normal_(model.attention.W2, 0, 0.01)
    pictures = F.interpolate(torch.randn(IMAGES, 3, 14, 14), SIDE, mode="bicubic")
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    measure_statistics(model.trunk, pictures)
    rows, labels = torch.arange(IMAGES), torch.randint(SEEN, (IMAGES,))
    data = TrainingData(
        Held(pictures), rows, labels, classes, TrainingRun(0, torch.device("cpu"), folder)
    )
    training = copy.deepcopy(model)
    training.trunk = folded(training.trunk).requires_grad_(False)
    return Case(model, training, data.batch(rows), stored_first_stage(training, data))


def measure_statistics(trunk: torch.nn.Module, pictures: Tensor) -> None:
    """Give the batch norms the statistics of these pictures: random weights without them make all
    features vanish.
    """
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        trunk.train()(pictures)
    trunk.eval()


def plain_boxcar(offsets: Tensor, side: Tensor, steepness: float) -> Tensor:
    """Return one axis of the mask of equation (4)."""
    before = torch.sigmoid(steepness * (offsets + side / 2))
    return before - torch.sigmoid(steepness * (offsets - side / 2))


def plain_crop(
    image: Tensor, square: Tensor, centres: CellCentres, size: int, steepness: float
) -> Tensor:
    """Return one zoomed crop (1, 3, size, size) of an image that equation (4) has masked."""
    places = (torch.arange(image.shape[2]) + 0.5) / image.shape[2]
    pixels = (places - centres.first) / centres.step
    x, y, side = square
    along_x = plain_boxcar(pixels - x, side, steepness)
    along_y = plain_boxcar(pixels - y, side, steepness)
    steps = side * ((torch.arange(size) + 0.5) / size - 0.5)
    rows, columns = torch.meshgrid(y + steps, x + steps, indexing="ij")
    grid = 2 * (centres.first + centres.step * torch.stack([columns, rows], dim=2)) - 1
    masked = image * along_y[:, None] * along_x
    return F.grid_sample(masked[None], grid[None], padding_mode="border", align_corners=False)


def plain_loss(model: Model, batch: Batch) -> Tensor:
    """Return equation (9), equation by equation, image by image and part by part."""
    config, centres = model.config, model.cropping.centres
    view = F.interpolate(batch.inputs, size=model.view, mode="bilinear", antialias=True)
    embedding = config.feature_length * F.normalize(model.trunk(view).mean((2, 3)), dim=1) @ model.W
    features = model.trunk(batch.inputs)
    logits = []
    for part in range(2):
        p = features.mean((2, 3))
        hidden = torch.relu(p @ model.attention.W1[part].T)
        a = torch.sigmoid(hidden @ model.attention.W2[part].T + model.attention.bias[part])
        summed = (a[:, :, None, None] * features).sum(1)
        lowest, highest = summed.amin((1, 2), keepdim=True), summed.amax((1, 2), keepdim=True)
        logits.append(CONTRAST * ((summed - lowest) / (highest - lowest) - 0.5))
    squares = model.cropping.squares(torch.stack(logits, dim=1))
    for part in range(2):
        crops = []
        for image, square in zip(batch.inputs, squares[:, part], strict=True):
            crops.append(plain_crop(image, square, centres, model.view, config.steepness))
        theta = F.normalize(model.trunk(torch.cat(crops)).mean((2, 3)), dim=1)
        embedding = embedding + config.feature_length * theta @ model.W
    maps = [part.sigmoid() for part in logits]
    return plain_terms(model, embedding, maps, batch.labels)


def plain_terms(model: Model, embedding: Tensor, maps: list[Tensor], labels: Tensor) -> Tensor:
    """Return the sum of the four losses, given embeddings and maps."""
    config, steps = model.config, torch.arange(model.cells)
    total = config.embedding_weight * F.cross_entropy(embedding @ model.attributes[:SEEN].T, labels)
    for part in range(2):
        for own, other in zip(maps[part], maps[1 - part], strict=True):
            top, left = divmod(int(own.argmax()), model.cells)
            distances = (steps[:, None] - top) ** 2 + (steps - left) ** 2
            ideal = torch.exp(-distances / (2 * (BLOB * model.cells) ** 2))
            total = total + (own - ideal).square().mean() / len(labels)
            overlap = (own * (other - config.diversity_margin).clamp(min=0)).mean() / len(labels)
            total = total + config.diversity_weight * overlap
    for row, label in zip(embedding, labels.tolist(), strict=True):
        distances = (row / row.norm() - F.normalize(model.centres, dim=1)).square().sum(1)
        hinges = config.centre_margin + distances[label] - distances
        hardest = torch.cat([hinges[:label], hinges[label + 1 :]]).max().clamp(min=0)
        total = total + config.centre_weight * hardest / len(labels)
    return total


def package_step(given: Case) -> Tensor:
    """Take loss and gradients with the package, from the stored first stage; return the loss."""
    given.training.zero_grad()
    rows = given.batch.positions.numpy()
    first_stage = (
        torch.from_numpy(given.stored.pooled[rows]),
        torch.from_numpy(given.stored.regions[rows]).float(),
    )
    loss = torch.stack(list(given.training.losses(given.batch, first_stage).values())).sum()
    loss.backward()
    return loss.detach()


def plain_step(given: Case) -> Tensor:
    """Take loss and gradients with the plain form; return the loss."""
    given.model.zero_grad()
    loss = plain_loss(given.model, given.batch)
    loss.backward()
    return loss.detach()


STEPS: dict[str, Callable[[Case], Tensor]] = {
    "package step": package_step,
    "plain step": plain_step,
}


def in_turns(given: Case, rounds: int) -> dict[str, float]:
    """Return each form's median CPU seconds; the forms take turns, after a call of each that does
    not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    for number in range(rounds + 1):
        for name, step in STEPS.items():
            start = time.process_time()
            step(given)
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agreement(given: Case) -> str:
    """Return how far loss and gradients of the two forms are apart, relative to the plain ones.

    Not of the attention: behind a network of random weights a change of the map by 1e-6 turns its
    gradient by 0.2.
    """
    ours, theirs = package_step(given), plain_step(given)
    pairs = {
        "W": (given.training.W, given.model.W),
        "centres": (given.training.centres, given.model.centres),
    }
    apart = {
        name: float((one.grad - other.grad).norm() / other.grad.norm())
        for name, (one, other) in pairs.items()
    }
    gradients = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    return f"loss {abs(float(ours / theirs - 1)):.1e}, gradients of {gradients}"


def peak_growth(name: str, folder: Path) -> float:
    """Return by how many MiB one call of a form raises this process's resident size at its peak
    (Linux).

    A call on two images goes first, so that libraries and gradients are there already.
    """
    given = case(folder)
    two = Batch(given.batch.inputs[:2], given.batch.labels[:2], given.batch.positions[:2])
    STEPS[name](Case(given.model, given.training, two, given.stored))
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present size
    before = resident_peak()
    STEPS[name](given)
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


def report(given: Case, rounds: int) -> None:
    """Print medians, memory and ratios of the forms, the package's first."""
    print(f"differences between the forms: {agreement(given)}")
    seconds = in_turns(given, rounds)
    memory = {name: peak_growth_elsewhere(name) for name in STEPS}
    first = next(iter(STEPS))
    for name in STEPS:
        slower, larger = seconds[name] / seconds[first], memory[name] / memory[first]
        print(
            f"{name:24} {1e3 * seconds[name]:8.1f} ms {memory[name]:8.1f} MiB "
            f"{slower:6.2f} x time {larger:6.1f} x memory"
        )
    print(f"aim {AIM}, floor {FLOOR} in time; {MEMORY_AIM} and {MEMORY_FLOOR} in memory")


def main() -> None:
    """Time both steps, or print one form's memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--memory", help="print the MiB by which this form raises the peak, and nothing else"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.memory:
            print(peak_growth(arguments.memory, Path(folder)))
        else:
            report(case(Path(folder)), arguments.rounds)


if __name__ == "__main__":
    main()
