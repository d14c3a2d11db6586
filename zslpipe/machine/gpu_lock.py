"""One job, one GPU: jobs side by side on a machine share its GPUs through locks that end with their
process.
"""

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path

from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # ours: next to nothing beside a training
# GPUs of a job or of a step of a job (SLURM's manual of srun), and those that CUDA shows (CUDA's
# manual).
ASSIGNMENTS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES")
# The GPU that this process holds: number and locked file, open as long as the process lives.
_held: dict[int, FileIO] = {}


def assigned_by_scheduler(environment: Mapping[str, str]) -> bool:
    """Return whether somebody has chosen the job's GPU already: SLURM for the job or its step, or
    CUDA_VISIBLE_DEVICES, by naming exactly one.
    """
    return any(len(_named(environment, variable)) == 1 for variable in ASSIGNMENTS)


def kept_by_slurm(environment: Mapping[str, str]) -> str:
    """Return the GPUs that SLURM keeps for the job, as it names them, "" where it keeps none."""
    if "SLURM_JOB_ID" not in environment:
        return ""
    named = [_named(environment, variable) for variable in ASSIGNMENTS]
    return ",".join(next(filter(None, named), []))


def claim(count: int, folder: Path | None = None) -> int:
    """Return the number of a GPU, of ``count`` visible ones, that no other job of this user holds;
    wait where all are taken.

    The lock is an flock on a file in ``folder`` (default: the system's temporary folder) and ends
    with the process, however it ends; the files stay. A process that holds a GPU gets the same
    again. Raises InputError where there is no GPU or a lock file cannot be opened.
    """
    if _held:
        return next(iter(_held))
    if count < 1:
        raise InputError(
            "no GPU to claim: this machine shows none; write compute.device cpu or auto"
        )
    folder = folder or Path(tempfile.gettempdir())
    paths = [folder / name for name in _lock_names(count, os.environ)]
    number = _first_free(paths)
    if number is None:
        logger.info("all %d GPUs are taken by other jobs: waiting for one", count)
    while number is None:
        time.sleep(POLL_SECONDS)
        number = _first_free(paths)
    return number


def _first_free(paths: list[Path]) -> int | None:
    """Lock the first free one of ``paths`` and return its number, or None where all are taken."""
    for number, path in enumerate(paths):
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _held[number] = file
        return number
    return None


def _open(path: Path) -> FileIO:
    """Open a lock file, made where it is missing; InputError where somebody else's file or link is
    in the way.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return FileIO(os.open(path, flags, 0o600), "r+")
    except OSError as error:
        raise InputError(
            f"{path}: no lock file can be opened here ({error.strerror}); "
            "set TMPDIR to a folder of yours"
        ) from None


def _lock_names(count: int, environment: Mapping[str, str]) -> list[str]:
    """Return a file name for each visible GPU.

    It holds the user's number, since a shared folder has files of other users; the name
    CUDA_VISIBLE_DEVICES gives the GPU, since each of two workflows that were given different GPUs
    counts its own from 0; and for the same reason the job of SLURM, which keeps jobs apart itself.
    """
    devices = [re.sub(r"\W", "-", name) for name in _named(environment, "CUDA_VISIBLE_DEVICES")]
    if len(devices) != count:
        devices = list(map(str, range(count)))
    job = f"-job{environment['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in environment else ""
    return [f"zslpipe-{os.getuid()}{job}-gpu{device}.lock" for device in devices]


def _named(environment: Mapping[str, str], variable: str) -> list[str]:
    """Return the GPUs that a variable names; -1 stands for none."""
    return [
        name.strip()
        for name in environment.get(variable, "").split(",")
        if name.strip() not in ("", "-1")
    ]


def _let_go() -> None:
    """Close the lock's file in a child that shares it: the lock is its parent's, and ends with
    that.
    """
    for file in _held.values():
        file.close()


os.register_at_fork(after_in_child=_let_go)
