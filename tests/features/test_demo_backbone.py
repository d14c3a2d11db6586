"""The demo's backbone: one process at a time trains it, and leaves nothing but its weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from zslpipe.features import demo_backbone
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.seals import is_sealed


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Return class folders of tiny pictures; training them is one epoch that learns nothing."""
    generator = np.random.default_rng(0)
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        path = tmp_path / "auxiliary" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    monkeypatch.setattr(demo_backbone, "train", lambda *_: iter([0.5]))
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
