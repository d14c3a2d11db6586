"""Somebody else's scores in the workflow: from a file and a line of the configuration to the
tables.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.checkouts import Checkout
from zslpipe.formats.index import read_index
from zslpipe.formats.scores import SPLITS, read_scores

IMPORTED = """\
imported:
  theirs:
    scores: {{demo: "{name}"}}
    unit: logits
    rebalancing: [none, oracle]
ensembles:
  both: {{of: [dazle, theirs], temperature: trained}}
"""
SUMMARY = {"tables", "curves demo", "calibration demo", "confusion demo", "page"}


def exported(checkout: Checkout, run: str, seed: int) -> Path:
    """Write a trained run's scores as somebody else would, and return the file."""
    matrix = read_scores(checkout.folder / f"results/demo/runs/{run}/seed{seed}/scores.h5")
    paths = np.array(read_index(checkout.folder / "results/demo/index.h5").paths)
    images = np.concatenate([matrix.images[split] for split in SPLITS])
    scores = np.concatenate([matrix.scores[split] for split in SPLITS])
    path = checkout.folder / "data" / f"theirs_{seed}.npz"
    path.parent.mkdir(exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(images))
    np.savez(path, images=paths[images][order], classes=matrix.classes, scores=scores[order])
    return path


def jobs(*seeds: int) -> set[str]:
    """Return what an imported result makes due, from these seeds."""
    found = set(SUMMARY)
    for seed in seeds:
        found |= {f"import_scores demo/theirs/{seed}", f"ensemble demo/both/{seed}"}
        found |= {f"rebalance demo/theirs/default/{seed}", f"evaluate demo/{seed}"}
    return found


@pytest.mark.slow
def test_one_line_enters_them_and_a_changed_file_comes_again(checkout: Checkout) -> None:
    files = [exported(checkout, "dazle/default", seed) for seed in (0, 1)]
    checkout.append("config.yaml", IMPORTED.format(name="theirs_{seed}.npz"))
    assert checkout.planned() == jobs(0, 1)
    checkout.snakemake("--cores", "1")
    assert checkout.planned() == set()
    runs = checkout.folder / "results/demo/runs"
    for seed in (0, 1):
        found, trained = (
            json.loads((runs / f"{name}/default/seed{seed}/metrics.json").read_text())
            for name in ("theirs", "dazle")
        )
        same = ("T1", "U", "S", "H", "AUSUC", "per_class", "curve", "images", "protocol")
        assert [found[name] for name in same] == [trained[name] for name in same]
    with (checkout.folder / "results/tables/main.csv").open(newline="") as lines:
        rows = {row["method"]: row for row in csv.DictReader(lines)}
    assert (rows["theirs"]["selection"], rows["theirs"]["seeds"]) == ("imported", "2")
    assert rows["both"]["selection"] == "last epoch + imported"
    for ending, file in (("md", "theirs_{seed}.npz"), ("tex", r"theirs\_\{seed\}.npz")):
        said = (checkout.folder / f"results/tables/main.{ending}").read_text()
        assert f"demo, theirs, default: from {file}" in said
        assert f"demo, both, default: from {file}" in said
        assert str(checkout.folder) not in said
    os.utime(files[0])  # the same bytes
    assert exported(checkout, "eszsl/default", 1) == files[1]
    of_first_seed = {"curves demo", "calibration demo", "confusion demo"}
    assert checkout.planned() == jobs(1) - of_first_seed


def test_a_single_file_is_of_the_first_seed(checkout: Checkout) -> None:
    name = exported(checkout, "dazle/default", 0).name
    checkout.append("config.yaml", IMPORTED.format(name=name))
    assert checkout.planned() == jobs(0)


def test_a_file_that_is_not_there_costs_its_rows_alone(checkout: Checkout) -> None:
    checkout.append("config.yaml", IMPORTED.format(name="nothing.npz"))
    said = checkout.snakemake("--cores", "1", fails=True)
    assert "data/nothing.npz: no such file of scores; expected .npz, HDF5 or CSV" in said
    assert "PARTIAL: 3 of 13 results are missing" in said
