"""Where a job computes: its device and threads."""

import os
import platform
from dataclasses import dataclass

import psutil
import torch
from pydantic import NonNegativeFloat

from zslpipe.machine.control_groups import memory_limits
from zslpipe.machine.errors import InputError, NotNowError
from zslpipe.machine.gpu_lock import assigned_by_scheduler, claim, kept_by_slurm
from zslpipe.machine.libraries import keep_freed_memory
from zslpipe.machine.ranges import Device, Threads


@dataclass(frozen=True)
class Compute:
    """Where a job computes; none of it belongs to what a result is."""

    device: Device = "auto"
    compile: bool = False
    checkpoint_seconds: NonNegativeFloat = 60.0
    threads: Threads = 2


def device_of(compute: Compute, ranks: int = 1) -> torch.device:
    """Return the device of a job, set its threads and let it keep what memory it frees; ``auto``
    takes a GPU where there is one.

    Of several GPUs a job takes the first that no other job holds, unless a scheduler assigned one
    or ``cuda:N`` names it. Raises InputError where ``cuda`` is asked for and missing, where this
    machine has fewer GPUs than ``ranks`` of one job that need one each, and, for ``auto`` too,
    where SLURM keeps a GPU for the job that torch cannot use.
    """
    torch.set_num_threads(compute.threads)
    keep_freed_memory()
    if compute.device != "cpu" and not torch.cuda.is_available():
        _check_unused(kept_by_slurm(os.environ))
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
    count = torch.cuda.device_count()
    if ranks > count:
        raise InputError(
            f"compute.extract_tasks is {ranks} and this machine shows {count} GPU, of which each "
            f"task takes one; write extract_tasks: {count}"
        )
    if assigned_by_scheduler(os.environ):
        return torch.device("cuda")
    number = claim(count)
    # Threads of the job would open a context on the first GPU otherwise.
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _check_unused(given: str) -> None:
    """Raise InputError where SLURM has ``given`` the job a GPU that torch cannot use: training on
    the CPU would keep it from others.
    """
    if not given:
        return
    if torch.version.cuda is None:
        why = f"this torch ({torch.__version__}) is built without CUDA: install one with it"
        why = f"{why} (--use-conda: CONDA_OVERRIDE_CUDA where environments are solved)"
    else:
        why = (
            f"no driver answers on {platform.node()}, or one too old for CUDA {torch.version.cuda}"
        )
        why = f"{why} (nvidia-smi)"
    raise NotNowError(
        f"SLURM gave this job GPU {given}, and CUDA cannot use it: {why}; or write compute.device "
        "cpu, which asks for none"
    )


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
    limits: list[int] = [psutil.virtual_memory().available]
    limits += [limit.allowed - limit.used for limit in memory_limits()]
    if "SLURM_MEM_PER_NODE" in os.environ:  # in MB
        allowed = int(os.environ["SLURM_MEM_PER_NODE"]) * 2**20
        limits.append(allowed - psutil.Process().memory_info().rss)
    return max(0, min(limits))
