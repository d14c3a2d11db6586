"""How far long work is: every item is handed on; a bar on a terminal, a line a minute elsewhere."""

import logging

import pytest

from zslpipe.machine import progress
from zslpipe.machine.progress import counted


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose number is the time, in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_of_a_log_tell_rate_and_time_left(clock, caplog, capfd):
    caplog.set_level(logging.INFO)
    taken = []
    for batch in counted([[1, 2], [3], [4, 5, 6], [7]], "scoring", "images", 7, len):
        taken += batch
        clock[0] += 35
    assert taken == [1, 2, 3, 4, 5, 6, 7]
    # 3 images after 70 s leave 4; the next line is due 60 s later, behind the last
    assert caplog.messages == [
        "scoring: 3 of 7 images, 0.0429/s, about 2 min left",
        "scoring: 7 of 7 images, 0.05/s, about 0 s left",
    ]
    assert capfd.readouterr().err == ""


def test_what_is_quick_says_nothing(caplog, capfd):
    caplog.set_level(logging.INFO)
    assert list(counted(range(5), "verify", "files", 5)) == [0, 1, 2, 3, 4]
    assert (caplog.messages, capfd.readouterr().err) == ([], "")


def test_a_terminal_has_a_bar_with_rate_and_time_left(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "BAR_AFTER", 0.0)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    for _ in counted([3, 4], "rehash", "bytes", 7000, lambda item: 1000 * item, scaled=True):
        pass
    said = capsys.readouterr().err
    assert "rehash:   0%" in said and "/7.00k [" in said and "bytes/s" in said
    assert caplog.messages == []
