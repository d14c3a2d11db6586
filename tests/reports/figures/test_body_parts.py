import dataclasses

import h5py
import numpy as np
import pytest

from tests.made_up.figures import attention_file, dataset, is_drawn, titles
from zslpipe.formats.index import write_index
from zslpipe.formats.scores import ScoreMatrix, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.attributes import attention_maps
from zslpipe.reports.figures.body_parts import main_parts, part_map, part_maps
from zslpipe.reports.figures.channels import channel_maps
from zslpipe.reports.figures.confusions import (
    confusions,
    median_class,
    most_taken_for,
    predicted_shares,
)
from zslpipe.reports.figures.overlays import stretch


def found_parts_file(path, images=(2, 3), maps=2, channels=2):
    """attention.h5 of a method that finds its own parts."""
    generator = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file["part_maps"] = generator.random((len(images), maps, 7, 7)).astype(np.float16)
        file["channel_maps"] = generator.random((len(images), channels, 7, 7)).astype(np.float16)
        file["images"] = file["labels"] = file["predicted"] = np.array(images)
        file.attrs.update({"method": "sgma", "variant": "default", "dataset": "demo", "seed": 0})
        file.attrs.update({"kind": "parts", "complete": True})
        file.attrs.update({"cell_first": 0.02, "cell_step": 1 / 7})
    return path


def test_main_parts_are_those_of_most_attributes():
    about = np.zeros((9, 7), bool)
    for part, count in enumerate((2, 9, 0, 3, 2, 1, 3)):
        about[:count, part] = True
    assert main_parts(about) == [1, 3, 6, 0, 4]
    assert main_parts(about[:, [2, 5]]) == [1]
    assert main_parts(about[:, :0]) == []


def test_a_parts_map_is_the_mean_of_stretched_maps():
    maps = np.random.default_rng(0).normal(size=(5, 3, 4))
    maps[3] = 0.7  # constant: nothing to see
    chosen = np.array([True, False, True, True, False])
    expected = np.zeros((3, 4))
    for number in (0, 2):
        for row in range(3):
            for column in range(4):
                low, high = maps[number].min(), maps[number].max()
                expected[row, column] += (maps[number, row, column] - low) / (high - low) / 3
    found = part_map(maps, chosen)
    assert np.allclose(found, expected)
    assert np.allclose(part_map(3 * maps + np.arange(5)[:, None, None], chosen), found)
    assert part_map(maps, np.zeros(5, bool)) is None
    assert stretch(maps[3]).max() == 0


@pytest.mark.slow
def test_parts_are_drawn_with_the_classes_attributes_counted(tmp_path):
    # of the means 1.5, 2, 3.5 class 2 (3, 5, 1) reaches the head's two, class 3 (1, 0, 9) the
    # tail's
    dataset(tmp_path)
    path = attention_file(tmp_path / "attention.h5")
    found = titles(
        is_drawn(part_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "parts"), 500)
    )
    text = "\n".join(found)
    for part in ("dazle / default on demo", "true: Sooty gull", "head", "tail", "mean of the maps"):
        assert part in text, part
    assert [
        text.count(told) for told in ("2 attributes", "1 attribute", "none of its attributes")
    ] == [1, 1, 2]


def test_parts_need_attributes_about_them_and_maps_of_attributes(tmp_path):
    index = dataset(tmp_path)

    def draw(path):
        part_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "parts")

    good = attention_file(tmp_path / "good.h5")
    with pytest.raises(
        InputError, match="holds maps of parts, this figure draws maps of attributes"
    ):
        draw(found_parts_file(tmp_path / "attention.h5"))
    with pytest.raises(InputError, match="it has 3 attributes"):
        draw(attention_file(tmp_path / "three.h5", attributes=3))
    bare = dataclasses.replace(
        index, part_names=(), part_locations=None, attribute_parts=np.zeros((4, 0), bool)
    )
    write_index(bare, tmp_path / "index.h5")
    with pytest.raises(
        InputError, match="no attribute of dataset 'demo' is about an annotated part"
    ):
        draw(good)
    assert not (tmp_path / "parts.webp").exists()


