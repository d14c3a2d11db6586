"""A random batch of 50 from the feature cache through CachedInputs, of both storages, against
np.memmap's own take of the same bytes.

Run: python benchmarks/random_batch.py [--images 2000 --rounds 200 --cold 20 --folder FOLDER].
Features (n, 49, 2048) float16. Warm: all in the page cache, CPU time of one thread, forms in turns;
freed memory is kept, as in a job (zslpipe.machine.libraries), by all forms.
Cold: the files of a form are taken out of the page cache before each batch, nothing else's; wall
time. CachedInputs ends in float32, so that the take is shown with its cast. Blocks are checked
beforehand, as they are once in a job. ``zarr's own`` is zarr-python's indexing of the same store,
for programs that know nothing of this one.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
import torch
import zarr
from torch import Tensor

from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import BLOCK, FeatureFile, store_beside
from zslpipe.machine.libraries import keep_freed_memory
from zslpipe.runs import cached_inputs

BATCH, REGIONS, WIDTH = 50, 49, 2048
FLOOR, AIM = 1.5, 1.15  # ours: at most this many times the take with its cast
BASE = "np.memmap take, cast"
ZARR_ROUNDS = 5  # its batches take seconds
CPU = torch.device("cpu")
Form = Callable[[Tensor], object]


def write_features(path: Path, count: int, storage: str) -> Path:
    """Write a feature file of random half-zero values."""
    shapes = {"regions": ((count, REGIONS, WIDTH), "float16")}
    writer = BlockWriter(path.parent / "work", shapes, {"extractor": "benchmark"}, storage=storage)
    generator = np.random.default_rng(0)
    for block in range(-(-count // BLOCK)):
        rows = min(BLOCK, count - block * BLOCK)
        regions = generator.standard_normal((rows, REGIONS, WIDTH), np.float32).clip(0)
        writer.write(block, {"regions": regions})
    writer.finish(path)
    return path


def opened(path: Path, share: float) -> cached_inputs.CachedInputs:
    """Return the checked inputs of a feature file, held in RAM where ``share`` is above 0."""
    cached_inputs.SHARE_OF_FREE_MEMORY = share
    file = FeatureFile(path)
    file.check(pooled=False)
    return cached_inputs.CachedInputs(file, False, CPU)


def memmap_of(path: Path) -> np.memmap:
    """Return a memory map of the regions of an HDF5 file."""
    slab = FeatureFile(path).slabs["regions"]
    return np.memmap(path, slab.dtype, "r", slab.offset, slab.shape)


def warm_forms(hdf5: Path, store: Path) -> dict[str, Form]:
    """Return what is timed with everything in the page cache, by name."""
    raw = memmap_of(hdf5)

    def taken(rows: Tensor) -> np.ndarray:
        return raw.take(rows.numpy(), axis=0)

    return {
        "np.memmap take": taken,
        BASE: lambda rows: torch.from_numpy(taken(rows)).float(),
        "CachedInputs, HDF5": opened(hdf5, 0.0).take,
        "CachedInputs, zarr": opened(store, 0.0).take,
        "CachedInputs, held in RAM": opened(hdf5, 0.5).take,
    }


def cold_forms(hdf5: Path, store: Path) -> dict[str, Form]:
    """Return what is timed from the disk: a map is made anew, or its pages would stay."""
    slab = FeatureFile(hdf5).slabs["regions"]

    def mapped(rows: Tensor) -> Tensor:
        raw = np.memmap(hdf5, slab.dtype, "r", slab.offset, slab.shape)
        return torch.from_numpy(raw.take(rows.numpy(), axis=0)).float()

    return {
        BASE: mapped,
        "CachedInputs, HDF5": opened(hdf5, 0.0).take,
        "CachedInputs, zarr": opened(store, 0.0).take,
    }


def files_of(hdf5: Path, store: Path) -> Iterator[Path]:
    """Yield every file that holds features."""
    yield hdf5
    yield from (path for path in store_beside(store).rglob("*") if path.is_file())


def evict(paths: list[Path]) -> None:
    """Take files out of the page cache."""
    for path in paths:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(
    forms: dict[str, Form], count: int, rounds: int, clock: Callable[[], float], evicted: list[Path]
) -> dict[str, float]:
    """Return the median seconds of each form, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            rows = torch.randint(count, (BATCH,))
            evict(evicted)
            start = clock()
            form(rows)
            seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def shown(title: str, medians: dict[str, float]) -> None:
    """Print medians and ratios."""
    print(title)
    for name, value in medians.items():
        ratio = value / medians[BASE]
        print(f"  {name:28} {1e3 * value:8.2f} ms  {ratio:6.2f} of memmap's take and cast")


def main() -> None:
    """Time the forms in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--cold", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    count = arguments.images
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        hdf5 = write_features(Path(name) / "plain.h5", count, "hdf5")
        store = write_features(Path(name) / "stored.h5", count, "zarr")
        warm = timed(warm_forms(hdf5, store), count, arguments.rounds, time.process_time, [])
        shown("warm, CPU time", warm)
        array = zarr.open_group(store_beside(store), mode="r")["regions"]
        own = {"zarr's own": lambda rows: array.oindex[rows.sort().values.numpy()]}
        medians = timed(own, count, ZARR_ROUNDS, time.process_time, [])
        shown("zarr's own indexing, warm", {BASE: warm[BASE], **medians})
        if arguments.cold:
            evicted = list(files_of(hdf5, store))
            forms = cold_forms(hdf5, store)
            cold = timed(forms, count, arguments.cold, time.monotonic, evicted)
            shown("cold, wall time", cold)
    print(f"at most {FLOOR}, aim {AIM}")


if __name__ == "__main__":
    main()
