"""Why a job failed, left for the end of the run."""

import time

import pytest

from zslpipe.commands.cli import main
from zslpipe.machine.failures import FOLDER, failures_since, record_failure

ARGUMENTS = ["train", "--seed", "0", "--output", "results/d/runs/m/default/seed0"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_reason_comes_back_by_its_output():
    start = time.time()
    record_failure(ARGUMENTS, "one")
    record_failure(ARGUMENTS, "two")
    record_failure(["tables", "--output", "results/tables"], "three")
    assert failures_since(start) == {ARGUMENTS[-1]: "two", "results/tables": "three"}
    assert failures_since(time.time() + 1) == {}


@pytest.mark.parametrize("arguments", [["status"], ["train", "--output"], ["x", "--output", "/a"]])
def test_what_is_none_of_the_workflow_leaves_nothing(arguments):
    record_failure(arguments, "one")
    assert not FOLDER.exists()


def test_a_note_that_cannot_be_written_or_read_does_no_harm():
    FOLDER.mkdir(parents=True)
    (FOLDER / "cut.json").write_text('{"output": "resu')
    record_failure(ARGUMENTS, "one")
    assert failures_since(0.0) == {ARGUMENTS[-1]: "one"}
    FOLDER.rename("elsewhere")
    FOLDER.write_text("a file where the folder should be")
    record_failure(ARGUMENTS, "two")
    assert failures_since(0.0) == {}


def test_the_command_line_leaves_its_last_line(monkeypatch):
    arguments = ["evaluate", "--scores", "none.h5", "--output", "results/d/metrics.json"]
    monkeypatch.setattr("sys.argv", ["zslpipe", *arguments])
    assert main(arguments) == 2
    (said,) = failures_since(0.0).values()
    assert said.startswith("zslpipe evaluate: Invalid value for '--scores'")
