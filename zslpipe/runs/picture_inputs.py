"""Pictures that no dataset lists as a method's inputs: decoded, resized and cut as an extraction
does it; for a run on cached features then through the network that made them, and rounded to
float16 where the cache's are.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from zslpipe.features.images import ImageFiles, normalise
from zslpipe.features.mapper import batch_loader, map_batch
from zslpipe.machine.interruption import started
from zslpipe.machine.progress import ProgressLines
from zslpipe.networks.backbones import folded
from zslpipe.runs.trained import Trained

BATCH = 32  # ours: images at once, as an extraction and a scoring from images take them


@dataclass(frozen=True, eq=False)
class Read:
    """A batch of pictures: ``pixels`` (b, 3, size, size) uint8 and ``inputs`` of those that can be
    read, at ``places`` in the list; what is wrong with the others, by place.
    """

    places: list[int]
    pixels: Tensor
    inputs: Tensor
    faults: dict[int, str]


class PictureInputs:
    """Reads pictures for the run ``trained``, decoded by ``workers`` processes beside this one (0:
    by this one), as inputs on ``device``.
    """

    def __init__(self, trained: Trained, device: torch.device, workers: int):
        self.trained, self.device, self.workers = trained, device, workers
        network = trained.trunk
        # Of a copy: folding changes a network's modules.
        self.trunk = None if network is None else folded(copy.deepcopy(network)).to(device)
        self.mean, self.deviation = (tensor.to(device) for tensor in trained.normalisation)

    def stream(self, images: Sequence[Path], told: bool = True) -> Iterator[Read]:
        """Yield the pictures batch by batch, in order, with a bar in a terminal and a line a minute
        elsewhere, unless these are not to be ``told``.
        """
        if not images:
            return
        size = int(self.trained.extractor["size"])
        files = ImageFiles(Path(), [str(path) for path in images], None, size)
        batches = [part.tolist() for part in torch.arange(len(images)).split(BATCH)]
        # One batch is decoded here: a process takes longer to start.
        workers = min(self.workers, len(batches) - 1)
        lines = ProgressLines(self.trained.name, "images", len(images))
        silent = None if told else True  # None: where there is no terminal
        with tqdm(total=len(images), unit="image", disable=silent, mininterval=1.0) as bar:
            loader = started(batch_loader(files, batches, workers, self.device))
            for places, (pixels, texts, digests) in zip(batches, loader, strict=True):
                faults = {}
                for place, text in zip(places, texts, strict=True):
                    if text:  # "path (reason)"
                        faults[place] = text.removeprefix(f"{images[place]} (").removesuffix(")")
                whole = [number for number, text in enumerate(texts) if not text]
                kept, hashes = pixels[whole], [digests[number] for number in whole]
                listed = [places[number] for number in whole]
                yield Read(listed, kept, self._inputs(kept, hashes), faults)
                bar.update(len(places))
                if told:
                    lines.tell(places[-1] + 1)

    @torch.inference_mode()
    def _inputs(self, pixels: Tensor, digests: Sequence[str]) -> Tensor:
        """Return the inputs of (b, 3, size, size) uint8 images."""
        if not len(pixels):
            return torch.empty(0)
        if self.trunk is None:
            return normalise(pixels.to(self.device), self.mean, self.deviation)
        cache = self.trained.extractor
        dtype = getattr(torch, cache.get("dtype", "float32"))
        if self.device.type == "cpu":  # as in an extraction
            dtype = torch.float32
        mapped = map_batch(self.trunk, pixels, digests, dtype, self.device)
        if self.trained.spec["input"] == "regions":
            return mapped.regions.float()
        return mapped.pooled
