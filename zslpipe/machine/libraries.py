"""How the C libraries beneath torch use the machine: no core spins, no page is cleared twice."""

import ctypes
import os
import sys

# Numbers of mallopt (glibc's malloc.h): how much free memory there is before some goes back to the
# system, and how many pieces may be mapped one by one.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


def sleep_while_waiting() -> None:
    """Let threads of OpenMP sleep where they wait for each other, unless the environment says
    otherwise; before torch is imported.

    They spin otherwise: where readers or other jobs share the cores, a thread that waits for one
    that has no core keeps the next from getting it (2.4 times the CPU time of a forward pass on two
    cores with others at work).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees for what it takes next (glibc; nothing
    elsewhere).

    A network's maps are too large for glibc to keep: each is mapped, filled with zeros page by page
    as it is written, and given back, batch after batch: 38 % of the CPU time of MobileNetV2's
    forward pass in a virtual machine, 17 % of ResNet-101's, 20 % of a training step. The peak grows
    by up to 4 % (measured, too, for ResNet-18 and training; DenseNet-121's, of many sizes, by 23).
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    try:
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)
    except AttributeError:  # another C library (musl)
        return
