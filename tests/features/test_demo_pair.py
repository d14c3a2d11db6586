"""The training of the demo's image-text pair: what it learns, from what, and what it writes."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from zslpipe.features import demo_pair, demo_training
from zslpipe.features.demo_pair import pooled_features, pretrain_pair, read_captions, train
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import is_sealed
from zslpipe.networks.backbones import build_trunk
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.demo_pair import contrastive_loss, read_text_tower

torch.set_num_threads(1)
COLOURS, FORMS = ("red", "blue", "green"), ("long", "short", "round", "flat")
WIDTH_OF_FEATURES = 12


def pairs() -> tuple[torch.Tensor, list[str]]:
    """Return features (n, d) in which colour and form of two parts can be seen, and their texts."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2, len(COLOURS) + len(FORMS), WIDTH_OF_FEATURES, generator=generator)
    features, texts = [], []
    for colour in range(len(COLOURS)):
        for form in range(len(FORMS)):
            for other in range(len(COLOURS)):
                parts = (directions[0, colour], directions[1, other], directions[0, 3 + form])
                noise = 0.1 * torch.randn(WIDTH_OF_FEATURES, generator=generator)
                features.append(5 + torch.stack(parts).sum(0) * 3 + noise)
                said = (f"head {COLOURS[colour]}", f"wing {COLOURS[other]}", f"head {FORMS[form]}")
                texts.append(f"a creature with {', '.join(said)}")
    return torch.stack(features), texts


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo_pair, "BATCH", 12)


def rank_of_own(towers, pooled: torch.Tensor, texts: list[str]) -> float:
    """Return the share of images whose own text is the nearest."""
    weight, bias = towers.folded_projection()
    with torch.no_grad():
        images = torch.nn.functional.normalize(pooled @ weight.T + bias, dim=1)
        scores = images @ torch.nn.functional.normalize(towers.text(texts), dim=1).T
    return float((scores.argmax(1) == torch.arange(len(texts))).float().mean())


def test_what_is_learned_holds_for_pairs_that_were_not_met(small):
    pooled, texts = pairs()
    met = torch.arange(len(texts)) % 4 != 1
    held_out = [text for text, kept in zip(texts, met.tolist(), strict=True) if not kept]
    towers = train(pooled[met], [text for text in texts if text not in held_out])
    assert rank_of_own(towers, pooled[~met], held_out) > 0.8  # chance is 1 of 9
    shuffled = pooled[torch.randperm(len(pooled), generator=torch.Generator().manual_seed(1))]
    astray = train(shuffled, texts)
    assert rank_of_own(astray, pooled[~met], held_out) < 0.5


def test_the_loss_ends_below_its_trivial_value_and_trains_every_part(small):
    pooled, texts = pairs()
    fresh = demo_pair._Towers(pooled, sorted({t for text in texts for t in text.split()}))
    fresh.loss(pooled, texts).backward()
    for name, value in fresh.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name
    towers = train(pooled, texts)
    with torch.no_grad():
        assert towers.loss(pooled, texts) < 0.5 * math.log(len(texts))


def test_the_temperature_begins_at_the_papers_and_is_clipped(small, monkeypatch):
    pooled, texts = pairs()
    fresh = demo_pair._Towers(pooled, ["head"])
    assert fresh.log_scale.exp().item() == pytest.approx(1 / 0.07)
    assert demo_pair.HIGHEST_SCALE == 100
    assert train(pooled, texts).log_scale.exp() > 1 / 0.07
    monkeypatch.setattr(demo_pair, "HIGHEST_SCALE", 15.0)
    assert train(pooled, texts).log_scale.exp().item() == pytest.approx(15.0)


def test_the_folded_projection_is_that_of_standardised_features():
    pooled, _ = pairs()
    towers = demo_pair._Towers(pooled, ["head"])
    weight, bias = towers.folded_projection()
    wanted = towers.projection((pooled - pooled.mean(0)) / pooled.std(0))
    torch.testing.assert_close(pooled @ weight.T + bias, wanted, rtol=1e-4, atol=1e-4)


