"""Where a job computes: its device and threads."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from pydantic import NonNegativeFloat

from zslpipe.machine.errors import InputError
from zslpipe.machine.gpu_lock import assigned_by_scheduler, claim
from zslpipe.machine.ranges import Device, Threads


@dataclass(frozen=True)
class Compute:
    """Where a job computes; none of it belongs to what a result is."""

    device: Device = "auto"
    compile: bool = False
    checkpoint_seconds: NonNegativeFloat = 60.0
    threads: Threads = 2
    storage: Literal["hdf5", "zarr"] = "hdf5"


def device_of(compute: Compute) -> torch.device:
    """Return the device of a job and set its threads; ``auto`` takes a GPU where there is one.

    Of several GPUs a job takes the first that no other job holds, unless a scheduler assigned one
    or ``cuda:N`` names it. Raises InputError where ``cuda`` is asked for and missing.
    """
    torch.set_num_threads(compute.threads)
    if compute.device == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    if compute.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f"compute.device is {compute.device!r} and this machine has no usable GPU; "
            "write cpu or auto"
        )
    if compute.device.startswith("cuda:"):
        _check_number(compute.device)
    if compute.device.startswith("cuda:") or compute.device == "cpu":
        return torch.device(compute.device)
    if assigned_by_scheduler(os.environ):
        return torch.device("cuda")
    number = claim(torch.cuda.device_count())
    # Threads of the job would open a context on the first GPU otherwise.
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _check_number(device: str) -> None:
    """Raise InputError for the number of a GPU that this machine does not have."""
    count = torch.cuda.device_count()
    if int(device.removeprefix("cuda:")) >= count:
        last = f"cuda:{count - 1}"
        raise InputError(
            f"compute.device is {device!r} and this machine has {count} GPU, up to {last}; write "
            "that of one, or cuda for the first that is free"
        )


def free_memory(device: torch.device) -> int:
    """Return the bytes a job can still take: of the GPU; on a CPU the machine's, or less where
    SLURM or a control group limits the job.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits: list[int] = [psutil.virtual_memory().available, *_control_group_free()]
    if "SLURM_MEM_PER_NODE" in os.environ:  # in MB
        allowed = int(os.environ["SLURM_MEM_PER_NODE"]) * 2**20
        limits.append(allowed - psutil.Process().memory_info().rss)
    return max(0, min(limits))


def _control_group_free(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """Return the bytes left in the process's control group (version 2), an empty list where none
    limits it.
    """
    if not own.is_file():
        return []
    group = own.read_text().strip().rsplit("::", 1)[-1].lstrip("/")
    limit, used = root / group / "memory.max", root / group / "memory.current"
    if not limit.is_file() or limit.read_text().strip() == "max":
        return []
    return [int(limit.read_text()) - int(used.read_text())]
