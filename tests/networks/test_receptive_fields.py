"""Where cells look, against what networks do: spots moved through them, gradients of single cells,
and fields added up pixel by pixel.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import Trunk, build_trunk, folded
from zslpipe.networks.receptive_fields import cell_centres, known_cell_centres

torch.set_num_threads(1)
slow = pytest.mark.slow
# Family, size of the images, how far the measured centre may lie from the computed one, in cells:
# a measurement on random weights strays by some hundredths; ResNet-D's shortcuts average 2x2
# pixels, so that its branches lie a fifth of a cell to either side of their mean.
FAMILIES = [
    ("demo", 112, 0.1),
    pytest.param("demo", 224, 0.1, marks=slow),
    pytest.param("mobilenet_v2", 224, 0.1, marks=slow),
    pytest.param("resnet18", 224, 0.1, marks=slow),
    pytest.param("vgg11", 224, 0.1, marks=slow),
    pytest.param("densenet121", 224, 0.1, marks=slow),
    pytest.param("alexnet", 224, 0.1, marks=slow),
    pytest.param("timm/convnext_atto", 224, 0.1, marks=slow),
    pytest.param("timm/resnet10t", 224, 0.22, marks=slow),
]
# The middle of the first cell and the step in pixels, worked out by hand from the papers' tables.
BY_HAND = [
    ("demo", 112, 0.5, 16),  # a 5x5 and three 3x3 convolutions, stride 2, padded evenly
    ("resnet18", 224, 0.5, 32),
    ("resnet101", 448, 0.5, 32),
    ("mobilenet_v2", 224, 0.5, 32),
    ("vgg11", 224, 16, 32),  # five poolings of 2x2: tiles
    ("vgg19", 448, 16, 32),
    ("densenet121", 224, 14.5, 32),  # at 0.5, then three poolings of 2x2 from stride 4 on
    ("alexnet", 224, 31.5, 32),  # 11x11 of stride 4 padded by 2, three poolings 3x3 not padded
]


def trunk_of(backbone: str) -> Trunk:
    """Return a trunk with random weights in which every branch counts: timm starts the last batch
    norm of a block at 0.
    """
    if backbone.startswith("timm/"):
        pytest.importorskip("timm")
    trunk = build_trunk(backbone, "random")
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return trunk


def noise(count: int, size: int) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def field_of(network: nn.Module, size: int, number: int) -> Tensor:
    """Return by how much each pixel (size, size) drives a cell of the diagonal: squared gradients
    of random sums of its channels over some images.
    """
    generator, total = torch.Generator().manual_seed(1), torch.zeros(size, size)
    for image in noise(4, size).split(1):
        image.requires_grad_()
        cell = network(image)[0, :, number, number]
        mixed = (cell * torch.randn(cell.shape, generator=generator)).sum()
        total += torch.autograd.grad(mixed, image)[0][0].square().sum(0)
    return total


def mass_centre(field: Tensor) -> tuple[float, float]:
    """Return x and y of the centre of mass of (size, size) values, as fractions of the side."""
    places = (torch.arange(len(field), dtype=field.dtype) + 0.5) / len(field)
    x, y = (field.sum(0) * places).sum(), (field.sum(1) * places).sum()
    return float(x / field.sum()), float(y / field.sum())


@pytest.mark.parametrize(("backbone", "size", "first", "step"), BY_HAND)
def test_centres_are_those_worked_out_by_hand(backbone, size, first, step):
    found = known_cell_centres(build_trunk(backbone, "random"), size)
    assert (found.first * size, found.step * size) == pytest.approx((first, step))


@pytest.mark.parametrize(("backbone", "size", "stray"), FAMILIES)
def test_a_cell_is_driven_by_the_pixels_around_its_centre(backbone, size, stray):
    trunk = trunk_of(backbone)
    size += size // 2  # the image's edges cut fields off
    centres = known_cell_centres(trunk, size)
    middle = round(float(centres.cells_at(0.5)))
    found = mass_centre(field_of(trunk, size, middle))
    assert found == pytest.approx([centres.of(middle)] * 2, abs=stray * centres.step)


@pytest.mark.parametrize(("backbone", "size", "stray"), FAMILIES)
def test_a_spot_is_answered_by_the_cell_that_looks_there(backbone, size, stray):
    """A spot half a cell wide, put where a cell should look: of all cells it moves that one most.
    Were all half a cell further on, or back, two would answer alike, or others.
    """
    trunk = trunk_of(backbone)
    centres = known_cell_centres(trunk, size)
    images, side = noise(8, size), round(centres.step * size / 2)
    with torch.inference_mode():
        plain = trunk(images)
        for row, column in ((3, 2), (2, 4)):
            left, top = (centres.of([column, row]) * size - side / 2).round().astype(int)
            spotted = images.clone()
            spotted[:, :, top : top + side, left : left + side] += 3.0
            answers = (trunk(spotted) - plain).square().sum((0, 1))
            assert divmod(int(answers.argmax()), answers.shape[1]) == (row, column)


class Branches(nn.Module):
    """Two ways from one map to another, summed or laid side by side."""

    def __init__(self, joined: bool, *ways: nn.Module):
        super().__init__()
        self.joined, self.ways = joined, nn.ModuleList(ways)

    def forward(self, maps: Tensor) -> Tensor:
        made = [way(maps) for way in self.ways]
        return torch.cat(made, 1) if self.joined else sum(made[1:], made[0])


class Squeezed(nn.Module):
    """A map whose channels are weighed by what is in all of the image (squeeze and excitation)."""

    def __init__(self, width: int):
        super().__init__()
        self.weights = nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weights(F.adaptive_avg_pool2d(maps, 1)).sigmoid()


class Uneven(nn.Module):
    """A convolution as TensorFlow pads it: more at the end than at the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, 2)

    def forward(self, maps: Tensor) -> Tensor:
        return self.convolution(F.pad(maps, (0, 1, 0, 1)))


