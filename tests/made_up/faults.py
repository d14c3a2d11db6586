"""What happens to running jobs and to files: processes found and killed in the middle of their
work, small disks, folders that nobody may write to, little memory, damaged bytes.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.made_up.checkouts import Checkout

MEMORY = Path("/sys/fs/cgroup/memory")
PATIENCE = 300  # seconds in which a job has to come to where it is disturbed


def processes(checkout: Checkout, *words: str) -> list[int]:
    """Return the processes that run in the checkout with all ``words`` in their command."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (entry / "cwd").resolve() == checkout.folder.resolve()
        except OSError:
            continue  # no process, or it has ended
        if here and set(words) <= set(command):
            found.append(int(entry.name))
    return sorted(found)


def disturbed(
    checkout: Checkout, come: Callable[[], bool], act: Callable[[subprocess.Popen], None]
) -> tuple[int, str]:
    """Run Snakemake, ``act`` as soon as ``come`` holds, and return its exit status and what was
    said.
    """
    said = checkout.folder / "said.txt"
    with said.open("w", encoding="utf8") as stream:
        run = checkout.started("--cores", "2", stream=stream)
        try:
            wait_until(lambda: come() or run.poll() is not None)
            assert run.poll() is None, f"it ended before: {said.read_text(encoding='utf8')}"
            act(run)
            return run.wait(PATIENCE), said.read_text(encoding="utf8")
        finally:
            run.kill()
            for process in processes(checkout, "zslpipe"):
                killed(process)


def wait_until(come: Callable[[], bool]) -> None:
    """Wait until ``come`` holds; fails after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def killed(process: int) -> None:
    """Kill a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process, 9)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something over a folder as long as the block runs; skipped where that takes rights
    that are missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def little_memory(size: int) -> Iterator[Path]:
    """Yield the file that a process writes its number to, to be limited to ``size`` bytes; skipped
    where control groups (version 1) cannot be made.
    """
    group = MEMORY / f"zslpipe-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for memory can be made here: {error.strerror}")
    try:
        (group / "memory.limit_in_bytes").write_text(str(size))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
