"""Programs that are started with standard streams closed do their work and keep their exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up.places import SCRIPT

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


def run(closed: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these words and some streams closed."""
    shell = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, *words]
    return subprocess.run(shell, capture_output=True, text=True, env=SCRIPT)


@pytest.mark.parametrize("closed", CLOSED)
def test_a_command_succeeds(tmp_path: Path, closed: str) -> None:
    whole = run("", "-m", "zslpipe", "status", str(tmp_path))
    found = run(closed, "-m", "zslpipe", "status", str(tmp_path))
    assert (found.returncode, found.stderr) == (0, "")
    assert whole.stdout and found.stdout == ("" if " >&-" in f" {closed}" else whole.stdout)


@pytest.mark.parametrize("closed", CLOSED)
def test_no_file_gets_a_stream_s_number_and_children_have_the_streams(
    tmp_path: Path, closed: str
) -> None:
    code = """
import subprocess, sys
from zslpipe.machine.streams import open_streams
open_streams()
with open(sys.argv[1], "w") as file:
    print("said")
    print("said", file=sys.stderr)
    sys.stdin.read(0)
    child = "import os; [os.fstat(number) for number in range(3)]"
    subprocess.run([sys.executable, "-c", child], check=True)
    sys.exit(file.fileno())
"""
    found = run(closed, "-c", code, str(tmp_path / "file"))
    assert found.returncode > 2
    assert (tmp_path / "file").read_text() == ""
