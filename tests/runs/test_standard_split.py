"""A dataset that sets no image of a seen class aside, from training to tables and figures."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.crafted import model_of, noise_inputs
from tests.made_up.figures import is_drawn, titles
from tests.made_up.miniature import write_miniature
from tests.made_up.runs import run as made_up_run
from tests.made_up.runs import write_run
from tests.made_up.specification import SPEC
from zslpipe.formats.index import Index, read_index, write_index
from zslpipe.formats.metrics import read_metrics
from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.machine.devices import Compute
from zslpipe.methods.crafting import Config
from zslpipe.reports.figures.confusions import confusions
from zslpipe.reports.figures.curves import seen_unseen_curves
from zslpipe.reports.tables.results import write_tables
from zslpipe.runs.models import score_rows
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.train import run_method
from zslpipe.scores.accuracy import t1
from zslpipe.scores.evaluation import write_metrics
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance

CPU = Compute(device="cpu", threads=1, checkpoint_seconds=1e6)
METHODS = {
    "dazle": {"input": "regions", "words": "words", "settings": {"epochs": 1, "batch_size": 8}},
    "eszsl": {"input": "pooled", "words": None, "settings": {}},
}


def without_test_seen(index: Index) -> Index:
    """Return the dataset with all images of seen classes in trainval."""
    splits = dict(index.splits)
    aside = splits["test_seen"]
    held = index.validation[index.labels[aside]]
    for name, more in (("trainval", aside), ("train", aside[~held]), ("val", aside[held])):
        splits[name] = np.sort(np.concatenate([splits[name], more]))
    splits["test_seen"] = np.empty(0, np.int64)
    return replace(index, splits=splits, protocol="standard split")


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> dict[str, Path]:
    """Return the scores.h5 of each method."""
    folder = tmp_path_factory.mktemp("standard")
    paths = write_miniature(folder)
    write_index(without_test_seen(read_index(paths["index"])), paths["index"])
    found = {}
    for name, told in METHODS.items():
        spec = SPEC | told | {"method": name}
        inputs = open_run_inputs(spec, paths["index"], paths["features"], folder, None, CPU)
        run_method(spec, 0, inputs, paths["words"] if told["words"] else None, folder / name, CPU)
        found[name] = folder / name / "scores.h5"
    return found


def written_metrics(scored: dict[str, Path], folder: Path) -> list[Path]:
    paths = [folder / f"{name}.json" for name in scored]
    for scores, path in zip(scored.values(), paths, strict=True):
        write_metrics(scores, path)
    return paths


@pytest.mark.parametrize("name", METHODS)
def test_all_classes_compete_though_no_seen_image_is_tested(scored, name, tmp_path):
    matrix = read_scores(scored[name])
    assert matrix.protocol == "standard split"
    assert matrix.scores["test_seen"].shape == (0, len(matrix.classes))
    write_metrics(scored[name], tmp_path / "metrics.json")
    metrics = read_metrics(tmp_path / "metrics.json")
    labels, scores = matrix.labels["test_unseen"], matrix.scores["test_unseen"]
    assert metrics["T1"] == pytest.approx(t1(scores, labels, matrix.seen))
    assert {"T1", "U", "T5", "U5", "U_group"} <= set(metrics)
    assert not {"S", "H", "AUSUC", "S5", "H5", "S_group", "H_group"} & set(metrics)
    assert metrics["images"]["test_seen"] == 0


def test_tables_leave_cells_empty_and_name_the_split(scored, tmp_path):
    write_tables(written_metrics(scored, tmp_path), tmp_path)
    with (tmp_path / "main.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == list(METHODS)
    for row in rows:
        assert row["T1_mean"] and row["U_mean"]
        assert row["S_mean"] == row["H_mean"] == row["AUSUC_mean"] == ""
    assert (
        "- miniature: a split of other sizes than are published"
        in (tmp_path / "main.md").read_text()
    )


@pytest.mark.slow
def test_figures_of_the_dataset_are_drawn(scored, tmp_path):
    curves = is_drawn(seen_unseen_curves(written_metrics(scored, tmp_path), tmp_path / "curves"))
    assert titles(curves).count("no curve") == len(METHODS)
    is_drawn(confusions(list(scored.values()), tmp_path / "confusion"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_rebalancing_leaves_no_image_as_no_image(kind, tmp_path):
    matrix, validation, irrelevant = made_up_run()
    bare = {name: dict(getattr(matrix, name)) for name in ("scores", "labels", "images")}
    for values in bare.values():
        values["test_seen"] = values["test_seen"][:0]
    files = write_run(tmp_path, replace(matrix, **bare), validation, irrelevant)
    rebalance(kind, files[0], tmp_path / "out.h5", *files[1:], {})
    found: ScoreMatrix = read_scores(tmp_path / "out.h5")
    assert len(found.scores["test_seen"]) == 0
    write_run(tmp_path, matrix, validation, irrelevant)
    rebalance(kind, files[0], tmp_path / "whole.h5", *files[1:], {})
    whole = read_scores(tmp_path / "whole.h5")
    assert np.array_equal(found.scores["test_unseen"], whole.scores["test_unseen"])


def test_no_image_has_a_column_for_every_class_where_images_are_read(tmp_path):
    inputs = noise_inputs(tmp_path).inputs
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "0.png")
    model = model_of(Config(backbone="demo"))
    found = score_rows(model, inputs, torch.empty(0, dtype=torch.long))
    assert found.shape == (0, len(model.rules)) and found.dtype == np.float32
