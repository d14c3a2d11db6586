"""Exact area under the seen-unseen curve from sorted score gaps, against a plain sweep of 500
calibration factors.

Run: python benchmarks/calibration_sweep.py [--repeats 5]. Both forms take turns in one run; CPU
time of this process with one thread, medians. CUB's shape: 1764 seen and 2967 unseen test images,
150 + 50 classes.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

# Libraries count their threads when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from zslpipe.scores.accuracy import group_mean, per_class_accuracy
from zslpipe.scores.evaluation import ausuc

FACTORS = 500
AIM, FLOOR = 500, 100  # ours: targets of this benchmark


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return float32 scores (4731, 200), labels and the seen mask; about half of the images are
    right.
    """
    generator = np.random.default_rng(seed)
    seen = generator.permutation(np.arange(200) < 150)
    of_seen = generator.choice(np.flatnonzero(seen), 1764)
    of_unseen = generator.choice(np.flatnonzero(~seen), 2967)
    labels = np.concatenate([of_seen, of_unseen])
    scores = generator.normal(size=(len(labels), len(seen))).astype(np.float32)
    scores[np.arange(len(labels)), labels] += 3.0
    scores[:, seen] += 0.5
    return scores, labels, seen


def factors(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return 500 factors, evenly from the smallest to the largest gap between best seen and best
    unseen score.
    """
    gaps = scores[:, seen].max(axis=1) - scores[:, ~seen].max(axis=1)
    return np.linspace(gaps.min() - 1, gaps.max() + 1, FACTORS)


def sweep_loop(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> float:
    """Return the area of a sweep as it is often written: subtract, arg max, a loop over classes."""
    points = []
    for factor in factors(scores, seen):
        predicted = (scores - factor * seen).argmax(axis=1)
        accuracies = np.array(
            [np.mean(predicted[labels == number] == number) for number in range(len(seen))]
        )
        points.append((accuracies[~seen].mean(), accuracies[seen].mean()))
    return area(points)


def sweep_bincount(scores: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> float:
    """Return the area of the same sweep with bincount in place of the loop, in single precision
    throughout.
    """
    points, mask = [], seen.astype(np.float32)
    for factor in factors(scores, seen).astype(np.float32):
        accuracies = per_class_accuracy((scores - factor * mask).argmax(axis=1), labels, len(seen))
        points.append((group_mean(accuracies, ~seen), group_mean(accuracies, seen)))
    return area(points)


def area(points: list[tuple[float, float]]) -> float:
    """Return the trapezoid area under (U, S) points in the order of rising factors."""
    unseen, seen = np.array(points).T
    return float(np.sum(np.diff(unseen) * (seen[1:] + seen[:-1])) / 2)


def seconds(form: Callable[..., float], case: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Return CPU seconds and result of one call."""
    start = time.process_time()
    result = form(*case)
    return time.process_time() - start, result


def main() -> None:
    """Time the three forms in turns and print medians, ratios and results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    case = random_case(seed=0)
    exact: list[float] = []
    loop: list[float] = []
    counted: list[float] = []
    for _ in range(repeats):
        for _ in range(5):  # short calls: five a turn
            time_exact, area_exact = seconds(ausuc, case)
            exact.append(time_exact)
        time_loop, area_loop = seconds(sweep_loop, case)
        time_counted, area_counted = seconds(sweep_bincount, case)
        loop.append(time_loop)
        counted.append(time_counted)
    base = statistics.median(exact)
    print(f"exact, sorted gaps        {1e3 * base:9.2f} ms  area {area_exact:.6f}")
    for name, times, found in (
        ("loop over classes", loop, area_loop),
        ("bincount", counted, area_counted),
    ):
        middle = statistics.median(times)
        print(
            f"sweep, {name:18} {1e3 * middle:9.2f} ms  area {found:.6f}  ratio {middle / base:.0f}"
        )
    print(f"floor {FLOOR}, aim {AIM}")


if __name__ == "__main__":
    main()
