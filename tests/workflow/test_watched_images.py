"""An image replaced, added or removed: index, extraction of what changed, everything behind it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.checkouts import PARTS, Checkout, copied
from tests.made_up.places import ROOT
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import read_index
from zslpipe.networks.demo_network import DemoNetwork

CONFIG = """\
data_root: ../data
seeds: [0]
methods: [eszsl]
datasets:
  mine:
    adapter: folder
    source: {images: pictures, attributes: attributes.csv, unseen_classes: unseen.txt}
    extractors: [small]
    words: random
    irrelevant: others
irrelevant:
  others: {images: others}
extractors:
  small: {backbone: demo, weights: weights.pt, size: 112, grid: 7, batch_size: 4}
words:
  random: {kind: random, dimension: 8}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1}
"""
INDEX, FEATURES = "results/mine/index.h5", "results/mine/features/small.h5"
IRRELEVANT = "results/mine/features/small.irrelevant.h5"
CHANGED = {"index mine", "specify_features mine/small", "extract mine/small"}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with features of a folder of one's own, beside which the data lie."""
    folder = tmp_path_factory.mktemp("own")
    data, checkout = folder / "data", Checkout(folder / "checkout")
    for number in range(36):
        picture(data / f"pictures/class {number // 6}/{number:02d}0.png", number)
    for number in range(5):
        picture(data / f"others/{number}.png", 100 + number)
    rows = [f"class {number},{number},{6 - number}" for number in range(6)]
    (data / "attributes.csv").write_text("\n".join(["class,size,shape", *rows]) + "\n")
    (data / "unseen.txt").write_text("class 5\n")
    torch.manual_seed(0)
    torch.save(DemoNetwork(classes=3).state_dict(), data / "weights.pt")
    checkout.folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, checkout.folder / part)
    (checkout.folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    checkout.snakemake("--cores", "1", FEATURES, IRRELEVANT)
    return checkout


@pytest.fixture
def checkout(extracted: Checkout, tmp_path: Path) -> Checkout:
    """A copy of checkout and data, elsewhere, with their times."""
    shutil.copytree(extracted.folder.parent, tmp_path / "moved", symlinks=True)
    return Checkout(tmp_path / "moved/checkout")


def test_moved_with_its_data_nothing_is_done(checkout: Checkout) -> None:
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == set()


def test_hidden_files_and_other_folders_are_not_watched(checkout: Checkout) -> None:
    data = checkout.folder.parent / "data"
    (data / "pictures/class 0/._000.png").write_bytes(b"of a Mac")
    (data / "pictures/.ipynb_checkpoints").mkdir()
    picture(data / "pictures/.ipynb_checkpoints/000-checkpoint.png", 0)
    picture(data / "elsewhere/1.png", 0)
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == set()


def test_an_image_replaced_in_place(checkout: Checkout) -> None:
    picture(checkout.folder.parent / "data/pictures/class 1/070.png", 200)
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == CHANGED
    before = FeatureFile(checkout.folder / FEATURES).pooled[:]
    said = checkout.snakemake("--cores", "1", FEATURES)
    # Of 36 images in batches of 4, one batch is not known.
    assert "32 of 36 images are taken from the earlier features" in said
    after = FeatureFile(checkout.folder / FEATURES).pooled[:]
    assert np.flatnonzero((before != after).any(axis=1)).tolist() == [7]
    assert not list((checkout.folder / FEATURES).parent.glob(".*"))
    assert checkout.planned(FEATURES, INDEX) == set()


def test_an_image_added_and_one_removed(checkout: Checkout) -> None:
    data = checkout.folder.parent / "data"
    picture(data / "pictures/class 1/075.png", 200)
    (data / "pictures/class 4/250.png").unlink()
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == CHANGED
    checkout.snakemake("--cores", "1", FEATURES)
    paths = read_index(checkout.folder / INDEX).paths
    assert "class 1/075.png" in paths and "class 4/250.png" not in paths
    assert checkout.planned(FEATURES, INDEX) == set()


def test_task_irrelevant_images_are_watched(checkout: Checkout) -> None:
    picture(checkout.folder.parent / "data/others/9.png", 200)
    jobs = {"specify_irrelevant mine/small", "extract_irrelevant mine/small"}
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == {"list_irrelevant others", *jobs}
    said = checkout.snakemake("--cores", "1", IRRELEVANT)
    assert "4 of 6 images are taken from the earlier features" in said
    assert checkout.planned(FEATURES, INDEX, IRRELEVANT) == set()


def test_features_are_made_where_they_are_asked_for_though_the_index_is_due(
    checkout: Checkout,
) -> None:
    """An edit of an adapter makes the index due, of itself it costs no extraction."""
    checkout.append("zslpipe/formats/index.py", "\nADDED = 1\n")
    assert checkout.planned(FEATURES) == {"index mine"}
    weights = checkout.folder.parent / "data/weights.pt"
    weights.touch()
    assert checkout.planned(FEATURES) == {"index mine", "extract mine/small"}
    (checkout.folder / FEATURES).unlink()
    assert checkout.planned(FEATURES) == {"index mine", "extract mine/small"}
    checkout.snakemake("--cores", "1", FEATURES)
    assert (checkout.folder / FEATURES).is_file()


def test_a_broken_image_leaves_the_earlier_features_to_take_from(checkout: Checkout) -> None:
    image = checkout.folder.parent / "data/pictures/class 1/070.png"
    picture(image, 200)
    whole = image.read_bytes()
    image.write_bytes(whole[:400])
    assert "cannot be read" in checkout.snakemake("--cores", "1", FEATURES, fails=True)
    assert not (checkout.folder / FEATURES).exists()
    image.write_bytes(whole)
    assert "32 of 36 images" in checkout.snakemake("--cores", "1", FEATURES)
