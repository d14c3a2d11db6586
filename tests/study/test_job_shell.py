"""The shell of a job: what it tells the command, and that it lives as long as the command does."""

import os
import signal
import subprocess
import sys

from zslpipe.study.job_shell import shell_prefix


def told(attempt: int, is_submitted: bool, folder: str = "/a b") -> str:
    names = "$PYTHONPATH|$ZSLPIPE_ATTEMPT|${ZSLPIPE_REQUEUE-}"
    command = f'{shell_prefix(folder, attempt, is_submitted)} echo "{names}"'
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True).stdout


def test_a_command_is_told_where_the_package_is_and_which_attempt_it_is():
    assert told(1, False) == "/a b|1|\n"
    assert told(3, True) == "/a b|3|1\n"


def test_the_shell_ends_when_the_command_does_and_with_its_code():
    """A scheduler sends SIGTERM to the shell, too."""
    job = (
        "import signal, sys, time; signal.signal(15, lambda *given: (time.sleep(1), sys.exit(75)))"
    )
    job = f"{job}; print('waits', flush=True); time.sleep(30)"
    command = f'{shell_prefix(".", 1, True)} {sys.executable} -c "{job}"; echo unreachable'
    shell = subprocess.Popen(
        ["bash", "-c", command], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert shell.stdout.readline() == "waits\n"
    os.killpg(shell.pid, signal.SIGTERM)
    assert shell.communicate(timeout=20)[0] == "" and shell.returncode == 75