@pytest.mark.slow
def test_channel_groups_and_learnt_maps_stand_side_by_side(tmp_path):
    dataset(tmp_path)
    path = found_parts_file(tmp_path / "attention.h5", images=(3, 2))
    found = titles(
        is_drawn(channel_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "channels"), 700)
    )
    names = [text for text in found if text.startswith(("k-means, ", "learnt, "))]
    assert names == ["k-means, part 1", "k-means, part 2", "learnt, part 1", "learnt, part 2"] * 2
    assert [text for text in found if text.startswith("true: ")] == ["true: d", "true: Sooty gull"]
    assert "sgma / default on demo" in found


def test_bad_channel_maps_are_refused(tmp_path):
    dataset(tmp_path)

    def draw(path):
        channel_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "channels")

    with pytest.raises(
        InputError, match="holds maps of attributes, this figure draws maps of parts"
    ):
        draw(attention_file(tmp_path / "attributes.h5"))
    with pytest.raises(InputError, match="disagree"):
        draw(found_parts_file(tmp_path / "three.h5", channels=3))
    with pytest.raises(InputError, match=r"does not belong to .*it has 2 parts, images up to 9"):
        draw(found_parts_file(tmp_path / "other.h5", images=(9,)))
    with pytest.raises(InputError, match="holds no image"):
        draw(found_parts_file(tmp_path / "none.h5", images=()))
    with pytest.raises(
        InputError, match="holds maps of parts, this figure draws maps of attributes"
    ):
        path = found_parts_file(tmp_path / "parts.h5")
        attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps")


CLASSES = ("Sooty_gull", "crow", "jay", "finch", "kite", "owl", "wren", "tit")
SEEN = np.array([True, True, True, True, True, False, False, False])


def scores_file(path, predicted, **changes):
    """scores.h5 whose unseen test images (four each of owl, wren, tit) are predicted as told, by
    class number.
    """
    labels = {
        "trainval": np.arange(5),
        "test_seen": np.arange(5),
        "test_unseen": np.repeat([5, 6, 7], 4),
    }
    scores = {split: np.eye(8, dtype=np.float32)[numbers] for split, numbers in labels.items()}
    scores["test_unseen"] = np.eye(8, dtype=np.float32)[predicted]
    images = {
        "trainval": np.arange(5),
        "test_seen": np.arange(5, 10),
        "test_unseen": np.arange(10, 22),
    }
    texts = dict.fromkeys(("extractor", "semantics", "words", "selection", "protocol"), "")
    content = {"dataset": "demo", "method": "rsan", "variant": "default", "seed": 0} | texts
    content |= {
        "classes": CLASSES,
        "seen": SEEN,
        "scores": scores,
        "labels": labels,
        "images": images,
    } | changes
    write_scores(path, ScoreMatrix(**content))
    return path


OWLS, WRENS, TITS = (
    [5, 5, 5, 5],
    [6, 0, 0, 5],
    [1, 2, 3, 7],
)  # 0, 2 and 3 of four taken for seen classes


def test_shares_of_predictions_in_plain_loops():
    generator = np.random.default_rng(0)
    labels = np.array([5] * 7 + [6] * 4)
    scores = generator.random((11, 8))
    matrix = ScoreMatrix(
        *("",) * 3,
        0,
        *("",) * 5,
        CLASSES,
        SEEN,
        {"test_unseen": scores},
        {"test_unseen": labels},
        {},
    )
    found = predicted_shares(matrix)
    for label, images in ((5, 7), (6, 4)):
        for other in range(8):
            count = sum(
                labels[row] == label
                and max(range(8), key=lambda number, row=row: scores[row, number]) == other
                for row in range(11)
            )
            assert found[label, other] == pytest.approx(count / images)
    assert np.isnan(found[[0, 1, 2, 3, 4, 7]]).all()
    order = generator.permutation(11)
    shuffled = dataclasses.replace(
        matrix, scores={"test_unseen": scores[order]}, labels={"test_unseen": labels[order]}
    )
    assert np.array_equal(predicted_shares(shuffled), found, equal_nan=True)


def test_the_class_of_the_median_confusion():
    shares = np.full((8, 8), np.nan)
    for number, confused in zip((5, 6, 7), (0.2, 0.9, 0.5), strict=True):
        shares[number] = np.where(SEEN, confused / 5, (1 - confused) / 3)
    assert median_class(shares, SEEN) == 7
    shares[6] = np.nan
    assert median_class(shares, SEEN) == 7  # the more confused of two
    shares[7] = np.nan
    assert median_class(shares, SEEN) == 5


