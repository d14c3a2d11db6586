"""Batches of image files through a network: what FEATURES_VERSION stands for, beside decoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from zslpipe.features.images import ImageFiles, normalise
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import obey_parent_only
from zslpipe.networks.backbones import Trunk


class _Files(Dataset[tuple[Tensor, str, str]]):
    """Image files as (square, what is wrong, digest of the contents in hexadecimal): 64 bits are
    more than torch's integers hold.
    """

    def __init__(self, images: ImageFiles):
        self.images = images

    def __getitem__(self, row: int) -> tuple[Tensor, str, str]:
        pixels, text, digest = self.images.read(row)
        return pixels, text, f"{digest:x}"


def _as_decoded(
    images: Sequence[tuple[Tensor, str, str]],
) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]]:
    """Return images as a batch (b, 3, size, size) that lies in memory as decoders leave pixels, the
    channels last: neither stacking nor normalising turns it.
    """
    squares, texts, digests = zip(*images, strict=True)
    rows = default_collate([square.permute(1, 2, 0) for square in squares])
    return rows.permute(0, 3, 1, 2), texts, digests


def batch_loader(
    images: ImageFiles, batches: list[list[int]], workers: int, device: torch.device
) -> DataLoader[tuple[Tensor, str, str]]:
    """Return a loader of (uint8 images, error texts, digests) over the given batches of image
    numbers.
    """
    return DataLoader(
        _Files(images),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_decoded,
        pin_memory=device.type == "cuda",
        worker_init_fn=obey_parent_only,
    )


@dataclass(frozen=True)
class Mapped:
    """What one batch gives: float16 regions, and in float32 their mean or what else describes whole
    images, on a device, and digests.
    """

    regions: Tensor
    pooled: Tensor
    contents: np.ndarray


def map_batch(
    trunk: Trunk, pixels: Tensor, digests: Sequence[str], dtype: torch.dtype, device: torch.device
) -> Mapped:
    """Send (b, 3, size, size) uint8 images through the network, by autocast to ``dtype`` where that
    is not float32.
    """
    batch = normalise(pixels.to(device, non_blocking=True), trunk.mean, trunk.deviation)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        maps, whole = trunk.features(batch)
    # A channels-last map is region-major in memory already: no transpose happens here.
    regions = maps.float().permute(0, 2, 3, 1).flatten(1, 2)
    pooled = regions.mean(1) if whole is None else whole.float()
    contents = np.array([int(digest, 16) for digest in digests], np.uint64)
    return Mapped(regions.half(), pooled, contents)


def known(arrays: Mapping[str, np.ndarray], device: torch.device) -> Mapped:
    """Return a batch of an earlier file as if it had been computed."""
    regions, pooled = (torch.from_numpy(arrays[name]).to(device) for name in ("regions", "pooled"))
    return Mapped(regions, pooled, arrays["contents"])


def block_arrays(mapped: Sequence[Mapped], extractor: str) -> dict[str, np.ndarray]:
    """Return what a block writes, from its batches; raises InputError for values float16 cannot
    hold, and where what describes whole images is no number.
    """
    regions = torch.cat([batch.regions for batch in mapped])
    pooled = torch.cat([batch.pooled for batch in mapped])
    # The lowest and the highest are NaN where any value is (twenty times as fast as isfinite).
    extremes = [torch.stack(torch.aminmax(part)).float() for part in (regions, pooled)]
    if not torch.isfinite(torch.cat(extremes)).all():
        raise InputError(
            f"extractor {extractor!r} gives features that are NaN or too large for float16; "
            "try dtype float32 or other weights"
        )
    return {
        "regions": regions.cpu().numpy(),
        "pooled": pooled.cpu().numpy(),
        "contents": np.concatenate([batch.contents for batch in mapped]),
    }
