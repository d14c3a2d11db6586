"""The adapter of the field's files against look-alikes whose content is known."""

from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tests.made_up import lookalike
from tests.made_up.damage import FEATURES, change, message_of
from zslpipe.datasets.adapters import xlsa17
from zslpipe.datasets.reading.expected_sizes import (
    expected_sizes,
    index_sizes,
)
from zslpipe.datasets.reading.splits import choose_validation
from zslpipe.formats.index import Index, images_hash, read_index, write_index
from zslpipe.formats.published_sizes import EXPECTED, STANDARD
from zslpipe.machine.errors import InputError

ALL = ("CUB", "SUN", "AWA1", "AWA2", "aPY", "FLO")


def read(settings: dict, root: Path, name: str = "mine") -> Index:
    output = root / "results" / name / "index.h5"
    xlsa17.write(settings, output, root)
    return read_index(output)


@pytest.mark.parametrize("generation", "abc")
@pytest.mark.parametrize("known_as", ALL)
def test_every_dataset_in_every_generation(tmp_path, known_as, generation):
    index = read(lookalike.write_xlsa17(tmp_path, known_as, generation), tmp_path)
    sizes = index_sizes(index)
    expected = {name: getattr(lookalike.SMALL, name) for name in sizes if name != "validation"}
    assert {name: sizes[name] for name in expected} == expected
    # without train and val in the file, a fifth of the eight seen classes is drawn
    assert sizes["validation"] == (2 if generation == "b" else lookalike.SMALL.validation)
    assert sorted([*index.splits["train"], *index.splits["val"]]) == sorted(
        index.splits["trainval"]
    )
    assert not np.isin(index.splits["train"], index.splits["test_seen"]).any()


@pytest.mark.slow
@pytest.mark.parametrize("known_as", ["CUB", "SUN"])
def test_true_counts_of_the_layout_are_the_published_ones(tmp_path, known_as):
    settings = lookalike.write_xlsa17(tmp_path, known_as, "a", true_counts=True, images=False)
    index = read(settings | {"known_as": known_as}, tmp_path)
    expected = EXPECTED[known_as]
    assert all(value == getattr(expected, name) for name, value in index_sizes(index).items())
    assert index.protocol == "proposed split"
    assert read(settings, tmp_path).protocol == "proposed split"  # whatever it is called
    assert not any("expected" in note for note in index.notes)


