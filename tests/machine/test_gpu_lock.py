"""One job, one GPU: claims of processes side by side, their ends, and what a scheduler has decided
already.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from zslpipe.machine import gpu_lock
from zslpipe.machine.errors import InputError
from zslpipe.machine.gpu_lock import assigned_by_scheduler

# Claims, says which GPU it holds and waits; with a child that shares its open files.
CLAIMANT = """
import logging, os, sys, time
from pathlib import Path
from zslpipe.machine.gpu_lock import claim
assert "torch" not in sys.modules
logging.basicConfig(level=logging.INFO, format="log: %(message)s", stream=sys.stdout)
folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
number = claim(int(sys.argv[1]), folder)
assert claim(int(sys.argv[1]), folder) == number
if os.fork() == 0:
    os.close(1)
    time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
    os._exit(0)
print(number, flush=True)
sys.stdin.readline()
"""
SCHEDULED = ("SLURM_JOB_ID", *gpu_lock.ASSIGNMENTS)


class Jobs:
    """Processes that claim a GPU in one folder; all are ended and waited for."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, []

    def start(self, count: int, child_seconds: float = 0.0, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-c", CLAIMANT, str(count), str(self.folder), str(child_seconds)]
        outside = {name: value for name, value in os.environ.items() if name not in SCHEDULED}
        pipe = subprocess.PIPE
        job = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env={**outside, **environment}
        )
        self.running.append(job)
        return job

    def end(self) -> None:
        for job in self.running:
            job.kill()
            job.communicate()


@pytest.fixture
def jobs(tmp_path):
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.end()


def said(job: subprocess.Popen) -> str:
    return job.stdout.readline().strip()


@pytest.mark.slow
def test_jobs_side_by_side_hold_different_gpus_and_the_next_waits_for_an_end(jobs):
    first, second = jobs.start(2), jobs.start(2)
    assert {said(first), said(second)} == {"0", "1"}
    third = jobs.start(2)
    assert said(third) == "log: all 2 GPUs are taken by other jobs: waiting for one"
    second.communicate("end\n")
    assert second.returncode == 0
    freed = said(third)  # nothing else was logged while it waited
    first.communicate("end\n")
    fourth = jobs.start(2)
    assert {freed, said(fourth)} == {"0", "1"}


@pytest.mark.slow
def test_a_killed_job_frees_its_gpu_even_where_a_child_of_it_lives_on(jobs):
    job = jobs.start(1, child_seconds=60.0)
    assert said(job) == "0"
    (child,) = psutil.Process(job.pid).children()
    waiting = jobs.start(1)
    assert said(waiting).startswith("log: all 1 GPUs are taken")
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert said(waiting) == "0"
    assert child.is_running()
    child.kill()


def test_the_first_free_gpu_is_taken(jobs):
    started = []
    for number in range(3):
        started.append(jobs.start(3))
        assert said(started[-1]) == str(number)
    started[1].communicate("end\n")
    assert said(jobs.start(3)) == "1"


@pytest.mark.slow
def test_workflows_that_were_given_different_gpus_do_not_wait_for_each_other(jobs):
    assert said(jobs.start(2, CUDA_VISIBLE_DEVICES="0, 1")) == "0"
    assert said(jobs.start(2, CUDA_VISIBLE_DEVICES="2,3")) == "0"
    assert said(jobs.start(2, CUDA_VISIBLE_DEVICES="1,0")) == "0"  # this is GPU 1
    assert said(jobs.start(2, CUDA_VISIBLE_DEVICES="MIG-GPU-a/1/0,GPU-b")) == "0"
    assert said(jobs.start(4)) == "3"
    # Jobs of SLURM number their GPUs from 0, each its own.
    assert said(jobs.start(2, SLURM_JOB_ID="17")) == "0"
    assert said(jobs.start(2, SLURM_JOB_ID="18")) == "0"
    assert said(jobs.start(2, SLURM_JOB_ID="17")) == "1"


def test_files_name_the_user_and_are_no_ones_elses(jobs):
    (
        jobs.folder / "zslpipe-0-gpu0.lock" if os.getuid() else jobs.folder / "zslpipe-1-gpu0.lock"
    ).touch(mode=0o000)
    assert said(jobs.start(1)) == "0"
    made = jobs.folder / f"zslpipe-{os.getuid()}-gpu0.lock"
    assert made.stat().st_mode & 0o777 == 0o600


def test_the_default_folder_is_the_systems_temporary_one(tmp_path):
    command = [sys.executable, "-c", CLAIMANT, "1"]
    environment = {name: value for name, value in os.environ.items() if name not in SCHEDULED}
    environment |= {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, input="end\n", capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "0\n"
    assert [path.name for path in tmp_path.iterdir()] == [f"zslpipe-{os.getuid()}-gpu0.lock"]


def test_no_gpu_and_no_place_for_a_lock_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_lock, "_held", {})
    with pytest.raises(InputError, match=r"no GPU to claim"):
        gpu_lock.claim(0, tmp_path)
    (tmp_path / "elsewhere").touch()
    (tmp_path / gpu_lock._lock_names(1, os.environ)[0]).symlink_to(tmp_path / "elsewhere")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(
            InputError, match=r"no lock file can be opened here .*; set TMPDIR"
        ) as caught:
            gpu_lock.claim(1, folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "assigned"),
    [
        ({}, False),
        ({"SLURM_JOB_GPUS": "3"}, True),
        ({"SLURM_JOB_GPUS": "0,3"}, False),
        ({"SLURM_JOB_GPUS": "0,3", "SLURM_STEP_GPUS": "3", "CUDA_VISIBLE_DEVICES": "0"}, True),
        ({"CUDA_VISIBLE_DEVICES": "2"}, True),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"}, True),
        ({"CUDA_VISIBLE_DEVICES": "0, 1"}, False),
        ({"CUDA_VISIBLE_DEVICES": ""}, False),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, False),
    ],
)
def test_a_scheduler_has_decided_where_exactly_one_gpu_is_named(environment, assigned):
    assert assigned_by_scheduler(environment) is assigned
