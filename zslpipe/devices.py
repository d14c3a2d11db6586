"""Where and how a job computes: its device, precision and threads."""

from dataclasses import dataclass

import torch

from zslpipe.errors import InputError


@dataclass(frozen=True)
class Compute:
    """Where and how a job computes; none of it belongs to what a result is."""

    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    checkpoint_seconds: float = 60.0
    threads: int = 2


def device_of(compute: Compute) -> torch.device:
    """Return the device of a job and set its threads; ``auto`` takes a GPU where there is one. Raises InputError
    without one.
    """
    torch.set_num_threads(compute.threads)
    if compute.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if compute.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"compute.device is {compute.device!r} and this machine has no usable GPU; write cpu or auto")
    return torch.device(compute.device)
