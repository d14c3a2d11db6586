"""Which classes the images of one unseen class are taken for, by several methods: figure 6 of RSAN,
from scores.h5.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames
from zslpipe.reports.figures.style import (
    COLOURS,
    STYLE,
    class_title,
    result_label,
    save_figure,
    shortened,
)

HATCHES = ("", "///", "...")  # the next round through the colours
MEDIAN = "the unseen class that is predicted as seen classes as often as the median unseen class;"
NAMED = "an unseen class that the configuration names;"
SIMILAR = 3  # RSAN, fig. 6: seen classes beside the class itself


def confusions(
    scores: Sequence[Path], output_stem: Path, note: str = "", class_name: str | None = None
) -> tuple[Path, Path]:
    """Draw what the test images of one unseen class are predicted as, from scores.h5 of one
    dataset; return the paths of both files.

    ``note`` stands above. A colour for each method, variant and rebalancing, from the first file
    given of it (the first seed). The class is ``class_name`` or that of the median confusion
    (``median_class``), so neither the methods' best nor their worst; bars: the shares of its images
    predicted as itself, as the three seen classes that most are predicted as by all methods
    together, as any other class. Raises InputError for no file, for several datasets, for files of
    other classes or images, and for a class that is not unseen or has no test images.
    """
    found = _read(scores)
    matrix = next(iter(found.values()))
    shares = {name: predicted_shares(other) for name, other in found.items()}
    mean = np.mean(list(shares.values()), axis=0)
    chosen = median_class(mean, matrix.seen)
    key = MEDIAN
    if class_name is not None:
        chosen, key = _named(class_name, matrix), NAMED
    groups = [chosen, *most_taken_for(mean[chosen], matrix.seen)]
    bars = {}
    for name, table in shares.items():
        shown = table[chosen][groups]
        bars[name] = [*shown, 1 - shown.sum()]
    names = [class_title(matrix.classes[number]) for number in groups]
    kinds = ["itself", *["seen"] * (len(groups) - 1)]
    titles = [f"{name}\n({kind})" for name, kind in zip(names, kinds, strict=True)]
    images = int((matrix.labels["test_unseen"] == chosen).sum())
    title = f"{shortened(matrix.dataset)}: {images} images of unseen class {names[0]} predicted as"
    title = "\n".join(filter(None, [note, title]))
    return _draw(bars, [*titles, "any other\nclass"], title, f"{key} first seed", output_stem)


def _named(class_name: str, matrix: ScoreMatrix) -> int:
    """Return the number of the unseen class of that name; InputError where there is none, or it has
    no images.
    """
    unseen = [name for number, name in enumerate(matrix.classes) if not matrix.seen[number]]
    where = f"{matrix.dataset}: confused_class"
    name = unseen[KnownNames(unseen).position(class_name, where, "unseen class")]
    number = matrix.classes.index(name)
    if number not in matrix.labels["test_unseen"]:
        raise InputError(f"{where}: {name!r} has no test images; name another unseen class")
    return number


def _read(scores: Sequence[Path]) -> dict[str, ScoreMatrix]:
    """Return label -> score matrix, the first file given of each result; InputError for no file and
    for files that cannot stand in one figure.
    """
    if not scores:
        raise InputError("confusions: no scores.h5 given; at least one result is needed")
    found: dict[str, ScoreMatrix] = {}
    for path in scores:
        matrix = read_scores(path)
        if not len(matrix.labels["test_unseen"]):
            raise InputError(f"{path}: test_unseen is empty; there is no confusion to draw")
        label = result_label(matrix.method, matrix.variant, matrix.rebalancing)
        found.setdefault(label, matrix)
        _check_same(path, matrix, scores[0], next(iter(found.values())))
    return found


def _check_same(path: Path, matrix: ScoreMatrix, first_path: Path, first: ScoreMatrix) -> None:
    """Raise InputError unless two score matrices are about the same classes and unseen test
    images.
    """
    if matrix.dataset != first.dataset:
        raise InputError(
            f"{path}: confusions of one dataset only, found {first.dataset} and {matrix.dataset}"
        )
    same = matrix.classes == first.classes and np.array_equal(matrix.seen, first.seen)
    if not (same and np.array_equal(matrix.images["test_unseen"], first.images["test_unseen"])):
        raise InputError(
            f"{path}: other classes or unseen test images than {first_path}; run both on one index"
        )


def predicted_shares(matrix: ScoreMatrix) -> np.ndarray:
    """Return (class, class): of the unseen test images of the first class, the share predicted as
    the second, all classes as label space; NaN for a class without such images.
    """
    labels, predicted = matrix.labels["test_unseen"], matrix.scores["test_unseen"].argmax(axis=1)
    counts = np.zeros((len(matrix.classes), len(matrix.classes)))
    np.add.at(counts, (labels, predicted), 1)
    images = counts.sum(axis=1, keepdims=True)
    shares = np.full_like(counts, np.nan)
    np.divide(counts, images, out=shares, where=images > 0)
    return shares


def median_class(shares: np.ndarray, seen: np.ndarray) -> int:
    """Return the class of the median share of images predicted as seen classes, from (class, class)
    shares.

    Among classes with images (no NaN); with an even number of them the more confused of the middle
    two. The median, since the most confused class would show every method at its worst.
    """
    classes = np.flatnonzero(~np.isnan(shares).any(axis=1))
    order = np.argsort(shares[classes][:, seen].sum(axis=1), kind="stable")
    return int(classes[order[len(order) // 2]])


def most_taken_for(shares: np.ndarray, seen: np.ndarray) -> list[int]:
    """Return the at most three seen classes of the largest of the (class,) shares, the first of
    equals; none of 0.
    """
    order = np.argsort(-shares, kind="stable")
    return [int(number) for number in order if seen[number] and shares[number] > 0][:SIMILAR]


def _draw(
    bars: Mapping[str, Sequence[float]],
    titles: Sequence[str],
    title: str,
    key: str,
    output_stem: Path,
) -> tuple[Path, Path]:
    """Draw groups of bars, one a method in each group, their per cent above them, ``key`` below."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        axes = figure.subplots()
        width = 0.84 / len(bars)
        for number, (name, values) in enumerate(bars.items()):
            places = np.arange(len(titles)) - 0.42 + width * (number + 0.5)
            colour = COLOURS[number % len(COLOURS)]
            hatch = HATCHES[number // len(COLOURS) % len(HATCHES)]
            drawn = axes.bar(places, 100 * np.array(values), 0.94 * width, color=colour)
            drawn.set_label(shortened(name))
            for bar in drawn:
                bar.set(hatch=hatch, edgecolor="white", linewidth=0)
            axes.bar_label(drawn, fmt="%.0f", fontsize=6.5, padding=1)
        axes.set_xticks(range(len(titles)), titles)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("images (%)")
        axes.set_xlabel(key, fontsize=7.5, color="#555555")
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
        figure.legend(loc="outside right center", fontsize=8)
        return save_figure(figure, output_stem)
