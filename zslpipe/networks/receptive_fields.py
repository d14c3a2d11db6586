"""Where the cells of a network's map look: the centres of their receptive fields, from the strides,
paddings and kernels of its convolutions and poolings (arithmetic: Araujo, Norris and Sim 2019).

The network runs once on torch's meta device, which computes nothing, and every operation is looked
at as it comes, in whatever way the network's code calls it. What is not a window over a map
(activations, sums, products, views) passes centres on. Branches that meet may lie apart: a shortcut
that averages 2x2 pixels lies half a pixel beside a 3x3 convolution with the same stride. The mean
over branches counts (ours); of maps with different steps the finest.

Swin cuts an image into tiles and joins four tiles into one by views and sums. Where every window is
a tile (as wide as its step, no padding), cells are the tiles that the map divides the image into,
whatever joins them: a network that keeps a map keeps their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zslpipe.cell_centres import CellCentres
from zslpipe.machine.errors import InputError

aten = torch.ops.aten
CONVOLUTION = aten.convolution.default
MAXIMUM = aten.max_pool2d_with_indices.default
AVERAGE = aten.avg_pool2d.default
PADDINGS = (
    aten.constant_pad_nd.default,
    aten.reflection_pad2d.default,
    aten.replication_pad2d.default,
)

# What torch leaves out at the end of a pooling's arguments: stride (the kernel's), padding,
# dilation.
UNSAID: tuple[Any, ...] = ((), 0, 1)


@dataclass(frozen=True)
class Cells:
    """The cells of a map: centre of the first and step to the next, in pixels of the image along
    either axis, and the map's height and width.
    """

    first: float
    step: float
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """What moves over a map: numbers for one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    def after(self, cells: Cells, shape: tuple[int, ...]) -> Cells:
        """Return the cells of a map of ``shape`` that the window makes."""
        offset = (self.kernel - 1) / 2 * self.dilation - self.padding
        return Cells(cells.first + offset * cells.step, cells.step * self.stride, shape)


def cell_centres(network: nn.Module, size: int) -> CellCentres | None:
    """Return where the cells of the map that ``network`` makes of ``size`` x ``size`` images look;
    None where its operations do not tell (a map cut into pieces or enlarged, values that only a
    real image gives), or where the two axes differ.
    """
    # In inference mode torch would not take compound operations apart.
    with torch.inference_mode(False), torch.no_grad():
        image = torch.empty(1, 3, size, size, device="meta")
        state = {}
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            state[name] = torch.empty_like(tensor, device="meta")
        try:
            with _Walk(image) as walk:
                made = functional_call(network, state, (image,))
        except RuntimeError:
            return None
    cells, shape = walk.cells_of(made), tuple(made.shape[2:])
    if cells is None or len(shape) != 2:
        return None
    if cells.shape == shape:
        return CellCentres(cells.first / size, cells.step / size)
    tiles, beyond = divmod(cells.shape[0], shape[0])
    if walk.tiled and not beyond and cells.shape == (tiles * shape[0], tiles * shape[1]):
        return CellCentres(0.5 / shape[0], 1 / shape[0])
    return None


def known_cell_centres(network: nn.Module, size: int) -> CellCentres:
    """Return :func:`cell_centres`; raises InputError where there are none."""
    centres = cell_centres(network, size)
    if centres is None:
        raise InputError(
            f"where the cells of the network's map of {size} px look is not known: it is made by "
            "more than convolutions and poolings; take another backbone or layer"
        )
    return centres


class _Walk(TorchDispatchMode):
    """Notes the cells of every tensor that is made of an image."""

    def __init__(self, image: Tensor):
        super().__init__()  # type: ignore[no-untyped-call]
        # By identity; each tensor is kept, so that none gets the identity of another.
        self.noted = {id(image): (image, Cells(0.5, 1.0, tuple(image.shape[2:])))}
        self.windows: set[Window] = set()

    @property
    def tiled(self) -> bool:
        """Return whether there are windows, and every one is a tile."""
        tiles = [Window(one.stride, one.stride, 0, 1) for one in self.windows]
        return bool(tiles) and self.windows == set(tiles)

    def cells_of(self, value: object) -> Cells | None:
        """Return the cells of a tensor, None where none are known."""
        return self.noted[id(value)][1] if id(value) in self.noted else None

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and note the cells of its results."""
        results = operation(*args, **(kwargs or {}))
        leaves = tree_leaves(results)
        cells = self._cells_after(operation, args, leaves[0])
        for result in leaves:
            if cells is not None:
                self.noted[id(result)] = (result, cells)
        return results

    def _cells_after(self, operation: Any, args: Sequence[Any], result: Any) -> Cells | None:
        """Return the cells of an operation's first result."""
        if operation in PADDINGS and any(args[1]):  # Swin pads by nothing, whatever its axes are
            return self._windowed(args[0], _padded(args[1]), result)
        if operation in (CONVOLUTION, MAXIMUM, AVERAGE):
            return self._windowed(args[0], _windows(operation, args), result)
        given = [self.cells_of(value) for value in tree_leaves(list(args))]
        known = [cells for cells in given if cells is not None]
        if not known:
            return None
        finest = min(known, key=lambda cells: cells.step)
        firsts = [cells.first for cells in known if cells.step == finest.step]
        return Cells(sum(firsts) / len(firsts), finest.step, finest.shape)

    def _windowed(self, source: Tensor, windows: set[Window], result: Tensor) -> Cells | None:
        """Return the cells behind ``windows``, one an axis; None unless both move all cells of the
        source alike.
        """
        before = self.cells_of(source)
        self.windows |= windows
        if before is None or before.shape != tuple(source.shape[2:]):
            return None
        shape = tuple(result.shape[2:])
        after = {window.after(before, shape) for window in windows}
        return after.pop() if len(after) == 1 else None


def _padded(padding: Sequence[int]) -> set[Window]:
    """Return windows of one cell that stand for a padding: left, right, top, bottom."""
    return {Window(1, 1, before, 1) for before in padding[::2]}


def _windows(operation: Any, args: Sequence[Any]) -> set[Window]:
    """Return the windows of a convolution or a pooling along both axes, none of a transposed
    convolution.
    """
    if operation == CONVOLUTION:
        kernel, (stride, padding, dilation, transposed) = args[1].shape[2:], args[3:7]
        if transposed:
            return set()
    else:
        kernel, stride, padding, dilation = (*args[1:], *UNSAID[len(args) - 2 :])[:4]
        # avg_pool2d has no dilation: what stands there is ceil_mode.
        dilation = dilation if operation == MAXIMUM else 1
    described = [_pair(value) for value in (kernel, stride or kernel, padding, dilation)]
    return {Window(*along) for along in zip(*described, strict=True)}


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Return an operation's setting for both axes, which may be one number for both."""
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers[0], numbers[-1]
