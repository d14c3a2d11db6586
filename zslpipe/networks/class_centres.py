"""Centres of classes in an embedding: pulled apart while training, and carried over to classes that
were not trained on (SGMA, eq. 8 and 10).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def drawn_centres(names: Sequence[str], length: int, deviation: float) -> Float[Tensor, "k a"]:
    """Return normal centres of the classes ``names``, drawn in the order of the names, so that the
    order of the classes does not count.
    """
    drawn = torch.empty(len(names), length).normal_(0, deviation)
    return drawn[[sorted(names).index(name) for name in names]]


def centre_triplet(
    embedding: Float[Tensor, "b a"],
    centres: Float[Tensor, "k a"],
    targets: Int[Tensor, " b"],
    margin: float,
    wrong: str,
) -> Float[Tensor, ""]:
    """Return L_CCT, eq. 8, against the closest wrong centre ("hardest") or as the "mean" over all
    wrong ones.
    """
    # Of unit vectors, |x - y|^2 = 2 - 2 x'y.
    distances = 2 - 2 * F.normalize(embedding, dim=1) @ F.normalize(centres, dim=1).T
    own = F.one_hot(targets, len(centres)).bool()
    hinges = (margin + distances[own].unsqueeze(1) - distances).clamp(min=0).masked_fill(own, 0.0)
    return (hinges.amax(1) if wrong == "hardest" else hinges.sum(1) / (len(centres) - 1)).mean()


def ridge_combinations(
    attributes: Float[Tensor, "c a"], seen: Tensor, ridge: float
) -> Float[Tensor, "c k"]:
    """Return R, eq. 10, of all classes from the k seen ones; a seen class is itself."""
    known, identity = attributes[seen], torch.eye(int(seen.sum())).to(attributes)
    gram = known @ known.T + ridge * identity
    combinations: Tensor = torch.linalg.solve(gram, known @ attributes.T).T
    combinations[seen] = identity
    return combinations