def test_a_feature_that_does_not_vary_is_not_blown_up():
    pooled, _ = pairs()
    pooled[:, 3] = 2.0
    towers = demo_pair._Towers(pooled, ["head"])
    weight, bias = towers.folded_projection()
    others = pooled.std(0).mean()
    torch.testing.assert_close(weight[:, 3], towers.projection.weight[:, 3] / (0.1 * others))
    assert torch.isfinite(weight).all() and torch.isfinite(bias).all()


@pytest.fixture
def given(tmp_path):
    """Return a folder with pictures of two classes, their captions and a backbone."""
    generator = np.random.default_rng(0)
    rows = []
    for number, name in enumerate(("a/0.png", "a/1.png", "b/0.png", "b/1.png")):
        path = tmp_path / "auxiliary" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 60, (24, 24, 3), dtype=np.uint8)
        pixels[:, :, number % 3] += 150
        Image.fromarray(pixels).save(path)
        rows.append((name, f"head {number}, wing {number % 2}"))
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "text"), *reversed(rows)])
    torch.manual_seed(0)
    torch.save(DemoNetwork(2).state_dict(), tmp_path / "backbone.pt")
    return tmp_path


def run(given, name: str = "pair.pt"):
    output = given / name
    images, captions = given / "auxiliary", given / "captions.csv"
    pretrain_pair(images, captions, given / "backbone.pt", output, "cpu")
    return output


def test_the_file_holds_the_backbone_as_it_was_and_both_towers(given):
    output = run(given)
    content = torch.load(output, weights_only=True)
    backbone = torch.load(given / "backbone.pt", weights_only=True)
    kept = {name: value for name, value in backbone.items() if name.startswith("features.")}
    assert content["image"].keys() == {*kept, "projection.weight", "projection.bias"}
    for name, value in kept.items():
        assert torch.equal(content["image"][name], value)
    assert content["vocabulary"] == sorted(content["vocabulary"])
    assert {"head", "head 0", "wing 1"} <= set(content["vocabulary"])
    assert is_sealed(output)
    assert run(given, "again.pt").read_bytes() == output.read_bytes()
    assert not (given / ".pair.pt.work").exists()


def test_a_picture_meets_its_own_caption(given):
    """Captions are found by the pictures' paths, whatever the order of their rows."""
    output = run(given)
    pictures, _ = demo_pair.read_pictures(given / "auxiliary")
    assert read_captions(given / "captions.csv", 4)[0] == "head 0, wing 0"
    images = pooled_features(build_trunk("demo_pair", str(output)), pictures)
    texts = read_text_tower(output)(read_captions(given / "captions.csv", 4))
    scale = torch.tensor(math.log(20.0))
    with torch.no_grad():
        known = contrastive_loss(images, texts, scale)
        assert known < contrastive_loss(images, texts[[1, 0, 3, 2]], scale)
        assert known < 0.5 * math.log(4)


def test_a_picture_is_as_large_as_the_backbone_and_the_demo_s_extractor_see_it():
    demo = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf8"))
    assert demo["extractors"]["demo_pair"]["size"] == demo_training.SIDE
    trunk, seen = build_trunk("demo", "random"), []
    trunk.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[1:]))
    pooled_features(trunk, torch.zeros(2, 3, 128, 128, dtype=torch.uint8))
    assert seen == [(3, demo_training.SIDE, demo_training.SIDE)]


def test_captions_of_other_pictures_are_refused(given):
    with pytest.raises(InputError, match=r"4 captions for 5 pictures.*the demo's rule 'render'"):
        read_captions(given / "captions.csv", 5)
    with pytest.raises(InputError, match="no captions"):
        read_captions(given / "absent.csv", 4)
    (given / "captions.csv").write_text("picture,text\na,b\n")
    with pytest.raises(InputError, match="1 captions for 1 pictures"):
        read_captions(given / "captions.csv", 1)
