"""A job that is told to stop (SIGTERM: a SLURM time limit, a preemption) saves where it stands and
says so.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# BSD's sysexits.h, EX_TEMPFAIL: "try again later". A SLURM site can list it under RequeueExit;
# Snakemake's ``retries`` submits the job again whatever the code.
EXIT_CODE = 75


class InterruptedTraining(Exception):
    """A training was told to stop and has saved its checkpoint; the same command goes on from
    there.
    """


class StopRequest:
    """Whether the process has been told to stop."""

    def __init__(self) -> None:
        self.made = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; the loop looks after its step, when weights and optimiser agree."""
        self.made = True


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Give a StopRequest that SIGTERM sets, until the block is left (only the main thread can
    listen).
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request.receive)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
