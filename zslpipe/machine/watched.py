"""A job and a small parent that speaks where the job cannot: when it is killed.

The parent is this process before anything is imported, the job its fork. The parent waits, hands
signals on, and ends with the job's exit code; if the parent is killed, the job is too. A job that
was told to stop it brings back into SLURM's queue: nothing else lives until then for sure.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from zslpipe.machine.interruption import EXIT_CODE, EXIT_CODE_NOTHING_KEPT

# What whoever knows the parent alone may send to end a job or to speak with it.
HANDED_ON = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
# prctl.h: the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1
# Why a job ends so that neither it nor a user ended it.
CRASHES = {
    signal.SIGSEGV: "a library crashed",
    signal.SIGABRT: "a library gave up",
    signal.SIGBUS: "a file that it reads was cut, or its disk or /dev/shm is full",
    signal.SIGILL: "a library was built for another processor",
    signal.SIGFPE: "a library divided by zero",
}


def watched(job: Callable[[], int]) -> int:
    """Return what ``job`` returns, run in a child; 128 + n where signal n ended it, as a shell
    counts, and after SIGKILL or a crash a line that says why.

    Called before anything else, since a fork copies what is there. In the child this returns what
    ``job`` returns, too. Elsewhere than on Linux the job runs in this process.
    """
    if sys.platform != "linux":
        return job()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*HANDED_ON, signal.SIGCHLD})
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return job()
    status, usage = _awaited(child)
    code = os.WEXITSTATUS(status)
    if os.WIFSIGNALED(status):
        _say(signal.Signals(os.WTERMSIG(status)), usage.ru_maxrss * 1024)
        code = 128 + os.WTERMSIG(status)
    if code in (EXIT_CODE, EXIT_CODE_NOTHING_KEPT):
        _go_on_later(kept=code == EXIT_CODE)
    return code


def end_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Let this process get a signal when ``parent`` ends, which is killed by it as a rule."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(by))
    if os.getppid() != parent:  # it had ended before
        os._exit(128 + signal.SIGKILL)


def _awaited(child: int) -> tuple[int, resource.struct_rusage]:
    """Return how a child ended and what it used, signals handed on to it until then."""
    while True:
        received = signal.sigwaitinfo({*HANDED_ON, signal.SIGCHLD})
        if received.si_signo == signal.SIGCHLD:
            ended, status, usage = os.wait4(child, os.WNOHANG)
            if ended:
                return status, usage
        # A terminal sends to all of its processes itself (code above 0: by the kernel).
        elif received.si_code <= 0:
            os.kill(child, received.si_signo)


def _go_on_later(kept: bool) -> None:
    """Have SLURM start a job again that was told to stop, where it is SLURM's."""
    from zslpipe.machine.requeue import requeued

    line = requeued(kept, os.environ)
    if line:
        _write(line)


def _say(ended_by: signal.Signals, peak: int) -> None:
    """Write why a job was ended by a signal, where nobody else does."""
    from zslpipe.machine.endings import MORE_MEMORY, SMALLER, gigabytes
    from zslpipe.machine.failures import record_failure

    if ended_by == signal.SIGKILL:
        reached = f"its largest process had reached {gigabytes(peak)}"
        limit = f"of the {gigabytes(allowed_memory())} that it may have"
        why = f"most likely out of memory ({reached} {limit}), if nobody did it by hand"
        line = f"killed (SIGKILL): {why}; {MORE_MEMORY}{SMALLER}"
    elif ended_by in CRASHES:
        line = f"ended by {ended_by.name}: {CRASHES[ended_by]}; run again with --debug to see where"
    else:
        return
    if record_failure(sys.argv[1:], line, 128 + ended_by):
        return
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    _write(f"error: {(words or ['zslpipe'])[0]}: {line}")


def _write(line: str) -> None:
    """Write a line as the job's own log is written, and where that is kept."""
    import logging

    from zslpipe.machine.kept_log import LOG_VARIABLE, keep

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    logging.getLogger("zslpipe").info("%s", line)
    keep(line, os.environ.get(LOG_VARIABLE, ""))


def allowed_memory(root: Path | None = None, own: Path | None = None) -> int:
    """Return how many bytes a job may have: the machine's, or less where SLURM, a control group or
    one that holds it says so.
    """
    from zslpipe.machine.control_groups import GROUPS, OWN, memory_limits

    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    if "SLURM_MEM_PER_NODE" in os.environ:  # in MB
        limits.append(int(os.environ["SLURM_MEM_PER_NODE"]) * 2**20)
    limits += [limit.allowed for limit in memory_limits(root or GROUPS, own or OWN)]
    return min(limits)
