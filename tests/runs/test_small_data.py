"""The smallest datasets that make sense run through every method on features; smaller ones are
refused saying what is missing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.miniature import ATTRIBUTES, WORD_WIDTH, write_features
from tests.made_up.specification import SPEC
from zslpipe.datasets.reading import splits
from zslpipe.formats.index import Index, read_index, write_index
from zslpipe.formats.scores import read_scores
from zslpipe.formats.words import write_words_file
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.problems import HELD_OUT, classes_of, validation_problem
from zslpipe.runs.train import run_method
from zslpipe.scores.evaluation import evaluate

CPU = Compute(device="cpu", threads=1, checkpoint_seconds=1e6)
# Input and settings that train in a second; what depends on numbers of images keeps its default.
METHODS = {
    "eszsl": ("pooled", {}),
    "dazle": ("regions", {"epochs": 2}),
    "rsan": ("regions", {"epochs": 1, "episodes": 1}),
    "mlis": (
        "pooled",
        {"epochs": 1, "generator_steps": 2, "hidden": 8, "refinement_epochs": 1},
    ),
    "crafting": ("pooled", {"epochs": 2}),
}


@dataclass(frozen=True)
class Sizes:
    seen: int
    unseen: int
    images: int  # of each class
    validation: tuple[int, ...] | None = None  # class numbers; None: drawn


def small_index(sizes: Sizes) -> Index:
    """Return an index as the folder adapter makes it of such classes."""
    count = sizes.seen + sizes.unseen
    labels = np.repeat(np.arange(count), sizes.images)
    names = tuple(f"class {number}" for number in range(count))
    unseen = np.arange(count) >= sizes.seen
    numbers = splits.split_by_classes(labels, names, unseen, 0.2, 0, where="x")
    trainval = numbers["trainval"]
    if sizes.validation is None:
        validation, _ = splits.set_aside(labels, trainval, names, None, None, 0, where="x")
    else:
        validation = np.isin(np.arange(count), sizes.validation)
    return Index(
        dataset="small",
        adapter="folder",
        paths=tuple(f"{number}.png" for number in range(len(labels))),
        labels=labels,
        class_names=names,
        seen=~unseen,
        validation=validation,
        splits=numbers | splits.divide_trainval(labels, trainval, validation),
        semantics={"att": np.random.default_rng(1).uniform(0.1, 1, (count, ATTRIBUTES))},
        attribute_names=tuple(f"attribute {number}" for number in range(ATTRIBUTES)),
        attribute_groups=("",) * ATTRIBUTES,
        attribute_parts=np.zeros((ATTRIBUTES, 0), bool),
    )


def write_small(folder: Path, sizes: Sizes) -> None:
    generator = np.random.default_rng(0)
    index = small_index(sizes)
    write_index(index, folder / "index.h5")
    write_features(index, generator, folder / "features.h5")
    vectors = generator.normal(size=(ATTRIBUTES, WORD_WIDTH)).astype(np.float32)
    write_words_file(folder / "words.h5", vectors, index.attribute_names, "made up", {}, {})


def run(folder: Path, method: str, **changes: object) -> Path:
    kind, settings = METHODS[method]
    spec = SPEC | {"method": method, "input": kind, "words": "words", "settings": settings}
    spec |= {"dataset": "small", **changes}
    inputs = open_run_inputs(spec, folder / "index.h5", folder / "features.h5", folder, None, CPU)
    run_method(spec, 0, inputs, folder / "words.h5", folder / method / "seed0", CPU)
    return folder / method / "seed0/scores.h5"


@pytest.mark.parametrize("method", METHODS)
def test_two_seen_classes_and_an_unseen_one_of_two_images_run(tmp_path, method):
    write_small(tmp_path, Sizes(2, 1, 2))
    matrix = read_scores(run(tmp_path, method))
    assert [len(matrix.labels[split]) for split in matrix.labels] == [2, 2, 2]
    found = evaluate(matrix)
    assert found["T1"] == 1.0  # one unseen class is right whatever the scores are
    assert 0 <= found["H"] <= 1


@pytest.mark.parametrize("method", METHODS)
def test_three_seen_classes_of_three_images_can_be_chosen_on(tmp_path, method):
    write_small(tmp_path, Sizes(3, 1, 3))
    choose = {"feature_regulariser": [0.1, 1.0]} if method == "eszsl" else {}
    matrix = read_scores(run(tmp_path, method, selection="validation", choose=choose))
    assert "validation_H" in matrix.chosen


REFUSED = {
    "all seen classes are for validation": (
        Sizes(3, 1, 4, (0, 1, 2)),
        "H",
        "all 3 seen classes are validation classes, none is left to train on while choosing; take "
        "some out of validation_classes, or do without",
    ),
    "one seen class is left": (
        Sizes(2, 1, 4),
        "H",
        "'class 1' is the one seen class that is no validation class; choosing needs two to train",
    ),
    "nothing to measure S": (
        Sizes(3, 1, 2),
        "H",
        "no class has two images to train on: none can be set aside to measure S and H while "
        "choosing; set criterion: T1, or selection: last",
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", REFUSED)
def test_too_few_to_choose_on_are_refused(tmp_path, case, method):
    sizes, criterion, expected = REFUSED[case]
    write_small(tmp_path, sizes)
    with pytest.raises(InputError, match=expected.replace("(", r"\(")) as caught:
        run(tmp_path, method, selection="validation", criterion=criterion)
    assert "\n" not in str(caught.value)


def test_t1_is_chosen_by_where_s_cannot_be_measured(tmp_path):
    write_small(tmp_path, Sizes(3, 1, 2))
    scores = run(tmp_path, "dazle", selection="validation", criterion="T1")
    assert "validation_T1" in read_scores(scores).chosen


def test_all_seen_classes_for_validation_train_without_choosing(tmp_path):
    write_small(tmp_path, Sizes(2, 1, 2, (0, 1)))
    assert read_scores(run(tmp_path, "eszsl")).scores["test_seen"].shape == (2, 3)


MISSING = {
    "one seen class": (Sizes(1, 1, 4), "1 seen classes have images to train on; two are needed"),
    "one image each": (
        Sizes(2, 1, 1),
        "no seen class has two images: none can be set aside for test_seen; give seen classes a se",
    ),
    "no unseen class": (Sizes(3, 0, 4), "0 of 3 classes are unseen; some of either kind are need"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_a_split_lacks_is_named(case):
    sizes, expected = MISSING[case]
    with pytest.raises(InputError, match=expected):
        small_index(sizes)


def test_an_index_of_one_seen_class_is_refused(tmp_path):
    index = small_index(Sizes(1, 1, 4, ()))
    with pytest.raises(InputError, match="1 seen classes; two are needed to train on"):
        write_index(index, tmp_path / "index.h5")


@pytest.mark.parametrize("images", [3, 4, 6, 11, 30])
def test_what_is_set_aside_leaves_each_class_an_image(images):
    index = small_index(Sizes(4, 1, images))
    train = index.splits["train"]
    problem = validation_problem(index, classes_of(index, "att", "unit", None), seed=0)
    trained = problem.train_rows.tolist()
    held_out = sorted(set(train.tolist()) - set(trained))
    assert len(held_out) == max(1, round(HELD_OUT * len(train)))
    assert set(index.labels[trained]) == set(index.labels[train])
    seen = problem.classes.seen[problem.test_labels]
    assert sorted(problem.test_rows[seen].tolist()) == held_out


def test_a_class_of_one_image_is_not_emptied(tmp_path):
    index = small_index(Sizes(5, 1, 2))
    write_index(index, tmp_path / "index.h5")
    index = read_index(tmp_path / "index.h5")
    problem = validation_problem(index, classes_of(index, "att", "unit", None), seed=0)
    assert sorted(problem.train_rows.tolist()) == index.splits["train"].tolist()
