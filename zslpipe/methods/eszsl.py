"""ESZSL: An Embarrassingly Simple Approach to Zero-Shot Learning.

Romera-Paredes and Torr, ICML 2015; a baseline in closed form. Features X (n, d), labels Y (n, seen class) in {0, 1},
seen class vectors S (seen class, a)::

    (6)  W = (X' X + gamma I)^-1  X' Y S  (S' S + lambda I)^-1        (d, a)
         prediction: arg max over c of x' W z^c

Deviations
    - The paper writes images and classes in columns; here they are rows.
    - Y is 0/1, not -1/1: class vectors are not centred, and the constant -1 then pulls every W z towards their mean. On
      the validation classes of 127 CUB classes T1 is 62 % with 0/1 and 38 % with -1/1.
    - Features have unit length before all else (ours; without it gamma has to follow the backbone's scale).
    - gamma and lambda are meant to be chosen on the validation classes, as the paper does: ``choose`` in the
      configuration.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zslpipe.data import Classes, Pooled, TrainingData

INPUT = Pooled(size=224)

# Images read at once while the sums are built (ours: 8 MB of features).
BATCH = 1024


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    feature_regulariser: float = 1.0  # gamma; paper, section 3.2: one of 10^-3 ... 10^3, chosen on validation classes
    class_regulariser: float = 1.0  # lambda; paper, likewise


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


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Set W by eq. 6, in float64, from one pass over the training images."""
    device = data.run.device
    signatures = data.classes.attributes[data.classes.seen].double().to(device)
    seen_number = torch.cumsum(data.classes.seen, 0) - 1
    width, attributes = model.W.shape
    gram = config.feature_regulariser * torch.eye(width, dtype=torch.float64, device=device)
    targets = torch.zeros(width, len(signatures), dtype=torch.float64, device=device)
    for batch in data.in_order(BATCH):
        features = F.normalize(batch.inputs, dim=1).double()
        labels = F.one_hot(seen_number.to(device)[batch.labels], len(signatures)).double()
        gram += features.T @ features
        targets += features.T @ labels
    right = signatures.T @ signatures + config.class_regulariser * torch.eye(
        attributes, dtype=torch.float64, device=device
    )
    weights = torch.linalg.solve(gram, targets @ signatures)
    model.W.copy_(torch.linalg.solve(right, weights, left=False))
