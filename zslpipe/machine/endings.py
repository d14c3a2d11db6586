"""What a machine refuses or runs out of, in one line with place and remedy: how a command ends that
did nothing wrong. Imports no library: what torch and h5py raise is known by its text.
"""

import errno
import os
import re
import resource
import socket
import sys
from collections.abc import Iterator
from urllib.error import URLError

from zslpipe.machine.errors import one_line

IN_USE = "another process has it open or locked: wait for its end and run again"
NO_RIGHT = "give yourself the right to it (ls -l), or name another folder"
TOO_MANY = "raise the limit (ulimit -n 4096) or take fewer threads, and run again"
FREE_SPACE = "free some there, or name another folder, and run again; what is complete is kept"
LOST = "look at the mount and the disk (dmesg), and run again; what is complete is kept"
# What to do where the system refuses, by its number.
REMEDIES = {
    errno.ENOSPC: FREE_SPACE,
    errno.EDQUOT: FREE_SPACE,
    errno.EFBIG: "the file system or a limit (ulimit -f) takes no larger file",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
    errno.EMFILE: TOO_MANY,
    errno.ENFILE: "the whole machine has too many files open: end other programs, and run again",
    errno.EIO: LOST,
    errno.ESTALE: LOST,
    errno.ENXIO: LOST,
    errno.ENODEV: LOST,
    errno.EAGAIN: IN_USE,
    errno.EBUSY: IN_USE,
    errno.ETXTBSY: IN_USE,
    errno.ENOLCK: "this file system has no locks: set HDF5_USE_FILE_LOCKING=FALSE, and run again",
    errno.ENOENT: "it was there before, or its folder was: see who removed it, and run again",
    errno.ENOTDIR: "a file stands where a folder should: move it, or name another folder",
    errno.EISDIR: "a folder stands where a file should: move it, or name another file",
    errno.EEXIST: "something else stands there: move it, or name another",
    errno.ENOTEMPTY: "something else stands there: move it, or name another",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle",
}
# The network: no way to a machine, or no answer.
UNREACHABLE = (
    *(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT),
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN),
)
# What other faults follow from: what fails after one of these fails because of it.
EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)

# Texts of torch 2.14 for memory that is refused, of the CPU and of a GPU.
NO_MEMORY = re.compile(
    r"DefaultCPUAllocator|Caught \w*MemoryError|can't allocate memory|Cannot allocate memory"
    r"|std::bad_alloc|out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
)
OF_A_GPU = re.compile(r"CUDA|CUBLAS|CUDNN|\bGPU\b")
ASKED_FOR = re.compile(r"(?:tried to|Tried to|Unable to) allocate ([\d.]+) ?(\w+)")
# torch.utils.data: a worker that reads images has died.
WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:is killed|exited)")
BY_SIGNAL = re.compile(r"is killed by signal: ([\w ]+)\.")
SHARED = re.compile(r"shared memory|Bus error|/torch_\d+|unable to (?:mmap|write to file)")
# A number in what h5py says, or in what a DataLoader tells of its worker's OSError.
NUMBER = re.compile(r"\[Errno (\d+)\]|errno = (\d+)")

MORE_MEMORY = "give the job more (mem_mb of its rule, --mem of SLURM), or take fewer threads or a "
SMALLER = "smaller batch_size"


def machine_fault(error: BaseException) -> str | None:
    """Return the line for an error that the machine is to blame for, None for one of ours.

    An error also counts that came of a full disk or of missing memory while that was handled.
    """
    said = " ".join(map(str, _causes(error)))
    worker = WORKER.search(said) if isinstance(error, RuntimeError) else None
    if worker:
        return _worker_died(said)
    for cause in _causes(error):
        exhausted = isinstance(cause, MemoryError) or error_number(cause) in EXHAUSTED
        told = _told(cause) if cause is error or exhausted else None
        if told:
            return told
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from or during, the newest first."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


def error_number(error: BaseException) -> int | None:
    """Return the system's number of an error, its own or the one that its text tells."""
    if not isinstance(error, OSError):
        return None
    told = NUMBER.search(str(error))
    return error.errno or (int(told[1] or told[2]) if told else None)


def _told(error: BaseException) -> str | None:
    """Return the line for one error, without what it came of."""
    said = str(error)
    if isinstance(error, OSError):
        return _refused(error, error_number(error))
    if isinstance(error, MemoryError):
        return _out_of_memory(said)
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("zslpipe"):
        here = f"of {sys.prefix}"
        return f"the Python {here} has no module {error.name!r}: install what pyproject.toml lists"
    if isinstance(error, ImportError) and "failed to map segment" in said:
        return _out_of_memory(said)
    if not isinstance(error, RuntimeError):
        return None
    for number in (errno.EMFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO):
        if os.strerror(number) in said:
            place = "/dev/shm (shared memory)" if SHARED.search(said) else "output"
            return f"{place}: {os.strerror(number)}; {REMEDIES[number]}"
    return _out_of_memory(said) if NO_MEMORY.search(said) else None


def _refused(error: OSError, number: int | None) -> str | None:
    """Return the line for a number of the system; None for one that tells of a fault of ours."""
    if isinstance(error, URLError | socket.gaierror | TimeoutError) or number in UNREACHABLE:
        there = "do it once where there is a network, or give a file on this machine"
        return f"the network does not answer ({one_line(error)}); {there}"
    if number == errno.ENOMEM:
        return _out_of_memory(str(error))
    if number not in REMEDIES:
        return None
    place = error.filename2 or error.filename or "output"
    return f"{place}: {os.strerror(number)}; {REMEDIES[number]}"


def _out_of_memory(said: str) -> str:
    """Return the line for memory that was refused, with what was asked for and the peak so far."""
    asked = ASKED_FOR.search(said)
    amount = f" when {asked[1]} {asked[2]} more were asked for" if asked else ""
    if OF_A_GPU.search(said):
        rest = "end other jobs on it (nvidia-smi), or take a "
        return f"the GPU is out of memory{amount}; {rest}{SMALLER}"
    peak = gigabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return f"out of memory{amount}, having reached {peak}; {MORE_MEMORY}{SMALLER}"


def _worker_died(said: str) -> str:
    """Return the line for a process that reads images and was killed."""
    what = "a process that reads images was killed"
    signal = BY_SIGNAL.search(said)
    if signal and signal[1] == "Bus error":
        more = "give the container more (docker run --shm-size=8g)"
        return f"{what}: no room in /dev/shm, its shared memory; {more}, or take a {SMALLER}"
    by = f" ({signal[1]})" if signal else ""
    return f"{what}{by}, most likely for want of memory; {MORE_MEMORY}{SMALLER}"


def gigabytes(count: float) -> str:
    """Return bytes as gigabytes, "3.2 GB"."""
    return f"{count / 1e9:.1f} GB"
