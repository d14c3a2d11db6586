"""Where the parts of an image are, and crops of them: SGMA's multi-attention and cropping subnets
(its eq. 1-4, 11).

Coordinates are cells of a map: where its first cell looks is 0, where the next one looks is 1. The
image's edges lie where the network's geometry puts them: at -1/2 and w - 1/2 where w columns are
equal tiles, at about 0 and w behind odd kernels of stride 2. A square is (x, y, side): its middle
and the length of its side, in cells. Axes beyond those of :mod:`zslpipe.training.contract`: m part
(a map, a square, a crop), k hidden.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from zslpipe.cell_centres import CellCentres

# Bias of the channel attention at its start (ours): sigmoid(+-2.2) is 0.9 and 0.1, where there is
# slope left.
START = 2.2
# Width of the channel-attention and the cropping networks (ours).
HIDDEN = 128
# A map goes from sigmoid(-CONTRAST / 2) to sigmoid(CONTRAST / 2) (ours: 0.007 to 0.993).
CONTRAST = 10.0
# Of the soft arg max (ours): where a map's stretched sum is 0.2 below its highest, exp(-6) of the
# weight.
SHARPNESS = 3.0
# Of what the cropping network says (ours), so that SGD moves squares a hundredth as fast: at 1 the
# first steps at a rate of 0.05 drive its tanh to the ends, where no slope is left.
CORRECTION = 0.1
# Images whose peaks are looked for at once (ours): 100 MB of 14x14 regions.
BLOCK = 256
# Deviation of an ideal map's Gaussian, as a share of the map's side (ours).
BLOB = 0.1


@runtime_checkable
class RegionsInParts(Protocol):
    """Regions (n, r, d) of which a slice is an array: an array, or rows on the disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class ChannelAttention(nn.Module):
    """Two maps of parts, sums of a network's channels whose weights two small networks give;
    ``clusters`` (d), 0 or 1, are the groups of channels that they started with.
    """

    clusters: Tensor

    def __init__(self, channels: int, cells: int):
        super().__init__()
        self.cells = cells
        self.W1 = nn.Parameter(torch.empty(2, HIDDEN, channels).normal_(0, (2 / channels) ** 0.5))
        self.W2 = nn.Parameter(torch.zeros(2, channels, HIDDEN))
        self.bias = nn.Parameter(torch.zeros(2, channels))
        self.register_buffer("clusters", torch.zeros(channels, dtype=torch.long))

    def start(self, clusters: Int[Tensor, " d"]) -> None:
        """Give each channel about weight 1 in its cluster's map and 0 in the other, eq. 11."""
        self.clusters.copy_(clusters)
        with torch.no_grad():
            self.bias.copy_(START * (2 * F.one_hot(self.clusters, 2).T - 1))

    def weights(self, regions: Float[Tensor, "b r d"]) -> Float[Tensor, "b m d"]:
        """Return a_i, eq. 1-2."""
        hidden = torch.einsum("bd,mkd->bmk", regions.mean(1), self.W1).relu()
        return torch.sigmoid(torch.einsum("bmk,mdk->bmd", hidden, self.W2) + self.bias)

    def forward(self, regions: Float[Tensor, "b r d"]) -> Float[Tensor, "b m h w"]:
        """Return the logits of M, eq. 3, stretched: from -CONTRAST / 2 to CONTRAST / 2 on every
        map.
        """
        summed = torch.einsum("bmd,brd->bmr", self.weights(regions), regions)
        lowest, highest = summed.amin(2, keepdim=True), summed.amax(2, keepdim=True)
        stretched = (summed - lowest) / (highest - lowest).clamp_min(1e-12)
        return CONTRAST * torch.unflatten(stretched - 0.5, 2, (self.cells, self.cells))

    def cluster_maps(self, regions: Float[Tensor, "b r d"]) -> Float[Tensor, "b m h w"]:
        """Return the mean response of each cluster's channels."""
        members = F.one_hot(self.clusters, 2).to(regions)
        maps = regions @ (members / members.sum(0).clamp_min(1))
        return torch.unflatten(maps.transpose(1, 2), 2, (self.cells, self.cells))


class Cropping(nn.Module):
    """A square around each map's peak, zoomed; ``side`` is its share of the image's, ``centres``
    where the maps' cells look.

    Where it is ``corrected``, a network that sees the map, and starts at no change, moves the
    square by at most half of its side and makes its side between half and twice as long.
    """

    def __init__(
        self,
        cells: int,
        centres: CellCentres,
        side: float,
        steepness: float,
        corrected: bool = False,
    ):
        super().__init__()
        self.centres, self.side, self.steepness = centres, side / centres.step, steepness
        self.correction = None
        if corrected:
            last = nn.Linear(HIDDEN, 3, bias=False)
            nn.init.zeros_(last.weight)
            self.correction = nn.Sequential(nn.Linear(cells**2, HIDDEN), nn.ReLU(), last)

    def squares(self, logits: Float[Tensor, "b m h w"]) -> Float[Tensor, "b m 3"]:
        """Return each map's square; ``logits`` are the maps before their sigmoid."""
        middles = soft_peaks(logits)
        sides = torch.full_like(middles[..., :1], self.side)
        if self.correction is not None:
            change = torch.tanh(CORRECTION * self.correction(logits.sigmoid().flatten(2)))
            middles = middles + self.side / 2 * change[..., :2]
            sides = (sides * 2 ** change[..., 2:]).clamp(max=1 / self.centres.step)
        return inside(torch.cat([middles, sides], dim=2), self.centres)

    def forward(
        self, images: Tensor, logits: Tensor, size: int
    ) -> Float[Tensor, "b m 3 size size"]:
        """Return the squares of ``images`` (b, 3, h, w) at ``size`` x ``size`` pixels."""
        return zoomed(images, self.squares(logits), self.centres, size, self.steepness)


