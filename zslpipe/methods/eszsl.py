"""ESZSL: An Embarrassingly Simple Approach to Zero-Shot Learning.

Romera-Paredes and Torr, ICML 2015; a baseline in closed form. Features X (n, d), labels Y (n, seen
class) in {0, 1}, seen class vectors S (seen class, a); the numbers are ours::

    (1)  W = (X' X + gamma I)^-1  X' Y S  (S' S + lambda I)^-1        (d, a)
    (2)  prediction: arg max over c of x' W z^c

Deviations
    - The paper writes images and classes in columns; here they are rows.
    - Y is 0/1, not -1/1: class vectors are not centred, and the constant -1 then pulls every W z
      towards their mean, which costs T1 on the validation classes (ours).
    - Features have unit length before all else (ours; without it gamma has to follow the backbone's
      scale).
    - gamma and lambda are meant to be chosen on the validation classes, as the paper does:
      ``choose`` in the configuration.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from zslpipe.training.contract import Classes, Inputs, Pooled, TrainingData

INPUT = Pooled(size=224)
DECLARES = ("closed_form",)

# Images read at once while the sums are built (ours: 8 MB of features).
BATCH = 1024


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    feature_regulariser: PositiveFloat = 1.0  # gamma; ours: the middle of 10^-3 ... 10^3
    class_regulariser: PositiveFloat = 1.0  # lambda; ours, likewise


class Model(nn.Module):
    """The bilinear compatibility x' W z; the buffer ``W`` (d, a) is the whole state."""

    W: Tensor
    attributes: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("W", torch.zeros(input_shape[-1], classes.attributes.shape[1]))
        self.register_buffer("attributes", classes.attributes.clone())

    def scores(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Return x' W z^c (b, c) of pooled features (b, d)."""
        return F.normalize(inputs, dim=1) @ self.W @ self.attributes.T


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """What (1) is for any pair of regularisers: X' X = L diag(l) L' and S' S = R diag(r) R', so
    that W = L [L' X' Y S R / ((l + gamma) (r + lambda))] R'; ``core`` (d, a) is L' X' Y S R.
    """

    left_values: Tensor
    left: Tensor
    core: Tensor
    right_values: Tensor
    right: Tensor


@lru_cache(maxsize=1)
def _decomposed(inputs: Inputs, rows: Tensor, labels: Tensor, classes: Classes) -> _Decomposed:
    """Return both sides' eigenvalues and eigenvectors, float64; kept, since every pair of
    regularisers starts from them.
    """
    gram, targets = _sums(inputs, rows, labels, classes)
    signatures = classes.attributes[classes.seen].to(gram)
    left_values, left = torch.linalg.eigh(gram)
    right_values, right = torch.linalg.eigh(signatures.T @ signatures)
    core = left.T @ targets @ signatures @ right
    # Neither sum has negative eigenvalues but by rounding.
    return _Decomposed(left_values.clamp(min=0), left, core, right_values.clamp(min=0), right)


def _sums(inputs: Inputs, rows: Tensor, labels: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """Return X' X (d, d) and X' Y (d, seen class), float64."""
    seen_number = torch.cumsum(classes.seen, 0) - 1
    gram: Tensor | float = 0.0
    targets: Tensor | float = 0.0
    for part in torch.split(torch.arange(len(rows)), BATCH):
        features = F.normalize(inputs.take(rows[part]), dim=1).double()
        labelled = F.one_hot(seen_number[labels[part]], int(classes.seen.sum())).to(features)
        gram = gram + features.T @ features
        targets = targets + features.T @ labelled
    return torch.as_tensor(gram), torch.as_tensor(targets)


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Set W by eq. 1, in float64."""
    found = _decomposed(data.inputs, data.rows, data.labels, data.classes)
    left = found.left_values + config.feature_regulariser
    right = found.right_values + config.class_regulariser
    model.W.copy_(found.left @ (found.core / torch.outer(left, right)) @ found.right.T)
