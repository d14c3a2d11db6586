"""Train the demo dataset's backbone on its auxiliary pictures: what ImageNet is to the other backbones.

Only the identity of the auxiliary class is learned, never an attribute. All constants are ours.
"""

import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from tqdm import tqdm

from zslpipe.demo_network import DemoNetwork
from zslpipe.errors import InputError

SIDE = 96  # pixels of a training picture: a quarter cheaper than 112
RESIZED = 128  # pixels in memory; random windows of SIDE to RESIZED pixels are scaled to SIDE
BATCH = 32
LEARNING_RATE = 3e-3  # highest of the one-cycle schedule (Smith and Topin 2018)
WEIGHT_DECAY = 0.05
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as for every other backbone

logger = logging.getLogger(__name__)


def pretrain(images: Path, output: Path, epochs: int, seed: int, device: str) -> None:
    """Train a DemoNetwork on class folders of pictures and write its state dict; the file appears whole or not at all.

    The same seed gives the same weights on a CPU with the same number of threads. Raises InputError where
    ``images`` holds no class folders with pictures.
    """
    pictures, labels = read_pictures(images)
    torch.manual_seed(seed)
    network = DemoNetwork(int(labels.max()) + 1).to(device).to(memory_format=torch.channels_last)
    accuracies = train(network, pictures, labels, epochs, seed, device)
    logger.info("backbone: %d classes, accuracy %.3f in the last epoch", int(labels.max()) + 1, accuracies[-1])
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_suffix(".partial")
    torch.save({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, temporary)
    temporary.replace(output)


def read_pictures(images: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the pictures of class folders into memory: uint8 (n, 3, RESIZED, RESIZED) and class numbers (n,)."""
    paths = sorted(images.glob("*/*.png"))
    if not paths:
        raise InputError(f"{images}: no class folders with PNG pictures; the rule 'index' of the demo writes them")
    folders = sorted({path.parent.name for path in paths})
    labels = torch.tensor([folders.index(path.parent.name) for path in paths])
    pictures = np.empty((len(paths), RESIZED, RESIZED, 3), np.uint8)
    for row, path in enumerate(paths):
        with Image.open(path) as image:
            pictures[row] = np.asarray(image.convert("RGB").resize((RESIZED, RESIZED), Image.Resampling.BILINEAR))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), labels


def train(
    network: DemoNetwork, pictures: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int, device: str
) -> list[float]:
    """Minimise cross-entropy over auxiliary classes with AdamW; return the training accuracy of each epoch."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=epochs * steps)
    network.train()
    accuracies = []
    for epoch in tqdm(range(epochs), desc="backbone", unit="epoch"):
        right = 0
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            batch = augment(pictures[rows], generator).to(device, memory_format=torch.channels_last)
            logits = network(batch)
            loss = functional.cross_entropy(logits, labels[rows].to(device), label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            right += int((logits.argmax(1).cpu() == labels[rows]).sum())
        accuracies.append(right / len(labels))
        logger.debug("backbone: epoch %d, accuracy %.3f", epoch + 1, accuracies[-1])
    return accuracies


def augment(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut, mirror and brighten uint8 (b, 3, RESIZED, RESIZED) at random; return normalised (b, 3, SIDE, SIDE).

    One window a batch (its size, too, is random), one mirroring and one brightness (0.8 to 1.2) a picture.
    """
    window = int(torch.randint(SIDE, RESIZED + 1, (), generator=generator))
    left, top = torch.randint(RESIZED - window + 1, (2,), generator=generator).tolist()
    crops = pictures[:, :, top : top + window, left : left + window].float() / 255
    crops = functional.interpolate(crops, (SIDE, SIDE), mode="bilinear", antialias=True)
    mirrored = torch.rand(len(crops), generator=generator) < 0.5
    crops[mirrored] = crops[mirrored].flip(3)
    gain = 0.8 + 0.4 * torch.rand(len(crops), 1, 1, 1, generator=generator)
    return (crops * gain - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
