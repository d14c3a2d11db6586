"""Every printed number is shown by a configuration in workflow/experiments: beside a run of what
its paper used, or published.yaml says under ``exceptions`` why not.
"""

from functools import cache

import pytest
import yaml

from tests.made_up.places import ROOT
from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.reports.tables.published import METRICS, differences, paper_dataset, papers
from zslpipe.study.study import Study

EXPERIMENTS = sorted((ROOT / "workflow" / "experiments").glob("*.yaml"))
# How long the class vectors "att" of a split file are, as their sources say (DESIGN, section 5).
LENGTHS = {
    "CUB/att_splits.mat": 312,
    "CUB/sent_splits.mat": 1024,
    "standard_split/CUB/att_splits.mat": 312,
    "SUN/att_splits.mat": 102,
    "AWA1/att_splits.mat": 85,
    "AWA2/att_splits.mat": 85,
    "aPY/att_splits.mat": 64,
    "FLO/att_splits.mat": 1024,
    "cub127/att_splits.mat": 312,
    None: 1000,  # DeepFashion has none
}
WIDTHS = {"stored": 2048, "resnet101": 2048}
SHOWN = "as the paper's"


def reads_of(study, run):
    """Return what a run will say it reads, from its configuration."""
    extractor = study.config["extractors"][run.extractor]
    source = study.config["datasets"][run.dataset]["source"]
    reads = {"input": run.input, "backbone": extractor["backbone"]}
    if extractor["backbone"] != "stored":
        reads |= {"weights": extractor["weights"], "size": extractor["size"]}
    if run.input == "regions":
        reads["grid"] = extractor["grid"]
    if run.input != "images":
        reads["width"] = WIDTHS.get(extractor["backbone"], 0)
    return reads | {"class_vectors": LENGTHS[source.get("splits")]}


@cache
def shown():
    """Return (method, variant, dataset, protocol) -> [(rebalancing, what differs from the paper)]
    of all results of the shipped configurations.
    """
    found = {}
    for path in EXPERIMENTS:
        study = Study(yaml.safe_load(path.read_text(encoding="utf-8")))
        for result in study.results.all:
            source = study.config["datasets"][result.dataset]["source"]
            standard = source.get("protocol") == "standard"
            row = {"dataset": result.dataset, "protocol": "standard split" if standard else ""}
            row["protocol"] = row["protocol"] or PROPOSED_SPLIT
            row["method"], row["variant"] = result.path.split("/")
            of_members = set()
            for run in study.results.runs_of(result):
                words = study.config["words"].get(run.words, {"source": ""})
                row |= {"semantics": run.semantics, "words": words.get("source", "")}
                of_members.add(tuple(differences(row, reads_of(study, run))))
            named = paper_dataset(result.dataset, row["protocol"])
            names = (row["method"], row["variant"], named, row["protocol"])
            found.setdefault(names, []).extend((kind, of_members) for kind in result.rebalancing)
    return found


def state(method, row):
    """Return how a printed row is shown."""
    protocol = row.get("protocol", PROPOSED_SPLIT)
    results = shown().get((method, row["variant"], row["dataset"], protocol), [])
    if set(METRICS) & set(row) != {"T1"}:  # T1 is the same under any rebalancing
        kind = row.get("rebalancing", "none")
        results = [result for result in results if result[0] == kind]
    if not results:
        return "never"
    return SHOWN if any(of_members == {()} for _, of_members in results) else "in brackets"


def fits(exception, row):
    """Return whether an exception is about a printed row."""
    return (
        row["dataset"] in exception.get("datasets", [row["dataset"]])
        and row["variant"] in exception.get("variants", [row["variant"]])
        and exception.get("protocol", row.get("protocol")) == row.get("protocol")
    )


def excepted(method, row):
    """Return the first exception that is about a printed row, None for none."""
    exceptions = papers()[method].get("exceptions", [])
    return next((exception for exception in exceptions if fits(exception, row)), None)


ROWS = [(method, row) for method, content in papers().items() for row in content["rows"]]


@pytest.mark.parametrize(
    ("method", "row"), ROWS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(ROWS)]
)
def test_a_printed_row_is_shown_as_it_is_or_excepted(method, row):
    exception = excepted(method, row)
    expected = SHOWN if exception is None else exception["shown"]
    assert state(method, row) == expected, (method, row, exception)


def test_every_exception_has_a_reason_and_a_row():
    for method, content in papers().items():
        met = [excepted(method, row) for row in content["rows"]]
        for exception in content.get("exceptions", []):
            assert exception in met, (method, exception)
            assert exception["shown"] in ("never", "in brackets") and exception["reason"]
            assert set(exception) <= {"datasets", "variants", "protocol", "shown", "reason"}


def test_there_are_as_many_rows_as_the_papers_print():
    assert len(ROWS) == 17 + 28 + 20 + 14 + 51
