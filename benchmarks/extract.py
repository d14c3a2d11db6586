"""Extraction from end to end, images on disk to feature file, against its parts alone.

Run: python benchmarks/extract.py [--network resnet101 --images 96 --size 224 --rounds 3 --threads
2 --untold]. Random weights, rendered JPEGs of 500 x 375 in a temporary folder. Forms take turns in
one run; medians of wall clock and of the CPU time of all processes (steadier on a shared machine).
The eager network as torchvision gives it (NCHW); the same trunk folded and channels-last, what the
extraction runs; reading and decoding alone, in one process; the extraction; and its fixed cost, the
extraction of one image: building, hashing and folding the network, starting a reader, completing a
file. It comes once a dataset (as does the import of torch, which no form pays) and is left out of
the last shares. On a CPU readers and network share the cores: the limit is an image's reading and
forward pass one after the other, and what the extraction reaches of it is the honest measure.
``--untold`` runs all forms without what jobs tell the C libraries (zslpipe.machine.libraries):
memory that is freed goes back to the system, threads spin where they wait.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zslpipe.machine.libraries import keep_freed_memory, sleep_while_waiting

# OpenMP reads it when torch is imported.
if "--untold" not in sys.argv:
    sleep_while_waiting()

import numpy as np
import torch
import torchvision
from PIL import Image, ImageFilter
from torch import Tensor

from zslpipe.features.extraction import extract
from zslpipe.features.extractor import Extractor
from zslpipe.features.images import ImageFiles, normalise
from zslpipe.formats.index import Index
from zslpipe.networks.backbones import build_trunk, folded
from zslpipe.networks.imagenet import DEVIATION, MEAN

AIM = 0.95  # ours: the extraction's share of the rate that reading and the forward pass allow


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
    """Return an index of which the extraction reads no more than name and paths."""
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


def batches(count: int, size: int, batch_size: int) -> list[Tensor]:
    """Return ready batches, normalised floats."""
    pixels = torch.randint(256, (min(count, batch_size), 3, size, size), dtype=torch.uint8)
    mean, deviation = torch.tensor([MEAN, DEVIATION]).view(2, 1, 3, 1, 1)
    return [normalise(pixels, mean, deviation).contiguous()] * -(-count // batch_size)


def forward(trunk: torch.nn.Module, ready: list[Tensor]) -> None:
    """Pass ready batches through a trunk."""
    with torch.inference_mode():
        for batch in ready:
            trunk(batch)


def read(images: ImageFiles) -> None:
    """Read, decode and scale every image."""
    for row in range(len(images)):
        images.read(row)


def grid_of(network: str, size: int) -> int:
    """Return the side of the network's map."""
    with torch.inference_mode():
        return build_trunk(network, "random")(torch.zeros(1, 3, size, size)).shape[2]


def write_weights(network: str, size: int, path: Path) -> str:
    """Write random weights whose batch norms have one batch's statistics; without, values become
    denormals.
    """
    torch.manual_seed(0)
    whole = torchvision.models.get_model(network)
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        whole.train()(torch.randn(4, 3, size, size))
    torch.save(whole.state_dict(), path)
    return str(path)


def forms_of(
    network: str, size: int, count: int, folder: Path, workers: int, batch_size: int
) -> dict[str, Callable]:
    """Return what is timed, by name; every form treats ``count`` images in batches of
    ``batch_size``.
    """
    weights = write_weights(network, size, folder / "weights.pt")
    extractor = Extractor(
        network, network, weights, size, grid_of(network, size), 1, batch_size=batch_size
    )
    ready = batches(count, size, extractor.batch_size)
    channels_last = [ready[0].contiguous(memory_format=torch.channels_last)] * len(ready)
    eager, quick = build_trunk(network, weights), folded(build_trunk(network, weights))
    names = write_images(folder, count)
    index = index_of(names)
    images = ImageFiles(folder, index.paths, None, size)
    output, device = folder / "features.h5", torch.device("cpu")

    def extracted(listed: Index) -> None:
        """Extract all of it: of an earlier file the rows would be taken over."""
        output.unlink(missing_ok=True)
        extract(listed, folder, extractor, output, device, workers)

    return {
        "bare, eager NCHW": lambda: forward(eager, ready),
        "bare, folded channels-last": lambda: forward(quick, channels_last),
        "reading": lambda: read(images),
        "extraction": lambda: extracted(index),
        "fixed cost": lambda: extracted(index_of(names[:1])),
    }


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of the readers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def in_turns(forms: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
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


def report(seconds: dict[str, np.ndarray], images: int, threads: int) -> None:
    """Print rates of the forms, given their (wall, CPU) seconds for ``images``, and the share of
    the limit that the extraction reaches.
    """
    forward, reading = seconds["bare, folded channels-last"], seconds["reading"]
    one = (forward + reading) / images
    # What the one image itself takes is no fixed cost.
    fixed = seconds.pop("fixed cost") - one
    for name, value in seconds.items():
        wall, cpu = images / value
        print(f"{name:28} {wall:7.1f} images/s, {cpu:6.1f} a CPU second")
    eager = seconds["bare, eager NCHW"] / seconds["extraction"]
    print(f"extraction: {eager[0]:.2f} x eager (wall), {eager[1]:.2f} x (CPU)")
    # Reading alone ran in one process; on every core it takes its CPU time over their number.
    limit = forward + np.array([reading[1] / threads, reading[1]])
    wall, cpu = limit / (seconds["extraction"] - fixed)
    print(f"fixed cost {fixed[0]:.2f} s ({fixed[1]:.2f} s CPU), once a dataset; without it")
    print(f"share of 1 / (reading + forward), aim {AIM}: wall {wall:.2f}, CPU {cpu:.2f}")


def main() -> None:
    """Time the forms and print images per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet101")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--untold", action="store_true")
    arguments = parser.parse_args()
    if not arguments.untold:
        keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    workers = max(1, arguments.threads // 2)
    with tempfile.TemporaryDirectory() as folder:
        forms = forms_of(
            arguments.network,
            arguments.size,
            arguments.images,
            Path(folder),
            workers,
            arguments.batch_size,
        )
        seconds = in_turns(forms, arguments.rounds)
    print(f"{arguments.network} at {arguments.size} px, ", end="")
    print(f"{arguments.images} images in batches of {arguments.batch_size}")
    told = "as they are" if arguments.untold else "told to keep memory and to sleep"
    print(f"{arguments.threads} threads, {workers} readers, C libraries {told}")
    report(seconds, arguments.images, arguments.threads)


if __name__ == "__main__":
    main()
