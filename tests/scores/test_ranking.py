import math

import numpy as np
import pytest
from scipy import stats

from zslpipe.scores.ranking import Ranking, critical_distance, rank

# Demšar, JMLR 7, 2006, table 5a: critical values of the two-tailed Nemenyi test.
AT_5 = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
AT_10 = {2: 1.645, 3: 2.052, 4: 2.291, 5: 2.459, 6: 2.589, 7: 2.693, 8: 2.780, 9: 2.855, 10: 2.920}


@pytest.mark.parametrize(("level", "table"), [(0.05, AT_5), (0.10, AT_10)])
def test_critical_values_are_those_of_the_printed_table(level, table):
    for results, q in table.items():
        distance = critical_distance(results, 14, level)
        assert distance == pytest.approx(q * math.sqrt(results * (results + 1) / 84), abs=1e-3)


def test_the_example_of_the_paper():
    """Four classifiers on 14 datasets: critical distances of 1.25 and, at 10 per cent, 1.12."""
    assert critical_distance(4, 14, 0.10) == pytest.approx(1.12, abs=0.005)
    assert critical_distance(4, 14) == pytest.approx(1.25, abs=0.005)


def test_friedman_and_ranks_by_hand():
    """Friedman's statistic in plain loops, without ties."""
    values = np.random.default_rng(0).normal(size=(6, 4)) + np.arange(4)
    found = rank(values)
    ranks = []
    for row in values.tolist():
        ranks.append([1 + sum(other > value for other in row) for value in row])
    means = [sum(column) / 6 for column in zip(*ranks, strict=True)]
    assert found.mean_ranks == pytest.approx(means) and found.datasets == 6
    statistic = 12 * 6 / (4 * 5) * (sum(mean**2 for mean in means) - 4 * 5**2 / 4)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(stats.chi2.sf(statistic, 3))
    assert found.distance == critical_distance(4, 6)


def test_equal_values_share_their_ranks():
    found = rank(np.array([[3.0, 2.0, 2.0 + 1e-12], [1.0, 1.0, 1.0], [3.0, 2.0, 1.0]]))
    assert found.mean_ranks == pytest.approx(
        [(1 + 2 + 1) / 3, (2.5 + 2 + 2) / 3, (2.5 + 2 + 3) / 3]
    )
    assert rank(np.ones((3, 3))).p == 1.0 and (rank(np.ones((3, 3))).mean_ranks == 2).all()


def test_groups_are_the_longest_runs_within_the_distance():
    ranks = np.array([1.0, 4.4, 2.0, 3.1, 4.5])
    found = Ranking(ranks, 10, 20.0, 0.001, 1.2)
    assert found.groups() == [(1.0, 2.0), (2.0, 3.1), (4.4, 4.5)]
    assert found.may_be_best.tolist() == [True, False, True, False, False]
    assert Ranking(ranks, 10, 20.0, 0.001, 0.05).groups() == []


def test_nothing_is_told_apart_where_friedman_finds_nothing():
    found = Ranking(np.array([1.0, 3.0, 2.0]), 3, 1.0, 0.2, 0.5)
    assert found.groups() == [(1.0, 3.0)] and found.may_be_best.all() and not found.is_told_apart
