"""What a run reads: cached features, or images and the network that an end-to-end method trains."""

import importlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.miniature import CLASSES, write_miniature
from tests.made_up.specification import SPEC
from zslpipe.commands import cli
from zslpipe.formats.index import read_index
from zslpipe.formats.scores import read_scores
from zslpipe.formats.words import read_words
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import EXIT_CODE
from zslpipe.networks.backbones import build_trunk
from zslpipe.provenance import canonical
from zslpipe.runs.models import build_model, configured
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.problems import classes_of
from zslpipe.runs.train import run_method
from zslpipe.runs.weights import load_model

torch.set_num_threads(1)
CPU = Compute(device="cpu", threads=1)
TRUNK = {"backbone": "demo", "weights": "random", "size": 48, "grid": 3}
RSAN = SPEC | {
    "method": "rsan",
    "input": "images",
    "trunk": TRUNK,
    "extractor": "demo_3x3",
    "words": "words",
    "settings": {"epochs": 1, "episodes": 2, "ways": 3, "backbone": "demo"},
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("miniature")
    paths = write_miniature(folder)
    generator = np.random.default_rng(0)
    for name in read_index(paths["index"]).paths:
        Image.fromarray(generator.integers(0, 256, (60, 64, 3), dtype=np.uint8)).save(folder / name)
    return paths | {"images": folder}


def run_inputs_of(paths: dict[str, Path], spec: dict = RSAN, weights: Path | None = None):
    return open_run_inputs(spec, paths["index"], paths["features"], paths["images"], weights, CPU)


@pytest.mark.slow
def test_an_end_to_end_run_trains_the_pretrained_network(paths, tmp_path):
    state = build_trunk("demo", "random").state_dict()
    torch.manual_seed(5)
    changed = {
        name: value + 0.01 * torch.rand_like(value.float()).to(value.dtype)
        for name, value in state.items()
        if name.startswith("body.")
    }
    network = {name.removeprefix("body."): value for name, value in changed.items()}
    whole = network | {"classifier.weight": torch.zeros(1, 192), "classifier.bias": torch.zeros(1)}
    torch.save(whole, tmp_path / "weights.pt")
    run_inputs = run_inputs_of(paths, weights=tmp_path / "weights.pt")
    index, words = run_inputs.index, read_words(paths["words"])[0]
    module = importlib.import_module("zslpipe.methods.rsan")
    classes = classes_of(index, "att", "unit", words)
    before = build_model(module, configured(module, RSAN), classes, run_inputs)
    for name, value in changed.items():
        assert torch.equal(before.trunk.state_dict()[name], value), name

    run_method(RSAN, 0, run_inputs, paths["words"], tmp_path / "seed0", CPU)
    _, after, spec = load_model(tmp_path / "seed0" / "weights.pt", index, words)
    assert spec == RSAN | {"seed": 0}
    moved = [
        name
        for name, value in after.trunk.named_parameters()
        if not torch.equal(value, changed[name])
    ]
    assert moved == [name for name, _ in after.trunk.named_parameters()]
    matrix = read_scores(tmp_path / "seed0" / "scores.h5")
    with torch.inference_mode():
        for split, rows in matrix.images.items():
            scores = after.scores(run_inputs.inputs.take(torch.from_numpy(rows)))
            assert scores.shape[1] == CLASSES
            np.testing.assert_allclose(matrix.scores[split], scores.numpy(), atol=1e-4)


def test_another_network_or_another_index_is_another_source(paths, tmp_path):
    first = run_inputs_of(paths)
    assert run_inputs_of(paths).identity == first.identity
    state = {
        name: value + 1 for name, value in build_trunk("demo", "random").body.state_dict().items()
    }
    torch.save(
        state | {"classifier.weight": torch.zeros(1, 192), "classifier.bias": torch.zeros(1)},
        tmp_path / "w.pt",
    )
    assert run_inputs_of(paths, weights=tmp_path / "w.pt").identity != first.identity
    other = write_miniature(tmp_path, seed=1)
    with pytest.raises(InputError, match="no such file"):
        open_run_inputs(RSAN, other["index"].with_name("absent.h5"), None, tmp_path, None, CPU)
    assert (
        open_run_inputs(RSAN, other["index"], None, tmp_path, None, CPU).identity != first.identity
    )


def test_cached_inputs_are_regions_or_their_mean(paths):
    cached = RSAN | {"trunk": None}
    regions = run_inputs_of(paths, cached | {"input": "regions"}).inputs
    pooled = run_inputs_of(paths, cached | {"input": "pooled"}).inputs
    rows = torch.tensor([3, 0])
    assert len(regions.shape) == 2 and pooled.shape == regions.shape[1:]
    torch.testing.assert_close(regions.take(rows).mean(1), pooled.take(rows), atol=2e-3, rtol=0)


@pytest.mark.slow
def test_sigterm_gives_the_exit_code_and_the_same_command_goes_on(paths, tmp_path, monkeypatch):
    """In the command line's own process: after the first step the training is told to stop."""
    command = ["train", "--spec", canonical(RSAN), "--index", str(paths["index"])]
    command += ["--images", str(paths["images"]), "--words", str(paths["words"])]
    command += [
        "--output",
        str(tmp_path / "seed0"),
        "--threads",
        "1",
        "--compute",
        '{"device": "cpu"}',
    ]
    module = importlib.import_module("zslpipe.methods.rsan")
    loss = module.Model.loss

    def stopping(self, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, batch)

    monkeypatch.setattr(module.Model, "loss", stopping)
    assert cli.main(command) == EXIT_CODE
    assert not (tmp_path / "seed0" / "scores.h5").exists()
    monkeypatch.setattr(module.Model, "loss", loss)
    assert cli.main(command) == 0
    resumed = read_scores(tmp_path / "seed0" / "scores.h5")
    run_method(RSAN, 0, run_inputs_of(paths), paths["words"], tmp_path / "whole", CPU)
    expected = read_scores(tmp_path / "whole" / "scores.h5")
    for split in expected.scores:
        assert np.array_equal(resumed.scores[split], expected.scores[split])