def test_the_seen_classes_that_most_are_taken_for():
    shares = np.array([0.1, 0.3, 0.0, 0.1, 0.1, 0.4, 0, 0])
    assert most_taken_for(shares, SEEN) == [1, 0, 3]
    assert most_taken_for(np.where(np.arange(8) == 4, 0.2, 0), SEEN) == [4]
    assert most_taken_for(np.zeros(8), SEEN) == []


def test_confusions_of_two_methods(tmp_path):
    paths = [
        scores_file(tmp_path / "a.h5", OWLS + WRENS + TITS),
        scores_file(
            tmp_path / "b.h5", OWLS + OWLS + OWLS, seed=1
        ),  # the same method: the first seed counts
        scores_file(
            tmp_path / "c.h5", [*OWLS, 6, 6, 6, 1, *TITS], method="dazle", variant="no_calibration"
        ),
    ]
    found = titles(is_drawn(confusions(paths, tmp_path / "confusion"), 800))
    assert "demo: 4 images of unseen class wren predicted as" in found
    assert [text for text in found if text in ("rsan", "dazle / no_calibration")] == [
        "rsan",
        "dazle / no_calibration",
    ]
    # rsan: itself 1 of 4, gull 2, crow 0, other (an owl) 1; dazle: itself 3, gull 0, crow 1, other
    # 0
    bars = [text for text in found if text in ("25", "50", "0", "75")]
    assert bars[-8:] == ["25", "50", "0", "25", "75", "0", "25", "0"]
    names = [text.split("\n")[0] for text in found]
    assert [
        name
        for name in names
        if name in ("wren", "Sooty gull", "crow", "jay", "finch", "any other")
    ] == [*("wren", "Sooty gull", "crow", "any other")]


def test_confusions_of_a_class_that_is_named(tmp_path):
    scores = scores_file(tmp_path / "a.h5", OWLS + WRENS + TITS)
    stem = tmp_path / "confusion"
    found = titles(is_drawn(confusions([scores], stem, class_name="Owl"), 800))
    assert any("images of unseen class owl predicted as" in text for text in found)
    assert any(text.startswith("an unseen class that the configuration names") for text in found)
    with pytest.raises(InputError, match=r"no unseen class is called 'crow'; .*owl"):
        confusions([scores], stem, class_name="crow")


def test_bad_confusions_are_refused(tmp_path):
    good = scores_file(tmp_path / "good.h5", OWLS + WRENS + TITS)
    with pytest.raises(InputError, match=r"no scores\.h5 given"):
        confusions([], tmp_path / "confusion")
    other = scores_file(tmp_path / "other.h5", OWLS + WRENS + TITS, dataset="CUB")
    with pytest.raises(
        InputError, match=r"other\.h5: confusions of one dataset only, found demo and CUB"
    ):
        confusions([good, other], tmp_path / "confusion")
    renamed = scores_file(tmp_path / "renamed.h5", OWLS + WRENS + TITS, classes=CLASSES[::-1])
    with pytest.raises(
        InputError, match=r"renamed\.h5: other classes or unseen test images than .*good\.h5"
    ):
        confusions([good, renamed], tmp_path / "confusion")
    assert not (tmp_path / "confusion.webp").exists()


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(tmp_path):
    dataset(tmp_path)
    attributes = attention_file(
        tmp_path / "attributes.h5", images=(2,), labels=(2,), predicted=(2,)
    )
    parts = found_parts_file(tmp_path / "parts.h5", images=(3,))
    scores = scores_file(tmp_path / "scores.h5", OWLS + WRENS + TITS)
    for folder in ("first", "second"):
        part_maps(attributes, tmp_path / "index.h5", tmp_path, tmp_path / folder / "parts")
        channel_maps(parts, tmp_path / "index.h5", tmp_path, tmp_path / folder / "channels")
        confusions([scores], tmp_path / folder / "confusion")
    written = sorted((tmp_path / "first").iterdir())
    assert len(written) == 6
    for file in written:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name
