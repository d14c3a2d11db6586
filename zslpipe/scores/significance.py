"""Which differences between results are more than chance: a paired test, Holm's correction.

A difference has two sources of chance: which classes a dataset happens to have, and how trainings
happen to go. Both are paired: every result meets the same draws of classes, and seeds are compared
with the same seeds.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import stats

from zslpipe.scores.bootstrap import Sampled

LEVEL = 0.05
# Per cent (ours): accuracies are shares of counts, a smaller difference is float64's rounding.
ROUNDING = 1e-9


def difference_p(one: Sampled, two: Sampled) -> float:
    """Return the two-sided p-value of the difference of two results of the same classes.

    Student's t of the difference over its standard error. The squared error is a sum: over classes,
    the variance of the difference between the draws times n / (n - 1), with n - 1 degrees of
    freedom (n: the smaller group's classes); over seeds, that of :func:`_over_seeds`. Degrees of
    freedom of the sum: Satterthwaite (Biometrics Bulletin 2, 1946) and Welch (Biometrika 34, 1947).
    For T1, U and S of single seeds this is the paired t-test over classes. Raises ValueError where
    the classes differ.
    """
    distance, freedom = _distance(one, two)
    return float(2 * stats.t.sf(abs(distance), freedom))


def better_p(one: Sampled, two: Sampled) -> float:
    """Return the p-value of the same test against one side: small where ``one`` is better."""
    return float(stats.t.sf(*_distance(one, two)))


def _distance(one: Sampled, two: Sampled) -> tuple[float, float]:
    """Return the difference of two results over its standard error, and the degrees of freedom."""
    if one.classes != two.classes:
        raise ValueError("the results were measured on different classes")
    difference, classes = one.mean - two.mean, one.fewest
    over_classes = float(np.var(one.draws - two.draws)) * classes / (classes - 1)
    parts = [(over_classes, classes - 1), *_over_seeds(one, two)]
    total = math.fsum(variance for variance, _ in parts)
    if total < ROUNDING**2:
        return (0.0 if abs(difference) < ROUNDING else math.copysign(math.inf, difference)), 1.0
    freedom = total**2 / math.fsum(variance**2 / degrees for variance, degrees in parts)
    return difference / math.sqrt(total), freedom


def _over_seeds(one: Sampled, two: Sampled) -> list[tuple[float, int]]:
    """Return the variance of a mean difference over seeds and its degrees of freedom: of the
    differences seed by seed where both have the same seeds, else of each side's own; nothing of
    what has a single seed.
    """
    sides = [list(one.by_seed.values()), list(two.by_seed.values())]
    if one.by_seed.keys() == two.by_seed.keys():
        sides = [[one.by_seed[seed] - two.by_seed[seed] for seed in one.by_seed]]
    repeated = [values for values in sides if len(values) > 1]
    return [(statistics.variance(values) / len(values), len(values) - 1) for values in repeated]


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6,
    1979): the smallest times their number, the next times one less, none below one before it.
    """
    order = sorted(range(len(values)), key=lambda number: values[number])
    corrected, highest = [0.0] * len(values), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[number]))
        corrected[number] = highest
    return corrected


def may_be_best(results: Sequence[Sampled]) -> list[float]:
    """Return for each result the p-value of its being the best: the smallest, corrected for their
    number, of the tests in which another one is better; results are of the same classes.

    Where results below 5 % are left out, the one that is truly the best stays in 95 % of studies,
    however many there are (Gupta, Technometrics 7, 1965: subset selection). Comparing all with the
    one that happens to be highest does not keep its 5 %: the same classes decide which one that is.
    """
    found = []
    for one in results:
        others = [other for other in results if other is not one]
        found.append(min(holm([better_p(other, one) for other in others]), default=1.0))
    return found
