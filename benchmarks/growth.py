"""How the costs of a head grow with images, attributes, classes and regions.

Run: python benchmarks/growth.py [--rounds 3 --folder docs/images]. Each cost is measured at five
sizes along each axis that it depends on, a factor of two to the next (regions: maps of side 4 to
14), the others as in the middle: 2000 images, 128 attributes, 100 classes, 49 regions x 256, 64-d
word vectors, batches of 50. CPU time of one thread, the fastest of some calls that take turns. A
line's exponent is of its last three sizes: 1 where twice as much takes twice as long, 0 where it
does not matter. DAZLE's evaluation is of all images of a cache on the disk, random batches are of
it; its step and RSAN's are of one batch, so that images do not matter to them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch

from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.machine.devices import Compute, device_of
from zslpipe.methods import dazle, eszsl, rsan
from zslpipe.reports.figures.style import COLOURS, STYLE
from zslpipe.runs import cached_inputs
from zslpipe.runs.cached_inputs import CachedInputs
from zslpipe.runs.models import score_rows
from zslpipe.scores.calibration import states
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun

HERE = Path(__file__).parent
# Threads and memory as in a job.
CPU = device_of(Compute(device="cpu", threads=1))
WIDTH, WORD_WIDTH, BATCH, RANDOM_BATCHES = 256, 64, 50, 10
# Along each axis: its sizes; the third is the one at which the other axes are measured.
AXES = {
    "images": (500, 1000, 2000, 4000, 8000),
    "attributes": (32, 64, 128, 256, 512),
    "classes": (25, 50, 100, 200, 400),
    "regions": (16, 25, 49, 100, 196),
}
# Which of them a cost is measured along, where not all.
ALONG = {
    "DAZLE, a step": ("attributes", "classes", "regions"),
    "RSAN's head, a step": ("attributes", "classes", "regions"),
    "ESZSL, fit": ("images", "attributes", "classes"),
    "calibration, all constants": ("images", "classes"),
    "reading ten batches": ("images", "regions"),
}
# Letters as text: a quarter of the size.
DRAWN = {"svg.fonttype": "none"}
Cost = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """How large a dataset is."""

    images: int = 2000
    attributes: int = 128
    classes: int = 100
    regions: int = 49


def classes_of(size: Size) -> Classes:
    """Return random classes, three quarters of them seen."""
    return Classes(
        tuple(map(str, range(size.classes))),
        torch.rand(size.classes, size.attributes),
        torch.arange(size.classes) < 3 * size.classes // 4,
        tuple(map(str, range(size.attributes))),
        torch.randn(size.attributes, WORD_WIDTH),
    )


def write_features(path: Path, size: Size) -> CachedInputs:
    """Write a cache of random half-zero features; return its regions, read from the disk."""
    shapes = {
        "regions": ((size.images, size.regions, WIDTH), "float16"),
        "pooled": ((size.images, WIDTH), "float32"),
    }
    writer = BlockWriter(path.parent / "work", shapes, {"extractor": "benchmark"})
    generator = np.random.default_rng(0)
    regions = generator.standard_normal((BLOCK, size.regions, WIDTH), np.float32).clip(0)
    for block in range(-(-size.images // BLOCK)):
        rows = min(BLOCK, size.images - block * BLOCK)
        writer.write(block, {"regions": regions[:rows], "pooled": regions[:rows].mean(1)})
    writer.finish(path)
    return opened(path, pooled=False)


def opened(path: Path, pooled: bool) -> CachedInputs:
    """Return the checked features of a file, read from it whatever memory is free."""
    cached_inputs.SHARE_OF_FREE_MEMORY = 0.0
    file = FeatureFile(path)
    file.check(pooled)
    return CachedInputs(file, pooled, CPU)


def step(model: torch.nn.Module, batch: Batch) -> None:
    """Take a loss and its gradients."""
    model.zero_grad()
    torch.stack(list(model.loss(batch).values())).sum().backward()


def costs_of(size: Size, folder: Path) -> dict[str, Cost]:
    """Return what is timed at a size, by name."""
    torch.manual_seed(0)
    classes = classes_of(size)
    path = folder / f"{size.images}-{size.regions}.h5"
    regions = opened(path, pooled=False) if path.is_file() else write_features(path, size)
    pooled = opened(path, pooled=True)
    attending = dazle.Model(dazle.Config(), classes, regions.shape)
    reasoning = rsan.Model(rsan.Config(), classes, regions.shape)
    seen = int(classes.seen.sum())
    batch = Batch(regions.take(torch.arange(BATCH)), torch.randint(seen, (BATCH,)))
    labels = torch.randint(seen, (size.images,))
    scores = np.random.default_rng(0).standard_normal((size.images, size.classes), np.float32)
    tested = np.random.default_rng(1).integers(size.classes, size=size.images)

    def fit() -> None:
        """Fit anew: of the same rows the sums and their decomposition would be known."""
        rows = torch.arange(size.images)
        data = TrainingData(pooled, rows, labels, classes, TrainingRun(0, CPU, folder))
        model = eszsl.Model(eszsl.Config(), classes, pooled.shape)
        eszsl.train(model, eszsl.Config(), data)

    def read() -> None:
        """Read random batches one by one."""
        for rows in torch.randint(size.images, (RANDOM_BATCHES, BATCH)):
            regions.take(rows)

    return {
        "DAZLE, a step": lambda: step(attending, batch),
        "DAZLE, evaluation": lambda: score_rows(attending, regions, torch.arange(size.images)),
        "RSAN's head, a step": lambda: step(reasoning, batch),
        "ESZSL, fit": fit,
        "calibration, all constants": lambda: states(scores, tested, classes.seen.numpy()),
        "reading ten batches": read,
    }


def seconds_of(cost: Cost, rounds: int) -> float:
    """Return the CPU seconds of the fastest call, after one that does not count."""
    cost()
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        cost()
        taken.append(time.process_time() - start)
    return min(taken)


def along(axis: str, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each cost at the sizes of an axis."""
    found: dict[str, list[float]] = {}
    for number in AXES[axis]:
        for name, cost in costs_of(replace(Size(), **{axis: number}), folder).items():
            if axis in ALONG.get(name, AXES):
                found.setdefault(name, []).append(seconds_of(cost, rounds))
    return found


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Return by which power a cost grows at the last three sizes."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0])


