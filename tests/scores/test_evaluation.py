import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from zslpipe.formats.metrics import FURTHER_METRICS, read_metrics
from zslpipe.formats.scores import ScoreMatrix, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.accuracy import generalized, group_mean, harmonic_mean, per_class_accuracy, t1
from zslpipe.scores.evaluation import (
    CURVE_POINTS,
    areas_by_class,
    ausuc,
    evaluate,
    group_accuracies,
    seen_unseen_curve,
    top_accuracies,
    write_metrics,
)


def random_case(seed, images=60, classes=9, levels=None):
    """Return scores, labels and the seen mask; few ``levels`` of score give many ties; some classes
    have no image.
    """
    generator = np.random.default_rng(seed)
    seen = generator.permutation(np.arange(classes) < classes * 2 // 3)
    labels = generator.choice(generator.choice(classes, classes - 2, replace=False), images)
    scores = (
        generator.normal(size=(images, classes))
        if levels is None
        else generator.integers(0, levels, (images, classes))
    )
    scores = scores.astype(np.float32)
    scores[np.arange(images), labels] += 1
    return scores, labels, seen


CASES = [random_case(seed) for seed in range(4)]
CASES += [random_case(seed, levels=3) for seed in range(4)]


def slow_group(predictions, labels, members):
    """Mean over the member classes that have images, as plain loops."""
    accuracies = []
    for number in members:
        mine = [
            prediction == number
            for prediction, label in zip(predictions, labels, strict=True)
            if label == number
        ]
        if mine:
            accuracies.append(sum(mine) / len(mine))
    return sum(accuracies) / len(accuracies) if accuracies else float("nan")


def slow_predictions(scores, allowed):
    """The first class with the highest score among the allowed ones."""
    predictions = []
    for row in scores:
        best = allowed[0]
        for number in allowed:
            if row[number] > row[best]:
                best = number
        predictions.append(best)
    return predictions


def slow_point(scores, labels, seen, constant):
    calibrated = scores.astype(np.float64) - constant * seen
    predictions = slow_predictions(calibrated, range(len(seen)))
    return slow_group(predictions, labels, np.flatnonzero(~seen)), slow_group(
        predictions, labels, np.flatnonzero(seen)
    )


def slow_curve(scores, labels, seen):
    """Sweep the constant over the middles between all gaps, and one beyond either end."""
    gaps = sorted({float(row[seen].max()) - float(row[~seen].max()) for row in scores})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(gaps)]
    return [
        slow_point(scores, labels, seen, constant)
        for constant in (gaps[0] - 1, *middles, gaps[-1] + 1)
    ]


def slow_area(points):
    return sum((u2 - u1) * (s1 + s2) / 2 for (u1, s1), (u2, s2) in itertools.pairwise(points))


@pytest.mark.parametrize(("scores", "labels", "seen"), CASES)
def test_accuracies_equal_plain_loops(scores, labels, seen):
    unseen = np.flatnonzero(~seen)
    rows = ~seen[labels]
    assert t1(scores, labels, seen) == pytest.approx(
        slow_group(slow_predictions(scores[rows], unseen), labels[rows], unseen), abs=1e-12
    )
    u, s = slow_point(scores, labels, seen, 0.0)
    assert generalized(scores, labels, seen) == pytest.approx(
        (u, s, 2 * u * s / (u + s)), abs=1e-12
    )


def slow_mean(right, labels, members):
    """Mean over the member classes that have images of the share of right ones, as plain loops."""
    shares = []
    for number in members:
        mine = [one for one, label in zip(right, labels, strict=True) if label == number]
        if mine:
            shares.append(sum(mine) / len(mine))
    return sum(shares) / len(shares)


def slow_top(scores, labels, allowed, count):
    """Whether an image's class is among the first ``count`` of the allowed ones, one by one taken
    out, the first of equals first.
    """
    right = []
    for row, label in zip(scores, labels, strict=True):
        left, guesses = list(allowed), []
        while left and len(guesses) < count:
            [best] = slow_predictions(row[None], left)
            guesses.append(best)
            left.remove(best)
        right.append(label in guesses)
    return right


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize(("scores", "labels", "seen"), CASES)
def test_accuracies_of_several_guesses_equal_plain_loops(scores, labels, seen, count):
    known, unseen, every = np.flatnonzero(seen), np.flatnonzero(~seen), range(len(seen))
    rows = ~seen[labels]
    restricted = slow_top(scores[rows], labels[rows], unseen, count)
    found = slow_top(scores, labels, every, count)
    expected = (
        slow_mean(restricted, labels[rows], unseen),
        slow_mean(found, labels, unseen),
        slow_mean(found, labels, known),
    )
    assert top_accuracies(scores, labels, seen, count) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("scores", "labels", "seen"), CASES)
