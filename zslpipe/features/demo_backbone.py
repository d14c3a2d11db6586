"""Train the demo dataset's backbone on its auxiliary pictures: what ImageNet is to the other
backbones.

Only the identity of the auxiliary class is learned, never an attribute. How, is in
:mod:`zslpipe.features.demo_training`.
"""

import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from zslpipe.features.demo_training import EPOCHS, RESIZED, SEED, read_picture, train
from zslpipe.folders import is_hidden
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder, written_whole
from zslpipe.machine.progress import ProgressLines, write_progress
from zslpipe.machine.seals import seal
from zslpipe.networks.demo_network import DemoNetwork

logger = logging.getLogger(__name__)


def pretrain(images: Path, output: Path, device: str) -> None:
    """Train a DemoNetwork on class folders of pictures and write its state dict; the file appears
    whole or not at all.

    The weights are always the same on a CPU with the same number of threads. Raises InputError
    where ``images`` holds no class folders with pictures, or where another process writes the same.
    """
    folder = work_folder(output)
    with held_folder(folder):
        _train_and_save(images, output, device, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _train_and_save(images: Path, output: Path, device: str, folder: Path) -> None:
    """Do what :func:`pretrain` promises, telling its progress in ``folder``, which is held."""
    write_progress(folder, {"what": "backbone", "epoch": 0, "epochs": EPOCHS})
    pictures, labels = read_pictures(images)
    classes = int(labels.max()) + 1
    torch.manual_seed(SEED)
    network = DemoNetwork(classes).to(device).to(memory_format=torch.channels_last)
    accuracies = []
    epochs = train(network, pictures, labels, device)
    lines = ProgressLines("backbone", "epochs", EPOCHS)
    for accuracy in tqdm(epochs, desc="backbone", unit="epoch", total=EPOCHS, disable=None):
        accuracies.append(accuracy)
        lines.tell(len(accuracies))
        write_progress(folder, {"what": "backbone", "epoch": len(accuracies), "epochs": EPOCHS})
    logger.info("backbone: %d classes, accuracy %.3f in the last epoch", classes, accuracies[-1])
    state = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    # An open file: torch would write the temporary name into it.
    with written_whole(output) as temporary:
        with temporary.open("wb") as file:
            torch.save(state, file)
        seal(temporary)


def read_pictures(images: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the pictures of class folders into memory: uint8 (n, 3, RESIZED, RESIZED) and class
    numbers (n,).
    """
    paths = sorted(path for path in images.glob("*/*.png") if not is_hidden(path.name))
    if not paths:
        raise InputError(
            f"{images}: no class folders with PNG pictures; the demo's rule 'render' writes them"
        )
    folders = sorted({path.parent.name for path in paths})
    labels = torch.tensor([folders.index(path.parent.name) for path in paths])
    pictures = np.empty((len(paths), RESIZED, RESIZED, 3), np.uint8)
    for row, path in enumerate(paths):
        pictures[row] = read_picture(path)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), labels
