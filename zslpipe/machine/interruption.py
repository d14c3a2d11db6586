"""A job that is told to stop (SIGTERM: a SLURM time limit, a preemption) saves where it stands and
says so.
"""

import atexit
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")
Handler = Callable[[int, FrameType | None], Any] | int | None
# BSD's sysexits.h, EX_TEMPFAIL: "try again later". Our watching parent asks SLURM for that
# (:mod:`zslpipe.machine.requeue`); Snakemake knows no exit codes.
EXIT_CODE = 75
# As a shell counts a program that SIGTERM ended: told to stop with nothing to go on from.
EXIT_CODE_NOTHING_KEPT = 128 + signal.SIGTERM
# The same of Ctrl-C.
INTERRUPTED = 128 + signal.SIGINT


class Stopped(BaseException):
    """A process was told to stop (SIGTERM); ``code`` is what it exits with. Like KeyboardInterrupt
    no Exception: a library that tries again must not swallow it.
    """

    code = EXIT_CODE_NOTHING_KEPT


class Interrupted(Stopped):
    """A job was told to stop and has kept what is done; the same command goes on from there."""

    code = EXIT_CODE


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
    with _heard_by(request.receive):
        yield request


@contextmanager
def ended_by_stop(where: str) -> Iterator[None]:
    """Let SIGTERM end the block at once by Interrupted, which says ``where``: for what cannot be
    kept half done while what came before it is kept already.
    """

    def receive(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted(f"{where}; what came before is kept and the same command goes on")

    with _heard_by(receive):
        yield


@contextmanager
def _heard_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Let ``handler`` hear SIGTERM until the block is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    after: Handler = before
    try:
        yield
    except Stopped:
        after = signal.SIG_IGN
        raise
    finally:
        signal.signal(signal.SIGTERM, after)


def hear_one_stop() -> None:
    """Let the first SIGTERM end this process by Stopped, where no block of above hears it, and hear
    of no further one while it ends.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise Stopped, this once."""
    signal.signal(number, signal.SIG_IGN)
    raise Stopped("told to stop (SIGTERM); the same command begins again where this one began")


def run_and_end(command: Callable[[], int]) -> NoReturn:
    """Run ``command`` and end this process with its exit code. Ctrl-C and SIGTERM end it without a
    traceback also where ``command`` does not hear them: while it is imported, and on its way out.
    """
    code: int | None = None
    try:
        try:
            hear_one_interrupt()
            hear_one_stop()
            code = command()
            _hear_nothing()
        except (KeyboardInterrupt, Stopped) as stop:
            if code is None:  # else its work is done
                code = stop.code if isinstance(stop, Stopped) else INTERRUPTED
            _hear_nothing()
    except (KeyboardInterrupt, Stopped):  # the other one, which came with the first
        _hear_nothing()
    end_process(INTERRUPTED if code is None else code)


def end_process(code: int) -> NoReturn:
    """End this process, whose work is done and written, at once: where torch is loaded the
    interpreter's own end takes up to a second, in which a signal to stop would end it by a
    traceback, and SIGKILL follows SIGTERM in 30.

    What libraries asked to be done at the end is done: they remove folders that they made.
    """
    _hear_nothing()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            if stream is not None:  # as where a program is started with it closed
                stream.flush()
    os._exit(code)


def _hear_nothing() -> None:
    """Ignore Ctrl-C and SIGTERM from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


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


def started(loader: Iterable[Item]) -> Iterator[Item]:
    """Return the items of a DataLoader whose workers ``obey_parent_only``: they begin with SIGTERM
    blocked, since torch starts threads in them before it calls anything of ours.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent_only(worker: int) -> None:
    """Let SIGTERM end this worker only where its parent sends it.

    SLURM sends it to every process of a job. A training then finishes its step and saves, an
    extraction its block, which they cannot where their workers are gone. Where the parent is
    killed, the worker ends too, which would complain of it by a traceback. For a DataLoader's
    ``worker_init_fn``, where it is :func:`started`.
    """
    # They cost a command that has no workers its time.
    from multiprocessing import current_process, parent_process

    from zslpipe.machine.watched import end_with

    parent = parent_process()
    if parent is None or parent.pid is None:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # One that a server started, Python's default from 3.14 on, is left to its library.
    if parent.pid == os.getppid() and sys.platform == "linux":
        end_with(parent.pid, signal.SIGTERM)
    told, name = (parent.pid, _folder_of(current_process())), f"stop of worker {worker}"
    threading.Thread(target=_end_when_told, args=told, name=name, daemon=True).start()


def _end_when_told(parent: int, parents: str | None) -> None:
    """End the process when its parent sends SIGTERM, or the system because the parent has ended
    (blocked in all threads), and remove its sockets, but for those in the folder of its parent's.
    """
    from multiprocessing import current_process

    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    folder = _folder_of(current_process())
    if folder is not None and folder != parents:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _folder_of(process: Any) -> str | None:
    """Return the folder in which multiprocessing keeps a process's sockets (util.get_temp_dir),
    None where it has made none.
    """
    folder: str | None = process._config.get("tempdir")
    return folder
