"""The critic of a conditional Wasserstein GAN on feature vectors, with the gradient penalty's norm
in closed form (MLIS, eq. 2).

The penalty needs neither a third pass through D nor a second derivative: D's first layer is linear,
so its output at x^ is the interpolate of its outputs, and the gradient of
D = w' LeakyReLU(V x + S a + b) is V' (w * slope).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.2  # family: of the LeakyReLU


class Critic(nn.Module):
    """D(x, a) = w' LeakyReLU(V x + S a + b) + c."""

    def __init__(self, width: int, semantics: int, hidden: int):
        super().__init__()
        self.features = nn.Linear(width, hidden)
        self.semantics = nn.Linear(semantics, hidden, bias=False)
        self.value = nn.Linear(hidden, 1)

    def forward(
        self, features: Float[Tensor, "b d"], semantics: Float[Tensor, "b a"]
    ) -> Float[Tensor, " b"]:
        """Return D(x, a)."""
        hidden = F.leaky_relu(self.features(features) + self.semantics(semantics), SLOPE)
        values: Tensor = self.value(hidden)
        return values.squeeze(1)

    def losses(
        self,
        real: Float[Tensor, "b d"],
        synthetic: Float[Tensor, "b d"],
        semantics: Float[Tensor, "b a"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the two parts of eq. 2: E D(G(z, a), a) - E D(x, a), and E (|grad D(x^, a)| -
        1)^2.
        """
        before = self.features(torch.stack([real, synthetic])) + self.semantics(semantics)
        values = self.value(F.leaky_relu(before, SLOPE)).mean((1, 2))
        share = torch.rand(len(real), 1, dtype=real.dtype, device=real.device)
        between = torch.lerp(before[1].detach(), before[0].detach(), share.to(before.dtype))
        slopes = torch.full_like(between, SLOPE).masked_fill_(between > 0, 1.0)
        gradients = (slopes * self.value.weight) @ self.features.weight
        penalty = (torch.linalg.vector_norm(gradients, dim=1) - 1).square().mean()
        return values[1] - values[0], penalty
