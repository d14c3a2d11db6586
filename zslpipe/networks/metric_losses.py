"""Metric losses of images that are joined with their class vectors (MLIS, eq. 1 and table 4)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pytorch_metric_learning.losses import CircleLoss, ContrastiveLoss, MultiSimilarityLoss
from torch import Tensor


def metric_loss_of(name: str, margin: float, scale: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the metric loss of vectors (b, k) and labels (b): the circle loss (eq. 1), or one of
    table 4's other two, which keep the library's settings (paper, section 4.4).
    """
    loss: Callable[[Tensor, Tensor], Tensor]
    if name == "circle":
        loss = CircleLoss(m=margin, gamma=scale)
    elif name == "contrastive":
        loss = ContrastiveLoss()
    else:
        loss = MultiSimilarityLoss()
    return loss


def joined(
    features: Float[Tensor, "b h"], semantics: Float[Tensor, "b a"], weight: float
) -> Float[Tensor, "b j"]:
    """Return [h, w a], both of unit length before the weight: the cosine of two of them is
    (cos h + w^2 cos a) / (1 + w^2).
    """
    unit = F.normalize(semantics, dim=1)
    return torch.cat([F.normalize(features, dim=1), weight * unit], dim=1)
