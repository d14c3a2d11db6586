"""How long DAZLE's steps wait for batches that come from the disk: the column ``waiting`` of its
history, with and without reading ahead.

Run: python benchmarks/waiting_share.py [--images 4000 --used 2400 --epochs 2 --folder FOLDER].
Features (n, 49, 2048) float16 of which each epoch reads ``used`` random images once (60 %: CUB's
training images are 7,057 of 11,788); nothing is held in RAM. One thread computes; freed memory is
kept, as in a job. The first epoch checks each block that it touches, all of its bytes, most of them
for its first batch, which nothing can be read ahead of; later ones read what they ask for. Cold:
the file is taken out of the page cache before every epoch. Warm: it stays there.
"""

import argparse
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import torch
from dazle_step import case
from random_batch import BATCH, CPU, evict, files_of, write_features
from torch import Tensor

from zslpipe.formats.features import FeatureFile
from zslpipe.machine.libraries import keep_freed_memory
from zslpipe.methods.dazle import Model
from zslpipe.runs import cached_inputs
from zslpipe.training.batches import random_batches
from zslpipe.training.contract import Classes, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, fit

AIM = 0.03  # ours: at most this share of an epoch


class AtOnce(cached_inputs.CachedInputs):
    """Inputs that read a batch when it is asked for."""

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield each batch, none read ahead."""
        return (self.take(rows) for rows in batches[start:])


CASES = (
    (AtOnce, True),
    (cached_inputs.CachedInputs, True),
    (cached_inputs.CachedInputs, False),
)


def tell_waiting(path: Path, kind: type, used: int, epochs: int, cold: bool) -> None:
    """Print the waiting share of each epoch of a training from a feature file."""
    file = FeatureFile(path)
    model = case()[0]
    numbers = torch.randperm(len(file.regions), generator=torch.Generator().manual_seed(0))[:used]
    evicted = list(files_of(path, path)) if cold else []

    def after_epoch(trained: Model, epoch: int) -> dict[str, float]:
        evict(evicted)
        return {}

    folder = Path(tempfile.mkdtemp(dir=path.parent))
    run = TrainingRun(0, CPU, folder, "benchmark", checkpoint_seconds=1e9, after_epoch=after_epoch)
    names = tuple(str(number) for number in range(len(model.seen)))
    classes = Classes(names, model.attributes, model.seen, ())
    labels = torch.arange(used) % int(model.seen.sum())
    data = TrainingData(kind(file, False, CPU), numbers, labels, classes, run)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4)
    if not cold:  # the case before may have taken it out
        FeatureFile(path).check(pooled=False)
    evict(evicted)
    fit(model, data, partial(random_batches, size=BATCH), Objective(model.loss, optimizer), epochs)
    told = " ".join(f"{row['waiting']:.4f} of {row['seconds']:.1f} s" for row in run.history)
    state = "cold" if cold else "warm"
    print(f"  {state} {kind.__name__:14} waiting by epoch: {told}", flush=True)


def main() -> None:
    """Train from both storages, with and without reading ahead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--used", type=int, default=2400)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    logging.disable()
    cached_inputs.SHARE_OF_FREE_MEMORY = 0.0
    for storage in ("hdf5", "zarr"):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            path = write_features(Path(name) / "x.h5", arguments.images, storage)
            print(f"{storage}, {arguments.images} images, {arguments.used} used")
            for kind, cold in CASES:
                tell_waiting(path, kind, arguments.used, arguments.epochs, cold)
    print(f"aim: at most {AIM} of an epoch")


if __name__ == "__main__":
    main()
