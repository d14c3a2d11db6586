"""The rendered dataset and its network: bytes, splits, attributes, where parts lie, shapes and what
training does.
"""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zslpipe.datasets import creatures
from zslpipe.datasets.adapters import demo
from zslpipe.datasets.canvas import PALETTE
from zslpipe.features.demo_backbone import pretrain, read_pictures
from zslpipe.features.demo_training import SIDE, augment
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError
from zslpipe.networks.demo_network import DemoNetwork

TINY = {"images_per_class": 3, "auxiliary_classes": 4, "auxiliary_images_per_class": 6}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "demo"
    demo.write(TINY, folder / "index.h5", Path("unused"))
    return folder


@pytest.mark.slow
def test_same_seed_same_bytes_whatever_the_number_of_processes(written, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "POOLED_FROM", 100)
    monkeypatch.setattr(demo.os, "sched_getaffinity", lambda process: {4, 7})
    demo.write({**TINY, "seed": 0}, tmp_path / "demo" / "index.h5", Path("unused"))
    assert digests(tmp_path / "demo") == digests(written)


def test_captions_say_what_each_auxiliary_picture_shows(tmp_path, monkeypatch):
    drawn, draw = [], creatures.draw

    def recorded(looks, rng):
        drawn.append(looks)
        return draw(looks, rng)

    monkeypatch.setattr(creatures, "draw", recorded)
    demo.write(TINY, tmp_path / "demo" / "index.h5", Path("unused"))
    with (tmp_path / "demo" / "captions.csv").open(newline="") as file:
        captions = {row["image"]: row["text"] for row in csv.DictReader(file)}
    pictures = sorted((tmp_path / "demo" / "auxiliary").glob("*/*.png"))
    assert list(captions) == [f"{path.parent.name}/{path.name}" for path in pictures]
    for text, looks in zip(captions.values(), drawn[-len(pictures) :], strict=True):
        shown = []
        for part in creatures.PARTS:
            shown.append(f"{part} {looks[part].colour}")
            for form in creatures.FORMS[part]:
                if form in looks[part].forms:
                    shown.append(f"{part} {form}")
        assert text == f"a creature with {', '.join(shown)}"


def test_another_seed_changes_every_picture_and_the_classes():
    first, second = demo.class_strengths(0, 1)[0], demo.class_strengths(1, 1)[0]
    assert not np.isclose(first, second).all(axis=1).any()
    pictures = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        pictures.append(np.asarray(creatures.draw(creatures.sample_looks(first[0], rng), rng)[0]))
    assert pictures[0].shape == (creatures.SIZE, creatures.SIZE, 3)
    assert np.mean(pictures[0] != pictures[1]) > 0.9


def test_index_has_the_promised_splits_and_attributes(written):
    index = read_index(written / "index.h5")
    assert (index.dataset, index.adapter) == ("demo", "demo")
    assert (index.seen.sum(), index.validation.sum(), len(index.seen)) == (30, 6, 40)
    assert not (index.validation & ~index.seen).any()
    sizes = {name: len(rows) for name, rows in index.splits.items()}
    assert sizes == {"trainval": 60, "test_seen": 30, "test_unseen": 30, "train": 48, "val": 12}
    assert np.array_equal(
        np.bincount(index.labels[index.splits["test_seen"]], minlength=40), index.seen.astype(int)
    )
    assert len(index.attribute_names) == len(set(index.attribute_names)) >= 24
    for name, group, parts in zip(
        index.attribute_names, index.attribute_groups, index.attribute_parts, strict=True
    ):
        assert name.split(": ")[0] == group
        assert [part for part, about in zip(index.part_names, parts, strict=True) if about] == [
            group
        ]
    for path in index.paths:
        with Image.open(written / "images" / path) as image:
            assert (image.size, image.mode) == ((creatures.SIZE, creatures.SIZE), "RGB")
    assert len(list((written / "auxiliary").glob("*/*.png"))) == 4 * 6


def test_four_fifths_of_a_seen_class_train():
    labels, seen = np.repeat([0, 1, 2], 10), np.array([True, True, False])
    splits = demo._splits(labels, seen, np.array([False, True, False]), 10)
    assert splits["trainval"].tolist() == [*range(8), *range(10, 18)]
    assert splits["test_seen"].tolist() == [8, 9, 18, 19]
    assert splits["test_unseen"].tolist() == list(range(20, 30))
    assert splits["val"].tolist() == list(range(10, 18))


@pytest.mark.parametrize("seed", [0, 7])
def test_classes_differ_from_each_other_and_from_all_auxiliary_ones(seed):
    strengths, auxiliary = demo.class_strengths(seed, 64)
    traits = [demo.traits_of(one) for one in strengths]
    beside = [demo.traits_of(one) for one in auxiliary]
    assert (len(set(traits)), len(set(beside))) == (40, 64)
    assert not set(traits) & set(beside)
    assert strengths.min() >= 0 and strengths.max() <= 1
    for part in creatures.PARTS:
        colours = [place for place, (one, value) in enumerate(creatures.ATTRIBUTES)
                   if one == part and value in creatures.COLOURS[part]]  # fmt: skip
        assert strengths[:, colours].sum(axis=1) == pytest.approx(np.ones(40))