def draw(axis: str, found: dict[str, list[float]], path: Path) -> None:
    """Draw costs along an axis, both scales logarithmic, a colour a cost in every picture."""
    sizes, colours = AXES[axis], dict(zip(names(), COLOURS, strict=False))
    with matplotlib.rc_context({**STYLE, **DRAWN, "svg.hashsalt": axis}):
        figure, axes = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
        for name, seconds in found.items():
            label = f"{name} ({exponent(sizes, seconds):+.1f})"
            milliseconds = [1e3 * value for value in seconds]
            axes.loglog(sizes, milliseconds, marker="o", color=colours[name], label=label)
        axes.set_xticks(sizes, [f"{size}" for size in sizes])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(axis)
        axes.set_ylabel("ms of CPU time")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.legend(title="cost (exponent)", bbox_to_anchor=(1, 1), loc="upper left")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def names() -> Iterator[str]:
    """Yield the names of all costs, in their order."""
    yield from ("DAZLE, a step", "DAZLE, evaluation", "RSAN's head, a step")
    yield from ("ESZSL, fit", "calibration, all constants", "reading ten batches")


def main() -> None:
    """Measure every cost along every axis, print and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=HERE.parent / "docs" / "images")
    arguments = parser.parse_args()
    print("axis,cost,exponent," + ",".join(f"ms at size {number}" for number in range(1, 6)))
    with tempfile.TemporaryDirectory() as folder:
        for axis, sizes in AXES.items():
            print(f"{axis},,," + ",".join(map(str, sizes)))
            found = along(axis, Path(folder), arguments.rounds)
            for name, seconds in found.items():
                told = ",".join(f"{1e3 * value:.3g}" for value in seconds)
                print(f'{axis},"{name}",{exponent(sizes, seconds):.2f},{told}')
            draw(axis, found, arguments.folder / f"growth_{axis}.svg")
            for path in Path(folder).glob("*.h5"):
                path.unlink()


if __name__ == "__main__":
    main()
