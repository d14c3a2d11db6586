"""CLIP's row in the workflow: the demo's pair, texts as class vectors, and by one line an ensemble
with a method of attributes.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.checkouts import Checkout, run_checkout
from zslpipe.formats.scores import read_scores

CONFIG = """\
seeds: [0]
methods: [eszsl, clip]
datasets:
  demo:
    adapter: demo
    source: {images_per_class: 4, auxiliary_classes: 4, auxiliary_images_per_class: 4}
    extractors: [demo_7x7]
extractors:
  demo_7x7: {backbone: demo, size: 112, grid: 7}
  demo_pair: {backbone: demo_pair, size: 96, grid: 6}
texts:
  attributes: {encoder: demo, from_attributes: "a creature with {attributes}", threshold: 0.5}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1}
clip:
  extractor: demo_pair
  semantics: {text: attributes}
ensembles:
  clip_eszsl: {of: [clip, eszsl]}
"""
SUMMARY = {"curves demo", "calibration demo", "confusion demo", "evaluate demo/0", "tables", "page"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return run_checkout(tmp_path_factory.mktemp("clip") / "checkout", CONFIG)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities (image, class), float64."""
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_the_row_and_its_ensemble_are_in_the_table(ran: Checkout) -> None:
    runs = ran.folder / "results/demo/runs"
    clip, eszsl, both = (
        read_scores(runs / f"{name}/default/seed0/scores.h5")
        for name in ("clip", "eszsl", "clip_eszsl")
    )
    for scores in clip.scores.values():
        assert np.abs(scores).max() <= 100
    # Cosines times 100 and regressed labels: each at the temperature that its validation says.
    heats = [both.chosen[name]["likeliest_temperature"] for name in both.chosen]
    assert len(heats) == 2 and heats[0] != heats[1]
    for split, scores in both.scores.items():
        parts = [
            softmax(member.scores[split] / heat)
            for member, heat in zip((clip, eszsl), heats, strict=True)
        ]
        np.testing.assert_allclose(softmax(scores), (parts[0] + parts[1]) / 2, rtol=0, atol=1e-5)
    with (ran.folder / "results/tables/main.csv").open(newline="") as lines:
        rows = {row["method"]: row for row in csv.DictReader(lines)}
    assert list(rows) == ["eszsl", "clip", "clip_eszsl"]
    assert rows["clip"]["semantics"].startswith("text/attributes: demo pair.pt, 40 texts")
    assert rows["clip"]["extractor"] == "demo_pair"
    told = {name: rows[name]["selection"] for name in rows}
    assert told["clip"] == "nothing trained" and told["eszsl"] == "as configured"
    assert told["clip_eszsl"] == "nothing trained + as configured"
    assert ran.planned() == set()


@pytest.mark.slow
def test_another_template_encodes_and_scores_again_and_extracts_nothing(ran: Checkout) -> None:
    ran.replace("config.yaml", '"a creature with {attributes}"', '"{attributes}"')
    of_ensemble = {"ensemble demo/clip_eszsl/0", "validate demo/clip/default/0"}
    expected = {"texts demo/attributes", "train demo/clip/default/0", *of_ensemble}
    assert ran.planned() - SUMMARY == expected
    ran.replace("config.yaml", '"{attributes}"', '"a creature with {attributes}"')


@pytest.mark.slow
def test_a_lost_pair_is_made_again_with_what_stands_on_it(ran: Checkout, tmp_path: Path) -> None:
    pair = ran.folder / "results/demo/pair.pt"
    pair.rename(tmp_path / "pair.pt")
    planned = ran.planned()
    assert {"pretrain_pair demo", "extract demo/demo_pair", "texts demo/attributes"} <= planned
    assert {job for job in planned if "eszsl/default" in job or "demo_7x7" in job} == set()
    (tmp_path / "pair.pt").rename(pair)
