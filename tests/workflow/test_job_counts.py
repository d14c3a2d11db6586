"""How many jobs the demo and a full study are, and how many of these a cluster is sent: each job is
a process that imports its libraries, each submission waits in a queue.
"""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.made_up.places import ROOT

PROFILE = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
# Rules whose jobs are sent to a cluster; all others run where Snakemake runs.
SENT = (
    *("render", "index", "words", "texts", "encoded_words", "pretrain", "pretrain_pair"),
    *("extract", "extract_irrelevant", "store"),
    *("train", "train_end_to_end", "attend", "attend_end_to_end", "gradcam", "validate"),
    *("validate_end_to_end", "score_irrelevant", "score_irrelevant_end_to_end"),
)


def planned(configuration: Path, folder: Path) -> dict[str, int]:
    """Return rule -> number of jobs of a dry run in an empty folder."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(configuration)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = (done.stdout + done.stderr).split("Job stats:")[1]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def submissions(jobs: dict[str, int]) -> int:
    """Return how many submissions jobs are with the groups of the profile."""
    groups = dict(pair.split("=") for pair in PROFILE["groups"])
    together = {name: int(count) for name, count in map(_pair, PROFILE["group-components"])}
    alone = sum(jobs.get(rule, 0) for rule in SENT if rule not in groups)
    heads = math.ceil(jobs["train"] / together[groups["train"]])
    return alone + heads + jobs.get("train_end_to_end", 0)


def _pair(text: str) -> tuple[str, str]:
    """Return what stands on both sides of an equals sign."""
    name, value = text.split("=")
    return name, value


def test_the_demo(tmp_path: Path) -> None:
    jobs = planned(ROOT / "config.yaml", tmp_path)
    assert jobs["total"] <= 75
    trained = {"train": 17, "train_end_to_end": 6, "validate": 4, "evaluate": 2}
    assert trained.items() <= jobs.items()
    assert jobs["rebalance"] + jobs["rebalance_2"] == 6


def full_study() -> dict[str, Any]:
    """Return six methods with the variants of papers.yaml on seven datasets with images and
    annotated parts, from five seeds, with four rebalancings each.
    """
    study = yaml.safe_load((ROOT / "workflow/experiments/papers.yaml").read_text())
    del study["datasets"]["CUB_standard"]
    for name, entry in study["datasets"].items():
        entry.pop("methods", None)
        entry["source"].pop("extra_semantics", None)
        entry["source"].setdefault("images", f"{name}/images")
        if entry["adapter"] == "xlsa17":
            entry["source"]["parts"] = f"{name}/parts"
        changed = {"words": "random", "irrelevant": "voc2008", "extractors": ["resnet101_7x7"]}
        entry |= changed
    study["words"] = {"random": {"kind": "random", "dimension": 300}}
    study["mlis"] = {"variants": study["mlis"]["variants"]}
    kinds = ["none", "calibrated_stacking", "cosmo", "discriminator", "oracle"]
    for method in study["methods"]:
        study[method]["rebalancing"] = kinds
        study[method].setdefault("extractor", "resnet101_7x7")
    study["compute"]["device"] = "cuda"
    return study


@pytest.mark.slow
def test_a_full_study(tmp_path: Path) -> None:
    (tmp_path / "data/VOC2008").mkdir(parents=True)
    (tmp_path / "full.yaml").write_text(yaml.safe_dump(full_study(), sort_keys=False))
    jobs = planned(tmp_path / "full.yaml", tmp_path)
    assert jobs["train"] + jobs["train_end_to_end"] == 490
    sent = sum(jobs.get(rule, 0) for rule in SENT)
    assert submissions(jobs) <= 1500
    assert jobs["total"] - sent <= 1500
    told = (ROOT / "docs/cluster.md").read_text(encoding="utf8").split("## How many jobs")[1]
    counted = f"{submissions(jobs)} submissions\n({sent:,} jobs) and {jobs['total'] - sent} jobs"
    assert counted in told


def test_rules_that_are_sent() -> None:
    """Every rule says whether it runs where Snakemake runs; those that do not are SENT."""
    assert set(rules_sent()) == set(SENT)


def test_what_is_sent_asks_for_more_at_each_attempt() -> None:
    """Memory and time are functions of the attempt, as docs/cluster.md says."""
    for name, body in rules_sent().items():
        if body.startswith("rule "):
            assert re.search(r"^        mem_mb=[a-z]", body, re.MULTILINE), name
            assert re.search(r"^        runtime=[a-z]", body, re.MULTILINE), name


def rules_sent() -> dict[str, str]:
    """Return rule -> text of the rules that do not run where Snakemake runs."""
    found: dict[str, str] = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf8")
        rules = re.split(r"^(?=rule |use rule |for )", text, flags=re.MULTILINE)
        bodies = {head.group(1): body for body in rules if (head := re.match(r"rule (\w+):", body))}
        found |= {name: body for name, body in bodies.items() if "localrule: True" not in body}
        for body in rules:
            derived = re.match(r"use rule (\w+) as (\w+) with:", body)
            if derived and derived[1] in found:
                found[derived[2]] = body
    return found