def test_classes_have_the_split_files_order_and_their_own_vectors(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    index = read(settings, tmp_path)
    held = scipy.io.loadmat(tmp_path / "CUB/att_splits.mat")
    names = [cell[0] for cell in held["allclasses_names"].ravel()]
    assert list(index.class_names) == names != sorted(names)
    for number in range(len(names)):
        np.testing.assert_array_equal(index.semantics["att"][number], held["att"][:, number])
    for path, label in zip(index.paths, index.labels, strict=True):
        assert path.split("/")[0] == index.class_names[label]


def test_numbers_from_another_class_order_are_corrected_by_name(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    right = read(settings, tmp_path)
    features = tmp_path / "CUB/res101.mat"
    held = scipy.io.loadmat(features)
    classes = len(right.class_names)
    held["labels"] = held["labels"] % classes + 1  # every class bears the next one's number
    scipy.io.savemat(features, {key: held[key] for key in ("features", "labels", "image_files")})
    corrected = read(settings, tmp_path)
    np.testing.assert_array_equal(corrected.labels, right.labels)
    assert (
        f"class numbers of {classes} classes corrected by their folders' names" in corrected.notes
    )
    held["labels"][0] = held["labels"][-1]
    scipy.io.savemat(features, {key: held[key] for key in ("features", "labels", "image_files")})
    with pytest.raises(InputError, match="labels contradict the class folders"):
        read(settings, tmp_path)


def test_generation_a_is_generation_c_after_the_cut(tmp_path):
    first = read(lookalike.write_xlsa17(tmp_path / "a", "AWA2", "a"), tmp_path / "a")
    third = read(lookalike.write_xlsa17(tmp_path / "c", "AWA2", "c"), tmp_path / "c")
    for name in first.splits:
        np.testing.assert_array_equal(np.sort(first.splits[name]), np.sort(third.splits[name]))
    assert "generation a: 16 test_seen images taken out of train and val" in first.notes
    assert first.validation.sum() == 3


def test_validation_classes_are_drawn_by_name_and_seed(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, generation="b")
    first, again = read(settings, tmp_path), read(settings, tmp_path)
    np.testing.assert_array_equal(first.validation, again.validation)
    assert "2 validation classes drawn with seed 0" in first.notes
    drawn = {tuple(read(settings | {"seed": seed}, tmp_path).validation) for seed in range(5)}
    assert len(drawn) > 1
    names = list(first.class_names)
    mask = choose_validation(names[::-1], first.seen[::-1], 2, 0, where="x")
    np.testing.assert_array_equal(mask[::-1], first.validation)


def test_validation_classes_from_a_list(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, generation="b")
    (tmp_path / "val.txt").write_text("Some_Bird_3\n001.Some_Bird_0\n")
    index = read(settings | {"validation_classes": "val.txt"}, tmp_path)
    assert sorted(np.array(index.class_names)[index.validation]) == [
        "001.Some_Bird_0",
        "004.Some_Bird_3",
    ]


def test_another_split_from_a_list_of_unseen_classes(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, generation="a")
    (tmp_path / "unseen.txt").write_text("some bird 0\n005.Some_Bird_4\n")
    index = read(settings | {"unseen_classes": "unseen.txt"}, tmp_path)
    unseen = {name for name, seen in zip(index.class_names, index.seen, strict=True) if not seen}
    assert unseen == {"001.Some_Bird_0", "005.Some_Bird_4"}
    for label in np.flatnonzero(index.seen):  # eight images a class: 20 % is two
        assert (index.labels[index.splits["test_seen"]] == label).sum() == 2
        assert (index.labels[index.splits["trainval"]] == label).sum() == 6
    assert (index.labels[index.splits["test_unseen"]].size, len(index.paths)) == (16, 96)


def test_missing_attribute_values_become_zero_in_both_kinds(tmp_path):
    index = read(lookalike.write_xlsa17(tmp_path, "AWA2"), tmp_path)
    assert (index.semantics["original_att"][0, :4] == 0).all()
    assert (index.semantics["att"][0, :4] == 0).all()
    assert (index.semantics["original_att"][0, 4:] > 0).all()
    assert (
        f"4 missing attribute values (-1) set to 0, classes {index.class_names[0]}" in index.notes
    )


def test_apy_boxes_are_read_and_cut_at_the_border(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "aPY")
    plain = read(settings, tmp_path)
    assert {path.split("/")[0] for path in plain.paths} == {"JPEGImages", "ayahoo_test_images"}
    names = lookalike.write_boxes(tmp_path, plain.paths)
    boxed = read(settings | {"boxes": names}, tmp_path)
    assert (boxed.boxes == lookalike.BOX).all()
    path = tmp_path / names[0]
    path.write_text(path.read_text().replace("1 2 7 6", "-3 2 70 6", 1))
    assert list(read(settings | {"boxes": names}, tmp_path).boxes[0]) == [0, 2, 8, 6]


@pytest.mark.parametrize("prefix", ["./", ".\\"])
def test_parts_are_joined_by_paths_of_other_systems(tmp_path, prefix):
    settings = lookalike.write_xlsa17(tmp_path)
    paths = read(settings, tmp_path).paths
    separator = prefix[1:]
    lookalike.write_parts(
        tmp_path / "parts.csv", [prefix + path.replace("/", separator) for path in paths]
    )
    index = read(settings | {"parts": "parts.csv"}, tmp_path)
    assert np.isfinite(index.part_locations[:, 0]).all()


def test_paths_of_windows_without_an_anchor_ask_for_one(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    paths = read(settings, tmp_path).paths
    stored = ["D:\\birds\\" + path.replace("/", "\\") for path in paths]
    change(FEATURES, image_files=lambda old: np.array(stored, object)[:, None])(tmp_path)
    text = message_of(lambda: read(settings, tmp_path))
    assert "no stored image path has a folder images or JPEGImages" in text
    assert "set 'anchor'" in text
    assert read(settings | {"anchor": "birds"}, tmp_path).paths == paths


def test_parts_are_fractions_of_the_image_and_nan_where_not_visible(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    paths = read(settings, tmp_path).paths
    lookalike.write_parts(tmp_path / "parts.csv", paths[:-1])
    (tmp_path / "words.txt").write_text(
        "".join(f"{n} {word}\n" for n, word in enumerate((*lookalike.WORDS, "x", "y")))
    )
    index = read(settings | {"parts": "parts.csv", "attribute_names": "words.txt"}, tmp_path)
    assert index.part_names == ("beak", "left wing", "tail")
    np.testing.assert_allclose(index.part_locations[:-1, 0], np.tile([2 / 8, 5 / 10], (95, 1)))
    assert np.isnan(index.part_locations[:, 1:]).all()
    assert np.isnan(index.part_locations[-1]).all()
    assert index.attribute_groups == ("bill shape", "wing color", "size", "tail shape", "", "")
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(index.attribute_parts, np.array(expected, bool))


def test_further_semantics_are_joined_by_name(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    index = read(settings, tmp_path)
    turned = list(index.class_names)[::-1]
    numbers = np.arange(12.0) + 1
    scipy.io.savemat(
        tmp_path / "sent.mat",
        {"att": np.stack([numbers, numbers**2]), "allclasses_names": lookalike.cells(turned)},
    )
    vectors = read(settings | {"extra_semantics": {"sent_att": "sent.mat"}}, tmp_path).semantics[
        "sent_att"
    ]
    np.testing.assert_array_equal(vectors, np.stack([numbers, numbers**2], axis=1)[::-1])


def test_hdf5_mat_files_are_read_like_the_others(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    expected = read(settings, tmp_path)
    as_version_73(tmp_path / "CUB/res101.mat")
    as_version_73(tmp_path / "CUB/att_splits.mat")
    found = read(settings, tmp_path, "hdf5")
    assert (found.paths, found.class_names) == (expected.paths, expected.class_names)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.semantics["att"], expected.semantics["att"])
    for name in expected.splits:
        np.testing.assert_array_equal(found.splits[name], expected.splits[name])


def as_version_73(path: Path) -> None:
    """Write a .mat file again as MATLAB's version 7.3 does: HDF5, transposed, cells as
    references.
    """
    held = {
        name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")
    }
    path.unlink()
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in held.items():
            if value.dtype != object:
                file[name] = value.T
                continue
            references = np.empty((1, len(value)), h5py.ref_dtype)
            for row, cell in enumerate(value.ravel()):
                text = file.create_dataset(
                    f"#refs#/{name}{row}", data=np.array([[ord(c)] for c in cell[0]], np.uint16)
                )
                text.attrs["MATLAB_class"] = np.bytes_("char")
                references[0, row] = text.ref
            file.create_dataset(name, data=references, dtype=h5py.ref_dtype)


def test_pooled_features_keep_rows_and_order(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    read(settings, tmp_path)
    output = tmp_path / "results/mine/features/res101.h5"
    xlsa17.write_pooled(settings, tmp_path / "results/mine/index.h5", output, tmp_path)
    with h5py.File(output) as file:
        assert (file["pooled"].shape, file["pooled"].dtype) == (
            (96, lookalike.FEATURES),
            np.float32,
        )
        np.testing.assert_array_equal(file["pooled"][:, 0], np.arange(96))
        stamped = images_hash(read_index(tmp_path / "results/mine/index.h5"))
        told = {
            "extractor": "res101",
            "weights": "from res101.mat",
            "dataset": "mine",
            "images_hash": stamped,
            "complete": True,
        }
        assert dict(file.attrs) == told
        assert list(file) == ["checksums", "pooled"]


def test_whose_split_it_is_and_whether_there_are_images(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    index = read(settings, tmp_path)
    cut = "split of att_splits.mat, not of the published sizes"
    assert (index.protocol, index.has_images) == (cut, True)
    known = read(settings | {"known_as": "CUB"}, tmp_path)
    assert known.protocol == cut
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/others.txt").write_text(f"{index.class_names[0]}\n{index.class_names[3]}\n")
    bare = {name: value for name, value in settings.items() if name != "images"}
    own = read(bare | {"unseen_classes": "lists/others.txt"}, tmp_path)
    assert (own.protocol, own.has_images) == ("own split (others.txt)", False)


def without_test_seen(path: Path, **changes: np.ndarray) -> None:
    """Make a split file one of the standard split: all images of seen classes train."""
    held = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
    aside = held.pop("test_seen_loc")
    held["trainval_loc"] = np.sort(np.concatenate([held["trainval_loc"], aside]), axis=0)
    scipy.io.savemat(path, held | changes)


@pytest.mark.parametrize("generation", "ab")
def test_the_standard_split_sets_no_image_of_a_seen_class_aside(tmp_path, generation):
    settings = lookalike.write_xlsa17(tmp_path, "CUB", generation)
    proposed = read(settings, tmp_path)
    without_test_seen(tmp_path / "CUB/att_splits.mat")
    with pytest.raises(InputError, match=r"no variable 'test_seen_loc'; .* protocol: standard"):
        read(settings, tmp_path)
    index = read(settings | {"protocol": "standard"}, tmp_path)
    assert index.protocol == "standard split of att_splits.mat, not of the published sizes"
    assert len(index.splits["test_seen"]) == 0
    every_seen = np.flatnonzero(proposed.seen[proposed.labels])
    assert np.array_equal(np.sort(index.splits["trainval"]), every_seen)
    assert np.array_equal(index.splits["test_unseen"], proposed.splits["test_unseen"])
    assert np.array_equal(index.seen, proposed.seen)
    together = np.concatenate([index.splits["train"], index.splits["val"]])
    assert np.array_equal(np.sort(together), every_seen)


def test_a_standard_split_of_other_sizes_is_none_of_the_papers(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "CUB", "a")
    without_test_seen(tmp_path / "CUB/att_splits.mat")
    known = read(settings | {"protocol": "standard", "known_as": "CUB"}, tmp_path)
    assert known.protocol == "standard split of att_splits.mat, not of the published sizes"
    assert "CUB: trainval is 64, 8855 expected" in known.notes
    assert "CUB: test_unseen is 32, 2933 expected" in known.notes


@pytest.mark.slow
def test_the_standard_split_of_published_sizes_is_that_of_the_papers_numbers(tmp_path, monkeypatch):
    sizes = expected_sizes("CUB", "standard")
    monkeypatch.setattr(lookalike, "SMALL", replace(sizes, trainval=8000, test_seen=855))
    settings = lookalike.write_xlsa17(tmp_path, "CUB", "b", images=False)
    without_test_seen(tmp_path / "CUB/att_splits.mat")
    index = read(settings | {"protocol": "standard", "known_as": "CUB"}, tmp_path)
    assert index.protocol == "standard split"
    assert index_sizes(index) == asdict(sizes)
    assert not any("expected" in note for note in index.notes)


def test_a_proposed_split_called_standard_is_refused(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "CUB", "b") | {"protocol": "standard"}
    with pytest.raises(InputError, match="sets 16 images aside, the standard split none; give"):
        read(settings, tmp_path)
    path, held = tmp_path / "CUB/att_splits.mat", scipy.io.loadmat(tmp_path / "CUB/att_splits.mat")
    without_test_seen(path, test_seen_loc=held["test_seen_loc"])  # of images that train: no matter
    assert len(read(settings, tmp_path).splits["test_seen"]) == 0
    (tmp_path / "unseen.txt").write_text("001.Some_Bird_0\n")
    with pytest.raises(InputError, match="'unseen_classes' make a split of their own"):
        read(settings | {"unseen_classes": "unseen.txt"}, tmp_path)
    flowers = lookalike.write_xlsa17(tmp_path, "FLO") | {"protocol": "standard"}
    with pytest.raises(InputError, match="FLO has no standard split; those with one: CUB, SUN"):
        read(flowers | {"known_as": "FLO"}, tmp_path)


def test_either_split_of_a_dataset_holds_all_of_its_images():
    for known_as in STANDARD:
        for protocol in ("proposed", "standard"):
            sizes = expected_sizes(known_as, protocol)
            parts = (sizes.trainval, sizes.test_seen, sizes.test_unseen)
            assert sum(parts) == sizes.images, (known_as, protocol)
    # 20 epochs of batches of 50 are 3,542 steps in the notebook of DAZLE's authors
    assert 20 * expected_sizes("CUB", "standard").trainval // 50 == 3542


def test_an_index_of_another_split_without_test_images_is_refused(tmp_path):
    index = read(lookalike.write_xlsa17(tmp_path), tmp_path)
    nothing = {**index.splits, "test_seen": np.empty(0, np.int64)}
    with pytest.raises(InputError, match="split test_seen is empty"):
        write_index(replace(index, splits=nothing), tmp_path / "other.h5")


def test_an_index_without_a_protocol_is_refused(tmp_path):
    read(lookalike.write_xlsa17(tmp_path), tmp_path)
    path = tmp_path / "results/mine/index.h5"
    with h5py.File(path, "r+") as file:
        del file.attrs["protocol"]
    with pytest.raises(
        InputError,
        match=r"not a readable index\.h5 .*protocol.* delete it and run again",
    ):
        read_index(path)


def test_a_deviation_from_published_sizes_warns_with_both_numbers(tmp_path, caplog):
    index = read(lookalike.write_xlsa17(tmp_path) | {"known_as": "CUB"}, tmp_path)
    assert "CUB: images is 96, 11788 expected" in index.notes
    assert "CUB: images is 96, 11788 expected" in caplog.messages


def test_numbers_of_classes_where_nothing_names_them(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "FLO")
    assert read(settings, tmp_path).class_names[:2] == ("class 001", "class 002")
    (tmp_path / "names.txt").write_text("\n".join(f"flower {n}" for n in range(12)))
    assert read(settings | {"class_names": "names.txt"}, tmp_path).class_names[11] == "flower 11"


def test_same_files_same_bytes(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, generation="b")
    read(settings, tmp_path)
    path = tmp_path / "results/mine/index.h5"
    first = path.read_bytes()
    read(settings, tmp_path)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["index.h5"]
