"""What a command says, kept in a file."""

import logging
from pathlib import Path

import pytest

from zslpipe.commands.cli import main
from zslpipe.machine.kept_log import LOG_VARIABLE, keep, kept_log


def test_attempts_stand_one_behind_the_other(tmp_path: Path) -> None:
    path = tmp_path / "logs/train/seed0.log"
    for number in (1, 2):
        with kept_log(str(path), ["train", "--seed", "0"]):
            logging.getLogger("zslpipe").warning("attempt %d", number)
        logging.getLogger("zslpipe").warning("not within")
    lines = path.read_text().splitlines()
    assert [line[24:] for line in lines] == [
        "zslpipe train --seed 0",
        "attempt 1",
        "",
        "zslpipe train --seed 0",
        "attempt 2",
    ]
    assert lines[0][:4].isdigit() and lines[0][4] == "-"  # with the day


def test_without_a_name_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = list(logging.getLogger().handlers)
    with kept_log("", ["train"]):
        assert logging.getLogger().handlers == before
    assert not list(tmp_path.iterdir())


def test_an_error_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "a.log"))
    assert main(["evaluate", "--scores", "absent.h5"]) == 2
    assert main(["verify", str(tmp_path / "absent")]) != 0
    said = (tmp_path / "a.log").read_text()
    assert "absent.h5" in said and said.count("error: ") == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full here")
def test_a_full_disk_says_nothing_beside_what_is_said(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with kept_log("/dev/full", ["train"]):
        logging.getLogger("zslpipe").warning("said")
    keep("said again", "/dev/full")
    assert capsys.readouterr().err == "" and caplog.messages == ["said"]


def test_a_folder_that_cannot_be_made_is_told_of_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "file" / "a.log"))
    assert main(["--help"]) == 0
    (told,) = caplog.messages
    assert told.startswith("no log is kept: ") and str(tmp_path / "file") in told
