"""Images as a method's inputs: read again whenever they are needed, by processes that work ahead;
nothing is kept.

Workers decode, resize and cut out bytes; the device flips and normalises them. All random numbers
of an epoch are drawn beforehand and travel with the row numbers, so that neither the number of
workers nor an interruption changes a pixel.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from zslpipe.features.images import ImageFiles, normalise
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import obey_parent_only, started
from zslpipe.networks.backbones import Trunk, described_trunk, state_hash

# While training the shorter side is this much longer than the crop (family: 512 px for crops of
# 448).
ROOM_TO_CROP = 512 / 448
# Batches that each worker has ready at most (torch's default): bounds the memory of waiting
# batches.
AHEAD = 2
# Row, share of the room above a crop and share of the room to its left, both in [0, 1).
Key = tuple[int, float, float]


def open_images(
    described: Mapping[str, Any],
    weights: Path | None,
    root: Path,
    index: Index,
    device: torch.device,
    workers: int,
) -> tuple["ImageInputs", Trunk, str]:
    """Return images as inputs, the pretrained network that a run trains on them, and a hash of its
    weights.

    ``described`` is an extractor's section; ``weights`` the file of the network's weights, None
    where the section names weights of the library. Raises InputError where there are no such
    weights.
    """
    named = str(weights or described["weights"])
    trunk = described_trunk(described, named)
    size = described["size"]
    inputs = ImageInputs(root, index, size, trunk.mean, trunk.deviation, device, workers)
    return inputs, trunk, state_hash(trunk)


def network_hash(described: Mapping[str, Any], weights: Path) -> str:
    """Return the hash of the network that an extractor's section describes with the weights of a
    file, as an extraction stamps it: whatever else lies in the file.
    """
    return state_hash(described_trunk(described, str(weights)))


class _Crops(Dataset[tuple[Tensor, str]]):
    """Crops of image files."""

    def __init__(self, files: ImageFiles, size: int):
        self.files, self.size = files, size

    def __getitem__(self, key: Key) -> tuple[Tensor, str]:
        """Return (size, size, 3) uint8 and an empty text, or zeros and what is wrong with the
        file.
        """
        row, above, left = key
        image, fault = self.files[row]
        height, width = image.shape[-2:]
        top, start = int(above * (height - self.size + 1)), int(left * (width - self.size + 1))
        # Channels last, as Pillow decodes and as networks compute: no transpose on the way.
        return functional.crop(image, top, start, self.size, self.size).permute(1, 2, 0), fault


class ImageInputs:
    """Images of an index, (b, 3, size, size) float32 channels-last on ``device``, normalised as a
    network expects.

    Test view: the square of :func:`zslpipe.features.images.square`, which extraction reads too.
    Training view, where a generator is given: shorter side to ROOM_TO_CROP x size, a random crop of
    size x size, every second image mirrored.
    """

    at_once = 32  # ours: what an extraction passes at once

    def __init__(
        self,
        root: Path,
        index: Index,
        size: int,
        mean: Tensor,
        deviation: Tensor,
        device: torch.device,
        workers: int,
    ):
        self.root, self.device, self.workers = root, device, workers
        self.shape = (3, size, size)
        self.mean, self.deviation = mean.to(device), deviation.to(device)
        self.squares = ImageFiles(root, index.paths, index.boxes, size)
        self.larger = ImageFiles(root, index.paths, index.boxes, size)
        self.larger.transform = v2.Compose([v2.Resize(round(size * ROOM_TO_CROP), antialias=True)])

    def take(self, rows: Tensor) -> Tensor:
        """Return the test view of the images ``rows`` (numbers in the index); raises InputError as
        ``stream`` does.
        """
        keys: list[Key] = [(row, 0.0, 0.0) for row in rows.tolist()]
        return next(self._read(self.squares, [keys], None, 0))

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield the images of each of ``batches`` (rows) from number ``start`` on: the training
        view where a ``generator`` is given, else the test view.

        The generator gives three numbers an image of the whole epoch at once, whatever ``start``.
        Raises InputError where images of a batch cannot be read (all of them counted, the first
        five named).
        """
        lengths = [len(rows) for rows in batches]
        shape = (sum(lengths), 3)
        draws = torch.zeros(shape) if generator is None else torch.rand(shape, generator=generator)
        parts = draws.split(lengths)[start:]
        keys = [_keys(rows, part) for rows, part in zip(batches[start:], parts, strict=True)]
        if generator is None:
            return self._read(self.squares, keys, None, self.workers)
        mirrored = [(part[:, 2] < 0.5).nonzero()[:, 0].to(self.device) for part in parts]
        return self._read(self.larger, keys, mirrored, self.workers)

    def _read(
        self,
        files: ImageFiles,
        batches: list[list[Key]],
        mirrored: Sequence[Tensor] | None,
        workers: int,
    ) -> Iterator[Tensor]:
        """Yield each batch of keys as images on the device; ``mirrored``: places in each batch."""
        loader = self._loader(files, batches, min(workers, len(batches)))
        for number, (pixels, faults) in enumerate(started(loader)):
            self._refuse(list(filter(None, faults)), len(faults))
            images = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
            if mirrored is not None:
                # Numbers, not a mask: a GPU would have to wait for its count, and torch.where is
                # slow on a CPU.
                images[mirrored[number]] = functional.horizontal_flip(images[mirrored[number]])
            yield normalise(images, self.mean, self.deviation)

    def _loader(
        self, files: ImageFiles, batches: list[list[Key]], workers: int
    ) -> DataLoader[tuple[Tensor, str]]:
        """Return a loader of ((b, size, size, 3) uint8, texts of what is wrong) over the batches of
        keys.
        """
        # Where a server starts the workers (Python's default from 3.14 on) it imports this once,
        # not each of them.
        multiprocessing.set_forkserver_preload([__name__])
        return DataLoader(
            _Crops(files, self.shape[1]),
            batch_sampler=batches,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=obey_parent_only,
            # Without one of its own a loader draws from the global generator: a resumed epoch would
            # differ.
            generator=torch.Generator(),
        )

    def _refuse(self, faults: list[str], count: int) -> None:
        """Raise InputError where there are ``faults`` among ``count`` images."""
        if faults:
            raise InputError(
                f"{len(faults)} of {count} images of a batch cannot be read under {self.root}: "
                f"{'; '.join(faults[:5])}; put whole files there and run again"
            )


def _keys(rows: Tensor, draws: Tensor) -> list[Key]:
    """Return each row with the first two of its three draws."""
    above, left = draws[:, :2].T.tolist()
    return list(zip(rows.tolist(), above, left, strict=True))
