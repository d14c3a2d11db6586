"""What a folder of weights says of them beside the file (config.json) is watched as the file is."""

import json
import os
from pathlib import Path

import pytest
import timm
import torch

from tests.made_up.checkouts import PARTS, Checkout, copied
from tests.made_up.places import ROOT

CONFIG = """\
data_root: ../data
seeds: [0]
methods: [eszsl]
datasets:
  demo:
    adapter: demo
    source: {images_per_class: 2, auxiliary_classes: 4, auxiliary_images_per_class: 2}
    extractors: [vit]
extractors:
  vit: {backbone: timm/test_vit, weights: "hf:vit", size: 64, grid: 4, batch_size: 4}
eszsl: {extractor: vit}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1}
"""
FEATURES = "results/demo/features/vit.h5"
AGAIN = {"specify_features demo/vit", "extract demo/vit"}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with features of a network from a folder as timm writes it."""
    folder = tmp_path_factory.mktemp("own")
    checkout = Checkout(folder / "checkout")
    torch.manual_seed(0)
    timm.models.save_for_hf(timm.create_model("test_vit"), folder / "data" / "vit")
    checkout.folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, checkout.folder / part)
    (checkout.folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    checkout.snakemake("--cores", "1", FEATURES)
    return checkout


def changed(said: dict, **changes: object) -> str:
    """Return a config.json with other words about the images that the weights saw."""
    return json.dumps(said | {"pretrained_cfg": said["pretrained_cfg"] | changes})


@pytest.mark.slow
def test_another_normalisation_is_no_longer_up_to_date(extracted: Checkout) -> None:
    config: Path = extracted.folder.parent / "data" / "vit" / "config.json"
    written = config.read_text(encoding="utf8")
    said = json.loads(written)
    assert extracted.planned(FEATURES) == set()
    os.utime(config)  # what it says is what counts
    assert extracted.planned(FEATURES) == set()
    config.write_text(changed(said, mean=[0.1, 0.1, 0.1]), encoding="utf8")
    assert extracted.planned(FEATURES) == AGAIN
    refused = extracted.snakemake("--cores", "1", FEATURES, fails=True)
    assert "the folder's config.json normalises images by mean and std [[0.1, 0.1, 0.1]" in refused
    config.write_text(json.dumps(said | {"architecture": "test_vit2"}), encoding="utf8")
    told = extracted.snakemake("--dry-run", FEATURES, fails=True)
    assert "the folder's config.json says architecture 'test_vit2', not 'test_vit'" in told
    # What changes no number takes the features that there are.
    config.write_text(changed(said, license="mit"), encoding="utf8")
    told = extracted.snakemake("--cores", "1", FEATURES)
    assert "80 of 80 images are taken from the earlier features" in told
    assert extracted.planned(FEATURES) == set()
