"""A job of SLURM that was told to stop is started again, and no job that is ended for good. SLURM
is a stand-in that remembers what it was asked.
"""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from zslpipe.machine.requeue import OURS, requeued

SCONTROL = """\
#!/bin/sh
echo "$@" >> "{folder}/asked"
if [ "$1" = show ]; then echo "{shown}"; exit {fails}; fi
{requeue}
"""
# What SLURM 22.05 shows, shortened: a name with blanks is cut into pieces.
SHOWN = "JobId=7 JobName=a b JobState={state} Reason={reason} Restarts={restarts} EndTime={end}"


class Slurm:
    """A stand-in for scontrol in a folder, and the environment of a job there."""

    def __init__(self, folder: Path):
        self.folder = folder
        path = os.pathsep.join((str(folder), os.environ["PATH"]))
        self.environment = {"PATH": path, OURS: "1", "SLURM_JOB_ID": "7"}

    def shows(
        self,
        state: str = "RUNNING",
        reason: str = "None",
        minutes: float = 60,
        restarts: int = 0,
        fails: int = 0,
        requeue: str = "exit 0",
    ) -> None:
        end = f"{datetime.now() + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}"
        shown = SHOWN.format(state=state, reason=reason, restarts=restarts, end=end)
        text = SCONTROL.format(folder=self.folder, shown=shown, fails=fails, requeue=requeue)
        (self.folder / "scontrol").write_text(text)
        (self.folder / "scontrol").chmod(0o755)

    @property
    def asked(self) -> list[str]:
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.is_file() else []


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Slurm:
    found = Slurm(tmp_path)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    found.shows()
    return found


@pytest.mark.parametrize(
    ("shows", "kept"),
    [
        ({}, True),
        ({}, False),
        ({"state": "COMPLETING", "reason": "TimeLimit", "minutes": 0}, True),
        ({"minutes": 1}, True),
        ({"restarts": 19}, True),
    ],
)
def test_it_is_requeued(slurm, shows, kept):
    slurm.shows(**shows)
    rest = "goes on where it stopped" if kept else "begins again"
    line = f"SLURM job 7 is requeued: it {rest} when SLURM starts it"
    assert requeued(kept, slurm.environment) == line
    assert slurm.asked == ["show job --oneliner 7", "requeue 7"]


@pytest.mark.parametrize(
    ("shows", "kept", "why"),
    [
        # scancel, and Ctrl-C of Snakemake: it would come back from the dead
        ({"state": "COMPLETING"}, True, "SLURM has it as COMPLETING already (cancelled, or"),
        ({"state": "CANCELLED"}, True, "SLURM has it as CANCELLED already"),
        # asked by another member of its group
        ({"state": "PENDING", "reason": "BeginTime"}, True, "SLURM has it as PENDING already"),
        # it would end there again
        ({"minutes": 14}, False, "it reached its time limit with nothing to go on from"),
        (
            {"state": "COMPLETING", "reason": "TimeLimit", "minutes": 60},
            False,
            "it reached its time limit with nothing to go on from; give it more (runtime)",
        ),
        ({"restarts": 20}, True, "it was 20 times; give it more time (runtime)"),
        ({"requeue": "echo disabled >&2; exit 1"}, True, "disabled"),
    ],
)
def test_it_is_not_requeued_and_says_why(slurm, shows, kept, why):
    slurm.shows(**shows)
    assert requeued(kept, slurm.environment).startswith(f"SLURM job 7 is not requeued: {why}")
    assert slurm.asked == ["show job --oneliner 7", *["requeue 7"] * ("requeue" in shows)]


def test_nobody_elses_job_is_touched(slurm):
    """A script of the user's own, in which Snakemake runs, and a shell outside of SLURM."""
    for absent in (OURS, "SLURM_JOB_ID"):
        environment = {key: value for key, value in slurm.environment.items() if key != absent}
        assert requeued(True, environment) == ""
    assert slurm.asked == []


def test_a_rank_that_its_launcher_stops_leaves_it_to_that(slurm):
    """Another one was killed, say: the job has failed, and has no claim to a new start."""
    assert requeued(True, slurm.environment | {"ZSLPIPE_RUN": "x"}) == ""
    assert slurm.asked == []


def test_a_slurm_that_does_not_answer_is_told(slurm, monkeypatch):
    slurm.shows(fails=1)
    head = "SLURM job 7 is not requeued: "
    assert requeued(True, slurm.environment) == f"{head}scontrol gives no reason"
    slurm.shows(requeue="printf 'error: a\\nfatal: no controller\\n' >&2; exit 1")
    assert requeued(True, slurm.environment) == f"{head}fatal: no controller"
    (slurm.folder / "scontrol").unlink()
    monkeypatch.setenv("PATH", str(slurm.folder))
    assert "not requeued: scontrol does not answer (" in requeued(True, slurm.environment)


WATCHED = """
import os, signal, sys, time
from zslpipe.machine.watched import watched
def job():
    {handler}
    print("waits", flush=True)
    time.sleep(60)
sys.exit(watched(job))
"""


# Ends at the first signal and hears of no further one, as jobs do.
ENDING = "signal.signal(15, lambda *given: (signal.signal(15, signal.SIG_IGN), sys.exit({})))"


@pytest.mark.parametrize(
    ("handler", "code", "said"),
    [
        (ENDING.format(75), 75, "it goes on where it stopped"),
        (ENDING.format(143), 143, "it begins again"),
        ("pass", 143, "it begins again"),  # before anything hears the signal
        (ENDING.format(1), 1, ""),  # it ended by itself
    ],
)
def test_whoever_watches_the_job_asks_when_the_job_has_ended(slurm, handler, code, said):
    command = [sys.executable, "-c", WATCHED.format(handler=handler)]
    pipe = subprocess.PIPE
    job = subprocess.Popen(
        command, env=os.environ | slurm.environment, stdout=pipe, stderr=pipe, text=True
    )
    assert job.stdout.readline() == "waits\n"
    for _ in range(2):  # a scheduler sends it to each process of a job, and again
        job.send_signal(signal.SIGTERM)
    _, told = job.communicate(timeout=60)
    assert (job.returncode, "requeue 7" in slurm.asked) == (code, bool(said))
    assert said in told and len(told.splitlines()) == bool(said)
