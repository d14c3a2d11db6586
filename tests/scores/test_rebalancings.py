"""All rebalancings of a run in one job: what has to be made again, and nothing else."""

import json

import pytest

from tests.made_up.runs import run, write_run
from tests.made_up.writings import writing
from zslpipe.commands.cli import main
from zslpipe.provenance import canonical
from zslpipe.scores.evaluation import write_metrics
from zslpipe.scores.rebalancing import rebalance

KINDS = {"oracle": {}, "cosmo": {}, "calibrated_stacking": {"factor": 0.5}}


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path, *run())
    return tmp_path


def rebalanced(folder, kinds=KINDS) -> int:
    files = [f"--{name}={folder / name}.h5" for name in ("scores", "validation", "irrelevant")]
    return main(["rebalance-run", "--kinds", canonical(kinds), *files, "--output", str(folder)])


def written(folder) -> dict[str, tuple[int, int]]:
    """Return kind -> what tells whether its scores were written again."""
    return {kind: writing(folder / kind / "scores.h5") for kind in KINDS}


def test_each_kind_is_what_it_is_alone(folder):
    assert rebalanced(folder) == 0
    for kind, settings in KINDS.items():
        alone = folder / "alone.h5"
        rebalance(kind, folder / "scores.h5", alone, folder / "validation.h5", None, settings)
        write_metrics(alone, folder / "alone.json")
        assert (folder / kind / "scores.h5").read_bytes() == alone.read_bytes()
        metrics = (folder / kind / "metrics.json").read_text()
        assert json.loads(metrics) == json.loads((folder / "alone.json").read_text())


def test_what_is_current_stays_and_is_evaluated(folder):
    rebalanced(folder)
    before = written(folder)
    for kind in KINDS:
        (folder / kind / "metrics.json").unlink()
    assert rebalanced(folder) == 0
    assert written(folder) == before
    assert all((folder / kind / "metrics.json").is_file() for kind in KINDS)


def test_one_kinds_settings_redo_that_kind(folder):
    rebalanced(folder)
    before = written(folder)
    assert rebalanced(folder, KINDS | {"calibrated_stacking": {"factor": 0.7}}) == 0
    after = written(folder)
    assert [kind for kind in KINDS if after[kind] != before[kind]] == ["calibrated_stacking"]


@pytest.mark.parametrize(
    ("name", "redone"), [("scores", set(KINDS)), ("validation", {"cosmo"}), ("irrelevant", set())]
)
def test_other_files_redo_the_kinds_that_read_them(folder, tmp_path, name, redone):
    rebalanced(folder)
    before, content = written(folder), (folder / f"{name}.h5").read_bytes()
    write_run(folder, *run(1))
    for other in {"scores", "validation", "irrelevant"} - {name}:
        write_run(tmp_path / "first", *run())
        (tmp_path / "first" / f"{other}.h5").replace(folder / f"{other}.h5")
    assert (folder / f"{name}.h5").read_bytes() != content
    assert rebalanced(folder) == 0
    after = written(folder)
    assert {kind for kind in KINDS if after[kind] != before[kind]} == redone


def test_a_kind_that_refuses_costs_no_other(folder, caplog):
    rebalanced(folder)
    kinds = {"cosmo": {}, "calibrated_stacking": {"factor": 0.7}, "oracle": {}}
    kept = written(folder)
    given = ["--scores", f"{folder}/scores.h5", "--output", str(folder)]
    assert main(["rebalance-run", "--kinds", canonical(kinds), *given]) == 1
    (line,) = [line for line in caplog.messages if line.startswith("error: ")]
    assert line.endswith("rebalancing 'cosmo' needs validation.h5 of the same run, none is given")
    after = written(folder)
    assert [kind for kind in kinds if after[kind] != kept[kind]] == ["calibrated_stacking"]
    # Snakemake takes back what the job has written; the partial table shows these
    for kind in ("oracle", "calibrated_stacking"):
        figures = (folder / kind / "metrics.json").read_bytes()
        assert (folder / kind / ".metrics.json").read_bytes() == figures
    assert not (folder / "cosmo" / ".metrics.json").exists()
    assert rebalanced(folder, kinds) == 0
    assert not list(folder.rglob(".metrics.json"))
