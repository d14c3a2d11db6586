import math

import numpy as np
import pytest

from tests.made_up.runs import SEEN, all_test_images, run
from zslpipe.scores import calibration, gating


def softmax(row):
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]


SMALL = np.random.default_rng(1).normal(size=(5, 9)) * 3
ODDS = np.array([-2.0, 0.0, 0.5, 3.0, -0.1])


def test_log_softmax_and_likelihood_in_loops():
    for row, found in zip(SMALL, gating.log_softmax(SMALL, 2.5), strict=True):
        assert np.exp(found) == pytest.approx(softmax([value / 2.5 for value in row]), abs=1e-12)
    labels = np.array([2, 1, 0, 8, 4])

    def likelihood(temperature):
        return sum(
            math.log(softmax(row / temperature)[label])
            for row, label in zip(SMALL, labels, strict=True)
        )

    apart = [[value - sum(row) / 9 for value in row] for row in SMALL.tolist()]
    squares = [value**2 for row in apart for value in row]
    spread = math.sqrt(sum(squares) / len(squares))
    tried = [spread * factor for factor in gating.TEMPERATURES]
    found = gating.likeliest_temperature(SMALL, labels)
    assert found == pytest.approx(max(tried[60:], key=likelihood))  # below, math.exp overflows


def test_likeliest_temperature_follows_the_unit_of_the_scores():
    scores, labels = all_test_images(run()[0])
    found = gating.likeliest_temperature(scores, labels)
    assert gating.likeliest_temperature(100 * scores + 7, labels) == pytest.approx(
        100 * found, rel=1e-4
    )


def test_smoothing_in_loops():
    found = np.exp(gating.smoothed(SMALL, SEEN, ODDS, 1.5))
    for row, odds, result in zip(SMALL, ODDS, found, strict=True):
        p_seen = 1 / (1 + math.exp(-odds))
        for group, own in ((np.flatnonzero(SEEN), p_seen), (np.flatnonzero(~SEEN), 1 - p_seen)):
            for number, within in zip(
                group, softmax([row[other] / 1.5 for other in group]), strict=True
            ):
                assert result[number] == pytest.approx(
                    own * (within + (1 - own) / len(group)), abs=1e-12
                )


def test_weighing_in_loops():
    found = np.exp(gating.weighed(SMALL, SEEN, ODDS, 0.7))
    for row, odds, result in zip(SMALL, ODDS, found, strict=True):
        p_seen = 1 / (1 + math.exp(-odds))
        for number, probability in enumerate(softmax(row / 0.7)):
            expected = probability * (p_seen if SEEN[number] else 1 - p_seen)
            assert result[number] == pytest.approx(expected, abs=1e-12)


def test_gates_at_their_limits_are_finite():
    extreme = np.array([-1e4, 1e4, 0.0, 500.0, -800.0])
    assert np.isfinite(gating.smoothed(50 * SMALL, SEEN, extreme, 1.0)).all()
    assert np.isfinite(gating.weighed(50 * SMALL, SEEN, extreme, 1.0)).all()


def test_what_the_gates_read_in_loops():
    found = gating.sorted_probabilities(SMALL, SEEN, 1.2, 3.0, 2)
    best = gating.confidence(SMALL, SEEN, 1.2)
    for row, four, two in zip(SMALL, found, best, strict=True):
        of_all = softmax(row / 1.2)
        unseen = sorted((of_all[number] for number in np.flatnonzero(~SEEN)), reverse=True)
        within = sorted(
            softmax([row[number] / 3.6 for number in np.flatnonzero(SEEN)]), reverse=True
        )
        assert four == pytest.approx([*unseen[:2], *within[:2]], abs=1e-12)
        seen = max(of_all[number] for number in np.flatnonzero(SEEN))
        assert np.exp(two) == pytest.approx([seen, unseen[0]], abs=1e-12)


def test_mixtures_lie_between_their_images():
    irrelevant = np.random.default_rng(2).normal(size=(4, 9))
    found = gating.mixed(SMALL, irrelevant, 0.75, seed=5)
    for row, result in zip(SMALL, found, strict=True):
        other = (result - 0.75 * row) / 0.25
        assert any(np.allclose(other, candidate) for candidate in irrelevant)
    assert np.array_equal(found, gating.mixed(SMALL, irrelevant, 0.75, seed=5))
    assert not np.array_equal(found, gating.mixed(SMALL, irrelevant, 0.75, seed=6))


def test_rounding_costs_nobody_its_place():
    """0.001 apart at 1e6: float32 cannot tell, the best has to stay the best."""
    given = np.array([[0.000, 0.001, 0.000, 0.001, 0.0, 0.001, 0.0, 0.0, 0.0]], np.float32)
    changed = (given.astype(np.float64) - 1e6).astype(np.float32)
    assert len(set(changed[0])) == 1
    kept = gating.keep_best(given, changed, SEEN)
    for members, best in ((SEEN, 1), (~SEEN, 5)):
        assert calibration.best_of(kept, members) == calibration.best_of(given, members) == [best]
    assert np.abs(kept - changed).max() == np.spacing(np.float32(1e6))
    assert np.array_equal(gating.keep_best(given, given, SEEN), given)


def test_logits_are_read_in_their_temperature():
    scores = np.array([[3.0, -1.0, 2.0], [0.5, 4.0, 0.0]])
    read = gating.logits(scores, np.array([True, False, True]), 2.0)
    assert read.tolist() == [[1.5, -0.5, 1.0], [0.25, 2.0, 0.0]]
