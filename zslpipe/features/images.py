"""Images from files as tensors: decoded once, cropped to their box, as uint8; normalised on the
device that computes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from zslpipe.pictures import FAULTS, content_digest, decode_pixels, fault, read_digest


def read_image(path: Path, box: Sequence[int] | None = None) -> Tensor:
    """Return an image as (3, height, width) uint8 RGB, cropped to ``box`` (left, top, right, bottom
    in pixels) if given.

    Raises one of :data:`zslpipe.pictures.FAULTS` for a file that is missing, cut off or no image.
    """
    return as_tensor(decode_pixels(path.read_bytes(), box))


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Return a picture's pixels (height, width, 3) uint8 as (3, height, width), not copied."""
    return torch.from_numpy(pixels).permute(2, 0, 1)


def square(size: int) -> v2.Compose:
    """Return the transform of test images: shorter side to ``size`` px (antialiased bilinear), then
    the central square.
    """
    return v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])


def normalise(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return (b, 3, h, w) uint8 images as float32, channels-last, ``mean`` removed and
    ``deviation`` divided out.

    Both are (1, 3, 1, 1), for pixels from 0 to 1, and lie on the images' device.
    """
    # Rows of w * 3 numbers: on a CPU a broadcast over a last axis of three takes four times as
    # long.
    rows = images.permute(0, 2, 3, 1).contiguous().flatten(2).float()
    width = images.shape[3]
    rows.sub_((255.0 * mean).flatten().repeat(width))
    rows.div_((255.0 * deviation).flatten().repeat(width))
    return rows.view(len(rows), images.shape[2], width, 3).permute(0, 3, 1, 2)


class ImageFiles(Dataset[tuple[Tensor, str]]):
    """The squares of image files in order; a file that cannot be read gives its error's text
    instead of pixels.
    """

    def __init__(self, root: Path, paths: Sequence[str], boxes: np.ndarray | None, size: int):
        self.root, self.paths, self.boxes = root, paths, boxes
        self.transform = square(size)
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, str]:
        return self.read(row)[:2]

    def read(self, row: int) -> tuple[Tensor, str, int]:
        """Return an image's square, the text of what is wrong with its file ("" if nothing), and
        the digest of its contents (0 for a file that cannot be read).
        """
        box = None if self.boxes is None else self.boxes[row]
        path = self.root / self.paths[row]
        try:
            data = path.read_bytes()
            image = as_tensor(decode_pixels(data, box))
        except FAULTS as error:
            nothing = torch.zeros(3, self.size, self.size, dtype=torch.uint8)
            return nothing, f"{self.paths[row]} ({fault(error, path)})", 0
        return self.transform(image), "", content_digest(data, box)

    def digest(self, row: int) -> int:
        """Return the digest of an image's contents as they are now, its pixels undecoded; 0 for a
        file that cannot be read.
        """
        box = None if self.boxes is None else self.boxes[row]
        return read_digest(self.root / self.paths[row], box)
