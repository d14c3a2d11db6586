"""What holds for every test."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

# A shell lets what a script starts in the background ignore Ctrl-C, and so would all programs that
# tests start and send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Put back who hears of a stop: a job that was told to ignores further signals until it ends,
    and the programs that later tests start would inherit that.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, whatever the test before asked for: the last digits of
    sums depend on it, and a process may hang that is forked where several have computed.
    """
    _set_one_thread()
    yield
    _set_one_thread()


@pytest.fixture(autouse=True)
def eighty_columns() -> Iterator[None]:
    """Let texts be broken as where there is no terminal, however wide one's own is."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    yield
    if before is None:
        os.environ.pop("COLUMNS", None)
    else:
        os.environ["COLUMNS"] = before


def _set_one_thread() -> None:
    """Tell torch, where a test has loaded it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