def channel_peaks(regions: Float[Tensor, "n r d"]) -> Float[Tensor, "n d 2"]:
    """Return x and y of each channel's highest response; where a channel is constant, the mean of
    the others.
    """
    cells = math.isqrt(regions.shape[1])
    highest, place = regions.max(1)
    varies = (highest > regions.amin(1)).unsqueeze(2)
    peaks = torch.stack([place % cells, place // cells], dim=2).to(regions)
    means = (peaks * varies).sum(1, keepdim=True) / varies.sum(1, keepdim=True).clamp_min(1)
    return torch.where(varies, peaks, means)


def channel_clusters(regions: RegionsInParts, seed: int) -> Int[Tensor, " d"]:
    """Return the k-means cluster of each channel as described by its peaks in all images: 0 is the
    one higher up.

    ``regions`` (n, r, d) may lie on the disk: they are read in blocks.
    """
    # Here: it takes half as long as torch to import, and only a training comes this far.
    from sklearn.cluster import KMeans

    found = []
    for start in range(0, len(regions), BLOCK):
        block = regions[start : start + BLOCK]
        found.append(channel_peaks(torch.from_numpy(block).float()))
    peaks = torch.cat(found)
    described = peaks.transpose(0, 1).flatten(1).numpy()
    numbers = KMeans(2, n_init=10, random_state=seed).fit_predict(described)
    heights = [peaks[:, numbers == number, 1].mean() for number in (0, 1)]
    return torch.from_numpy(numbers != int(heights[1] < heights[0])).long()


def soft_peaks(
    logits: Float[Tensor, "b m h w"], sharpness: float = SHARPNESS
) -> Float[Tensor, "b m 2"]:
    """Return x and y of each map's peak: the mean position under softmax(sharpness * logits)."""
    height, width = logits.shape[2:]
    weights = (sharpness * logits).flatten(2).softmax(2).view(logits.shape)
    columns = torch.arange(width, device=weights.device).to(weights)
    rows = torch.arange(height, device=weights.device).to(weights)
    return torch.stack([weights.sum(2) @ columns, weights.sum(3) @ rows], dim=2)


def blobs(maps: Float[Tensor, "b m h w"]) -> Float[Tensor, "b m h w"]:
    """Return a Gaussian of height 1 around the highest value of each map, its deviation BLOB times
    the map's width.
    """
    height, width = maps.shape[2:]
    place = maps.flatten(2).argmax(2, keepdim=True)
    columns = torch.arange(width, device=maps.device) - place % width
    rows = torch.arange(height, device=maps.device) - place // width
    squared = (rows.unsqueeze(3) ** 2 + columns.unsqueeze(2) ** 2).to(maps)
    return torch.exp(-squared / (2 * (BLOB * width) ** 2))


def inside(squares: Float[Tensor, "b m 3"], centres: CellCentres) -> Float[Tensor, "b m 3"]:
    """Return ``squares`` moved as little as needed for them to lie within the image."""
    middles, sides = squares.split([2, 1], dim=2)
    left, right = -centres.first / centres.step, (1 - centres.first) / centres.step
    lowest, highest = left + sides / 2, right - sides / 2
    return torch.cat([middles.maximum(lowest).minimum(highest), sides], dim=2)


def boxcar(offsets: Tensor, side: Tensor, steepness: float) -> Tensor:
    """Return f(offset + side / 2) - f(offset - side / 2) with f(x) = 1 / (1 + exp(-steepness x)):
    one axis of the mask, about 1 where a point is nearer than half a side to the square's middle,
    about 0 beyond (RA-CNN, Fu et al. 2017).
    """
    return torch.sigmoid(steepness * (offsets + side / 2)) - torch.sigmoid(
        steepness * (offsets - side / 2)
    )


def zoomed(
    images: Float[Tensor, "b 3 h w"],
    squares: Float[Tensor, "b m 3"],
    centres: CellCentres,
    size: int,
    steepness: float,
) -> Float[Tensor, "b m 3 size size"]:
    """Return ``squares`` of square ``images`` at ``size`` x ``size`` pixels, masked by the product
    of both boxcars.

    One bilinear sampling takes all squares of an image, whose pixels are not copied. The mask is
    taken at the sampled points. Pixels beyond the image's edge are those of the edge.
    """
    steps = (torch.arange(size, device=squares.device).to(squares) + 0.5) / size - 0.5
    x, y, side = squares.unsqueeze(3).unbind(2)
    offsets = side * steps  # (b, m, size)
    shape = (*offsets.shape, size)
    columns = (x + offsets).unsqueeze(2).expand(shape)
    rows = (y + offsets).unsqueeze(3).expand(shape)
    # In grid_sample's coordinates the image spans -1 to 1.
    grid = 2 * (centres.first + centres.step * torch.stack([columns, rows], dim=4)) - 1
    pixels = F.grid_sample(images, grid.flatten(1, 2), padding_mode="border", align_corners=False)
    mask = boxcar(offsets, side, steepness)
    mask = mask.unsqueeze(3) * mask.unsqueeze(2)
    crops = torch.unflatten(pixels, 2, (-1, size)).transpose(1, 2)
    return crops * mask.unsqueeze(2)
