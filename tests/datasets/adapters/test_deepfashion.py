"""The DeepFashion adapter against look-alikes, and its constants against what the paper prints."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.made_up.deepfashion import CATEGORY_SIZES, write_deepfashion
from zslpipe.datasets.adapters import deepfashion
from zslpipe.formats.index import Index, read_index
from zslpipe.methods.dazle import discriminative_attributes

# Paper of Huynh & Elhamifar 2020, table 1.
PRINTED_TRAINING, PRINTED_TESTING = 204_885, 84_337
# The seen classes by their raw labels, as the published notebook of its DeepFashion run prints them
# while it loads the features: 1..10..11..13..14..16..; every label else is unseen or has no image.
NOTEBOOK = (
    "1 10 11 13 14 16 17 18 20 21 22 23 24 25 27 28 3 31 32 33 34 35 36 37 39 4 40 41 43 46 47"
    " 5 6 7 8 9"
)


def written(settings: dict[str, object], root: Path) -> Index:
    output = root / "results/fashion/index.h5"
    deepfashion.write(settings, output, root)
    return read_index(output)


def published(root: Path, most: int = 10, attributes: int = 6) -> Index:
    """Return the index of all fifty categories, of at most ``most`` images each."""
    sizes = {name: min(size, most) for name, size in CATEGORY_SIZES.items()}
    settings = write_deepfashion(root, sizes, attributes)
    del settings["unseen_classes"]
    return written(settings, root)


def unseen_names(index: Index) -> set[str]:
    pairs = zip(index.class_names, index.seen, strict=True)
    return {name for name, seen in pairs if not seen}


def mean_cosine(vectors: np.ndarray) -> float:
    """Return the mean cosine of two different classes' vectors."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return float((unit @ unit.T)[~np.eye(len(unit), dtype=bool)].mean())


def test_class_vectors_are_means_of_image_labels_moved_to_0_and_1(tmp_path):
    index = written(write_deepfashion(tmp_path), tmp_path)
    rows = [line.split() for line in (tmp_path / "list_attr_img.txt").read_text().splitlines()[2:]]
    for label, name in enumerate(index.class_names):
        sums, count = np.zeros(6), 0
        for image, row in enumerate(rows):
            if index.labels[image] == label:
                sums += [int(value) for value in row[1:]]
                count += 1
        expected = (sums / count + 1) / 2
        np.testing.assert_allclose(index.semantics["att"][label], expected, err_msg=name)


def test_lists_become_an_index(tmp_path):
    index = written(write_deepfashion(tmp_path), tmp_path)
    assert len(index.class_names) == 11
    assert "1 categories without images left out: Bomber" in index.notes
    assert index.attribute_names[0] == "deep v-neck 0"
    assert index.attribute_groups == ("texture", "fabric", "shape", "part", "style", "texture")
    assert unseen_names(index) == {"Blazer", "Henley"}
    assert (index.protocol, index.has_images) == ("own split (unseen.txt)", False)
    assert index.validation.sum() == 2  # a fifth of nine
    assert {name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")} == {
        "trainval": 72,  # nine seen classes, four of five images
        "test_seen": 18,
        "test_unseen": 20,
    }


def test_seen_classes_are_those_of_the_published_notebook(tmp_path):
    index = published(tmp_path)
    of_label = list(CATEGORY_SIZES)
    seen = {of_label[int(label) - 1] for label in NOTEBOOK.split()}
    assert set(index.class_names) - unseen_names(index) == seen
    assert (len(seen), len(unseen_names(index))) == (36, 10)
    empty = {name for name, size in CATEGORY_SIZES.items() if not size}
    assert unseen_names(index) == set(CATEGORY_SIZES) - seen - empty


def test_real_category_sizes_give_the_printed_numbers_of_images(tmp_path):
    """The printed totals tell the ten categories from their neighbours: counted from 0 the labels
    make 78,145 test images.

    Which images are for testing is drawn here, as many as the benchmark has; over draws the number
    has mean 84,353 and deviation 71.
    """
    assert sum(CATEGORY_SIZES.values()) == PRINTED_TRAINING + PRINTED_TESTING == 289_222
    settings = write_deepfashion(tmp_path, CATEGORY_SIZES, attributes=2, partition="drawn")
    del settings["unseen_classes"]
    index = written(settings, tmp_path)
    testing = len(index.splits["test_seen"]) + len(index.splits["test_unseen"])
    assert len(index.splits["test_unseen"]) == 51_472
    assert abs(testing - PRINTED_TESTING) < 3 * 71
    assert abs(len(index.splits["trainval"]) - PRINTED_TRAINING) < 3 * 71


def test_sizes_that_are_not_the_published_ones_are_told(tmp_path, caplog):
    index = published(tmp_path)
    assert "attributes is 6, 1000 expected" in caplog.messages
    assert f"trainval is 288, {PRINTED_TRAINING} expected" in caplog.messages
    assert f"test is 172, {PRINTED_TESTING} expected" in caplog.messages
    assert not [text for text in caplog.messages if text.startswith(("seen is", "unseen is"))]
    assert index.validation.sum() == 6  # as published, whatever the number of seen classes
    assert index.protocol == "published categories, other sizes"


def test_the_published_sizes_are_the_proposed_split(tmp_path, monkeypatch):
    sizes = {"seen": 36, "unseen": 10, "attributes": 6, "trainval": 288, "test": 172}
    monkeypatch.setattr(deepfashion, "EXPECTED", sizes)
    assert published(tmp_path).protocol == "proposed split"


@pytest.fixture(scope="module")
def many_attributes(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """(class, attribute) vectors of all categories: 50 attributes of all classes, then 50 of one
    class each.
    """
    root = tmp_path_factory.mktemp("deepfashion")
    return published(root, most=40, attributes=100).semantics["att"]


def test_class_vectors_tell_the_classes_apart(many_attributes):
    means = 2 * many_attributes - 1
    assert mean_cosine(means) > 0.99  # the labels are as lopsided as the benchmark's
    assert mean_cosine(many_attributes) < 0.7


def test_discriminative_attributes_are_those_of_few_classes(many_attributes):
    chosen = discriminative_attributes(torch.from_numpy(many_attributes), 30).tolist()
    assert chosen != list(range(30))
    assert min(chosen) >= 50
