"""Random batches of 50 from a feature file larger than the memory that a job may have: a control
group (version 1, made and removed here; needs root) limits it, as SLURM does.

Run: python benchmarks/small_memory.py [--images 16000 --limit-mb 1000 --epochs 2 --folder FOLDER].
Features (n, 49, 2048) float16: 16,000 are 3.2 GB. For each twentieth of an epoch: batches a second,
the process's own memory (RssAnon) and the group's, pages of the file included, in MB.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.runs.cached_inputs import CachedInputs

BATCH, REGIONS, WIDTH = 50, 49, 2048
TOLD = 20  # lines an epoch
MEGABYTE = 1_000_000
GROUPS = Path("/sys/fs/cgroup/memory")


def write_features(path: Path, count: int) -> None:
    """Write a feature file whose blocks hold the same random half-zero values."""
    shapes = {"regions": ((count, REGIONS, WIDTH), "float16")}
    writer = BlockWriter(path.parent / "work", shapes, {"extractor": "benchmark"})
    block = np.random.default_rng(0).standard_normal((BLOCK, REGIONS, WIDTH), np.float32)
    block = block.clip(0).astype(np.float16)
    for number in range(-(-count // BLOCK)):
        writer.write(number, {"regions": block[: min(BLOCK, count - number * BLOCK)]})
    writer.finish(path)


@contextmanager
def limited(size: int) -> Iterator[Path]:
    """Yield a new control group of ``size`` bytes, this process in it."""
    group, own = GROUPS / f"zslpipe-{os.getpid()}", str(os.getpid())
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(size))
        (group / "cgroup.procs").write_text(own)
        yield group
    finally:
        (GROUPS / "cgroup.procs").write_text(own)
        group.rmdir()


def forget(path: Path) -> None:
    """Take a file's pages out of the page cache, where they count for whoever wrote them: what is
    read again counts for the group.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def own_memory() -> int:
    """Return this process's bytes that are no pages of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def read_epochs(path: Path, epochs: int, group: Path) -> None:
    """Read epochs in random order and print a line for each twentieth."""
    inputs = CachedInputs(FeatureFile(path), False, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for epoch in range(1, epochs + 1):
        batches = torch.randperm(len(inputs.rows), generator=generator).split(BATCH)
        step, began = max(1, len(batches) // TOLD), time.perf_counter()
        for number, _ in enumerate(inputs.stream(batches), 1):
            if number % step == 0:
                now = time.perf_counter()
                used = int((group / "memory.usage_in_bytes").read_text()) / MEGABYTE
                own = own_memory() / MEGABYTE
                rate = step / (now - began)
                print(
                    f"epoch {epoch} batch {number}: {rate:7.1f}/s own {own:5.0f} group {used:5.0f}",
                    flush=True,
                )
                began = now


def main() -> None:
    """Write the file, enter the group, read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16_000)
    parser.add_argument("--limit-mb", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        path = folder / "features.h5"
        write_features(path, given.images)
        forget(path)
        print(f"{path.stat().st_size / MEGABYTE:.0f} MB, limit {given.limit_mb} MB", flush=True)
        with limited(given.limit_mb * MEGABYTE) as group:
            read_epochs(path, given.epochs, group)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
