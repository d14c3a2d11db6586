"""Awkward but legal score files: every user of them works, or says in one line why not."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.runs import SEEN, VALIDATION
from zslpipe.formats.scores import (
    SPLITS,
    IrrelevantScores,
    ScoreMatrix,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.confusions import confusions
from zslpipe.reports.figures.curves import seen_unseen_curves
from zslpipe.reports.tables.results import write_tables
from zslpipe.scores.accuracy import generalized
from zslpipe.scores.comparison import compare
from zslpipe.scores.ensembles import ensemble, ensemble_irrelevant
from zslpipe.scores.evaluation import evaluate, write_metrics
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance

GENERATOR = np.random.default_rng(0)


def usual(labels, count):
    """A method that knows its classes and favours the first half."""
    favoured = 2.0 * (np.arange(count) < count / 2)
    return GENERATOR.normal(size=(len(labels), count)) + 2 * np.eye(count)[labels] + favoured


def scaled(scale):
    return lambda labels, count: scale * usual(labels, count)


def outliers(labels, count):
    far = GENERATOR.random((len(labels), count)) < 0.05
    return np.where(far, 1e30, usual(labels, count))


SCORES = {
    "usual": usual,
    "all equal": lambda labels, count: np.full((len(labels), count), 0.5),
    "all equal and large": lambda labels, count: np.full((len(labels), count), 1e8),
    "equal within an image": lambda labels, count: labels[:, None] + np.zeros(count),
    "ties": lambda labels, count: GENERATOR.integers(0, 2, (len(labels), count)),
    "1e30": lambda labels, count: 1e30 * GENERATOR.choice([-1, 1], size=(len(labels), count)),
    "wide": scaled(1e30),
    "narrow": scaled(1e-30),
    "subnormal": scaled(1e-42),
    "outliers": outliers,
    "perfect": lambda labels, count: np.eye(count)[labels],
    "always wrong": lambda labels, count: -np.eye(count)[labels],
}
# Name -> seen classes, those of the validation problem, images a class, splits empty in either.
SHAPES = {
    "usual": (SEEN, VALIDATION, 4, (), ()),
    "no seen test image": (SEEN, VALIDATION, 4, ("test_seen",), ()),
    "no unseen test image": (SEEN, VALIDATION, 4, ("test_unseen",), ()),
    "no training image": (SEEN, VALIDATION, 4, ("trainval",), ()),
    "no image": (SEEN, VALIDATION, 4, SPLITS, ()),
    "no validation image": (SEEN, VALIDATION, 4, (), SPLITS),
    "no seen validation image": (SEEN, VALIDATION, 4, (), ("test_seen",)),
    "no validation class": (SEEN, np.ones(6, bool), 4, (), ()),
    "only validation classes": (SEEN, np.zeros(6, bool), 4, (), ()),
    "one image a class": (SEEN, VALIDATION, 1, (), ()),
    "one unseen class": (np.array([1, 1, 1, 0], bool), np.array([1, 0, 1], bool), 4, (), ()),
    "one class of each kind": (np.array([1, 0], bool), np.array([1], bool), 4, (), ()),
    "one left of two": (np.array([1, 1, 0, 0], bool), np.array([1, 0], bool), 4, (), ()),
}
CASES = [("usual", name) for name in SCORES] + [(name, "usual") for name in SHAPES]


def matrix_of(seen, images, empty, draw, classes, method):
    labels = {}
    for split in SPLITS:
        members = np.flatnonzero(seen if split != "test_unseen" else ~seen)
        labels[split] = np.repeat(members, 0 if split in empty else images)
    return ScoreMatrix(
        *("demo", method, "default", 0, "small", "att", "", "last epoch", "own split"),
        classes=classes,
        seen=seen,
        scores={split: np.float32(draw(rows, len(seen))) for split, rows in labels.items()},
        labels=labels,
        images={split: np.arange(len(rows)) for split, rows in labels.items()},
        unit="logits",
    )


def write_files(folder: Path, shape, scores, method="made_up"):
    """Write scores.h5, validation.h5 and irrelevant.h5 of a case; return their paths."""
    seen, validation, images, empty, empty_validation = SHAPES[shape]
    classes = tuple(f"class {number}" for number in range(len(seen)))
    chosen_on = tuple(np.array(classes)[seen])
    draw, folder = SCORES[scores], folder / method
    folder.mkdir()
    paths = [folder / f"{name}.h5" for name in ("scores", "validation", "irrelevant")]
    write_scores(paths[0], matrix_of(seen, images, empty, draw, classes, method))
    other = matrix_of(validation, images, empty_validation, draw, chosen_on, method)
    write_scores(paths[1], other)
    drawn = np.float32(draw(np.zeros(8, int), len(seen)))
    run = ("demo", method, "default", 0, "bags", classes, drawn, "logits")
    write_irrelevant(paths[2], IrrelevantScores(*run))
    return paths


def works_or_says(use, *given):
    """Whether a use works; an InputError has to be one line."""
    try:
        use(*given)
    except InputError as error:
        assert "\n" not in str(error) and ".h5" in str(error)
        return False
    return True


@pytest.mark.parametrize(("shape", "scores"), CASES)
def test_rebalancing_works_or_says_why_not(tmp_path, shape, scores):
    paths = write_files(tmp_path, shape, scores)
    before = evaluate(read_scores(paths[0]))
    there = evaluate(read_scores(paths[1]))
    for kind in KINDS:
        out = tmp_path / f"{kind}.h5"
        if not works_or_says(rebalance, kind, paths[0], out, *paths[1:], {}):
            assert kind not in ("none", "oracle")
            continue
        result = read_scores(out)
        after = evaluate(result)
        assert after.get("T1") == before.get("T1")
        used = result.chosen.get(kind, {})
        assert used.get("validation_H", 1.0) >= there.get("H", 0.0)
        if kind == "oracle":
            assert after.get("U_group", 1.0) == after.get("S_group", 1.0) == 1.0


@pytest.mark.parametrize(("shape", "scores"), CASES)
def test_ensembles_work_or_say_why_not(tmp_path, shape, scores):
    files = [write_files(tmp_path, shape, scores, method) for method in ("a", "b")]
    validations = [paths[1] for paths in files]
    for number, make in enumerate((ensemble, ensemble, ensemble_irrelevant)):
        members = [paths[number] for paths in files]
        make(members, [], tmp_path / "out.h5", "e", "default")
        works_or_says(make, members, validations, tmp_path / "out.h5", "e", "default")


@pytest.mark.parametrize(("shape", "scores"), CASES)
def test_evaluation_comparison_tables_and_figures_work_or_say_why_not(tmp_path, shape, scores):
    metrics, matrices = [], []
    for method in ("a", "b"):
        matrices.append(write_files(tmp_path, shape, scores, method)[0])
        metrics.append(tmp_path / f"{method}.json")
        write_metrics(matrices[-1], metrics[-1])
    assert "nan" not in compare(metrics[:1], metrics[1:])
    write_tables(metrics, tmp_path)
    if scores != "usual":  # a figure takes half a second, and sees accuracies alone
        return
    seen_unseen_curves(metrics, tmp_path / "curves")
    drawn = works_or_says(confusions, matrices, tmp_path / "confusion")
    assert drawn is (shape not in ("no unseen test image", "no image"))


def test_a_gate_that_does_not_converge_is_one_line(tmp_path, caplog, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression.fit

    def warned(self, *given):
        warnings.warn("lbfgs failed to converge\nafter 0 iteration(s)", stacklevel=1)
        return fit(self, *given)

    monkeypatch.setattr(LogisticRegression, "fit", warned)
    paths = write_files(tmp_path, "usual", "usual")
    rebalance("cosmo", paths[0], tmp_path / "out.h5", paths[1], None, {})
    (line,) = caplog.messages
    assert line.endswith("classes: lbfgs failed to converge after 0 iteration(s)")


def test_scores_beyond_what_float32_can_be_moved_by_are_refused(tmp_path):
    paths = write_files(tmp_path, "usual", "usual")
    matrix = read_scores(paths[0])
    far = {split: values * np.float32(1e37) for split, values in matrix.scores.items()}
    write_scores(paths[0], dataclasses.replace(matrix, scores=far))
    with pytest.raises(InputError, match=r"scores\.h5: scores up to \d.*e\+37, with which float32"):
        rebalance("oracle", paths[0], tmp_path / "out.h5", None, None, {})


@pytest.mark.parametrize("kind", ["calibrated_stacking", "cosmo", "discriminator"])
@pytest.mark.parametrize("seed", range(6))
def test_no_rebalancing_is_worse_than_none_on_the_validation_classes(tmp_path, kind, seed):
    """Validation scores that need no rebalancing, with gaps that float32 can hardly hold."""
    generator = np.random.default_rng(seed)
    paths = write_files(tmp_path, "usual", "usual")
    validation = read_scores(paths[1])
    scores = {}
    for split, labels in validation.labels.items():
        drawn = 1000 + generator.normal(size=(len(labels), 6)).astype(np.float32)
        right = np.arange(len(labels)), labels
        highest = drawn.max(axis=1).astype(np.float32)
        drawn[right] = np.nextafter(highest, np.float32(np.inf)) if seed % 2 else highest + 9
        scores[split] = drawn.astype(np.float32)
    validation = dataclasses.replace(validation, scores=scores)
    write_scores(paths[1], validation)
    assert evaluate(validation)["H"] == 1.0
    rebalance(kind, paths[0], tmp_path / "out.h5", *paths[1:], {})
    result = read_scores(tmp_path / "out.h5")
    used = result.chosen[kind]
    assert used["validation_H"] == 1.0
    if "kept" in used:
        assert used["kept"] == "none"
        original = read_scores(paths[0]).scores
        for split, values in result.scores.items():
            assert np.array_equal(values, original[split])


def test_what_is_told_of_the_validation_classes_is_what_is_written_there(tmp_path):
    """The validation problem given as the test as well: its H is the one that was chosen."""
    paths = write_files(tmp_path, "usual", "usual")
    test = read_scores(paths[0])
    for kind in ("calibrated_stacking", "cosmo"):
        given = dataclasses.replace(read_scores(paths[1]))
        rebalance(kind, paths[0], tmp_path / f"{kind}.h5", paths[1], None, {})
        used = read_scores(tmp_path / f"{kind}.h5").chosen[kind]
        splits = ("test_seen", "test_unseen")
        scores = np.concatenate([given.scores[split] for split in splits])
        labels = np.concatenate([given.labels[split] for split in splits])
        assert used["validation_H"] >= generalized(scores, labels, given.seen)[2]
    assert test.unit == "logits"
