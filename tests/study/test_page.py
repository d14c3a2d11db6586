"""What the page is made of: files, the configuration, folders of images, studies."""

import json
import os

from tests.made_up.configuration import given
from zslpipe.study.study import Study


def page(changes: str = ""):
    return Study(given(changes)).page


def test_every_file_that_the_page_shows_is_its_input():
    files = page("seeds=[3,5] dazle.variants={}").files
    assert files[0] == "results/tables/main.csv" and len(set(files)) == len(files)
    beside = ("main.intervals", "localization", "localization.parts")
    assert files[1:4] == [f"results/tables/{name}.md" for name in beside]
    assert files[4].endswith("index.h5")
    dazle = "results/creatures/runs/dazle/default"
    for path in (
        *("results/creatures/index.h5", "results/birds/index.h5"),
        *(f"{dazle}/seed3/{name}" for name in ("metrics.json", "scores.h5", "attention.h5")),
        *(f"{dazle}/seed5/{name}" for name in ("metrics.json", "history.csv")),
        f"{dazle}/seed5/localization.json",
        "results/figures/creatures.dazle.default.losses.webp",
        *("results/figures/birds.curves.webp", "results/figures/birds.calibration.webp"),
    ):
        assert path in files, path
    # The first seed is drawn; the page draws galleries itself, and a paper's figures are no use.
    assert not [path for path in files if path.endswith((".pdf", "seed5/scores.h5"))]
    assert not [path for path in files if "seed5/attention" in path or ".maps." in path]


def test_imported_results_are_shown_and_told():
    changes = 'imported.theirs={scores: {creatures: "their_{seed}.npz"}, unit: logits}'
    made = page(changes + " seeds=[3,5]")
    folder = "results/creatures/runs/theirs/default"
    files = [path for path in made.files if path.startswith(folder)]
    names = ("seed3/metrics.json", "seed5/metrics.json", "seed3/scores.h5")
    assert files == [f"{folder}/{name}" for name in names]
    assert json.loads(made.configuration)["imported"]["theirs"]["unit"] == "logits"


def test_ranks_are_shown_where_there_are_any():
    changes = "datasets.more={adapter: demo, extractors: [coarse], words: drawn}"
    changes += " eszsl.variants={one: {normalisation: none}, two: {normalisation: unit}}"
    ranks = {"results/tables/ranking.md", "results/figures/ranking.webp"}
    assert ranks <= set(page(changes).files) and not ranks & set(page().files)


def test_all_asks_for_the_page():
    assert Study(given("")).targets.all()[0] == "results/report/index.html"


def test_what_is_as_usual_or_decides_nothing_changes_no_page():
    first = page()
    for same in (
        "compute.device=auto",
        "data_root=elsewhere",
        "dazle.momentum=0.9",
        "extractors.coarse.batch_size=4",
    ):
        assert page(same).configuration == first.configuration, same
    assert page("seeds=[7]").configuration != first.configuration
    assert json.loads(first.configuration)["methods"]


def test_drawn_images_lie_beside_their_index():
    made = page()
    assert json.loads(made.images)["creatures"] == ""
    assert made.drawn == ["results/creatures/images"]


def test_a_study_that_was_run_makes_the_page_due(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert page().studies == ""
    folder = tmp_path / "results" / "studies"
    folder.mkdir(parents=True)
    (folder / "dazle_table2.md").write_text("1")
    (folder / "dazle_table2.csv").write_text("1")
    first = page().studies
    assert "dazle_table2.md" in first and "csv" not in first
    os.utime(folder / "dazle_table2.md", ns=(1, 1))
    assert page().studies != first
