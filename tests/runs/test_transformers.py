"""Runs on a transformer, from features to predictions of new pictures and an exported folder: what
describes a whole image is computed for a new one as for those of the dataset.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from tests.made_up.pictured import CPU, train, write_pictured
from tests.made_up.specification import SPEC
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.scores import read_scores
from zslpipe.runs.cells import run_cell_centres
from zslpipe.runs.export import export, read_exported
from zslpipe.runs.image_inputs import network_hash
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.prediction import open_predictor
from zslpipe.runs.trained import open_trained

torch.set_num_threads(1)
VIT = {"backbone": "timm/test_vit", "size": 48, "grid": 3}
CACHE = {"name": "small", "features_version": 2, **VIT}
SHORT = {"epochs": 1, "backbone": "timm/test_vit"}
# As a configuration names it: counted from data_root, here the dataset's folder.
READ = CACHE | {"weights": "backbone.pt"}
RUNS: dict[str, dict[str, Any]] = {
    "eszsl": {"cache": READ},
    "dazle": {"cache": READ},
    "rsan head": {
        "input": "regions",
        "trunk": None,
        "cache": READ,
        "settings": {"epochs": 1, "episodes": 0, "regression_weight": 0.0},
    },
    "rsan": {"trunk": VIT, "settings": SHORT | {"episodes": 2, "ways": 3}},
    "crafting": {"input": "images", "trunk": VIT, "settings": SHORT | {"head_epochs": 1}},
}


def written(folder: Path, pooled: str) -> Path:
    network = timm.create_model("test_vit", num_classes=20 if pooled == "mean" else 1000)
    cache = CACHE if pooled == "mean" else CACHE | {"pooled": pooled}
    return write_pictured(folder, cache, network)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("pictured"), "mean")


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_new_pictures_are_scored_as_the_datasets(dataset, images, run) -> None:
    folder = train(dataset, run.split()[0], variant=run.replace(" ", "_"), **RUNS[run])
    matrix = read_scores(folder / "scores.h5")
    found = open_predictor(folder, dataset, device="cpu", threads=1).scores(images)
    for split, expected in matrix.scores.items():
        assert np.ptp(expected, axis=0).min() > 0
        np.testing.assert_allclose(found[matrix.images[split]], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pooled", "width"), [("mean", 64), ("class_token", 64), ("head", 1000)])
def test_pooled_features_of_new_pictures_and_of_exported_runs(tmp_path, pooled, width) -> None:
    dataset = written(tmp_path, pooled)
    cache = READ if pooled == "mean" else READ | {"pooled": pooled}
    folder = train(dataset, "eszsl", cache=cache)
    stored = FeatureFile(dataset / "features" / "small.h5")
    assert stored.pooled.shape[1] == width and stored.regions.shape[1:] == (9, 64)
    assert network_hash(cache, dataset / "backbone.pt") == stored.attributes["weights_hash"]
    pictures = sorted((dataset / "images").iterdir(), key=lambda path: int(path.stem))[:40]
    read = open_predictor(folder, dataset, device="cpu", threads=1).pictures.stream(pictures)
    found = np.concatenate([part.inputs.numpy() for part in read])
    np.testing.assert_allclose(found, stored.pooled[: len(found)], rtol=1e-5, atol=1e-6)
    trained = open_trained(folder, dataset)
    export(trained, tmp_path / "exported", "card")
    again = read_exported(tmp_path / "exported")
    assert (again.shape, again.network_hash) == ((width,), trained.network_hash)
    image = torch.zeros(1, 3, 48, 48)
    with torch.inference_mode():
        for one, other in zip(
            trained.trunk.features(image), again.trunk.features(image), strict=True
        ):
            assert one is other is None or torch.equal(one, other)


def test_regions_say_where_they_look_in_old_files_too(dataset) -> None:
    spec = SPEC | {"method": "dazle", "input": "regions", "cache": READ}
    files = (dataset / "index.h5", dataset / "features" / "small.h5", dataset / "images")
    opened = open_run_inputs(spec, *files, None, CPU)
    expected = run_cell_centres(opened)
    assert (expected.first, expected.step) == pytest.approx((1 / 6, 1 / 3))
    del opened.features.attributes["cell_first"]
    assert run_cell_centres(opened) == expected
