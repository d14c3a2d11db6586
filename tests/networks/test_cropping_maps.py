"""Maps of parts, their channels and peaks, against loops over images and maps, in float64."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from zslpipe.networks.cropping import (
    START,
    ChannelAttention,
    blobs,
    channel_clusters,
    channel_peaks,
    inside,
    soft_peaks,
)

torch.set_num_threads(1)
IMAGES, PARTS, CELLS, CHANNELS = 3, 2, 4, 6


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def product(first: Iterable[float], second: Iterable[float]) -> float:
    """Return the inner product of two rows of numbers."""
    return sum(float(one) * float(other) for one, other in zip(first, second, strict=True))


def attention_of(seed: int = 0) -> ChannelAttention:
    """Return a channel attention in which every weight is random."""
    attention = ChannelAttention(CHANNELS, CELLS).double()
    for number, parameter in enumerate(attention.parameters()):
        parameter.data.copy_(random(*parameter.shape, seed=seed + number))
    return attention


def test_channel_weights_and_maps_are_equations_1_to_3():
    attention, regions = attention_of(), random(IMAGES, CELLS**2, CHANNELS).relu()
    logits = attention(regions)
    found = attention.weights(regions)
    for image in range(IMAGES):
        p = [sum(channel) / CELLS**2 for channel in regions[image].T.tolist()]
        for part in range(PARTS):
            hidden = [max(0.0, product(row, p)) for row in attention.W1[part].tolist()]
            rows, biases = attention.W2[part].tolist(), attention.bias[part].tolist()
            weights = []
            for row, bias in zip(rows, biases, strict=True):
                weights.append(logistic(product(row, hidden) + bias))
            assert found[image, part].tolist() == pytest.approx(weights, abs=1e-12)
            summed = [product(weights, features) for features in regions[image].tolist()]
            low, high = min(summed), max(summed)
            expected = [10 * ((value - low) / (high - low) - 0.5) for value in summed]
            assert logits[image, part].flatten().tolist() == pytest.approx(expected, abs=1e-10)


def test_shapes_in_signatures_are_checked():
    with pytest.raises(TypeCheckError):
        soft_peaks(random(PARTS, CELLS, CELLS))
    with pytest.raises(TypeCheckError):
        inside(random(IMAGES, PARTS, 2), CELLS)


def test_the_attention_starts_at_the_indicators_of_the_clusters():
    attention = ChannelAttention(CHANNELS, CELLS).double()
    regions = random(IMAGES, CELLS**2, CHANNELS)
    clusters = torch.tensor([0, 1, 1, 0, 1, 0])
    attention.start(clusters)
    high, low = logistic(START), logistic(-START)
    expected = torch.tensor(
        [[high, low, low, high, low, high], [low, high, high, low, high, low]]
    ).double()
    torch.testing.assert_close(attention.weights(regions), expected.expand(IMAGES, -1, -1))
    assert (round(high, 2), round(low, 2)) == (0.9, 0.1)


def test_maps_at_the_start_follow_neither_scale_nor_offset_of_the_features():
    attention = ChannelAttention(CHANNELS, CELLS).double()
    regions = random(IMAGES, CELLS**2, CHANNELS)
    attention.start(torch.tensor([0, 1, 1, 0, 1, 0]))
    torch.testing.assert_close(attention(7 * regions + 3), attention(regions))


def test_a_constant_map_gives_finite_logits_and_gradients():
    attention, regions = attention_of(), torch.zeros(1, CELLS**2, CHANNELS).double()
    logits = attention(regions)
    logits.sum().backward()
    assert torch.equal(logits, torch.full_like(logits, -5))
    assert all(torch.isfinite(parameter.grad).all() for parameter in attention.parameters())


def test_cluster_maps_are_mean_responses():
    attention, regions = attention_of(), random(IMAGES, CELLS**2, CHANNELS)
    clusters = [0, 1, 1, 1, 0, 1]
    attention.start(torch.tensor(clusters))
    maps = attention.cluster_maps(regions)
    for part in range(PARTS):
        members = [channel for channel in range(CHANNELS) if clusters[channel] == part]
        expected = sum(regions[:, :, channel] for channel in members) / len(members)
        torch.testing.assert_close(maps[:, part].flatten(1), expected)


def test_channel_peaks_are_found_where_a_channel_varies():
    regions = torch.zeros(2, CELLS**2, 3).double()
    regions[0, 5, 0] = 2.0  # x 1, y 1
    regions[0, 14, 1] = 3.0  # x 2, y 3
    regions[1, :, 1] = 4.0  # constant, not zero
    regions[1, 3, 2] = -1.0  # the highest is the first of the zeros: x 0, y 0
    expected = [[[1, 1], [2, 3], [1.5, 2]], [[0, 0], [0, 0], [0, 0]]]
    assert channel_peaks(regions).tolist() == expected
    assert channel_peaks(torch.ones(1, CELLS**2, 2)).tolist() == [[[0, 0], [0, 0]]]


def test_channel_peaks_equal_a_loop():
    regions = random(IMAGES, CELLS**2, CHANNELS, seed=4)
    peaks = channel_peaks(regions)
    for image in range(IMAGES):
        for channel in range(CHANNELS):
            place = max(range(CELLS**2), key=lambda z: regions[image, z, channel].item())
            assert peaks[image, channel].tolist() == [place % CELLS, place // CELLS]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_k_means_separates_channels_by_their_peaks_and_numbers_them_from_above(seed):
    """Channels peak around one of two regions, x 3, y 5 and x 4, y 1, in each image with some
    deviation.
    """
    below = torch.tensor([True, False, True, True, False, False, True, False])
    generator = torch.Generator().manual_seed(seed)
    regions = torch.zeros(300, 49, 8)
    for image in regions:
        middle = torch.where(below[:, None], torch.tensor([3, 5]), torch.tensor([4, 1]))
        x, y = (middle + torch.randint(-1, 2, (8, 2), generator=generator)).T
        image[7 * y + x, torch.arange(8)] = 1.0
    assert channel_clusters(regions.half().numpy(), seed).tolist() == below.long().tolist()


def test_every_image_is_read_once_for_the_clusters_of_channels():
    read = []

    class Rows:
        def __len__(self) -> int:
            return 600

        def __getitem__(self, rows: slice) -> np.ndarray:
            numbers = np.arange(600)[rows]
            read.extend(numbers.tolist())
            values = np.random.default_rng(numbers).random((len(numbers), 4, 3))
            return values.astype(np.float16)

    channel_clusters(Rows(), 0)
    assert read == list(range(600))


def test_soft_peaks_are_mean_positions():
    logits = random(IMAGES, PARTS, CELLS, CELLS)
    peaks = soft_peaks(logits, 1.5)
    for image in range(IMAGES):
        for part in range(PARTS):
            total, across, down = 0.0, 0.0, 0.0
            for y, x in itertools.product(range(CELLS), range(CELLS)):
                weight = math.exp(1.5 * logits[image, part, y, x])
                total, across, down = total + weight, across + weight * x, down + weight * y
            expected = [across / total, down / total]
            assert peaks[image, part].tolist() == pytest.approx(expected, abs=1e-12)
    places = logits.flatten(2).argmax(2)
    sharp = torch.stack([places % CELLS, places // CELLS], dim=2).double()
    torch.testing.assert_close(soft_peaks(logits, 1e4), sharp)


def test_blobs_are_gaussians_around_the_highest_value():
    maps = random(IMAGES, PARTS, CELLS, CELLS)
    found = blobs(maps)
    for image in range(IMAGES):
        for part in range(PARTS):
            values = maps[image, part].flatten().tolist()
            top, left = divmod(values.index(max(values)), CELLS)
            expected = torch.zeros(CELLS, CELLS).to(found)
            for y, x in itertools.product(range(CELLS), range(CELLS)):
                squared = (x - left) ** 2 + (y - top) ** 2
                expected[y, x] = math.exp(-squared / (2 * 0.16))
            torch.testing.assert_close(found[image, part], expected)
