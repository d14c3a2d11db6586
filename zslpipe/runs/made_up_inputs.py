"""Inputs as large as a dataset's, made up: what a run is rehearsed on before there are any."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.extents import Extent
from zslpipe.formats.index import Index
from zslpipe.machine.devices import Compute, device_of
from zslpipe.networks.backbones import described_trunk
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.runs.models import RunInputs

# Images of a class that follow each other (ours): a few of them are enough for an episode.
TOGETHER = 4
# Bytes of made-up features that are held; images beyond them have the same again (ours).
HELD_BYTES = 200_000_000


class MadeUpFeatures:
    """Features of ``shape`` that nobody extracted: (r, d) or (d,), float32 on ``device``, of as
    many images as are held, over and over.
    """

    at_once = 256  # as runs.cached_inputs

    def __init__(self, shape: tuple[int, ...], images: int, device: torch.device):
        self.shape, self.device = shape, device
        count = max(1, min(images, HELD_BYTES // (2 * int(np.prod(shape)))))
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand((count, *shape), generator=generator)
        self.held = drawn.half().to(device)

    def take(self, rows: Tensor) -> Tensor:
        """Return features for the images ``rows``."""
        return self.held.index_select(0, rows.to(self.device) % len(self.held)).float()

    def stream(
        self, batches: Sequence[Tensor], generator: torch.Generator | None = None, start: int = 0
    ) -> Iterator[Tensor]:
        """Yield ``take(rows)`` for each of ``batches`` from number ``start`` on."""
        return (self.take(rows) for rows in batches[start:])


def made_up_index(extent: Extent, semantics: str, pictures: Sequence[str]) -> Index:
    """Return an index of an extent's numbers of images and classes, whose class vectors are drawn;
    its images are ``pictures``, over and over.
    """
    generator = np.random.default_rng(0)
    classes = np.arange(extent.classes)
    seen, validation = classes < extent.seen, np.zeros(extent.classes, bool)
    validation[max(0, extent.seen - extent.validation) : extent.seen] = True
    of_split = {
        "train": classes[seen & ~validation],
        "val": classes[validation],
        "test_seen": classes[seen],
        "test_unseen": classes[~seen],
    }
    rows, labels, count = {}, [], 0
    for split, members in of_split.items():
        length = extent.splits[split] if len(members) else 0
        rows[split] = np.arange(count, count + length)
        labels.append(members[(np.arange(length) // TOGETHER) % max(1, len(members))])
        count += length
    rows["trainval"] = np.concatenate([rows["train"], rows["val"]])
    width = extent.vectors.get(semantics, extent.attributes)
    names = tuple(pictures[number % len(pictures)] for number in range(count)) if pictures else ()
    return Index(
        dataset="made_up",
        adapter="none",
        paths=names or tuple(map(str, range(count))),
        labels=np.concatenate(labels),
        class_names=tuple(f"class {number}" for number in classes),
        seen=seen,
        validation=validation,
        splits=rows,
        semantics={semantics: generator.uniform(0.1, 1, (extent.classes, width))},
        attribute_names=tuple(f"attribute {number}" for number in range(extent.attributes)),
        attribute_groups=("",) * extent.attributes,
        attribute_parts=np.zeros((extent.attributes, 0), bool),
    )


def made_up_run_inputs(
    spec: Mapping[str, Any], index: Index, shape: tuple[int, ...], root: Path, compute: Compute
) -> RunInputs:
    """Return what a run ``spec`` reads: made-up features of ``shape``, or for a run from images the
    index's pictures under ``root`` and its network with random weights.
    """
    device = device_of(compute)
    if spec["input"] != "images":
        features = MadeUpFeatures(shape, len(index.paths), device)
        return RunInputs(index, features, device, "made up")
    described = spec["trunk"]
    trunk = described_trunk(described, "random")
    # As runs.opening: on a CPU half of the cores decode and all compute.
    workers = compute.threads if device.type == "cuda" else compute.threads // 2
    size = described["size"]
    pictures = ImageInputs(root, index, size, trunk.mean, trunk.deviation, device, workers)
    return RunInputs(index, pictures, device, "made up", trunk)
