"""The miniature dataset as tensors, with images of its own."""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import torch
from torch import Tensor

from tests.made_up.miniature import write_miniature
from zslpipe.formats.index import read_index
from zslpipe.training.contract import Classes


@dataclass(frozen=True, eq=False)
class Miniature:
    """``inputs``: by kind, of all images; ``rows`` of them train, ``labels`` are theirs."""

    classes: Classes
    inputs: dict[str, Tensor]
    rows: Tensor
    labels: Tensor


@cache
def miniature() -> Miniature:
    """Return the miniature, its images two spots in colours that the class vector says."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_miniature(Path(folder))
        index = read_index(paths["index"])
        with h5py.File(paths["features"]) as file:
            inputs = {kind: torch.from_numpy(file[kind][:]).float() for kind in file}
        with h5py.File(paths["words"]) as file:
            words = torch.from_numpy(file["vectors"][:])
    vectors = torch.from_numpy(index.semantics["att"]).float()
    labels, rows = (torch.from_numpy(array) for array in (index.labels, index.splits["trainval"]))
    generator = torch.Generator().manual_seed(3)
    colours = vectors[labels] @ torch.randn(vectors.shape[1], 6, generator=generator)
    images = 0.3 * torch.randn(len(labels), 3, 48, 48, generator=generator)
    images[:, :, 4:20, 8:24] += colours[:, :3, None, None]
    images[:, :, 28:44, 24:40] += colours[:, 3:, None, None]
    seen = torch.from_numpy(index.seen)
    classes = Classes(index.class_names, vectors, seen, index.attribute_names, words)
    return Miniature(classes, inputs | {"images": images}, rows, labels[rows])
