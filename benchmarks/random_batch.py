"""A random batch of 50 from the feature file through CachedInputs, against np.memmap's own take.

Run: python benchmarks/random_batch.py [--images 2000 --rounds 200]. Features (n, 49, 2048) float16,
all in the page cache; CPU time of one thread, medians, forms in turns. CachedInputs ends in
float32, so that the take is shown with and without the cast.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.features import BLOCK, BlockWriter, FeatureFile
from zslpipe.runs import cached_inputs

BATCH, REGIONS, WIDTH = 50, 49, 2048
FLOOR, AIM = 1.5, 1.15  # ours: at most this many times the take with its cast


def write_features(folder: Path, count: int) -> Path:
    """Write a feature file of random half-zero values."""
    shapes = {"regions": ((count, REGIONS, WIDTH), "float16")}
    writer = BlockWriter(folder / "work", shapes, {"extractor": "benchmark"})
    generator = np.random.default_rng(0)
    for block in range(-(-count // BLOCK)):
        rows = min(BLOCK, count - block * BLOCK)
        regions = generator.standard_normal((rows, REGIONS, WIDTH), np.float32).clip(0)
        writer.write(block, {"regions": regions})
    writer.finish(folder / "features.h5")
    return folder / "features.h5"


def forms_of(path: Path) -> dict[str, Callable[[Tensor], object]]:
    """Return what is timed, by name."""
    device, file = torch.device("cpu"), FeatureFile(path)
    held = cached_inputs.CachedInputs(file, False, device)
    cached_inputs.SHARE_OF_FREE_MEMORY = 0.0
    mapped = cached_inputs.CachedInputs(file, False, device)
    raw = file.maps(pooled=False)

    def taken(rows: Tensor) -> np.ndarray:
        return raw.take(rows.numpy(), axis=0)

    return {
        "np.memmap take": taken,
        "np.memmap take, cast": lambda rows: torch.from_numpy(taken(rows)).float(),
        "CachedInputs, memory map": mapped.take,
        "CachedInputs, held in RAM": held.take,
    }


def main() -> None:
    """Time the forms in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        forms = forms_of(write_features(Path(folder), arguments.images))
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(arguments.rounds):
            for name, form in forms.items():
                rows = torch.randint(arguments.images, (BATCH,))
                start = time.process_time()
                form(rows)
                seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["np.memmap take, cast"]
    for name, value in medians.items():
        print(f"{name:28} {1e3 * value:7.2f} ms  {value / base:5.2f} of take and cast")
    print(f"at most {FLOOR}, aim {AIM}")


if __name__ == "__main__":
    main()
