"""A watched job: exit codes and signals pass through its parent, a killed one is told of, and none
outlives the parent.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.made_up.faults import wait_until
from zslpipe.machine.kept_log import LOG_VARIABLE
from zslpipe.machine.progress import process_start
from zslpipe.machine.watched import allowed_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are watched on Linux alone")

JOB = """
import os, signal, sys, time
from zslpipe.machine.kept_log import LOG_VARIABLE
from zslpipe.machine.watched import watched
def job():
    sys.argv = ["zslpipe", "train", "--spec"]
    {body}
    return 0
{before}
sys.argv = ["zslpipe", "train", "--spec"]
sys.exit(watched(job))
"""


def started(body: str, before: str = "") -> subprocess.Popen:
    pipe = subprocess.PIPE
    code = JOB.format(body=body, before=before)
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True)


def ended(body: str, before: str = "") -> tuple[int, str]:
    job = started(body, before)
    _, said = job.communicate(timeout=60)
    return job.returncode, said


def waiting(body: str) -> tuple[subprocess.Popen, psutil.Process]:
    """Return a job's parent and the job itself, which has said that it waits."""
    job = started(f"{body}; print('waits', flush=True); time.sleep(60)")
    assert job.stdout.readline() == "waits\n"
    (child,) = psutil.Process(job.pid).children()
    return job, child


@pytest.mark.parametrize("code", [0, 1, 75, 130])
def test_the_exit_code_is_the_jobs(code: int) -> None:
    assert ended(f"return {code}") == (code, "")
    assert ended(f"sys.exit({code})") == (code, "")


def test_a_job_killed_for_memory_is_told_of_with_the_peak_that_it_had_reached() -> None:
    code, said = ended("held = bytearray(300_000_000); os.kill(os.getpid(), signal.SIGKILL)")
    assert code == 137 and len(said.splitlines()) == 1
    assert "error: train: killed (SIGKILL): most likely out of memory (its largest process" in said
    assert " had reached 0.3 GB of the " in said and "mem_mb" in said


def test_why_a_job_was_killed_is_kept_behind_what_it_said(tmp_path: Path, monkeypatch) -> None:
    kept = tmp_path / "logs" / "seed0.log"
    monkeypatch.setenv(LOG_VARIABLE, str(kept))
    killed = "os.kill(os.getpid(), signal.SIGKILL)"
    _, said = ended(killed)
    kept.write_text(f"begun\n{kept.read_text()}begun again\n")
    ended(killed)
    lines = kept.read_text().splitlines()
    assert lines[0] == "begun" and lines[2] == "begun again" and len(lines) == 4
    for line in (lines[1], lines[3]):
        day, told = line.split(" error: ")
        assert day[:4].isdigit() and said.endswith(f"error: {told}\n")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
def test_a_crash_is_told_of(number: signal.Signals) -> None:
    code, said = ended(f"os.kill(os.getpid(), {int(number)})")
    assert code == 128 + number
    assert f"error: train: ended by {number.name}: " in said and len(said.splitlines()) == 1


def test_signals_to_the_parent_reach_the_job() -> None:
    noted = "signal.signal(15, lambda number, frame: sys.exit(75))"
    job, _ = waiting(noted)
    job.send_signal(signal.SIGTERM)
    assert job.communicate(timeout=20)[1] == "" and job.returncode == 75
    job, _ = waiting("pass")
    job.send_signal(signal.SIGTERM)
    assert job.communicate(timeout=20)[1] == "" and job.returncode == 143
    job, _ = waiting("pass")
    job.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in job.communicate(timeout=20)[1]


def test_no_job_outlives_its_parent() -> None:
    job, child = waiting("pass")
    job.kill()
    job.communicate(timeout=50)  # the job, which has these pipes too, would keep them for 60 s
    wait_until(lambda: process_start(child.pid) is None)


def test_signals_mean_in_the_job_what_they_meant_before() -> None:
    body = "return int(signal.pthread_sigmask(signal.SIG_BLOCK, ()) != {signal.SIGUSR1})"
    before = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})"
    assert ended(body, before) == (0, "")


def test_a_launcher_that_ignores_the_end_of_children_changes_nothing() -> None:
    assert ended("return 3", "signal.signal(signal.SIGCHLD, signal.SIG_IGN)") == (3, "")


def test_a_terminals_interrupt_reaches_the_job_once() -> None:
    """A terminal interrupts the whole group; the parent must not hand it on a second time."""
    import pty

    body = (
        "heard = []; signal.signal(2, lambda *given: heard.append(print('interrupted')))\n"
        "    print('waits', flush=True)\n"
        "    while not heard: time.sleep(0.01)\n"
        "    time.sleep(1.5); print('end', flush=True)"
    )
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", JOB.format(body=body, before="")])
    seen = b""
    while b"waits" not in seen:
        seen += os.read(terminal, 100)
    os.write(terminal, b"\x03")
    while b"end" not in seen:
        seen += os.read(terminal, 100)
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0 and seen.count(b"interrupted") == 1


def test_the_memory_of_a_job_is_what_its_control_groups_and_slurm_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    own = tmp_path / "own"
    assert allowed_memory(tmp_path, own) == machine
    own.write_text("4:memory:/v1/job\n1:cpu:/other\n0::/slurm/job_3/step_0\n")
    step = tmp_path / "slurm" / "job_3" / "step_0"
    step.mkdir(parents=True)
    (step / "memory.max").write_text("max\n")
    assert allowed_memory(tmp_path, own) == machine
    (step.parent / "memory.max").write_text("90000000\n")
    assert allowed_memory(tmp_path, own) == 90_000_000
    old = tmp_path / "memory" / "v1" / "job"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("70000000\n")
    assert allowed_memory(tmp_path, own) == 70_000_000
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "50")
    assert allowed_memory(tmp_path, own) == 50 * 2**20
