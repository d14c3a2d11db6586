import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from tests.made_up.figures import is_drawn, titles
from tests.made_up.miniature import CLASSES, miniature_index
from zslpipe.formats.index import write_index
from zslpipe.formats.scores import SPLITS, ScoreMatrix, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.predictions import IMAGES, draw_images, predictions, probabilities
from zslpipe.scores.gating import log_softmax


def files(folder, **changes):
    """Write an index with pictures, scores of its images, and these after another program has
    swapped the groups.
    """
    index = miniature_index(np.random.default_rng(0))
    write_index(index, folder / "index.h5")
    for path in index.paths:
        (folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(np.random.default_rng(len(path)).integers(0, 255, 3).tolist())
        Image.new("RGB", (40, 30), colour).save(folder / "images" / path)
    generator = np.random.default_rng(1)
    scores, labels = {}, {}
    for split in SPLITS:
        rows = index.splits[split]
        scores[split] = generator.normal(size=(len(rows), CLASSES)).astype("f4")
        labels[split] = index.labels[rows]
    before = ScoreMatrix(
        *("mini", "v_cc", "default", 2, "small", "att (unit)", "", "last epoch", index.protocol),
        classes=index.class_names,
        seen=index.seen,
        scores=scores,
        labels=labels,
        images={split: index.splits[split] for split in SPLITS},
    )
    moved = {
        split: log_softmax(values / 2 - 3 * index.seen).astype("f4")
        for split, values in scores.items()
    }
    after = dataclasses.replace(
        before,
        scores=moved,
        rebalancing="discriminator",
        chosen={"discriminator": {"temperature": 2.0}},
    )
    after = dataclasses.replace(after, **changes)
    write_scores(folder / "scores.h5", before)
    write_scores(folder / "after.h5", after)
    return before, after


def drawn(folder):
    paths = (
        folder / "scores.h5",
        folder / "after.h5",
        folder / "index.h5",
        folder / "images",
        folder / "figure",
    )
    return predictions(*paths)


def test_probabilities_before_and_after_are_in_one_temperature(tmp_path):
    before, after = files(tmp_path)
    first, second = probabilities(before, after)
    for split in SPLITS:
        assert first[split].sum(axis=1) == pytest.approx(1) and second[split].sum(
            axis=1
        ) == pytest.approx(1)
        np.testing.assert_allclose(first[split], np.exp(log_softmax(before.scores[split], 2.0)))
        np.testing.assert_allclose(second[split], np.exp(after.scores[split]), rtol=1e-5)
    oracle = dataclasses.replace(before, rebalancing="oracle")
    first, second = probabilities(before, oracle)
    np.testing.assert_array_equal(first["trainval"], second["trainval"])
    np.testing.assert_allclose(first["trainval"], np.exp(log_softmax(before.scores["trainval"])))


def test_images_are_drawn_with_the_seed_one_a_class():
    labels = np.repeat(np.arange(10), 7)
    numbers = draw_images(labels, seed=1)
    assert len(numbers) == IMAGES == len(set(labels[numbers]))
    assert draw_images(labels, seed=1) == numbers != draw_images(labels, seed=2)
    assert sorted(labels[draw_images(labels[:14], seed=0)]) == [0, 1]
    assert draw_images(labels[:0], seed=0) == []


@pytest.mark.slow
def test_the_figure_names_the_likeliest_classes(tmp_path):
    before, after = files(tmp_path)
    found = titles(is_drawn(drawn(tmp_path)))
    assert "v_cc / default on mini: before and after rebalancing by discriminator" in found
    names = [name.replace("_", " ") for name in before.classes]
    for split in ("test_unseen", "test_seen"):
        numbers = draw_images(before.labels[split], 2)
        assert len(numbers) == min(IMAGES, len(set(before.labels[split])))
        for table in probabilities(before, after):
            for number in numbers:
                row = table[split][number]
                for place in np.argsort(-row)[:3]:
                    star = "" if before.seen[place] else " ★"
                    assert f"{names[place]}{star}  {100 * row[place]:.2g} %" in found
    starred = [text for text in found if re.search("★  ", text)]
    unseen = [names[number] for number in np.flatnonzero(~before.seen)]
    assert starred
    for text in starred:
        assert any(name in text for name in unseen)


@pytest.mark.slow
def test_same_input_same_bytes(tmp_path):
    files(tmp_path)
    first = [path.read_bytes() for path in drawn(tmp_path)]
    assert [path.read_bytes() for path in drawn(tmp_path)] == first


FOREIGN = [
    ({"rebalancing": "none"}, "rebalancing 'none' before and 'none' after"),
    ({"seed": 3}, "of another seed than the scores before"),
    ({"method": "s_cc"}, "of another method"),
]


@pytest.mark.parametrize(("changes", "message"), FOREIGN)
def test_files_that_do_not_belong_together_are_refused(tmp_path, changes, message):
    files(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as error:
        drawn(tmp_path)
    assert (
        "after.h5" in str(error.value)
        and "\n" not in str(error.value)
        and not (tmp_path / "figure.webp").exists()
    )


def test_other_images_and_another_index_are_refused(tmp_path):
    after = files(tmp_path)[1]
    images = {**after.images, "test_seen": after.images["test_seen"][::-1].copy()}
    write_scores(tmp_path / "after.h5", dataclasses.replace(after, images=images))
    with pytest.raises(InputError, match="other images in test_seen"):
        drawn(tmp_path)
    files(tmp_path)
    index = dataclasses.replace(
        miniature_index(np.random.default_rng(0)),
        class_names=tuple(f"other {number}" for number in range(CLASSES)),
    )
    write_index(index, tmp_path / "index.h5")
    with pytest.raises(InputError, match=r"scores\.h5: does not belong to .*index\.h5"):
        drawn(tmp_path)


def test_missing_images_are_named(tmp_path):
    files(tmp_path)
    for path in (tmp_path / "images").rglob("*.*"):
        path.unlink()
    with pytest.raises(InputError, match="no such image"):
        drawn(tmp_path)
