import math

import numpy as np
import pytest
from scipy import stats

from tests.scores.test_bootstrap import seeds
from zslpipe.scores.bootstrap import _shares as shares
from zslpipe.scores.bootstrap import sampled
from zslpipe.scores.significance import better_p, difference_p, holm, may_be_best

NAMES = [f"u{number:02}" for number in range(20)]


def result(values):
    """A result from its (seed, class) accuracies of unseen classes."""
    values = np.atleast_2d(values)
    contents = []
    for number, row in enumerate(values):
        by_class = dict(zip(NAMES[: len(row)], row.tolist(), strict=True))
        content = {"seed": number, "U": float(row.mean())}
        contents.append({**content, "per_class": {"U": by_class}})
    return sampled(contents)["U"]


def some(generator, count=20):
    """Accuracies of classes of which some are hard for everybody."""
    hard = generator.beta(2, 2, count)
    return 0.6 * hard + 0.4 * generator.beta(2, 2, (2, count))


@pytest.mark.parametrize("count", [6, 20])
def test_of_one_seed_it_is_the_paired_t_test_over_classes(count):
    for seed in range(5):
        one, two = some(np.random.default_rng(seed), count)
        expected = stats.ttest_rel(one, two)
        assert difference_p(result(one), result(two)) == pytest.approx(expected.pvalue, rel=0.05)
        greater = stats.ttest_rel(one, two, alternative="greater").pvalue
        assert better_p(result(one), result(two)) == pytest.approx(greater, rel=0.05)
        assert better_p(result(two), result(one)) == pytest.approx(1 - greater, rel=0.05)


def test_seeds_are_paired_and_add_their_own_variance():
    generator = np.random.default_rng(1)
    one, two = some(generator)
    shifts = np.array([[0.0], [0.05], [0.02]])
    first, second = np.clip(one + shifts, 0, 1), two + shifts - np.array([[0.01], [0.02], [0.06]])
    differences = 100 * (first.mean(1) - second.mean(1))
    of_classes = 100 * (first - second).mean(0)
    parts = [of_classes.var(ddof=1) / 20, differences.var(ddof=1) / 3]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 19 + parts[1] ** 2 / 2)
    t = differences.mean() / math.sqrt(sum(parts))
    expected = 2 * stats.t.sf(abs(t), freedom)
    assert difference_p(result(first), result(second)) == pytest.approx(expected, rel=0.05)


def test_other_numbers_of_seeds_are_not_paired():
    generator = np.random.default_rng(2)
    one, two = some(generator)
    first = np.array([one, one + 0.1 - 0.2 * (one > 0.5)])
    of_classes = 100 * (first.mean(0) - two)
    parts = [of_classes.var(ddof=1) / 20, (100 * first.mean(1)).var(ddof=1) / 2]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 19 + parts[1] ** 2 / 1)
    expected = 2 * stats.t.sf(abs(of_classes.mean()) / math.sqrt(sum(parts)), freedom)
    assert difference_p(result(first), result(two)) == pytest.approx(expected, rel=0.05)


def test_no_spread_at_all():
    flat, other = np.full(20, 0.5), np.full(20, 0.6)
    assert difference_p(result(flat), result(flat)) == 1.0
    assert difference_p(result(flat), result(other)) == 0.0
    assert (better_p(result(flat), result(other)), better_p(result(other), result(flat))) == (1, 0)


def test_other_classes_are_not_compared():
    with pytest.raises(ValueError, match="measured on different classes"):
        difference_p(result(np.full(20, 0.5)), result(np.full(19, 0.5)))


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 is no less than the one before, 0.30 x 1
    assert holm([0.03, 0.01, 0.30, 0.02]) == pytest.approx([0.06, 0.04, 0.30, 0.06])
    # the example of Wright, Biometrics 48, 1992, is of this kind: a later one is lifted
    assert holm([0.010, 0.011]) == pytest.approx([0.020, 0.020])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([]) == []


def test_two_equal_results_may_both_be_best_and_a_far_worse_one_not():
    one, two = some(np.random.default_rng(3))
    values = [result(one), result(np.clip(two - 0.4, 0, 1)), result(one)]
    best, worse, twin = may_be_best(values)
    assert best == twin == 1.0 and worse < 0.001
    assert may_be_best(values[:1]) == [1.0]


def test_the_best_value_is_the_holm_corrected_smallest_by_hand():
    generator = np.random.default_rng(4)
    values = [
        result(row) for row in 0.7 * generator.beta(2, 2, (4, 20)) + [[0.0], [0.1], [0.2], [0.3]]
    ]
    found = may_be_best(values)
    for number, one in enumerate(values):
        others = [better_p(other, one) for other in values if other is not one]
        assert found[number] == pytest.approx(min(1.0, 3 * min(others)))
    assert found[0] < 0.05 and found[3] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_the_truly_best_of_many_is_left_out_in_at_most_5_percent(spread):
    """Eight results whose true means are equal, or fall by ``spread`` over all; the first is best.
    A correction over the pairs with the highest alone would leave out more.
    """
    generator = np.random.default_rng(5)
    drawn = shares(20, "unseen")
    left_out = 0
    for _ in range(300):
        hard = generator.beta(2, 2, 20)
        values = 0.5 * hard + 0.5 * generator.beta(2, 2, (8, 20))
        values = values - np.linspace(0, spread, 8)[:, None]
        made = [result(row) for row in values]
        left_out += may_be_best(made)[0] < 0.05
    assert drawn.shape[1] == 20 and left_out / 300 <= 0.05


def test_draws_of_one_result_fit_all_others():
    one, two = sampled(seeds(2, seed=1)), sampled(seeds(2, seed=2))
    for name in one:
        assert 0 < difference_p(one[name], two[name]) <= 1