PLAIN = [
    nn.Conv2d(3, 4, 3, 2, 1),
    nn.Conv2d(3, 4, 4, 4),
    nn.Sequential(nn.Conv2d(3, 4, 5, 3, 1, dilation=2), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, 1, 0)),
    nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.Conv2d(3, 4, 2, 2), nn.AvgPool2d(2, 1)),
    nn.Conv2d(3, 4, (1, 7), 1, (0, 3)),
    nn.Conv2d(3, 4, 3, 2, padding=1, padding_mode="reflect"),
    nn.Conv2d(3, 4, 4, padding="same"),
    Uneven(),
    Branches(False, nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 1, 2)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("network", PLAIN)
def test_of_linear_networks_it_is_the_exact_middle_of_what_a_cell_sums(network):
    """With all weights 1 a cell's gradient counts the ways from each pixel to it."""
    network = network.double()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    image, cell = torch.zeros(1, 3, 48, 48).double().requires_grad_(), 3
    (gradient,) = torch.autograd.grad(network(image)[0, 0, cell, cell], image)
    centres = known_cell_centres(network.float(), 48)
    assert mass_centre(gradient[0, 0]) == pytest.approx(centres.of([cell, cell]).tolist())


def test_branches_that_lie_apart_count_alike():
    """Over strides of 2: a 3x3 convolution looks at pixel 0 first, a mean of 2x2 half a pixel
    further.
    """
    ways = (nn.Conv2d(3, 3, 3, 2, 1), nn.AvgPool2d(2))
    for joined in (True, False):
        found = known_cell_centres(Branches(joined, *ways), 16)
        assert (found.first * 16, found.step * 16) == (0.75, 2)


def test_maxima_and_weighed_channels_lie_where_their_map_lies():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(3, 2), Squeezed(4), nn.ReLU())
    found = known_cell_centres(network, 32)
    assert (found.first * 32, found.step * 32) == (2.5, 4)
    twice = known_cell_centres(nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2, ceil_mode=True)), 30)
    assert (twice.first * 30, twice.step * 30) == pytest.approx((2, 4))


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.PixelUnshuffle(2), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2)),
        nn.ConvTranspose2d(3, 4, 2, 2),
        nn.Conv2d(3, 4, 3, (2, 1)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(5)),
    ],
    ids=["cut into pieces", "enlarged", "transposed", "axes differ", "pooled to a size"],
)
def test_what_is_not_known_is_not_made_up(network):
    assert cell_centres(network, 20) is None
    with pytest.raises(InputError, match="where the cells of the network's map of 20 px look"):
        known_cell_centres(network, 20)


def test_nothing_is_computed_and_nothing_changes():
    trunk = build_trunk("demo", "random")
    expected = known_cell_centres(trunk, 112)
    with torch.inference_mode():
        assert known_cell_centres(trunk, 112) == expected
    assert {parameter.device.type for parameter in trunk.parameters()} == {"cpu"}
    assert known_cell_centres(folded(trunk), 112) == expected