def test_one_guess_is_the_accuracy(scores, labels, seen):
    u, s, _ = generalized(scores, labels, seen)
    expected = (t1(scores, labels, seen), u, s)
    assert top_accuracies(scores, labels, seen, 1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("scores", "labels", "seen"), CASES)
def test_group_accuracies_equal_plain_loops(scores, labels, seen):
    predictions = slow_predictions(scores, range(len(seen)))
    right = []
    for prediction, label in zip(predictions, labels, strict=True):
        right.append(bool(seen[prediction]) is bool(seen[label]))
    expected = [slow_mean(right, labels, np.flatnonzero(group)) for group in (~seen, seen)]
    assert group_accuracies(scores, labels, seen) == pytest.approx(expected, abs=1e-12)


def test_a_wrong_class_of_the_right_kind_is_detected():
    seen, labels = np.array([True, True, False, False]), np.array([0, 0, 2, 3])
    scores = np.array([[1, 2, 0, 0], [0, 0, 3, 0], [0, 0, 1, 2], [5, 0, 0, 1]], np.float32)
    assert group_accuracies(scores, labels, seen) == (0.5, 0.5)
    assert generalized(scores, labels, seen) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("scores", "labels", "seen"), CASES)
def test_area_equals_a_slow_sweep_over_all_gaps(scores, labels, seen):
    points = slow_curve(scores, labels, seen)
    assert ausuc(scores, labels, seen) == pytest.approx(slow_area(points), abs=1e-12)
    found = list(zip(*seen_unseen_curve(scores, labels, seen), strict=True))
    distinct = [
        point for place, point in enumerate(points) if place == 0 or point != points[place - 1]
    ]
    assert np.allclose(found, distinct, atol=1e-12)


def test_area_with_ties_by_hand():
    seen = np.array([True, False])
    scores = np.array(
        [[2.0, 1.0], [3.0, 1.0], [2.0, 1.0], [0.0, 4.0]], np.float32
    )  # gaps 1, 2, 1, -4
    labels = np.array([0, 0, 1, 1])
    unseen_curve, seen_curve = seen_unseen_curve(scores, labels, seen)
    # The gaps of 1 move together: the seen image is lost and the unseen one won in one step.
    assert unseen_curve.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert seen_curve.tolist() == [1.0, 1.0, 0.5, 0.0]
    assert ausuc(scores, labels, seen) == 0.5 * 1.0 + 0.5 * 0.75


def test_perfect_and_hopeless_scores():
    labels, seen = np.array([0, 1, 2, 3]), np.array([True, True, False, False])
    perfect = np.eye(4, dtype=np.float32)
    assert (t1(perfect, labels, seen), *generalized(perfect, labels, seen)) == (1, 1, 1, 1)
    assert ausuc(perfect, labels, seen) == 1
    hopeless = perfect[[1, 0, 3, 2]]
    assert (t1(hopeless, labels, seen), *generalized(hopeless, labels, seen)) == (0, 0, 0, 0)
    assert ausuc(hopeless, labels, seen) == 0
    assert [curve.tolist() for curve in seen_unseen_curve(hopeless, labels, seen)] == [[0.0], [0.0]]


def test_the_curve_ends_at_its_limits():
    scores, labels, seen = CASES[0]
    unseen_curve, seen_curve = seen_unseen_curve(scores, labels, seen)
    assert unseen_curve[0] == 0 and seen_curve[-1] == 0
    assert unseen_curve[-1] == pytest.approx(t1(scores, labels, seen), abs=1e-12)
    assert (np.diff(unseen_curve) >= 0).all() and (np.diff(seen_curve) <= 1e-15).all()


def all_metrics(scores, labels, seen):
    return (
        t1(scores, labels, seen),
        *generalized(scores, labels, seen),
        ausuc(scores, labels, seen),
    )


