"""A crafted network that nobody trained, its images, and Grad-CAM of both."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.made_up.miniature import miniature_index
from zslpipe.formats.index import write_index
from zslpipe.methods.crafting import Config, Model
from zslpipe.networks.backbones import build_trunk
from zslpipe.runs.gradcam import write_grad_cam
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.runs.models import RunInputs
from zslpipe.runs.problems import classes_of

SIZE, COUNT = 64, 3  # pixels: a 4x4 map of the demo's network
CPU = torch.device("cpu")
SPEC = {
    "method": "crafting",
    "dataset": "miniature",
    "variant": "s_cc",
    "semantics": "att",
    "normalisation": "unit",
}


def model_of(config: Config, shape=(3, SIZE, SIZE)) -> Model:
    torch.manual_seed(0)
    classes = classes_of(miniature_index(np.random.default_rng(0)), "att", "unit", None)
    model = Model(config, classes, shape).eval()
    # Without it f . w / |f| depends on proportions alone: a map's sum before max(0, .) is 0, so
    # that none is empty.
    if config.rule == "semantic":
        torch.nn.init.zeros_(model.projection.bias)
    return model


def save(folder: Path, config: Config, model: Model, shape=(3, SIZE, SIZE), **changes) -> Path:
    path = folder / "weights.pt"
    saved = {"state": model.state_dict(), "config": asdict(config), "input_shape": list(shape)}
    torch.save(saved | {"run": json.dumps(SPEC | changes)}, path)
    return path


def noise_inputs(folder: Path) -> RunInputs:
    """Return the miniature dataset with noise for images, written into ``folder``."""
    generator = np.random.default_rng(0)
    index = miniature_index(generator)
    write_index(index, folder / "index.h5")
    for row in index.splits["test_unseen"]:
        pixels = generator.integers(0, 255, (SIZE, SIZE + row % 9, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / index.paths[row])
    mean, deviation = (torch.full((1, 3, 1, 1), value) for value in (0.5, 0.25))
    images = ImageInputs(folder, index, SIZE, mean, deviation, CPU, 0)
    return RunInputs(index, images, CPU, "", build_trunk("demo", "random"))


def written_grad_cam(folder: Path, run_inputs: RunInputs) -> Path:
    """Return the ``gradcam.h5`` of a network with semantic rules, written into ``folder``."""
    config = Config(backbone="demo")
    weights = save(folder, config, model_of(config))
    write_grad_cam(weights, run_inputs, 3, folder / "gradcam.h5", COUNT)
    return folder / "gradcam.h5"
