"""Features of a network of tokens: patches are regions, the class token or head is what describes
the whole image, and the file says which.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from tests.made_up.miniature import miniature_index
from tests.made_up.places import SCRIPT
from zslpipe.features import extraction
from zslpipe.features.extractor import Extractor
from zslpipe.features.images import normalise, read_image, square
from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.formats.identity import check_features
from zslpipe.formats.image_list import write_image_list
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranks import Rank
from zslpipe.networks.backbones import build_trunk

torch.set_num_threads(1)
CPU = torch.device("cpu")
IMAGES, SIZE, GRID, WIDTH = 5, 80, 5, 64  # timm's test_vit: patches of 16 px
VIT = Extractor("vit", "timm/test_vit", "random", SIZE, GRID, features_version=1, batch_size=2)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = generator.integers(0, 256, (90 + number, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def index() -> Index:
    whole = miniature_index(np.random.default_rng(0))
    return replace(whole, paths=tuple(f"{number}.png" for number in range(IMAGES)))


def extracted(images: Path, output: Path, extractor: Extractor, rank: Rank | None = None) -> bytes:
    extraction.extract(index(), images, extractor, output, CPU, 0, rank or Rank(0, 1))
    return output.read_bytes()


@pytest.mark.parametrize("pooled", ["mean", "class_token", "head"])
def test_regions_are_patches_and_pooled_is_what_was_asked_for(images, tmp_path, pooled) -> None:
    extracted(images, tmp_path / "vit.h5", replace(VIT, pooled=pooled))
    stored = FeatureFile(tmp_path / "vit.h5")
    trunk = build_trunk("timm/test_vit", "random", size=SIZE, pooled="head")
    network = trunk.body.network
    for number in range(IMAGES):
        read = square(SIZE)(read_image(images / f"{number}.png"))[None]
        with torch.inference_mode():
            image = normalise(read, trunk.mean, trunk.deviation)
            tokens, scores = network.forward_features(image)[0].numpy(), network(image)[0].numpy()
        np.testing.assert_allclose(stored.regions[number], tokens[1:], rtol=2e-3, atol=1e-4)
        expected = {"mean": tokens[1:].mean(0), "class_token": tokens[0], "head": scores}[pooled]
        np.testing.assert_allclose(stored.pooled[number], expected, rtol=1e-4, atol=1e-5)
    assert stored.regions.shape == (IMAGES, GRID**2, WIDTH)
    assert stored.pooled.shape == (IMAGES, 1000 if pooled == "head" else WIDTH)
    assert stored.attributes.get("pooled", "mean") == pooled
    assert ("pooled" in stored.attributes) == (pooled != "mean")
    assert (stored.centres.first, stored.centres.step) == pytest.approx((0.1, 0.2))


def test_two_of_the_same_are_the_same_bytes(images, tmp_path) -> None:
    first = extracted(images, tmp_path / "one.h5", replace(VIT, pooled="head"))
    assert extracted(images, tmp_path / "two.h5", replace(VIT, pooled="head")) == first


@pytest.mark.slow
def test_two_ranks_write_the_bytes_of_one(tmp_path) -> None:
    """Three blocks of pictures, of which two ranks do a part each."""
    (tmp_path / "images").mkdir()
    generator = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(2 * BLOCK + 20)]
    for name in names:
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    write_image_list(tmp_path / "list.h5", "made up", {}, names)
    settings = {"name": "vit", "backbone": "timm/test_vit", "weights": "random", "size": 32}
    settings |= {"grid": 2, "pooled": "head", "features_version": 1, "batch_size": 32}
    for ranks in (1, 2):
        compute = {"device": "cpu", "extract_tasks": ranks, "extract_threads": 1}
        words = [sys.executable, "-m", "zslpipe", "extract-irrelevant", "--threads", "1"]
        words += ["--index", str(tmp_path / "list.h5"), "--images", str(tmp_path / "images")]
        words += ["--settings", json.dumps(settings), "--compute", json.dumps(compute)]
        words += ["--output", str(tmp_path / f"{ranks}.h5")]
        done = subprocess.run(words, env=SCRIPT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()
    assert FeatureFile(tmp_path / "2.h5").pooled.shape == (2 * BLOCK + 20, 1000)


def test_features_pooled_otherwise_are_refused(images, tmp_path) -> None:
    asked = {"name": "vit", "backbone": "timm/test_vit", "weights": "random", "size": SIZE}
    asked |= {"grid": GRID, "features_version": 1}
    own, stamps = index(), {}
    for pooled in ("mean", "head"):
        extracted(images, tmp_path / f"{pooled}.h5", replace(VIT, pooled=pooled))
        stamps[pooled] = FeatureFile(tmp_path / f"{pooled}.h5").attributes
    check_features(tmp_path, stamps["mean"], own, asked, "")
    check_features(tmp_path, stamps["head"], own, {**asked, "pooled": "head"}, "")
    with pytest.raises(InputError, match="pooled: asked 'head', it says 'mean'"):
        check_features(tmp_path, stamps["mean"], own, {**asked, "pooled": "head"}, "")
    with pytest.raises(InputError, match="pooled: asked 'mean', it says 'head'"):
        check_features(tmp_path, stamps["head"], own, asked, "")
    # Features of another program say nothing of it.
    check_features(tmp_path, {"extractor": "vit"}, own, {**asked, "pooled": "head"}, "")


def test_what_is_no_vector_an_image_is_refused(images, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        timm.models.VisionTransformer, "forward_head", lambda self, tokens: tokens[:, :3]
    )
    with pytest.raises(InputError, match=r"pooled 'head' of timm/test_vit is 3x64 numbers an im"):
        extracted(images, tmp_path / "vit.h5", replace(VIT, pooled="head"))


def test_a_grid_that_the_patches_do_not_give_is_refused(images, tmp_path) -> None:
    with pytest.raises(InputError, match="has a 5x5 map, the configuration says 7x7"):
        extracted(images, tmp_path / "vit.h5", replace(VIT, grid=7))
