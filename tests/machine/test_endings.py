"""What a machine refuses or lacks is one line with place and remedy; a fault of ours is none."""

import errno
import os
import signal
import warnings
from pathlib import Path
from urllib.error import URLError

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from zslpipe.machine.endings import REMEDIES, machine_fault


def caught(act) -> BaseException:
    with pytest.raises(BaseException) as raised:
        act()
    return raised.value


@pytest.mark.parametrize("number", REMEDIES)
def test_a_refusal_of_the_system_names_place_and_remedy(number):
    told = machine_fault(OSError(number, "no", "a/b"))
    assert told == f"a/b: {os.strerror(number)}; {REMEDIES[number]}"
    assert machine_fault(OSError(number, "no", "a", None, "to")).startswith("to: ")


class Failing(Dataset):
    """A dataset whose reading fails in a worker, as ``fail`` does."""

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 4

    def __getitem__(self, row):
        return self.fail()


def in_a_worker(fail) -> str | None:
    loader = DataLoader(Failing(fail), num_workers=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return machine_fault(caught(lambda: list(loader)))


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def many_files():
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.jpg")


MEMORY = "give the job more (mem_mb of its rule, --mem of SLURM)"


@pytest.mark.slow
def test_what_ends_a_worker_is_told_of_the_job():
    assert in_a_worker(killed).startswith(
        f"a process that reads images was killed (Killed), most likely for want of memory; {MEMORY}"
    )
    assert MEMORY in in_a_worker(lambda: np.zeros(10**14))
    assert "Too many open files; raise the limit (ulimit -n 4096)" in in_a_worker(many_files)
    assert in_a_worker(lambda: 1 / 0) is None


def test_a_worker_killed_by_a_bus_error_is_short_of_shared_memory():
    # torch 2.14, _utils/signal_handling.py and dataloader.py.
    first = RuntimeError(
        "DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory. Please try to raise your limit."
    )
    error = RuntimeError("DataLoader worker (pid(s) 12) exited unexpectedly")
    error.__cause__ = first
    assert "no room in /dev/shm" in machine_fault(error)
    assert "--shm-size" in machine_fault(first)


def test_memory_that_is_refused_is_told_with_what_was_asked_for():
    told = machine_fault(caught(lambda: torch.zeros(10**14)))
    assert told.startswith("out of memory when 400000000000000 bytes more were asked for, having r")
    assert MEMORY in told
    assert machine_fault(caught(lambda: np.zeros(10**14))).startswith(
        "out of memory when 728. TiB more were asked for, having reached "
    )
    assert machine_fault(MemoryError()).startswith("out of memory, having reached ")
    gpu = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB"
    )
    assert machine_fault(gpu).startswith(
        "the GPU is out of memory when 20.00 GiB more were asked for; end other jobs on it"
    )


def test_a_locked_file_is_in_use(tmp_path):
    import fcntl

    h5py.File(tmp_path / "a.h5", "w").close()
    with (tmp_path / "a.h5").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = machine_fault(caught(lambda: h5py.File(tmp_path / "a.h5")))
    assert "another process has it open or locked: wait for its end" in told


@pytest.mark.parametrize(
    "error",
    [
        URLError("Name or service not known"),
        TimeoutError("timed out"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        OSError(errno.ENETUNREACH, "no"),
    ],
)
def test_a_network_that_does_not_answer_is_told(error):
    assert machine_fault(error).startswith("the network does not answer (")


def test_what_follows_from_a_full_disk_is_a_full_disk():
    error = RuntimeError("unexpected pos 576 vs 534")
    error.__context__ = OSError(errno.ENOSPC, "full", "a.pt")
    assert machine_fault(error).startswith("a.pt: No space left on device; free some")


def test_a_library_that_is_missing_or_does_not_fit_into_memory_is_told():
    missing = ModuleNotFoundError("No module named 'timm'", name="timm")
    assert "has no module 'timm': install what pyproject.toml lists" in machine_fault(missing)
    assert machine_fault(ModuleNotFoundError("no", name="zslpipe.typo")) is None
    large = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert machine_fault(large).startswith("out of memory, having reached ")


def test_a_fault_of_ours_stays_one_whatever_it_came_of():
    error = KeyError("a")
    error.__context__ = FileNotFoundError(errno.ENOENT, "no", "a")
    assert machine_fault(error) is None
    assert machine_fault(RuntimeError("shapes differ")) is None
    assert machine_fault(OSError("no number")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
@pytest.mark.slow
def test_a_full_disk_under_hdf5_ends_in_one_line_and_no_crash(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from zslpipe.commands import people\n"
        "from zslpipe.commands.cli import main\n"
        "from zslpipe.formats.hdf5 import stamped, write_texts\n"
        "def write(results, watched, every, as_json):\n"
        "    with stamped(results / 'a.h5') as file:\n"
        "        for number in range(50):\n"
        "            write_texts(file, f't/{number}', ['abcdefgh' * 10] * 50)\n"
        "people.show_status.callback = write\n"
        "sys.exit(main(['status', sys.argv[1]]))\n"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        command = [sys.executable, "-c", code, str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert (done.returncode, left) == (1, [])
    (line,) = done.stderr.splitlines()
    assert f"error: {Path(disk) / 'a.h5'}: No space left on device; free some there" in line