def test_pictures_of_a_class_follow_its_strengths():
    strengths = demo.class_strengths(0, 1)[0][3]
    rng = np.random.default_rng(0)
    looks = [creatures.sample_looks(strengths, rng) for _ in range(2000)]
    for strength, (part, value) in zip(strengths, creatures.ATTRIBUTES, strict=True):
        share = np.mean([value == look[part].colour or value in look[part].forms for look in looks])
        assert share == pytest.approx(strength, abs=0.04)  # 3.6 standard errors at 2000 draws


def test_part_locations_show_the_colour_of_the_part():
    """Plain creatures: the pixel at a part's location is nearest, in hue and tone, to the colour
    the part was given.
    """
    rng = np.random.default_rng(5)
    right, hidden = [], 0
    for _ in range(60):
        looks = {
            part: creatures.Look(str(rng.choice(creatures.COLOURS[part])), frozenset())
            for part in creatures.PARTS
        }
        image, locations = creatures.draw(looks, rng)
        pixels = np.asarray(image, float)
        for part, (x, y) in zip(creatures.PARTS, locations, strict=True):
            if np.isnan(x):
                hidden += 1
                continue
            shown = pixels[int(y * creatures.SIZE), int(x * creatures.SIZE)]
            tones = {
                name: np.linalg.norm(shown - PALETTE[name]) for name in creatures.COLOURS[part]
            }
            right.append(min(tones, key=lambda name: tones[name]) == looks[part].colour)
    assert np.mean(right) > 0.97  # an eye, a leaf's edge or the strongest shade may mislead
    assert hidden < 0.05 * 60 * len(creatures.PARTS)


def test_location_of_a_part_is_inside_it_and_nan_when_hidden():
    shown = np.zeros((creatures.SIZE, creatures.SIZE), bool)
    assert np.isnan(creatures._location(shown)).all()
    shown[20:30, 40:43] = shown[20:30, 60:63] = True  # two legs: the middle lies between them
    x, y = creatures._location(shown)
    assert shown[int(y * creatures.SIZE), int(x * creatures.SIZE)]
    assert y == pytest.approx(25 / creatures.SIZE, abs=1 / creatures.SIZE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"image_per_class": 3},
            "unknown setting 'image_per_class'; did you mean 'images_per_class'",
        ),
        ({"images_per_class": 1}, "images_per_class: 1 is out of range; give a whole number from"),
        ({"auxiliary_classes": "many"}, "auxiliary_classes: 'many'"),
    ],
)
def test_wrong_settings_are_named(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        demo.write(settings, tmp_path / "demo" / "index.h5", tmp_path)


def test_network_halves_four_times():
    network = DemoNetwork(5).eval()
    with torch.no_grad():
        for side, cells in ((112, 7), (224, 14)):
            features = network.features(torch.randn(2, 3, side, side))
            assert features.shape == (2, 192, cells, cells)
            assert features.min() == 0
        images = torch.randn(2, 3, 112, 112)
        expected = (
            network.features(images).mean((2, 3)) @ network.classifier.weight.T
            + network.classifier.bias
        )
        assert torch.allclose(network(images), expected, atol=1e-6)


def test_augmented_pictures_are_normalised_windows():
    pictures = torch.full((4, 3, 128, 128), 128, dtype=torch.uint8)
    batch = augment(pictures, torch.Generator().manual_seed(0))
    assert batch.shape == (4, 3, SIDE, SIDE)
    grey = batch[:, 0] * 0.229 + 0.485
    assert (grey.amax((1, 2)) - grey.amin((1, 2))).max() < 1e-5
    assert (grey.mean((1, 2)) / (128 / 255) - 1).abs().max() <= 0.2


@pytest.mark.slow
def test_pretraining_repeats_itself_and_learns(written, tmp_path, caplog, one_thread):
    with caplog.at_level("INFO", logger="zslpipe.features.demo_backbone"):
        for name in ("first.pt", "second.pt"):
            pretrain(written / "auxiliary", tmp_path / name, device="cpu")
    first, second = (
        torch.load(tmp_path / name, weights_only=True) for name in ("first.pt", "second.pt")
    )
    assert list(first) == list(DemoNetwork(4).state_dict())
    assert all(torch.equal(first[name], second[name]) for name in first)
    accuracies = [float(record.args[1]) for record in caplog.records]
    assert accuracies[0] == accuracies[1] > 0.5  # chance is 0.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.pt", "second.pt"]


def test_pretraining_reads_class_folders_and_names_an_empty_one(written, tmp_path):
    pictures, labels = read_pictures(written / "auxiliary")
    assert (pictures.shape, pictures.dtype) == ((24, 3, 128, 128), torch.uint8)
    assert labels.tolist() == [label for label in range(4) for _ in range(6)]
    with Image.open(written / "auxiliary" / "auxiliary_001" / "002.png") as image:
        assert np.array_equal(pictures[8].permute(1, 2, 0).numpy(), np.asarray(image))
    with pytest.raises(InputError, match="no class folders with PNG pictures"):
        read_pictures(tmp_path)
