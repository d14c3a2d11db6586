"""Class by class: accuracies, and which classes the images of unseen classes are taken for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.reports.figures.confusions import predicted_shares
from zslpipe.reports.figures.curves import Result, best_of_methods
from zslpipe.reports.figures.style import class_title
from zslpipe.reports.page.given import Given, named

GROUPS = {"U": "unseen classes", "S": "seen classes"}


def class_accuracies(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return, for the best result of each method, its classes of either kind with their accuracies
    in per cent, means over seeds, the highest first.
    """
    found = given.metrics_of(dataset)
    first = {result: entries[0] for result, entries in found.items()}
    panels = []
    for result in best_of_methods(first):
        groups = []
        for name, title in GROUPS.items():
            classes = _means(found[result], name)
            if classes:
                groups.append({"title": title, "kind": name, "classes": classes})
        panels.append({"name": named(result), "groups": groups, "seeds": len(found[result])})
    return panels


def _means(entries: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return classes with the means of their accuracies over seeds, in per cent, highest first."""
    accuracies: dict[str, list[float]] = {}
    for entry in entries:
        for title, accuracy in entry.get("per_class", {}).get(name, {}).items():
            accuracies.setdefault(title, []).append(100 * accuracy)
    means = {title: float(np.mean(values)) for title, values in accuracies.items()}
    order = sorted(means, key=lambda title: (-means[title], title))
    return [{"name": class_title(title), "share": means[title]} for title in order]


def confused_classes(given: Given, dataset: str) -> list[dict[str, Any]]:
    """Return, for each run from the first seed, its unseen classes with the shares of their images
    that are taken for themselves, for other unseen classes and for seen ones, in per cent.
    """
    panels = []
    for path in given.scores.get(dataset, []):
        matrix = read_scores(path)
        if len(matrix.labels["test_unseen"]):
            result: Result = matrix.method, matrix.variant, matrix.rebalancing
            panels.append({"name": named(result), "classes": _taken_for(matrix)})
    return panels


def _taken_for(matrix: ScoreMatrix) -> list[dict[str, Any]]:
    """Return a row an unseen class, the most confused with seen ones first."""
    shares = 100 * predicted_shares(matrix)
    rows = []
    for number in np.flatnonzero(~np.isnan(shares).any(axis=1)):
        own, as_seen = float(shares[number, number]), float(shares[number, matrix.seen].sum())
        others = np.where(np.arange(len(shares)) == number, -1.0, shares[number])
        most = int(others.argmax())
        rows.append(
            {
                "name": class_title(matrix.classes[number]),
                "right": own,
                "unseen": 100 - own - as_seen,
                "seen": as_seen,
                "most": class_title(matrix.classes[most]),
                "most_share": float(others[most]),
                "most_is_seen": bool(matrix.seen[most]),
            }
        )
    return sorted(rows, key=lambda row: (-row["seen"], row["name"]))
