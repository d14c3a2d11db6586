"""How the demo's backbone is trained: its pictures, their augmentation, the optimiser. All
constants are ours.

Imports nothing of the package that often changes: its hash decides whether the backbone is trained
again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.imagenet import DEVIATION, MEAN

SIDE = 96  # ours: pixels of a training picture, a quarter cheaper than 112
RESIZED = 128  # ours: pixels in memory; random windows of SIDE to RESIZED pixels are scaled to SIDE
BATCH = 32  # ours
EPOCHS = 10  # ours: a minute and a half on two cores
SEED = 0  # ours
LEARNING_RATE = 3e-3  # ours: highest of the one-cycle schedule (Smith and Topin 2018)
WEIGHT_DECAY = 0.05  # ours
LABEL_SMOOTHING = 0.1  # family: Szegedy et al. 2016


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as uint8 (RESIZED, RESIZED, 3)."""
    with Image.open(path) as image:
        return np.asarray(
            image.convert("RGB").resize((RESIZED, RESIZED), Image.Resampling.BILINEAR)
        )


@dataclass(eq=False)
class Training:
    """What a training changes: all that it goes on from after an epoch. ``accuracies`` on the
    pictures, one an epoch that is done.
    """

    network: DemoNetwork
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    accuracies: list[float] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return the state of all parts."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "accuracies": list(self.accuracies),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Bring all parts to where ``state`` was taken."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        self.accuracies[:] = state["accuracies"]


def begin(network: DemoNetwork, count: int) -> Training:
    """Return the beginning of a training on ``count`` pictures: AdamW on a one-cycle schedule."""
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = -(-count // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=EPOCHS * steps
    )
    return Training(network, optimiser, schedule, torch.Generator().manual_seed(SEED))


def train(
    training: Training, pictures: torch.Tensor, labels: torch.Tensor, device: str
) -> Iterator[float]:
    """Minimise cross-entropy over auxiliary classes, from the epoch on that the training stands at;
    yield the training accuracy after each epoch.
    """
    network, optimiser, generator = training.network, training.optimiser, training.generator
    network.train()
    for _ in range(len(training.accuracies), EPOCHS):
        right = 0
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            batch = augment(pictures[rows], generator).to(device, memory_format=torch.channels_last)
            logits = network(batch)
            loss = functional.cross_entropy(
                logits, labels[rows].to(device), label_smoothing=LABEL_SMOOTHING
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            training.schedule.step()
            right += int((logits.argmax(1).cpu() == labels[rows]).sum())
        training.accuracies.append(right / len(labels))
        yield training.accuracies[-1]


def augment(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut, mirror and brighten uint8 (b, 3, RESIZED, RESIZED) at random; return normalised (b, 3,
    SIDE, SIDE).

    One window a batch (its size, too, is random), one mirroring and one brightness (0.8 to 1.2) a
    picture.
    """
    window = int(torch.randint(SIDE, RESIZED + 1, (), generator=generator))
    left, top = torch.randint(RESIZED - window + 1, (2,), generator=generator).tolist()
    crops = pictures[:, :, top : top + window, left : left + window].float() / 255
    crops = functional.interpolate(crops, (SIDE, SIDE), mode="bilinear", antialias=True)
    mirrored = torch.rand(len(crops), generator=generator) < 0.5
    crops[mirrored] = crops[mirrored].flip(3)
    gain = 0.8 + 0.4 * torch.rand(len(crops), 1, 1, 1, generator=generator)
    return (crops * gain - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
