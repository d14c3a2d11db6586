"""Squares and crops against loops over images and pixels, in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.cell_centres import CellCentres
from zslpipe.networks.cropping import (
    Cropping,
    boxcar,
    inside,
    zoomed,
)

torch.set_num_threads(1)
IMAGES, PARTS, CELLS, CHANNELS = 3, 2, 4, 6
# Cells that are equal tiles of the image.
TILES, SEVENTHS = CellCentres(0.125, 0.25), CellCentres(0.5 / 7, 1 / 7)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_squares_are_moved_into_the_image_and_no_further():
    squares = torch.tensor([[[0.0, 1.5, 2.0], [3.0, -4.0, 4.0], [9.0, 9.0, 1.0]]])
    # A map of 4 cells spans -0.5 ... 3.5.
    assert inside(squares, TILES).tolist() == [[[0.5, 1.5, 2.0], [1.5, 1.5, 4.0], [3.0, 3.0, 1.0]]]


def test_the_mask_is_equation_4():
    """The crop of an image of ones is the mask at the sampled points."""
    squares, size, k = torch.tensor([[[1.2, 0.9, 1.6], [2.0, 1.5, 2.5]]]).double(), 5, 10.0
    crops = zoomed(torch.ones(1, 3, 8, 8).double(), squares, TILES, size, k)
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
    crops = zoomed(image, torch.tensor([[[1.5, 0.5, 2.0]]]).double(), TILES, 4, 1e3)
    torch.testing.assert_close(crops[:, 0], image[:, :, 0:4, 2:6])


def test_a_zoomed_crop_shows_what_lies_there():
    """Pixels that hold their own coordinates come out as the coordinates of the sampled points."""
    cells, pixels = 4, 16
    places = (torch.arange(pixels).double() + 0.5) * cells / pixels - 0.5
    image = torch.stack(
        [places.expand(pixels, -1), places[:, None].expand(-1, pixels), torch.ones(pixels, pixels)]
    )[None]
    x, y, side, size = 1.3, 2.1, 1.5, 6
    crop = zoomed(image, torch.tensor([[[x, y, side]]]).double(), TILES, size, 1e3)[0, 0]
    steps = side * ((torch.arange(size).double() + 0.5) / size - 0.5)
    torch.testing.assert_close(crop[0], (x + steps).expand(size, -1))
    torch.testing.assert_close(crop[1], (y + steps)[:, None].expand(-1, size))


def test_a_bright_spot_lands_in_the_middle_of_the_crop_around_it():
    image = torch.zeros(1, 3, 28, 28).double()
    image[:, :, 8:10, 20:22] = (
        1.0  # four pixels a cell: x 4.75 ... 5.25 less a half, y 1.75 ... 2.25 less a half
    )
    crop = zoomed(image, torch.tensor([[[4.75, 1.75, 3.0]]]).double(), SEVENTHS, 15, 10.0)[0, 0, 0]
    assert divmod(int(crop.argmax()), 15) == (7, 7)
    torch.testing.assert_close(crop, crop.flip(0))
    torch.testing.assert_close(crop, crop.flip(1))


def test_all_squares_at_once_are_each_on_its_own():
    images, squares = random(IMAGES, 3, 8, 8), inside(random(IMAGES, PARTS, 3).abs() + 1, TILES)
    crops = zoomed(images, squares, TILES, 5, 10.0)
    for image in range(IMAGES):
        for part in range(PARTS):
            alone = zoomed(
                images[image : image + 1],
                squares[image : image + 1, part : part + 1],
                TILES,
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
        lambda given: zoomed(image, given, TILES, 5, 10.0), squares, eps=1e-7, atol=1e-5
    )


def test_a_brighter_crop_pulls_its_square_towards_the_light():
    """Brightness grows to the right and downwards, so the gradient of the crop's brightness points
    there.
    """
    ramp = torch.arange(16).double()
    image = (ramp[None, :] + 2 * ramp[:, None]).expand(1, 3, 16, 16)
    squares = torch.tensor([[[1.5, 1.5, 2.0]]]).double().requires_grad_()
    zoomed(image, squares, TILES, 8, 10.0).mean().backward()
    to_right, down, _ = squares.grad[0, 0].tolist()
    # Four pixels a cell; the mask weighs all positions alike while the square moves.
    share = (
        zoomed(torch.ones(1, 3, 16, 16).double(), squares.detach(), TILES, 8, 10.0).mean().item()
    )
    assert (to_right, down) == pytest.approx((4 * share, 8 * share), rel=1e-9)


def peaked_at(*places: tuple[int, int]) -> Tensor:
    """Return logits (1, parts, 7, 7) whose maps are highest at the given x, y."""
    logits = torch.full((1, len(places), 7, 7), -5.0, dtype=torch.float64)
    for part, (x, y) in enumerate(places):
        logits[0, part, y, x] = 5.0
    return logits


def test_a_square_of_fixed_side_lies_around_each_peak():
    squares = Cropping(7, SEVENTHS, 0.4, steepness=10.0).squares(peaked_at((3, 2), (5, 0)))
    # A side of 2.8 cells; the second peak is too near the image's corner.
    expected = torch.tensor([[[3.0, 2.0, 2.8], [5.0, 0.9, 2.8]]], dtype=torch.float64)
    torch.testing.assert_close(squares, expected, rtol=0, atol=1e-9)


def test_a_square_lies_where_the_network_says_that_the_peak_is():
    """Cells of a network whose first one looks at the image's first pixel: 4 pixels a cell, so that
    the image spans -1/8 ... 6 7/8 cells, and cell 2 looks at pixel 8.
    """
    centres = CellCentres(0.5 / 28, 1 / 7)
    cropping = Cropping(7, centres, 3 / 7, steepness=1e3)
    logits = peaked_at((2, 4), (6, 0))
    squares = cropping.squares(logits)
    expected = torch.tensor([[[2.0, 4.0, 3.0], [5.375, 1.375, 3.0]]], dtype=torch.float64)
    torch.testing.assert_close(squares, expected, rtol=0, atol=1e-9)
    image = random(1, 3, 28, 28)
    crops = cropping(image, logits, 12)
    # The second square lies in the corner, three cells of four pixels each way.
    torch.testing.assert_close(crops[:, 1], image[:, :, 0:12, 16:28])
    spot = torch.zeros(1, 3, 28, 28).double()
    spot[:, :, 16, 8] = 1.0
    crop = cropping(spot, logits, 13)[0, 0, 0]
    assert divmod(int(crop.argmax()), 13) == (6, 6)


def test_the_network_starts_at_the_peak_and_corrects_within_bounds():
    torch.manual_seed(0)
    plain = Cropping(7, SEVENTHS, 0.4, 10.0).double()
    network = Cropping(7, SEVENTHS, 0.4, 10.0, corrected=True).double()
    logits = peaked_at((3, 2), (3, 4))
    torch.testing.assert_close(network.squares(logits), plain.squares(logits))
    images = random(1, 3, 28, 28)
    network(images, logits, 8).square().sum().backward()
    assert network.correction[2].weight.grad.abs().amax(1).min() > 0
    network.correction[2].weight.data.fill_(1e6)  # tanh is 1, wherever a hidden unit is above 0
    corrected = network.squares(logits)
    torch.testing.assert_close(corrected[0, :, 2], torch.tensor([5.6, 5.6]).double())
    # Half a side (1.4) to the right and down, then back into the image, whose last edge is 6.5.
    expected = torch.tensor([[3.7, 3.4], [3.7, 3.7]], dtype=torch.float64)
    torch.testing.assert_close(corrected[0, :, :2], expected)


def test_the_network_leaves_the_peak_slowly_and_finds_what_lies_beside_it():
    """By SGD at the report's 0.05, momentum 0.9, where a bright spot lies a cell to the right of
    each peak: ten steps hardly move a square, two hundred bring it there.
    """
    torch.manual_seed(0)
    peaks = [(2, 2), (3, 2), (2, 4), (4, 3), (3, 3), (4, 4), (3, 4), (2, 3)]
    logits = torch.cat([peaked_at(peak) for peak in peaks])
    shown = torch.zeros(len(peaks), 3, 7, 7).double()
    for image, (x, y) in zip(shown, peaks, strict=True):
        image[:, y, x + 1] = 1.0
    images = F.interpolate(shown, scale_factor=4, mode="bilinear")
    around_peaks = Cropping(7, SEVENTHS, 0.4, 10.0).squares(logits)
    network = Cropping(7, SEVENTHS, 0.4, 10.0, corrected=True).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    moved = [torch.zeros_like(around_peaks)]
    for _ in range(200):
        optimizer.zero_grad()
        (-10 * network(images, logits, 8).mean()).backward()
        optimizer.step()
        moved.append((network.squares(logits) - around_peaks).detach())
    assert 0 < moved[10].abs().max() < 0.1  # cells
    expected = torch.tensor([1.0, 0.0]).double().expand(len(peaks), 1, 2)
    torch.testing.assert_close(moved[-1][..., :2], expected, rtol=0, atol=0.1)


def test_crops_have_the_asked_size_and_batches_are_independent():
    cropping, images = Cropping(7, SEVENTHS, 0.5, 10.0), random(2, 3, 28, 28)
    logits = torch.cat([peaked_at((3, 2), (3, 4)), peaked_at((2, 2), (4, 4))])
    crops = cropping(images, logits, 9)
    assert crops.shape == (2, 2, 3, 9, 9)
    torch.testing.assert_close(crops[1:], cropping(images[1:], logits[1:], 9))
