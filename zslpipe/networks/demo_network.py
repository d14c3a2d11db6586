"""The demo dataset's own network: small enough to be trained on a laptop's processor within a
minute and a half.
"""

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (24, 48, 128, 192)  # channels of the stem and of the three stages; ours


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2), halving height and width;
    ends in ReLU.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (b, inputs, h, w) to (b, outputs, h / 2, w / 2), rounded up, all at least 0."""
        return torch.relu(self.body(inputs) + self.shortcut(inputs))


class DemoNetwork(nn.Module):
    """``features``, the trunk: (b, 3, h, w) to (b, 192, h / 16, w / 16); ``classifier`` on their
    mean.

    About 0.1 billion multiplications for a picture of 112 pixels, which becomes 7x7 regions; 224
    gives 14x14.
    """

    def __init__(self, classes: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
            *(Block(inputs, outputs) for inputs, outputs in pairwise(WIDTHS)),
        )
        self.classifier = nn.Linear(WIDTHS[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return class logits (b, classes) of normalised images (b, 3, h, w)."""
        logits: torch.Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits
