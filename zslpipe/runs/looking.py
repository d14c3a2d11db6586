"""Where a finished run looks in pictures that no dataset lists, and what it sees of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zslpipe.cell_centres import CellCentres
from zslpipe.networks.receptive_fields import cell_centres
from zslpipe.runs.prediction import Predictor


@dataclass(frozen=True, eq=False)
class Look:
    """The ``square`` (size, size, 3) uint8 that a run sees of a picture and, where its method has
    maps of attributes, that of the ``attribute``: ``attention`` (h, w), whose cells look at
    ``centres``.
    """

    square: np.ndarray
    attribute: str = ""
    attention: np.ndarray | None = None
    centres: CellCentres | None = None


def looks(predictor: Predictor, asked: Mapping[str, str]) -> dict[str, Look]:
    """Return what a run sees of pictures, by their paths; ``asked`` names an attribute of each, ""
    for none. Pictures that cannot be read are left out.

    Maps are left out where the method has none of attributes, or it is not known where the cells of
    its network look. An ensemble's square is that of its first member.
    """
    images, found = list(asked), dict[str, Look]()
    names = predictor.classes.attribute_names
    centres = _centres(predictor)
    for read in predictor.pictures.stream([Path(image) for image in images]):
        maps = _maps(predictor, read.inputs, len(names)) if read.places and centres else None
        for number, place in enumerate(read.places):
            image = images[place]
            square = read.pixels[number].permute(1, 2, 0).numpy()
            look, attribute = Look(square), asked[image]
            if maps is not None and attribute:
                channel = maps[number, names.index(attribute)]
                look = Look(square, attribute, channel, centres)
            found[image] = look
    return found


def _centres(predictor: Predictor) -> CellCentres | None:
    """Return where the cells of a run's network look, None where that is not known."""
    trained = predictor.member
    trunk = predictor.model.trunk if trained.trunk is None else trained.trunk
    return cell_centres(trunk, int(trained.extractor["size"]))


def _maps(predictor: Predictor, inputs: Tensor, attributes: int) -> np.ndarray | None:
    """Return (b, a, h, w) maps of all attributes, None where a method has none."""
    if getattr(type(predictor.model), "attention", None) is None:
        return None
    with torch.inference_mode():
        maps: Tensor = predictor.model.attention(inputs)
    return maps.float().cpu().numpy() if maps.shape[1] == attributes else None