def test_a_constant_added_to_an_image_changes_nothing():
    scores, labels, seen = CASES[5]  # small whole numbers: the sums are exact
    constants = np.random.default_rng(1).integers(-50, 50, (len(scores), 1)).astype(np.float32)
    assert all_metrics(scores + constants, labels, seen) == all_metrics(scores, labels, seen)


def test_permuting_classes_changes_nothing():
    scores, labels, seen = CASES[1]
    order = np.random.default_rng(2).permutation(len(seen))
    place = np.argsort(order)
    permuted = all_metrics(scores[:, order], place[labels], seen[order])
    assert permuted == pytest.approx(all_metrics(scores, labels, seen), abs=1e-12)


def test_a_constant_on_seen_scores_keeps_the_area():
    scores, labels, seen = CASES[6]
    shifted = scores - np.float32(2) * seen
    assert ausuc(shifted, labels, seen) == ausuc(scores, labels, seen)
    assert generalized(shifted, labels, seen) != generalized(scores, labels, seen)


def test_classes_without_images_are_left_out():
    accuracies = per_class_accuracy(np.array([0, 1, 1, 3]), np.array([0, 0, 1, 3]), 5)
    assert np.array_equal(accuracies, [0.5, 1.0, np.nan, 1.0, np.nan], equal_nan=True)
    assert group_mean(accuracies, np.array([True, False, True, False, True])) == 0.5
    assert np.isnan(group_mean(accuracies, np.array([False, False, True, False, True])))


def test_means_are_over_classes_not_images():
    predicted, labels = np.array([0] * 9 + [0]), np.array([0] * 9 + [1])
    accuracies = per_class_accuracy(predicted, labels, 2)
    assert group_mean(accuracies, np.array([True, True])) == 0.5


def test_ties_go_to_the_first_class():
    scores, seen = np.zeros((3, 4), np.float32), np.array([False, True, True, False])
    assert generalized(scores, np.array([0, 1, 3]), seen)[:2] == (0.5, 0.0)
    assert t1(scores, np.array([0, 1, 3]), seen) == 0.5


def test_harmonic_mean():
    assert harmonic_mean(0.0, 0.0) == 0.0 and harmonic_mean(0.5, 0.0) == 0.0
    assert harmonic_mean(0.2, 0.6) == pytest.approx(0.3)
    assert np.isnan(harmonic_mean(float("nan"), 0.5))


def matrix(case, split_sizes=None):
    scores, labels, seen = case
    rows = {"test_seen": np.flatnonzero(seen[labels]), "test_unseen": np.flatnonzero(~seen[labels])}
    rows["trainval"] = np.empty(0, np.int64)
    rows |= split_sizes or {}
    rows_of = {split: scores[kept] for split, kept in rows.items()}
    labels_of = {split: labels[kept] for split, kept in rows.items()}
    return ScoreMatrix(
        *("demo", "dazle", "default", 0, "small", "att (unit)", "", "last epoch", "demo split"),
        classes=tuple(f"class {number}" for number in range(len(seen))),
        seen=seen,
        scores=rows_of,
        labels=labels_of,
        images=rows,
    )


