"""Train the demo dataset's backbone on its auxiliary pictures: what ImageNet is to the other
backbones.

Only the identity of the auxiliary class is learned, never an attribute. How, is in
:mod:`zslpipe.features.demo_training`.
"""

import hashlib
import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from zslpipe.features.demo_training import (
    EPOCHS,
    RESIZED,
    SEED,
    Training,
    begin,
    read_picture,
    train,
)
from zslpipe.folders import is_hidden
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder, written_whole
from zslpipe.machine.interruption import ended_by_stop
from zslpipe.machine.progress import ProgressLines, write_progress
from zslpipe.machine.seals import check_seal, seal
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.provenance import code_hash, settings_hash

logger = logging.getLogger(__name__)


def pretrain(images: Path, output: Path, device: str) -> None:
    """Train a DemoNetwork on class folders of pictures and write its state dict; the file appears
    whole or not at all.

    The weights are always the same on a CPU with the same number of threads, however often the
    training is cut off: it goes on from its last epoch. Raises Interrupted after SIGTERM and
    InputError where ``images`` holds no class folders with pictures, or where another process
    writes the same.
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
    training = begin(network, len(labels))
    checkpoint = _Checkpoint(folder / "checkpoint.pt", pictures, labels)
    checkpoint.restore(training, device)
    accuracies = training.accuracies
    epochs = train(training, pictures, labels, device)
    lines = ProgressLines("backbone", "epochs", EPOCHS, len(accuracies))
    told = tqdm(
        epochs,
        desc="backbone",
        unit="epoch",
        total=EPOCHS,
        initial=len(accuracies),
        disable=None,
    )
    with ended_by_stop("backbone: told to stop"):
        for _ in told:
            checkpoint.save(training)
            lines.tell(len(accuracies))
            write_progress(folder, {"what": "backbone", "epoch": len(accuracies), "epochs": EPOCHS})
    logger.info("backbone: %d classes, accuracy %.3f in the last epoch", classes, accuracies[-1])
    state = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    # An open file: torch would write the temporary name into it.
    with written_whole(output) as temporary:
        with temporary.open("wb") as file:
            torch.save(state, file)
        seal(temporary)


class _Checkpoint:
    """What an interrupted training of the backbone goes on from: its state after an epoch, stamped
    with its code and its pictures (n, 3, RESIZED, RESIZED) and their labels.
    """

    def __init__(self, path: Path, pictures: torch.Tensor, labels: torch.Tensor):
        self.path = path
        shown = hashlib.sha256(pictures.numpy().tobytes()).hexdigest()
        self.stamp = settings_hash([code_hash(__name__), shown, labels.tolist()])

    def save(self, training: Training) -> None:
        """Write the training's state, whole or not at all."""
        with written_whole(self.path) as temporary:
            with temporary.open("wb") as file:
                torch.save({"stamp": self.stamp, **training.state()}, file)
            seal(temporary)

    def restore(self, training: Training, device: str) -> None:
        """Bring a training to where the checkpoint stands, where there is an intact one of its
        stamp.
        """
        if not self.path.is_file():
            return
        try:
            check_seal(self.path)
        except ValueError as error:
            logger.info("%s is damaged (%s): left behind", self.path.name, error)
            return
        saved = torch.load(self.path, map_location=device, weights_only=True)
        if saved["stamp"] == self.stamp:
            training.restore(saved)
            logger.info("backbone: goes on at epoch %d", len(training.accuracies) + 1)


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
