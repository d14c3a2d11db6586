"""The command partial-tables: what it shows of a failed run's files, which stay as they are."""

import csv
import json
from pathlib import Path
from typing import Any

from tests.made_up.runs import CLASSES, SEEN, made_up
from zslpipe.commands.cli import main
from zslpipe.formats.history import write_history
from zslpipe.formats.scores import write_scores
from zslpipe.scores.evaluation import write_metrics

RUN = "results/demo/runs/made_up/default/seed3"


def contents(folder: Path) -> dict[str, Any]:
    """Return what is there of a run whose metrics.json a failed job took with it."""
    scores, history = folder / RUN / "scores.h5", folder / RUN / "history.csv"
    write_scores(scores, made_up(0, SEEN, CLASSES))
    write_metrics(scores, folder / RUN / ".metrics.json")
    write_history([{"phase": "train", "epoch": 1, "step": 1, "loss": 2.0, "seconds": 1.0}], history)
    metrics = str(folder / RUN / "metrics.json")
    losses = ["losses", "results/figures/demo.made_up.default.losses", [str(history)]]
    damaged = ["losses", "results/figures/demo.made_up.other.losses", [str(scores)]]
    waiting = {
        "figures": [damaged, losses],
        "attention": [],
        "index": "index.h5",
        "images": "images",
    }
    return {
        "metrics": [metrics],
        "unfinished": [metrics],
        "expected": 2,
        "missing": ["demo, other / default, seed 0: train failed: no space left"],
        "localizations": [],
        "curves": {"demo": [metrics]},
        "confusions": {"demo": []},
        "figures": [],
        "waiting": [waiting],
    }


def test_the_best_epoch_is_found_in_the_history(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir(parents=True)
    given = contents(tmp_path)
    metrics, best = tmp_path / RUN / "metrics.json", str(tmp_path / RUN / "best_on_test.json")
    write_metrics(tmp_path / RUN / "scores.h5", metrics)
    rows = []
    for epoch, (unseen, seen) in enumerate([(0.2, 0.6), (0.4, 0.4), (0.1, 0.9)], 1):
        row = {"phase": "train", "stage": "", "epoch": epoch, "step": epoch, "loss": 1.0}
        figures = {"test_U": unseen, "test_S": seen, "test_H": 2 * unseen * seen / (unseen + seen)}
        rows.append(row | figures)
    write_history(rows, tmp_path / RUN / "history.csv")
    given |= {"metrics": [str(metrics), best], "unfinished": [best], "waiting": []}
    (tmp_path / "given.json").write_text(json.dumps(given))
    tables = tmp_path / "results/tables"
    asked = ["--given", str(tmp_path / "given.json"), "--output", str(tables)]
    assert main(["partial-tables", *asked]) == 0
    with (tables / "partial.csv").open(newline="") as lines:
        found = {row["selection"]: row["H_mean"] for row in csv.DictReader(lines)}
    assert found["best epoch on test (as the published code)"] == "40.00"
    assert not Path(best).exists()


def test_what_jobs_make_is_not_put_in_their_place(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir(parents=True)
    given, tables = tmp_path / "given.json", tmp_path / "results/tables"
    given.write_text(json.dumps(contents(tmp_path)))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["partial-tables", "--given", str(given), "--output", str(tables)]) == 0
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    made -= {path.relative_to(tmp_path) for path in before}
    assert all(path.name.startswith("partial.") for path in made)
    figures = Path("results/figures")
    for name in ("partial.demo.made_up.default.losses", "partial.demo.curves"):
        assert {figures / f"{name}.webp", figures / f"{name}.pdf"} <= made
    with (tables / "partial.csv").open(newline="") as lines:
        assert [row["method"] for row in csv.DictReader(lines)] == ["made_up"]
    page = (tables / "partial.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2 and "partial.demo.made_up.default.losses" in page
