"""The page about importing scores: its code, commands and configurations do what it says."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml

from tests.datasets.test_imported_scores import exported, trained
from tests.made_up.miniature import miniature_index
from tests.made_up.places import ROOT
from zslpipe.commands.cli import main
from zslpipe.formats.index import write_index
from zslpipe.scores.evaluation import evaluate
from zslpipe.study.study import Study

PAGE = (ROOT / "docs" / "importing-scores.md").read_text(encoding="utf8")
DEMO = """\
methods: [dazle]
datasets: {demo: {adapter: demo, extractors: [coarse], words: random, irrelevant: other}}
extractors: {coarse: {backbone: demo, size: 112, grid: 7}}
words: {random: {kind: random, dimension: 8}}
irrelevant: {other: {rendered: demo}}
"""


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_code_and_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    index = miniature_index(np.random.default_rng(0))
    write_index(index, tmp_path / "results/demo/index.h5")
    images, classes, scores = exported(trained(index), index)
    (program,) = blocks("python")
    exec(program, {"scores": scores, "image_names": images, "class_names": classes})
    (commands,) = blocks("bash")
    lines = [line.split()[1:] for line in commands.splitlines()]
    for arguments in lines[:2]:
        assert main(arguments) == 0
    metrics = json.loads((tmp_path / "theirs/seed0/metrics.json").read_text())
    assert metrics["H"] == evaluate(trained(index))["H"]
    other = tmp_path / lines[2][2] / "seed0"
    other.mkdir(parents=True)
    shutil.copy(tmp_path / "theirs/seed0/metrics.json", other)
    capsys.readouterr()
    assert main(lines[2]) == 0
    assert "+0.00" in capsys.readouterr().out


def test_the_refusal_that_it_shows(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    index = miniature_index(np.random.default_rng(0))
    write_index(index, tmp_path / "results/demo/index.h5")
    images, classes, scores = exported(trained(index), index)
    kept = images != "28.png"
    np.savez("theirs.npz", images=images[kept], classes=classes, scores=scores[kept])
    assert main(blocks("bash")[0].splitlines()[0].split()[1:]) == 1
    shown = [block.strip() for block in blocks("text") if block.startswith("error")]
    assert shown == [caplog.records[-1].getMessage()]


@pytest.mark.parametrize("number", range(4))
def test_the_configurations(number):
    given = [yaml.safe_load(block) for block in blocks("yaml")]
    assert len(given) == 4
    whole = yaml.safe_load(DEMO) | given[number]
    if "imported" not in whole:  # those of ensembles stand beside one with validation scores
        whole |= given[2]
    results = Study(whole).results
    assert any("theirs/default" in path for path in results.metrics)
