"""A named extractor of the configuration, and what it says of the features that it gives."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import PIL
import torch
import torchvision
from pydantic import PositiveInt

from zslpipe.formats.hdf5 import centre_attributes
from zslpipe.formats.index import Index, images_hash
from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import Trunk, state_hash
from zslpipe.networks.receptive_fields import cell_centres
from zslpipe.networks.token_maps import Pooled
from zslpipe.provenance import file_hash


@dataclass(frozen=True)
class Extractor:
    """A named extractor of the configuration; ``weights`` is a name or the path of a file,
    ``features_version`` is raised by hand when the features themselves change, ``dtype`` is the
    GPU's autocast type (a CPU computes in float32).
    """

    name: str
    backbone: str
    weights: str
    size: PositiveInt
    grid: PositiveInt
    features_version: PositiveInt
    layer: str | None = None
    pooled: Pooled = "mean"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    batch_size: PositiveInt = 32


def feature_stamps(extractor: Extractor, trunk: Trunk, index: Index) -> dict[str, Any]:
    """Return the provenance that is stamped on the feature file, from a trunk before folding;
    blocks of another stamp are not continued.
    """
    of_timm, weights = extractor.backbone.startswith("timm/"), Path(extractor.weights)
    centres = cell_centres(trunk, extractor.size)
    return {
        "extractor": extractor.name,
        "backbone": extractor.backbone,
        "weights": weights.name,
        "weights_hash": state_hash(trunk),
        "weights_file": file_hash(weights) if weights.is_file() else "",
        "mean": trunk.mean.flatten().numpy(),
        "deviation": trunk.deviation.flatten().numpy(),
        "size": extractor.size,
        "grid": extractor.grid,
        "layer": extractor.layer or "last map",
        # Of means nothing is said, as in files of before there were others.
        **({} if extractor.pooled == "mean" else {"pooled": extractor.pooled}),
        "dtype": extractor.dtype,
        "batch_size": extractor.batch_size,
        "images_hash": images_hash(index),
        "dataset": index.dataset,
        "features_version": extractor.features_version,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pillow": PIL.__version__,
        **({"timm": version("timm")} if of_timm else {}),
        **(centre_attributes(centres) if centres else {}),
    }


def widths(trunk: Trunk, extractor: Extractor, device: torch.device) -> tuple[int, int]:
    """Return how many numbers a region and a whole image have; raises InputError where the map is
    not grid x grid, or the whole image is no vector.
    """
    with torch.inference_mode():
        image = torch.zeros(1, 3, extractor.size, extractor.size, device=device)
        maps, pooled = trunk.features(image)
    shape = maps.shape
    grid = extractor.grid
    if len(shape) != 4 or shape[2:] != (grid, grid):
        found = "x".join(map(str, shape[2:])) or "no"
        network = f"{extractor.backbone} at {extractor.size} px"
        vector = " (one vector for the whole image)" if shape[2:] == (1, 1) else ""
        raise InputError(
            f"extractor {extractor.name!r}: {network} has a {found} map{vector}, the configuration "
            f"says {grid}x{grid}; change its size, grid or layer"
        )
    if pooled is not None and (pooled.ndim != 2 or not pooled.numel()):
        found = "x".join(map(str, pooled.shape[1:]))
        raise InputError(
            f"extractor {extractor.name!r}: pooled {extractor.pooled!r} of {extractor.backbone} is "
            f"{found} numbers an image, not a vector; take another kind"
        )
    return shape[1], shape[1] if pooled is None else pooled.shape[1]
