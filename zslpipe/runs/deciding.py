"""Which attributes a class's score comes from, for methods whose score is a sum over attributes::

    (1)  s_c = sum_a p_a z_a^c + constant      the constant at most of seen or unseen classes

p (b, a) are the attributes that the method finds in an image, z (c, a) class vectors. What an
attribute does for class c is p_a (z_a^c - mean over the candidates of z_a): it sums to how far
s_c lies above their mean score. Of other methods nothing is said: a classifier or a distance has no
share of an attribute.
"""

from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from zslpipe.training.contract import Model


class Terms(NamedTuple):
    """The two factors of (1): ``found`` (b, a) and ``vectors`` (c, a), float32."""

    found: np.ndarray
    vectors: np.ndarray

    def shares(self, image: int, label: int, candidates: np.ndarray) -> np.ndarray:
        """Return (a,) what each attribute does for the class ``label`` in an image, against the
        mean of the classes ``candidates``.
        """
        difference = self.vectors[label] - self.vectors[candidates].mean(axis=0)
        shares: np.ndarray = self.found[image] * difference
        return shares


def attribute_terms(method: str, model: Model, inputs: Tensor) -> Terms | None:
    """Return the factors of (1) for a batch of inputs; None for a method whose score is none."""
    factors = _factors(method, model, inputs)
    if factors is None:
        return None
    found, vectors = factors
    return Terms(found.float().cpu().numpy(), vectors.float().cpu().numpy())


def _factors(method: str, model: Model, inputs: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return p and z of a method, None where it has none."""
    if method == "dazle":  # its eq. 7
        return model.attribute_scores(inputs), model.attributes
    if method == "rsan":  # its eq. 14
        found = model.attribute_scores(inputs)
        if model.config.similarity == "cosine":
            found = model.config.scale * F.normalize(found, dim=1)
        return found, model.attributes
    if method == "eszsl":  # its eq. 2
        return F.normalize(inputs, dim=1) @ model.W, model.attributes
    if method == "crafting" and model.config.rule == "semantic":  # its eq. 1
        return model.features(inputs) / model.config.temperature, model.rules
    return None
