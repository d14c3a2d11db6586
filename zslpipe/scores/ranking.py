"""Results compared over several datasets: ranks, Friedman's test, Nemenyi's critical distance.

As Demšar proposes it (JMLR 7, 2006, section 3.2): on each dataset the results are ranked, the best
first, equal ones sharing the mean of their ranks; Friedman's test asks whether the mean ranks
differ at all, and if they do, two results differ whose mean ranks are further apart than the
critical distance. Datasets are taken to be independent. The two formulas are scipy's distributions;
scikit-posthocs has both as well, for two more libraries (statsmodels, seaborn).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Ranking:
    """Mean ranks (result,), 1 the best, over ``datasets``; Friedman's statistic and p-value; the
    critical distance.
    """

    mean_ranks: np.ndarray
    datasets: int
    statistic: float
    p: float
    distance: float

    @property
    def is_told_apart(self) -> bool:
        """Whether the ranks differ at all, without which no two of them do."""
        return self.p < LEVEL

    @property
    def may_be_best(self) -> np.ndarray:
        """Return (result,) bool: not further from the best mean rank than the critical distance;
        all where the ranks do not differ.
        """
        near: np.ndarray = self.mean_ranks - self.mean_ranks.min() <= self.distance
        return near if self.is_told_apart else np.ones_like(near)

    def groups(self) -> list[tuple[float, float]]:
        """Return the lowest and highest mean rank of each group of results that are not told apart,
        none within another; single results are no group.
        """
        ranks = np.sort(self.mean_ranks)
        reach = self.distance if self.is_told_apart else math.inf
        found: list[tuple[float, float]] = []
        for number, low in enumerate(ranks):
            last = int(np.searchsorted(ranks, low + reach, side="right")) - 1
            is_new = not found or ranks[last] > found[-1][1]
            if last > number and is_new:
                found.append((float(low), float(ranks[last])))
        return found


def rank(values: np.ndarray) -> Ranking:
    """Return the ranking of (dataset, result) values, higher better, three or more of each."""
    datasets, results = values.shape
    # shares of counts that differ by float64's rounding alone are equal
    ranks = stats.rankdata(-values.round(9), axis=1)
    statistic, p = 0.0, 1.0
    if (np.ptp(ranks, axis=1) > 0).any():
        tested = stats.friedmanchisquare(*ranks.T)
        statistic, p = float(tested.statistic), float(tested.pvalue)
    distance = critical_distance(results, datasets)
    return Ranking(ranks.mean(axis=0), datasets, statistic, p, distance)


def critical_distance(results: int, datasets: int, level: float = LEVEL) -> float:
    """Return Nemenyi's critical distance of mean ranks: q sqrt(k (k + 1) / (6 N)), q the quantile
    of the studentized range of k results over the square root of 2.
    """
    quantile = float(stats.studentized_range.isf(level, results, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(results * (results + 1) / (6 * datasets))
