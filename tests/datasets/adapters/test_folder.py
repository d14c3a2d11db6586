"""The folder adapter against a look-alike."""

import numpy as np
import pytest

from tests.made_up import lookalike
from zslpipe.datasets.adapters import folder
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
