"""Class vectors: normalised, and classes whose vectors are the same, which no method can tell
apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from zslpipe.machine.errors import InputError, nearest

# Decimals, in units of the largest number, by which vectors differ for methods: they read float32.
DECIMALS = 6
SHOWN = 5  # groups named in a line before the count

# What classes are called that are the same as their vectors stand, and at unit length, which is
# what most papers take.
LIKENESS = {
    "none": "have equal vectors",
    "unit": "are equal under normalisation 'unit' by",
}


def normalised(vectors: np.ndarray, normalisation: str) -> np.ndarray:
    """Return (class, ?) vectors as asked: ``none``; ``unit`` (each class has unit Euclidean
    length); ``minmax`` (each column to [0, 1]). Raises InputError for anything else.
    """
    if normalisation == "unit":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: np.ndarray = vectors / np.maximum(lengths, 1e-12)
        return unit
    if normalisation == "minmax":
        low, high = vectors.min(axis=0), vectors.max(axis=0)
        scaled: np.ndarray = (vectors - low) / np.maximum(high - low, 1e-12)
        return scaled
    if normalisation != "none":
        known = nearest(normalisation, ("none", "unit", "minmax"))
        raise InputError(f"normalisation {normalisation!r}: {known}")
    return vectors


def notes_on_likeness(
    semantics: Mapping[str, np.ndarray], names: Sequence[str], seen: np.ndarray
) -> tuple[str, ...]:
    """Return, for each kind of class vectors, which classes it does not tell apart as it stands,
    and which more at unit length, in words.
    """
    notes = []
    for kind, vectors in semantics.items():
        before = 0
        for normalisation, told in LIKENESS.items():
            groups = groups_alike(normalised(vectors, normalisation))
            alike = sum(map(len, groups))
            if alike > before:
                notes.append(f"{alike} classes {told} {kind!r}: {told_groups(groups, names, seen)}")
            before = alike
    return tuple(notes)


def groups_alike(vectors: np.ndarray) -> list[np.ndarray]:
    """Return the groups of two or more classes whose (class, ?) vectors are equal, as class
    numbers, in the order of their first ones.
    """
    largest = np.abs(vectors).max(initial=0.0)
    rounded = np.round(vectors / largest, DECIMALS) if largest else vectors
    # -0.0 becomes 0.0.
    group = np.unique(rounded + 0.0, axis=0, return_inverse=True)[1].ravel()
    sizes = np.bincount(group, minlength=1)
    groups = [np.flatnonzero(group == number) for number in np.flatnonzero(sizes > 1)]
    return sorted(groups, key=lambda members: int(members[0]))


def all_alike(vectors: np.ndarray) -> bool:
    """Return whether there are several classes and their (class, ?) vectors are all equal."""
    groups = groups_alike(vectors)
    return len(vectors) > 1 and bool(groups) and len(groups[0]) == len(vectors)


def told_groups(groups: Sequence[np.ndarray], names: Sequence[str], seen: np.ndarray) -> str:
    """Return groups of classes in words, those with seen and unseen classes first: "a (seen) = b
    (unseen); c = d".
    """
    mixed = [group for group in groups if len(set(seen[group])) > 1]
    pure = [group for group in groups if len(set(seen[group])) == 1]
    told = [_told(group, names, seen, kinds=True) for group in mixed]
    told += [_told(group, names, seen, kinds=False) for group in pure]
    more = f"; and {len(told) - SHOWN} more groups" if len(told) > SHOWN else ""
    return "; ".join(told[:SHOWN]) + more


def _told(group: np.ndarray, names: Sequence[str], seen: np.ndarray, kinds: bool) -> str:
    """Return the names of one group, the first of many, each with its kind where asked."""
    shown = []
    for number in group[:SHOWN].tolist():
        kind = f" ({'seen' if seen[number] else 'unseen'})" if kinds else ""
        shown.append(f"{names[number]}{kind}")
    more = f" = {len(group) - SHOWN} more" if len(group) > SHOWN else ""
    return " = ".join(shown) + more
