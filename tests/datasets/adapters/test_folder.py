"""The folder and DeepFashion adapters against look-alikes."""

import numpy as np
import pytest

from tests.made_up import lookalike
from zslpipe.datasets.adapters import deepfashion, folder
from zslpipe.formats.index import read_index


def test_folder_of_class_folders(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    output = tmp_path / "results/mine/index.h5"
    folder.write(settings, output, tmp_path)
    index = read_index(output)
    assert (index.dataset, index.adapter, len(index.paths)) == ("mine", "folder", 40)
    assert (index.protocol, index.has_images) == ("own split", True)
    assert index.class_names == tuple(f"thing {number}" for number in range(8))
    assert list(np.flatnonzero(~index.seen)) == [1, 6]
    assert {name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")} == {
        "trainval": 24,
        "test_seen": 6,
        "test_unseen": 10,
    }
    assert index.validation.sum() == 1
    np.testing.assert_array_equal(index.semantics["att"][3], [3, 2.5, 5])
    assert index.attribute_names == ("colour::red", "size", "shape")
    assert index.attribute_groups == ("colour", "", "")
    for path, label in zip(index.paths, index.labels, strict=True):
        assert path.split("/")[0] == index.class_names[label]


def test_folder_takes_validation_classes_and_leaves_out_rows_without_images(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    with (tmp_path / "attributes.csv").open("a") as file:
        file.write("thing 8,1,1,1\n")
    (tmp_path / "validation.txt").write_text("thing 2\nThing_4\n")
    output = tmp_path / "results/mine/index.h5"
    folder.write(settings | {"validation_classes": "validation.txt"}, output, tmp_path)
    index = read_index(output)
    assert list(np.flatnonzero(index.validation)) == [2, 4]
    assert set(index.labels[index.splits["val"]]) == {2, 4}
    assert "1 classes of the table without images left out: thing 8" in index.notes


def test_deepfashion_class_vectors_are_means_of_image_labels(tmp_path):
    settings = lookalike.write_deepfashion(tmp_path)
    output = tmp_path / "results/fashion/index.h5"
    deepfashion.write(settings, output, tmp_path)
    index = read_index(output)
    rows = [line.split() for line in (tmp_path / "list_attr_img.txt").read_text().splitlines()[2:]]
    for label, name in enumerate(index.class_names):
        sums, count = np.zeros(6), 0
        for image, row in enumerate(rows):
            if index.labels[image] == label:
                sums += [int(value) for value in row[1:]]
                count += 1
        np.testing.assert_allclose(index.semantics["att"][label], sums / count, err_msg=name)
    assert len(index.class_names) == 11
    assert "1 categories without images left out: Category4" in index.notes
    assert index.attribute_names[0] == "deep v-neck 0"
    assert index.attribute_groups == ("texture", "fabric", "shape", "part", "style", "texture")
    unseen = {name for name, seen in zip(index.class_names, index.seen, strict=True) if not seen}
    assert unseen == {"Category2", "Category9"}
    assert (index.protocol, index.has_images) == ("own split (unseen.txt)", False)
    assert index.validation.sum() == 2  # a fifth of nine
    assert {name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")} == {
        "trainval": 72,  # nine seen classes, four of five images
        "test_seen": 18,
        "test_unseen": 20,
    }


def test_deepfashion_published_unseen_categories_and_their_numbers(tmp_path, caplog):
    settings = lookalike.write_deepfashion(tmp_path, classes=50)
    del settings["unseen_classes"]
    output = tmp_path / "results/fashion/index.h5"
    deepfashion.write(settings, output, tmp_path)
    index = read_index(output)
    unseen = {name for name, seen in zip(index.class_names, index.seen, strict=True) if not seen}
    assert unseen == {f"Category{number + 1}" for number in (12, 15, 2, 19, 29, 30, 26, 44, 42, 48)}
    assert "seen is 39, 36 expected" in caplog.messages
    assert "unseen is 10, 10 expected" not in caplog.messages
    assert index.validation.sum() == 6  # as published, whatever the number of seen classes
    assert index.protocol == "proposed split, other sizes"


def test_deepfashion_of_the_published_sizes_is_the_proposed_split(tmp_path, monkeypatch):
    settings = lookalike.write_deepfashion(tmp_path, classes=50)
    del settings["unseen_classes"]
    monkeypatch.setattr(
        deepfashion, "EXPECTED", {"seen": 39, "unseen": 10, "attributes": 6, "images": 490}
    )
    output = tmp_path / "results/fashion/index.h5"
    deepfashion.write(settings, output, tmp_path)
    assert read_index(output).protocol == "proposed split"


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_follow_the_seed(tmp_path, seed):
    settings = lookalike.write_folder(tmp_path) | {"seed": seed}
    folder.write(settings, tmp_path / "results/one/index.h5", tmp_path)
    folder.write(settings, tmp_path / "results/two/index.h5", tmp_path)
    folder.write(settings | {"seed": 7}, tmp_path / "results/other/index.h5", tmp_path)
    one, two, other = (
        read_index(tmp_path / f"results/{name}/index.h5") for name in ("one", "two", "other")
    )
    np.testing.assert_array_equal(one.splits["test_seen"], two.splits["test_seen"])
    assert not np.array_equal(one.splits["test_seen"], other.splits["test_seen"])
