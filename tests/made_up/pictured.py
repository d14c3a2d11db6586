"""The miniature dataset with pictures and a network, laid out as results are; runs on it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.made_up.miniature import write_miniature
from tests.made_up.specification import SPEC
from zslpipe.features.extraction import extract
from zslpipe.features.extractor import Extractor
from zslpipe.formats.index import read_index
from zslpipe.machine.devices import Compute
from zslpipe.names import text_name
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.rebalancing_inputs import write_validation_scores
from zslpipe.runs.train import run_method

CPU = Compute(device="cpu", threads=1, checkpoint_seconds=1e6)
CACHE = {"name": "small", "backbone": "demo", "size": 32, "grid": 2, "features_version": 2}
TRUNK = {"backbone": "demo", "size": 32, "grid": 2}
SHAPES = [(40, 50), (33, 32), (64, 40)]  # height and width of pictures
MODES = ("RGB", "L", "RGBA")
METHODS: dict[str, dict[str, Any]] = {
    "eszsl": {"input": "pooled", "settings": {"feature_regulariser": 0.1}},
    "dazle": {"input": "regions", "settings": {"epochs": 2, "lr": 0.01, "batch_size": 8}},
    "rsan": {
        "input": "images",
        "settings": {"backbone": "demo", "epochs": 1, "episodes": 2, "ways": 3},
    },
    "crafting": {"input": "pooled", "settings": {"epochs": 1}},
    "mlis": {
        "input": "pooled",
        "settings": {"hidden": 8, "generator_steps": 5, "refinement_epochs": 1, "epochs": 1},
    },
    "sgma": {"input": "images", "settings": {"backbone": "demo", "parts": "none", "epochs": 1}},
}


def write_pictured(
    folder: Path, cache: Mapping[str, Any] = CACHE, network: nn.Module | None = None
) -> Path:
    """Write a dataset's index, words, pictures, network (the demo's, without another) and features;
    return its folder under results.
    """
    dataset = folder / "results" / "miniature"
    (dataset / "words").mkdir(parents=True)
    paths = write_miniature(dataset)
    paths["words"].replace(dataset / "words" / "made_up.h5")
    paths["features"].unlink()
    index = read_index(paths["index"])
    draw(dataset / "images", index.paths)
    torch.manual_seed(1)  # not the weights that are called random
    network = DemoNetwork(classes=1) if network is None else network
    torch.save(network.state_dict(), dataset / "backbone.pt")
    extractor = Extractor(**cache, weights=str(dataset / "backbone.pt"))
    features = dataset / "features" / "small.h5"
    extract(index, dataset / "images", extractor, features, torch.device("cpu"), 0)
    return dataset


def draw(folder: Path, names: tuple[str, ...]) -> None:
    """Write pictures of several sizes and modes."""
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number, name in enumerate(names):
        pixels = generator.integers(0, 256, (*SHAPES[number % 3], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(MODES[number % 3]).save(folder / name)


def train(dataset: Path, method: str, validated: bool = False, **changed: Any) -> Path:
    """Train a method on such a dataset; return the folder of its seed."""
    spec = SPEC | {"method": method, "extractor": "small", "words": "made_up"} | METHODS[method]
    section = {"trunk": TRUNK} if spec["input"] == "images" else {"cache": CACHE}
    spec = spec | section | changed
    output = dataset / "runs" / method / spec["variant"] / "seed0"
    files = (dataset / "index.h5", dataset / "features" / "small.h5", dataset / "images")
    name = text_name(spec["semantics"])
    texts = None if name is None else dataset / "texts" / f"{name}.h5"
    inputs = open_run_inputs(spec, *files, dataset / "backbone.pt", CPU, texts=texts)
    words = dataset / "words" / "made_up.h5"
    run_method(spec, 0, inputs, words, output, CPU)
    if validated:
        weights, path = output / "weights.pt", output / "validation.h5"
        write_validation_scores(weights, replace(inputs), words, 0, path, CPU)
    return output
