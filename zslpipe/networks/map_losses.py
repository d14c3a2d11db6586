"""What maps of parts are trained by: each compact, and apart from the other (SGMA, eq. 5 and 6)."""

from jaxtyping import Float
from torch import Tensor

from zslpipe.networks.cropping import blobs


def compactness(maps: Float[Tensor, "b m h w"]) -> Float[Tensor, ""]:
    """Return L_CPT, eq. 5, its sum over maps and mean over images."""
    return (maps - blobs(maps)).square().mean((0, 2, 3)).sum()


def diversity(maps: Float[Tensor, "b 2 h w"], margin: float) -> Float[Tensor, ""]:
    """Return L_DIV, eq. 6 as a mean over positions, its sum over maps and mean over images."""
    return (maps * (maps.flip(1) - margin).clamp(min=0)).mean((0, 2, 3)).sum()
