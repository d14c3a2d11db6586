"""What the C libraries are told: counts of page faults, no times."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.made_up.places import SCRIPT
from zslpipe.machine import libraries

# Prints how many pages of the last of some tensors of 64 MiB, one after the other, the system had
# to map and clear; the first ones find the free memory in pieces that are a little too small. Pages
# of 4 KiB: of huge ones, which some systems give unasked (prctl.h: PR_SET_THP_DISABLE is 41), there
# are few.
FAULTS = """
import ctypes
import resource
import torch
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
from zslpipe.machine.devices import Compute, device_of
{told}
for number in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = torch.ones(2**24)
    del array
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
POLICY = """
import os
import sys
sys.argv = ["zslpipe", "--version"]
from zslpipe.__main__ import _command
try:
    _command()
finally:
    print(os.environ["OMP_WAIT_POLICY"])
"""


def printed(code: str, variables: dict[str, str]) -> str:
    """Return what a script prints last."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_a_job_gets_the_memory_that_it_freed_without_the_system() -> None:
    job = FAULTS.format(told="device_of(Compute(device='cpu', threads=1))")
    assert int(printed(job, SCRIPT)) < 500
    assert int(printed(FAULTS.format(told=""), SCRIPT)) > 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_glibc_is_told_by_the_numbers_of_its_malloc_h(monkeypatch) -> None:
    """M_TRIM_THRESHOLD is -1, M_MMAP_MAX -4."""
    told: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda *given: told.append(given))
    monkeypatch.setattr(libraries.ctypes, "CDLL", lambda name: libc)
    libraries.keep_freed_memory()
    assert sorted(told) == [(-4, 0), (-1, -1)]
    monkeypatch.setattr(libraries.ctypes, "CDLL", lambda name: SimpleNamespace())
    libraries.keep_freed_memory()  # a C library without mallopt


@pytest.mark.parametrize("given", [None, "active"])
def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise(given) -> None:
    variables = {name: value for name, value in SCRIPT.items() if name != "OMP_WAIT_POLICY"}
    if given is not None:
        variables["OMP_WAIT_POLICY"] = given
    assert printed(POLICY, variables) == (given or "passive")
