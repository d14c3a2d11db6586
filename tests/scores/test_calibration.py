import itertools

import numpy as np
import pytest

from tests.made_up.runs import CLASSES, SEEN, all_test_images, made_up
from zslpipe.scores import calibration
from zslpipe.scores.accuracy import generalized, group_mean, per_class_accuracy
from zslpipe.scores.evaluation import seen_unseen_curve


@pytest.mark.parametrize("seed", range(4))
def test_every_state_is_what_its_constant_gives(seed):
    """U and S of a constant between two gaps, and beyond either end, are those of the state."""
    scores, labels = all_test_images(made_up(seed, SEEN, CLASSES, bias=1.5))
    scores = scores.round(1).astype(np.float64)
    found = calibration.states(scores, labels, SEEN)
    assert len(found.unseen) == len(found.seen) == len(found.gaps) + 1
    assert (np.diff(found.gaps) > 0).all()
    middles = (found.gaps[1:] + found.gaps[:-1]) / 2
    constants = [found.gaps[0] - 1, *middles, found.gaps[-1] + 1]
    for constant, unseen, seen in zip(constants, found.unseen, found.seen, strict=True):
        expected = generalized(scores - constant * SEEN, labels, SEEN)[:2]
        assert (unseen, seen) == pytest.approx(expected, abs=1e-12)


def test_a_group_without_images_stays_at_zero():
    scores, labels = all_test_images(made_up(0, SEEN, CLASSES))
    rows = SEEN[labels]
    found = calibration.states(scores[rows], labels[rows], SEEN)
    best = calibration.best_of(scores[rows], SEEN)
    right = per_class_accuracy(best, labels[rows], len(SEEN))
    assert not found.unseen.any()
    assert found.seen[0] == pytest.approx(group_mean(right, SEEN), abs=1e-12)
    assert calibration.best_factor(scores[rows], labels[rows], SEEN)[1] == 0.0


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("seed", range(4))
def test_best_factor_equals_a_slow_sweep(seed, levels):
    scores, labels = all_test_images(made_up(seed, SEEN, CLASSES, bias=1.5))
    scores = scores.astype(np.float64) if levels is None else scores.round(0).clip(0, levels)
    gaps = sorted({float(row[SEEN].max() - row[~SEEN].max()) for row in scores})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(gaps)]
    constants = [gaps[0] - 1, *middles, gaps[-1] + 1]
    best = max(generalized(scores - constant * SEEN, labels, SEEN)[2] for constant in constants)
    factor, figure = calibration.best_factor(scores, labels, SEEN)
    assert figure == pytest.approx(best, abs=1e-12)
    assert generalized(scores - factor * SEEN, labels, SEEN)[2] == pytest.approx(best, abs=1e-12)
    unseen_curve, seen_curve = seen_unseen_curve(scores, labels, SEEN)
    products = 2 * unseen_curve * seen_curve / np.maximum(unseen_curve + seen_curve, 1e-300)
    assert figure == pytest.approx(products.max(), abs=1e-12)


def test_best_factor_of_hopeless_scores():
    scores = np.eye(9)[[1, 0, 5, 2]]
    assert calibration.best_factor(scores, np.array([0, 1, 2, 5]), SEEN) == (0.0, 0.0)


def test_one_image_by_hand():
    """Gaps 3 (seen image) and 1 (unseen image): any constant between them gets both right."""
    seen = np.array([True, False])
    scores = np.array([[4.0, 1.0], [2.0, 1.0]])
    assert calibration.best_factor(scores, np.array([0, 1]), seen) == (2.0, 1.0)
