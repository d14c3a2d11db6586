"""Which datasets and results are ranked: those of which each dataset has each result."""

from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

FEWEST_DATASETS = FEWEST_RESULTS = 3  # ours: with two nothing can be told from chance

Result = TypeVar("Result", bound=Hashable)


def complete_block(present: Mapping[Result, Collection[str]]) -> tuple[list[str], list[Result]]:
    """Return the datasets, sorted, and the results, as given, of the largest block (datasets times
    results) in which every dataset has every result; nothing where none has three of either.

    ``present``: the datasets of each result. Of equal blocks the one of more datasets, then the
    first by their names. A largest block's datasets are what some results have in common, so that
    these intersections are all that is looked at.
    """
    common: set[frozenset[str]] = set()
    for own in present.values():
        datasets = frozenset(own)
        common |= {datasets, *(datasets & other for other in common)}
    blocks = []
    for shared in common:
        results = [result for result, own in present.items() if shared.issubset(own)]
        if len(shared) >= FEWEST_DATASETS and len(results) >= FEWEST_RESULTS:
            blocks.append((-len(shared) * len(results), -len(shared), sorted(shared), results))
    if not blocks:
        return [], []
    _, _, found, results = min(blocks, key=lambda block: block[:3])
    return found, results
