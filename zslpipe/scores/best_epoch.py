"""``best_on_test.json``: the epoch that does best on the test images, as some public code reports.

No honest result: the test images choose. It says so in its ``selection`` and has a row of its own
in the table, for comparison with numbers that came about the same way. The notebooks of DAZLE keep
all four figures of the epoch with the highest H, T1 being that epoch's; on the standard split,
which has no seen test images and so no H, those of the epoch with the highest T1. The first of
equal epochs wins, as it does there.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.formats.history import read_history
from zslpipe.formats.metrics import BEST_ON_TEST, IDENTITY, read_metrics, write_metrics_file
from zslpipe.machine.errors import InputError

FIGURES = ("T1", "U", "S", "H")
# What decides, the first that the epochs have.
DECIDING = ("H", "T1")


def best_epoch(
    history: Sequence[Mapping[str, str]], metrics: Mapping[str, Any]
) -> tuple[int, dict[str, float]]:
    """Return the number of the best epoch and its T1, U, S, H as fractions.

    ``history`` is a tracked run's, ``metrics`` its metrics.json. Of a method with several stages
    only the epochs of the last one count: before it nothing recognises a class. A method in closed
    form has no epochs; its only state is the best, and its epoch 0. Raises ValueError where the
    epochs were not measured.
    """
    trained = [row for row in history if row["phase"] == "train"]
    if not trained:
        return 0, {name: metrics[name] for name in FIGURES if name in metrics}
    epochs = [row for row in trained if row["stage"] == trained[-1]["stage"]]
    by_epoch = [_figures(row) for row in epochs]
    measured = set(by_epoch[0]).intersection(*by_epoch)
    deciding = [name for name in DECIDING if name in measured]
    if not deciding:
        raise ValueError("no test_H and no test_T1 of each epoch")
    best = max(range(len(epochs)), key=lambda number: by_epoch[number][deciding[0]])
    return int(epochs[best]["epoch"]), by_epoch[best]


def _figures(row: Mapping[str, str]) -> dict[str, float]:
    """Return the figures of the test images in a row of the history, by name."""
    named = {name: row.get(f"test_{name}", "") for name in FIGURES}
    return {name: float(text) for name, text in named.items() if text}


def write_best_epoch(metrics_path: Path, history_path: Path, output: Path) -> None:
    """Write best_on_test.json from a tracked run's metrics.json and history.csv.

    Raises InputError where one cannot be read, and where the run was not tracked.
    """
    metrics, history = read_metrics(metrics_path), read_history(history_path)
    try:
        epoch, figures = best_epoch(history, metrics)
    except ValueError as error:
        advice = "train with 'track: test'"
        raise InputError(f"{history_path}: {error}; {advice}") from None
    whose = {name: metrics[name] for name in (*IDENTITY, "seed")} | {"selection": BEST_ON_TEST}
    whose["run"] = metrics.get("run", "")
    reads = metrics.get("reads", {})
    write_metrics_file(output, {**whose, "reads": reads, **figures, "epoch": epoch})
