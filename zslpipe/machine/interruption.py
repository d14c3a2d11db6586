"""A job that is told to stop (SIGTERM: a SLURM time limit, a preemption) saves where it stands and
says so.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | None
# BSD's sysexits.h, EX_TEMPFAIL: "try again later". A SLURM site can list it under RequeueExit;
# Snakemake's ``retries`` submits the job again whatever the code.
EXIT_CODE = 75


class Interrupted(Exception):
    """A job was told to stop and has kept what is done; the same command goes on from there."""


class InterruptedTraining(Interrupted):
    """A training was told to stop and has saved its checkpoint."""


class InterruptedExtraction(Interrupted):
    """An extraction was told to stop and has written its blocks up to here."""


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
    listen). Where the block ends in Interrupted, the process is about to end and hears no more of
    it: a scheduler may send it to every process of a job, and again.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request.receive)
    after: Handler = before
    try:
        yield request
    except Interrupted:
        after = signal.SIG_IGN
        raise
    finally:
        signal.signal(signal.SIGTERM, after)


def hear_one_interrupt() -> None:
    """Let the first Ctrl-C end this process, and hear of no further one while it ends: who stops a
    group sends it to each process, whose parents hand it on.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, this once."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def obey_parent_only(worker: int) -> None:
    """Let SIGTERM end this worker only where its parent sends it.

    SLURM sends it to every process of a job. A training then finishes its step and saves, an
    extraction its block, which they cannot where their workers are gone. For a DataLoader's
    ``worker_init_fn``.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_parent, name=f"stop of worker {worker}", daemon=True).start()


def _wait_for_parent() -> None:
    """End the process when its parent sends SIGTERM (blocked in all threads)."""
    from multiprocessing import parent_process  # costs a command that has no workers its time

    parent = parent_process()
    while parent is not None and signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
        pass
    os._exit(0)
