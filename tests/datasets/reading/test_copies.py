"""Files of equal bytes: refused in two splits of one's own, kept together in a draw, noted."""

from pathlib import Path

import numpy as np
import pytest

from tests.made_up import lookalike
from zslpipe.datasets.adapters import folder, xlsa17
from zslpipe.datasets.reading import copies
from zslpipe.datasets.reading.copies import TAIL, check_copies, first_copies
from zslpipe.datasets.reading.splits import split_by_classes
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError

SPLITS = ("trainval", "test_seen", "test_unseen", "train", "val")


def written(root: Path, contents: dict[str, bytes]) -> list[str]:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return list(contents)


def slow_first(root: Path, paths: list[str]) -> list[int]:
    data = [(root / path).read_bytes() for path in paths]
    return [data.index(one) for one in data]


def test_equal_bytes_whatever_the_names_and_sizes(tmp_path):
    generator = np.random.default_rng(0)
    long, end = generator.bytes(3 * TAIL), generator.bytes(TAIL)
    contents = {
        "a": b"x",
        "b": b"y",
        "c": b"x",
        "long": long,
        "copy": long,
        # Equal size and equal end, but not equal.
        "other": bytes([long[0] ^ 1]) + long[1:],
        "same end 1": b"1" + end,
        "same end 2": b"2" + end,
        "same end 3": b"1" + end,
        "edge 1": end,
        "edge 2": end,
        "empty 1": b"",
        "empty 2": b"",
    }
    paths = written(tmp_path, contents)
    found = first_copies(tmp_path, paths)
    assert found.tolist() == slow_first(tmp_path, paths)
    assert found.tolist() == [0, 1, 0, 3, 3, 5, 6, 7, 6, 9, 9, 11, 11]


def test_boxes_of_one_picture_are_different_images(tmp_path):
    paths = written(tmp_path, {"a": b"x", "b": b"x"})
    rows = [*paths, "a", "a"]
    boxes = np.array([[0, 0, 5, 5], [0, 0, 5, 5], [0, 0, 5, 6], [0, 0, 5, 5]])
    assert first_copies(tmp_path, rows, boxes).tolist() == [0, 0, 2, 0]
    assert first_copies(tmp_path, rows).tolist() == [0, 0, 0, 0]


def test_without_images_or_files_nothing_is_a_copy(tmp_path):
    assert first_copies(None, ["a", "a"]).tolist() == [0, 1]
    assert first_copies(tmp_path, ["gone", "away"]).tolist() == [0, 1]


def test_only_files_of_equal_size_are_opened(tmp_path, monkeypatch):
    paths = written(tmp_path, {str(length): b"x" * length for length in range(5)})

    def none_open(root, alike, start):
        assert len(alike) == 1
        return []

    monkeypatch.setattr(copies, "_grouped", none_open)
    assert first_copies(tmp_path, paths).tolist() == list(range(5))


def numbers(**rows: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(rows.get(name, []), np.int64) for name in SPLITS}


NAMES = ["a", "b", "c", "d", "e", "f"]
LABELS = np.array([0, 0, 0, 1, 1, 2])


@pytest.mark.parametrize(
    ("first", "splits", "pair"),
    [
        ([0, 1, 2, 3, 4, 1], {"trainval": [0, 1], "test_unseen": [5]}, "trainval and test_unseen"),
        ([0, 0, 2, 3, 4, 5], {"trainval": [0], "test_seen": [1]}, "trainval and test_seen"),
        ([0, 1, 2, 3, 3, 5], {"test_seen": [3], "test_unseen": [4]}, "test_seen and test_unseen"),
        ([0, 1, 2, 2, 4, 5], {"trainval": [2, 3], "train": [2], "val": [3]}, "train and val"),
    ],
)
def test_a_picture_in_two_splits_is_refused_or_said(first, splits, pair):
    call = (np.array(first), NAMES, LABELS, numbers(**splits), "dataset 'x'")
    with pytest.raises(InputError, match=f"1 pictures lie in both {pair}, first . and .") as caught:
        check_copies(*call, published=False)
    assert "delete one of each" in str(caught.value) and "\n" not in str(caught.value)
    notes = check_copies(*call, published=True)
    assert notes[-1].startswith(f"WARNING: 1 pictures lie in both {pair}")


def test_copies_in_one_split_are_counted_and_named():
    first = np.array([0, 0, 0, 3, 1, 5])
    first[4] = 0
    found = check_copies(first, NAMES, LABELS, numbers(trainval=list(range(6))), "x", False)
    assert found == (
        "2 images are copies of another one of their class: b (= a), c (= a)",
        "1 images are copies of one of another class: e (= a)",
    )
    alone = check_copies(np.arange(6), NAMES, LABELS, numbers(trainval=[0, 1]), "x", False)
    assert alone == ()


def test_a_draw_keeps_copies_together_and_is_the_same_without_any():
    labels = np.repeat(np.arange(4), 10)
    unseen = np.array([False, False, False, True])
    names = ["w", "x", "y", "z"]
    plain = split_by_classes(labels, names, unseen, 0.2, 3, where="x")
    same = split_by_classes(labels, names, unseen, 0.2, 3, np.arange(40), where="x")
    assert all(np.array_equal(plain[name], same[name]) for name in plain)
    first = np.arange(40)
    first[[1, 2, 3, 15, 19]] = 0, 0, 0, 14, 14
    for seed in range(20):
        found = split_by_classes(labels, names, unseen, 0.2, seed, first, where="x")
        in_test = np.isin(np.arange(40), found["test_seen"])
        assert len({*in_test[:4]}) == 1 and len({*in_test[[14, 15, 19]]}) == 1
        together = np.sort(np.concatenate([found["trainval"], found["test_seen"]]))
        assert together.tolist() == list(range(30))
        # A fifth of the pictures of each class: of 7, 8 and 10.
        assert len({*first[found["test_seen"]]}) == 1 + 2 + 2


def test_ones_own_folder(tmp_path):
    settings = lookalike.write_folder(tmp_path)
    pictures, output = tmp_path / "pictures", tmp_path / "results/mine/index.h5"
    (pictures / "thing 3/again.jpg").write_bytes((pictures / "thing 3/0.jpg").read_bytes())
    folder.write(settings, output, tmp_path)
    notes = read_index(output).notes
    said = "1 images are copies of another one of their class: thing 3/again.jpg (= thing 3/0.jpg)"
    assert said in notes
    # An unseen class (1) holds a picture of a seen one.
    (pictures / "thing 1/of 3.jpg").write_bytes((pictures / "thing 3/0.jpg").read_bytes())
    with pytest.raises(
        InputError, match=r"1 pictures lie in both \w+ and test_unseen, first thing"
    ):
        folder.write(settings, output, tmp_path)


def test_a_published_split_is_kept_and_the_copy_said(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path)
    output = tmp_path / "results/cub/index.h5"
    xlsa17.write(settings, output, tmp_path)
    before = read_index(output)
    assert not any("copies" in note for note in before.notes)
    root = tmp_path / str(settings["images"])
    seen, unseen = (before.paths[before.splits[name][0]] for name in ("trainval", "test_unseen"))
    (root / unseen).write_bytes((root / seen).read_bytes())
    xlsa17.write(settings, output, tmp_path)
    after = read_index(output)
    assert np.array_equal(after.splits["trainval"], before.splits["trainval"])
    said = f"WARNING: 1 pictures lie in both trainval and test_unseen, first {seen} and {unseen}"
    assert any(note.startswith(said) for note in after.notes)
