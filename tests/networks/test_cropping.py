"""Peaks, squares and crops against loops over images, maps and pixels, in float64."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from zslpipe.networks.cropping import (
    START,
    ChannelAttention,
    Cropping,
    blobs,
    boxcar,
    channel_clusters,
    channel_peaks,
    inside,
    soft_peaks,
    zoomed,
)

torch.set_num_threads(1)
IMAGES, PARTS, CELLS, CHANNELS = 3, 2, 4, 6


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def attention_of(seed: int = 0) -> ChannelAttention:
    """Return a channel attention in which every weight is random."""
    attention = ChannelAttention(CHANNELS, CELLS).double()
    for number, parameter in enumerate(attention.parameters()):
        parameter.data.copy_(random(*parameter.shape, seed=seed + number))
    return attention


def test_channel_weights_and_maps_are_equations_1_to_3():
    attention, regions = attention_of(), random(IMAGES, CELLS**2, CHANNELS).relu()
    logits = attention(regions)
    for image in range(IMAGES):
        p = [
            sum(regions[image, z, c].item() for z in range(CELLS**2)) / CELLS**2
            for c in range(CHANNELS)
        ]
        for part in range(PARTS):
            hidden = [
                max(0.0, sum(w.item() * value for w, value in zip(row, p, strict=True)))
                for row in attention.W1[part]
            ]
            weights = [
                logistic(
                    sum(w.item() * value for w, value in zip(row, hidden, strict=True))
                    + bias.item()
                )
                for row, bias in zip(attention.W2[part], attention.bias[part], strict=True)
            ]
            assert attention.weights(regions)[image, part].tolist() == pytest.approx(
                weights, abs=1e-12
            )
            summed = [
                sum(a * b.item() for a, b in zip(weights, regions[image, z], strict=True))
                for z in range(CELLS**2)
            ]
            stretched = [(value - min(summed)) / (max(summed) - min(summed)) for value in summed]
            assert logits[image, part].flatten().tolist() == pytest.approx(
                [10 * (u - 0.5) for u in stretched], abs=1e-10
            )


def test_shapes_in_signatures_are_checked():
    with pytest.raises(TypeCheckError):
        soft_peaks(random(PARTS, CELLS, CELLS))
    with pytest.raises(TypeCheckError):
        inside(random(IMAGES, PARTS, 2), CELLS)


def test_the_attention_starts_at_the_indicators_of_the_clusters():
    attention, regions = (
        ChannelAttention(CHANNELS, CELLS).double(),
        random(IMAGES, CELLS**2, CHANNELS),
    )
    clusters = torch.tensor([0, 1, 1, 0, 1, 0])
    attention.start(clusters)
    high, low = logistic(START), logistic(-START)
    expected = [[high if cluster == part else low for cluster in clusters] for part in range(PARTS)]
    torch.testing.assert_close(
        attention.weights(regions), torch.tensor(expected).double().expand(IMAGES, -1, -1)
    )
    assert (round(high, 2), round(low, 2)) == (0.9, 0.1)


def test_maps_at_the_start_follow_neither_scale_nor_offset_of_the_features():
    attention, regions = (
        ChannelAttention(CHANNELS, CELLS).double(),
        random(IMAGES, CELLS**2, CHANNELS),
    )
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


def test_soft_peaks_are_mean_positions():
    logits = random(IMAGES, PARTS, CELLS, CELLS)
    peaks = soft_peaks(logits, 1.5)
    for image in range(IMAGES):
        for part in range(PARTS):
            weights = {
                (x, y): math.exp(1.5 * logits[image, part, y, x])
                for x in range(CELLS)
                for y in range(CELLS)
            }
            total = sum(weights.values())
            expected = [
                sum(w * place[axis] for place, w in weights.items()) / total for axis in (0, 1)
            ]
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
            expected = [
                [math.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * 0.16)) for x in range(CELLS)]
                for y in range(CELLS)
            ]
            torch.testing.assert_close(found[image, part], torch.tensor(expected).to(found))


def test_squares_are_moved_into_the_image_and_no_further():
    squares = torch.tensor([[[0.0, 1.5, 2.0], [3.0, -4.0, 4.0], [9.0, 9.0, 1.0]]])
    # A map of 4 cells spans -0.5 ... 3.5.
    assert inside(squares, 4).tolist() == [[[0.5, 1.5, 2.0], [1.5, 1.5, 4.0], [3.0, 3.0, 1.0]]]


def test_the_mask_is_equation_4():
    """The crop of an image of ones is the mask at the sampled points."""
    squares, size, k = torch.tensor([[[1.2, 0.9, 1.6], [2.0, 1.5, 2.5]]]).double(), 5, 10.0
    crops = zoomed(torch.ones(1, 3, 8, 8).double(), squares, CELLS, size, k)
    for part, (t_x, t_y, t_s) in enumerate(squares[0].tolist()):
        for row in range(size):
            for column in range(size):
                x = t_x + t_s * ((column + 0.5) / size - 0.5)
                y = t_y + t_s * ((row + 0.5) / size - 0.5)
                v_x = logistic(k * (x - t_x + 0.5 * t_s)) - logistic(k * (x - t_x - 0.5 * t_s))
                v_y = logistic(k * (y - t_y + 0.5 * t_s)) - logistic(k * (y - t_y - 0.5 * t_s))
                assert crops[0, part, :, row, column].tolist() == pytest.approx(
                    [v_x * v_y] * 3, abs=1e-12
                )


def test_a_boxcar_is_1_within_half_a_side_and_0_beyond():
    offsets, side = torch.tensor([-3.0, -2.0, -1.0, 0.0, 1.9, 2.0, 2.1, 3.0]), torch.tensor(4.0)
    expected = [logistic(-10), 0.5, 1.0, 1.0, logistic(1), 0.5, logistic(-1), logistic(-10)]
    assert boxcar(offsets, side, 10.0).tolist() == pytest.approx(expected, abs=2e-4)


def test_a_crop_at_the_images_own_scale_is_a_block_of_its_pixels():
    """Two pixels a cell: a square of 2 cells around (1.5, 0.5) is rows 0-3 and columns 2-5."""
    image = random(1, 3, 8, 8)
    crops = zoomed(image, torch.tensor([[[1.5, 0.5, 2.0]]]).double(), CELLS, 4, 1e3)
    torch.testing.assert_close(crops[:, 0], image[:, :, 0:4, 2:6])


def test_a_zoomed_crop_shows_what_lies_there():
    """Pixels that hold their own coordinates come out as the coordinates of the sampled points."""
    cells, pixels = 4, 16
    places = (torch.arange(pixels).double() + 0.5) * cells / pixels - 0.5
    image = torch.stack(
        [places.expand(pixels, -1), places[:, None].expand(-1, pixels), torch.ones(pixels, pixels)]
    )[None]
    x, y, side, size = 1.3, 2.1, 1.5, 6
    crop = zoomed(image, torch.tensor([[[x, y, side]]]).double(), cells, size, 1e3)[0, 0]
    steps = side * ((torch.arange(size).double() + 0.5) / size - 0.5)
    torch.testing.assert_close(crop[0], (x + steps).expand(size, -1))
    torch.testing.assert_close(crop[1], (y + steps)[:, None].expand(-1, size))


def test_a_bright_spot_lands_in_the_middle_of_the_crop_around_it():
    image = torch.zeros(1, 3, 28, 28).double()
    image[:, :, 8:10, 20:22] = (
        1.0  # four pixels a cell: x 4.75 ... 5.25 less a half, y 1.75 ... 2.25 less a half
    )
    crop = zoomed(image, torch.tensor([[[4.75, 1.75, 3.0]]]).double(), 7, 15, 10.0)[0, 0, 0]
    assert divmod(int(crop.argmax()), 15) == (7, 7)
    torch.testing.assert_close(crop, crop.flip(0))
    torch.testing.assert_close(crop, crop.flip(1))


def test_all_squares_at_once_are_each_on_its_own():
    images, squares = random(IMAGES, 3, 8, 8), inside(random(IMAGES, PARTS, 3).abs() + 1, CELLS)
    crops = zoomed(images, squares, CELLS, 5, 10.0)
    for image in range(IMAGES):
        for part in range(PARTS):
            alone = zoomed(
                images[image : image + 1],
                squares[image : image + 1, part : part + 1],
                CELLS,
                5,
                10.0,
            )
            torch.testing.assert_close(crops[image, part], alone[0, 0])


def test_gradients_of_a_crop_are_those_of_finite_differences():
    image, squares = (
        random(1, 3, 8, 8),
        torch.tensor([[[1.23, 1.71, 1.9]]]).double().requires_grad_(),
    )
    assert torch.autograd.gradcheck(
        lambda given: zoomed(image, given, CELLS, 5, 10.0), squares, eps=1e-7, atol=1e-5
    )


def test_a_brighter_crop_pulls_its_square_towards_the_light():
    """Brightness grows to the right and downwards, so the gradient of the crop's brightness points
    there.
    """
    ramp = torch.arange(16).double()
    image = (ramp[None, :] + 2 * ramp[:, None]).expand(1, 3, 16, 16)
    squares = torch.tensor([[[1.5, 1.5, 2.0]]]).double().requires_grad_()
    zoomed(image, squares, CELLS, 8, 10.0).mean().backward()
    to_right, down, _ = squares.grad[0, 0].tolist()
    # Four pixels a cell; the mask weighs all positions alike while the square moves.
    share = (
        zoomed(torch.ones(1, 3, 16, 16).double(), squares.detach(), CELLS, 8, 10.0).mean().item()
    )
    assert (to_right, down) == pytest.approx((4 * share, 8 * share), rel=1e-9)


def peaked_at(*places: tuple[int, int]) -> Tensor:
    """Return logits (1, parts, 7, 7) whose maps are highest at the given x, y."""
    logits = torch.full((1, len(places), 7, 7), -5.0, dtype=torch.float64)
    for part, (x, y) in enumerate(places):
        logits[0, part, y, x] = 5.0
    return logits


def test_a_square_of_fixed_side_lies_around_each_peak():
    squares = Cropping(7, 0.4, steepness=10.0).squares(peaked_at((3, 2), (5, 0)))
    # A side of 2.8 cells; the second peak is too near the image's corner.
    expected = torch.tensor([[[3.0, 2.0, 2.8], [5.0, 0.9, 2.8]]], dtype=torch.float64)
    torch.testing.assert_close(squares, expected, rtol=0, atol=1e-9)


def test_the_network_starts_at_the_peak_and_corrects_within_bounds():
    torch.manual_seed(0)
    plain, network = (Cropping(7, 0.4, 10.0, corrected).double() for corrected in (False, True))
    logits = peaked_at((3, 2), (3, 4))
    torch.testing.assert_close(network.squares(logits), plain.squares(logits))
    images = random(1, 3, 28, 28)
    network(images, logits, 8).square().sum().backward()
    assert network.correction[2].weight.grad.abs().amax(1).min() > 0
    network.correction[2].weight.data.fill_(1e3)  # tanh is 1, wherever a hidden unit is above 0
    corrected = network.squares(logits)
    torch.testing.assert_close(corrected[0, :, 2], torch.tensor([5.6, 5.6]).double())
    # Half a side (1.4) to the right and down, then back into the image, whose last edge is 6.5.
    expected = torch.tensor([[3.7, 3.4], [3.7, 3.7]], dtype=torch.float64)
    torch.testing.assert_close(corrected[0, :, :2], expected)


def test_crops_have_the_asked_size_and_batches_are_independent():
    cropping, images = Cropping(7, 0.5, 10.0), random(2, 3, 28, 28)
    logits = torch.cat([peaked_at((3, 2), (3, 4)), peaked_at((2, 2), (4, 4))])
    crops = cropping(images, logits, 9)
    assert crops.shape == (2, 2, 3, 9, 9)
    torch.testing.assert_close(crops[1:], cropping(images[1:], logits[1:], 9))
