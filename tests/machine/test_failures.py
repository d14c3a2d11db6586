"""Why a job failed, left for the end of the run."""

import errno
import time
from pathlib import Path

import pytest

from zslpipe.commands.cli import main
from zslpipe.commands.scores import evaluate
from zslpipe.machine.errors import InputError, NotNowError
from zslpipe.machine.failures import (
    ATTEMPT,
    FOLDER,
    failures_since,
    record_failure,
    refused_before,
)
from zslpipe.machine.interruption import Interrupted

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


def ended(monkeypatch, error, attempt="1"):
    """Return the exit code of a command that meets an error, and whether it came as far as that."""
    met = []

    def fail(scores, asked, output):
        met.append(1)
        raise error

    arguments = ["evaluate", "--scores", "scores.h5", "--output", "results/d/metrics.json"]
    Path("scores.h5").touch()
    monkeypatch.setattr(evaluate, "callback", fail)
    monkeypatch.setattr("sys.argv", ["zslpipe", *arguments])
    monkeypatch.setenv(ATTEMPT, attempt)
    return main(arguments), bool(met)


def test_an_attempt_after_a_refusal_says_the_same_and_ends(monkeypatch, caplog):
    wrong = InputError("scores.h5: of another run")
    assert ended(monkeypatch, wrong) == (1, True)
    caplog.clear()
    for attempt in ("2", "3"):
        assert ended(monkeypatch, OSError("never met"), attempt) == (1, False)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["error: scores.h5: of another run"] * 2
    # whoever has mended it and types the command again begins at the first attempt
    assert ended(monkeypatch, MemoryError()) == (1, True)
    assert ended(monkeypatch, MemoryError(), "2") == (1, True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        NotNowError("another process writes here"),
        OSError(errno.EIO, "no", "a"),
        KeyError("a fault of ours"),
        Interrupted("told to stop"),
    ],
)
def test_what_another_attempt_may_mend_is_tried_again(monkeypatch, error):
    ended(monkeypatch, error)
    assert ended(monkeypatch, error, "2")[1]


def test_without_an_attempt_s_number_it_is_the_first(monkeypatch):
    record_failure(ARGUMENTS, "one", refused=True)
    assert refused_before(ARGUMENTS, {ATTEMPT: "2"}) == "one"
    assert refused_before(["status"], {ATTEMPT: "2"}) == ""
    assert refused_before(ARGUMENTS, {}) == ""
    assert refused_before(ARGUMENTS, {ATTEMPT: "2"}) == ""  # a first attempt begins without a note
