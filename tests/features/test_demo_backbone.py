"""The demo's backbone: one process at a time trains it, and leaves nothing but its weights."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from zslpipe.features import demo_backbone, demo_training
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.interruption import Interrupted
from zslpipe.machine.seals import is_sealed


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Return class folders of tiny pictures; training them takes three epochs."""
    generator = np.random.default_rng(0)
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        path = tmp_path / "auxiliary" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    for module in (demo_backbone, demo_training):
        monkeypatch.setattr(module, "EPOCHS", 3)
    return tmp_path / "auxiliary"


def test_weights_are_all_that_stays(images, tmp_path):
    output = tmp_path / "results" / "backbone.pt"
    demo_backbone.pretrain(images, output, "cpu")
    assert [path.name for path in output.parent.iterdir()] == ["backbone.pt"]
    assert torch.load(output, weights_only=True)
    assert is_sealed(output)


def test_a_second_process_is_told_who_trains_it(images, tmp_path):
    output = tmp_path / "results" / "backbone.pt"
    with (
        held_folder(work_folder(output)),
        pytest.raises(InputError, match=r"backbone\.pt\.work: process \d+ on \S+ writes here"),
    ):
        demo_backbone.pretrain(images, output, "cpu")
    demo_backbone.pretrain(images, output, "cpu")
    assert output.is_file()


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="no class folders with PNG pictures"):
        demo_backbone.pretrain(tmp_path, tmp_path / "backbone.pt", "cpu")


@pytest.mark.parametrize("change", ["none", "pictures", "damage"])
def test_told_to_stop_it_goes_on_at_its_last_epoch_to_the_same_bytes(
    images, tmp_path, monkeypatch, change
):
    demo_backbone.pretrain(images, tmp_path / "whole.pt", "cpu")
    output, batches, augment = tmp_path / "cut.pt", [], demo_training.augment

    def counted(pictures, generator):
        batches.append(len(pictures))
        if len(batches) == 3:  # one batch an epoch: in the last
            os.kill(os.getpid(), signal.SIGTERM)
        return augment(pictures, generator)

    monkeypatch.setattr(demo_training, "augment", counted)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(Interrupted, match="backbone: told to stop; what came before is kept"):
            demo_backbone.pretrain(images, output, "cpu")
    finally:
        signal.signal(signal.SIGTERM, before)
    if change == "pictures":
        Image.new("RGB", (9, 9)).save(images / "a" / "0.png")
    if change == "damage":
        kept = work_folder(output) / "checkpoint.pt"
        damaged = bytearray(kept.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        kept.write_bytes(damaged)
    demo_backbone.pretrain(images, output, "cpu")
    assert len(batches) == 3 + (1 if change == "none" else 3)
    whole = (tmp_path / "whole.pt").read_bytes()
    assert (output.read_bytes() == whole) == (change != "pictures")
    assert not work_folder(output).exists()
