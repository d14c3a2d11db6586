"""Training views of images through ImageInputs, against the plain way: PIL and a Compose of
torchvision transforms.

Run: python benchmarks/image_batches.py [--images 256 --size 224 --batch 32 --workers 1 --rounds 5
--steps 8]. Rendered JPEGs of 500 x 375 in a temporary folder, all in the page cache. Both forms end
in normalised float batches on the CPU, with the same number of workers, in turns; medians of wall
clock and of the CPU time of all processes (steadier on a shared machine), starting the workers
included. Then the loader's share of a training step of mobilenet_v2: the time a loop waits for its
next batch over its whole time, from the second batch on.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from zslpipe.formats.index import Index
from zslpipe.networks.imagenet import DEVIATION, MEAN
from zslpipe.runs.image_inputs import ROOM_TO_CROP, ImageInputs

FLOOR, AIM = 1.5, 1.8  # ours: images per CPU second, to the plain way's
SHARE_FLOOR, SHARE_AIM = 0.05, 0.03  # ours: of a step


def write_images(folder: Path, count: int) -> list[str]:
    """Write blurred noise as JPEGs of 500 x 375 pixels, some 40 kB each like photographs; return
    their names.
    """
    generator = np.random.default_rng(0)
    names = [f"{number}.jpg" for number in range(count)]
    for name in names:
        noise = Image.fromarray(generator.integers(0, 256, (375, 500, 3), dtype=np.uint8))
        noise.filter(ImageFilter.GaussianBlur(1.5)).save(folder / name, quality=92)
    return names


def index_of(names: list[str]) -> Index:
    """Return an index of which the inputs read no more than the paths."""
    nothing = np.zeros(0, int)
    return Index(
        "benchmark",
        "none",
        tuple(names),
        np.zeros(len(names), int),
        ("x",),
        nothing,
        nothing,
        {},
        {},
        (),
        (),
        nothing,
    )


class Plain(Dataset[Tensor]):
    """What a tutorial writes: PIL images through a Compose, floats from the workers."""

    def __init__(self, folder: Path, names: list[str], size: int):
        self.folder, self.names = folder, names
        self.transform = transforms.Compose(
            [
                transforms.Resize(round(size * ROOM_TO_CROP)),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, DEVIATION),
            ]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, row: int) -> Tensor:
        """Return the (3, size, size) float32 view of an image."""
        with Image.open(self.folder / self.names[row]) as image:
            return self.transform(image.convert("RGB"))


def inputs_of(folder: Path, names: list[str], size: int, workers: int) -> ImageInputs:
    """Return the images as inputs on the CPU."""
    mean, deviation = torch.tensor([MEAN, DEVIATION]).view(2, 1, 3, 1, 1)
    return ImageInputs(folder, index_of(names), size, mean, deviation, torch.device("cpu"), workers)


def forms_of(
    folder: Path, names: list[str], size: int, batch: int, workers: int
) -> dict[str, Callable[[], int]]:
    """Return what is timed, by name; each form reads every image once and returns how many there
    were.
    """
    inputs = inputs_of(folder, names, size, workers)
    batches = list(torch.arange(len(names)).split(batch))
    plain = DataLoader(Plain(folder, names, size), batch, shuffle=True, num_workers=workers)
    return {
        "PIL and Compose": lambda: sum(map(len, plain)),
        "ImageInputs.stream": lambda: sum(map(len, inputs.stream(batches, torch.Generator()))),
    }


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def in_turns(forms: dict[str, Callable[[], int]], rounds: int) -> dict[str, np.ndarray]:
    """Return median (wall, CPU) seconds of each form; forms take turns, after a call of each that
    does not count.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name, form in forms.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            form()
            if number:
                seconds[name].append((time.perf_counter() - wall, cpu_seconds() - cpu))
    return {name: np.median(values, axis=0) for name, values in seconds.items()}


def loader_share(inputs: ImageInputs, batch: int, steps: int) -> tuple[float, float]:
    """Return the share of waiting in ``steps`` training steps of mobilenet_v2, and the median
    seconds of a step.
    """
    network = torchvision.models.mobilenet_v2().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    rows = torch.arange(batch * (steps + 1)).remainder(len(inputs.squares)).split(batch)
    stream = inputs.stream(rows, torch.Generator().manual_seed(0))
    waits, spans = [], []
    for _ in rows:
        start = time.perf_counter()
        images = next(stream)
        ready = time.perf_counter()
        optimizer.zero_grad()
        labels = torch.zeros(len(images), dtype=torch.long)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        waits.append(ready - start)
        spans.append(time.perf_counter() - start)
    return sum(waits[1:]) / sum(spans[1:]), statistics.median(spans[1:])


def main() -> None:
    """Time the forms and print images per second, ratios and the loader's share."""
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = {"images": 256, "size": 224, "batch": 32, "workers": 1, "rounds": 5, "steps": 8}
    for name, number in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        names = write_images(Path(folder), given.images)
        forms = forms_of(Path(folder), names, given.size, given.batch, given.workers)
        seconds = in_turns(forms, given.rounds)
        inputs = inputs_of(Path(folder), names, given.size, given.workers)
        share, step = loader_share(inputs, given.batch, given.steps)
    print(f"{given.images} images at {given.size} px in batches of {given.batch}, ", end="")
    print(f"{given.workers} workers")
    base = seconds["PIL and Compose"]
    for name, value in seconds.items():
        rates, ratios = given.images / value, base / value
        print(
            f"{name:20} {rates[0]:7.1f} images/s, {rates[1]:7.1f} a CPU second; "
            f"to the plain way: wall {ratios[0]:.2f}, CPU {ratios[1]:.2f}"
        )
    print(f"floor {FLOOR}, aim {AIM} (CPU)")
    print(
        f"waiting for batches: {100 * share:.1f} % of mobilenet_v2's step of {step:.2f} s; ", end=""
    )
    print(f"at most {100 * SHARE_FLOOR:.0f} %, aim {100 * SHARE_AIM:.0f} %")


if __name__ == "__main__":
    main()