def test_metrics_file_holds_what_the_functions_say(tmp_path):
    scores, labels, seen = CASES[2]
    write_scores(tmp_path / "scores.h5", matrix(CASES[2]))
    write_metrics(tmp_path / "scores.h5", tmp_path / "metrics.json")
    metrics = read_metrics(tmp_path / "metrics.json")
    values = [metrics[name] for name in ("T1", "U", "S", "H", "AUSUC")]
    assert values == pytest.approx(all_metrics(scores, labels, seen), abs=1e-12)
    assert list(metrics) == [
        *("dataset", "method", "variant", "extractor", "semantics", "words", "selection"),
        *("rebalancing", "protocol", "seed", "reads", "versions", "run", "evaluated_by"),
        *("T1", "U", "S", "H", "AUSUC", "T5", "U5", "S5", "H5", "U_group", "S_group", "H_group"),
        *("curve", "per_class", "images"),
    ]
    t5, u5, s5 = top_accuracies(scores, labels, seen, 5)
    u, s = group_accuracies(scores, labels, seen)
    further = [t5, u5, s5, 2 * u5 * s5 / (u5 + s5), u, s, 2 * u * s / (u + s)]
    assert [metrics[name] for name in FURTHER_METRICS] == pytest.approx(further, abs=1e-12)
    assert [metrics[name] for name in ("rebalancing", "protocol", "seed")] == [
        "none",
        "demo split",
        0,
    ]
    assert metrics["images"] == {
        "test_seen": int(seen[labels].sum()),
        "test_unseen": int((~seen[labels]).sum()),
    }
    occurring = {f"class {number}" for number in set(labels[seen[labels]])}
    assert set(metrics["per_class"]["S"]) == occurring
    assert np.mean(list(metrics["per_class"]["S"].values())) == pytest.approx(
        metrics["S"], abs=1e-12
    )
    assert np.mean(list(metrics["per_class"]["T1"].values())) == pytest.approx(
        metrics["T1"], abs=1e-12
    )
    areas = metrics["per_class"]["AUSUC"]
    assert set(areas) == {f"class {number}" for number in set(labels)}
    for group in ("U", "S"):  # the mean over either group is the area
        mean = np.mean([areas[name] for name in metrics["per_class"][group]])
        assert mean == pytest.approx(metrics["AUSUC"], abs=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "scores.h5"]


def test_the_stored_curve_is_thinned_but_keeps_its_ends():
    case = random_case(7, images=1500)
    curve = evaluate(matrix(case))["curve"]
    unseen_curve, seen_curve = seen_unseen_curve(*case)
    assert len(unseen_curve) > CURVE_POINTS == len(curve["U"]) == len(curve["S"])
    assert (curve["U"][0], curve["S"][0]) == (unseen_curve[0], seen_curve[0])
    assert (curve["U"][-1], curve["S"][-1]) == (unseen_curve[-1], seen_curve[-1])
    assert set(curve["U"]) <= set(unseen_curve)


@pytest.mark.parametrize("case", CASES)
def test_areas_by_class_are_those_of_a_class_alone_in_its_group(case):
    """Ties of many images included: their steps are shared by trapezoids."""
    scores, labels, seen = case
    found = areas_by_class(scores, labels, seen)
    assert np.array_equal(np.isnan(found), np.bincount(labels, minlength=len(seen)) == 0)
    for number in np.unique(labels):
        kept = (labels == number) | (seen[labels] != seen[number])
        assert found[number] == pytest.approx(ausuc(scores[kept], labels[kept], seen), abs=1e-12)
    whole = ausuc(scores, labels, seen)
    assert whole > 0
    for group in (seen, ~seen):
        assert group_mean(found, group) == pytest.approx(whole, abs=1e-12)


def test_what_is_not_defined_has_no_key():
    metrics = evaluate(matrix(CASES[0], {"test_seen": np.empty(0, np.int64)}))
    assert {"T1", "U", "T5", "U5", "U_group"} <= set(metrics)
    assert not {"S", "H", "AUSUC", "S5", "H5", "S_group", "H_group"} & set(metrics)
    assert metrics["curve"] == {"U": [], "S": []} and metrics["per_class"]["S"] == {}
    json.dumps(metrics, allow_nan=False)
    metrics = evaluate(matrix(CASES[0], {"test_unseen": np.empty(0, np.int64)}))
    assert {"S", "S5", "S_group"} <= set(metrics)
    assert not {"T1", "U", "H", "AUSUC", "T5", "U5", "H5", "U_group", "H_group"} & set(metrics)


def test_bad_metrics_files_are_refused(tmp_path):
    path = tmp_path / "metrics.json"
    with pytest.raises(InputError, match="no such file"):
        read_metrics(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"not a readable metrics\.json"):
        read_metrics(path)
    path.write_text('{"dataset": "demo"}')
    with pytest.raises(InputError, match="lacks method, variant"):
        read_metrics(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="lacks dataset"):
        read_metrics(path)


def test_nothing_behind_the_score_matrix_imports_torch():
    modules = (
        "formats.scores",
        "scores.evaluation",
        "reports.tables.published",
        "reports.tables.results",
        "reports.figures.attributes",
        "reports.figures.curves",
        "reports.figures.losses",
        "scores.comparison",
        "machine.status",
    )
    imports = "; ".join(f"import zslpipe.{name}" for name in modules)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
