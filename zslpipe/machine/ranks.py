"""The processes of one job that do a part of it each, its ranks: who they are, and their launcher.

A job of N ranks is N times the same command. Rank 0 leads: it creates what is written, waits for
the others and completes it. ``srun -n N COMMAND`` makes such ranks, which know themselves by
SLURM_PROCID and SLURM_NTASKS. A command that is no rank and is told to run as N is a launcher,
which imports no torch and makes no file: in a job of SLURM it starts srun, elsewhere N processes on
this machine that know themselves by the variables below and share its threads. The launcher hands
SIGTERM on; where one rank ends by a fault it stops all others, waits until they have, and says in
one line which and why: its ranks leave that to it (:mod:`zslpipe.machine.failures`). Where the
launcher is killed, its ranks are.

The number of ranks is no part of what a job makes.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zslpipe.machine.errors import InputError, NotNowError
from zslpipe.machine.files import work_folder
from zslpipe.machine.interruption import EXIT_CODE, Interrupted, StopRequest, stop_requests
from zslpipe.machine.watched import end_with

# What the launcher tells its ranks: the run's name, which all share and no other run has, and to
# those that it starts itself their number and how many they are.
RUN, NUMBER, COUNT = "ZSLPIPE_RUN", "ZSLPIPE_RANK", "ZSLPIPE_RANKS"
# Numbers from here on are no steps of srun but SLURM's own, such as the batch script (slurm.h).
SPECIAL_STEPS = 0xFFFFFFF0
# How often a launcher looks after its ranks, and how long they may take to stop before they are
# killed (ours: a batch on a slow CPU takes seconds, a block on a slow disk a minute).
LOOK_SECONDS, STOP_SECONDS = 0.2, 120.0
# Exit codes of a rank that did what it was told: by SIGTERM before or after it listens.
STOPPED = (0, EXIT_CODE, -signal.SIGTERM, 128 + signal.SIGTERM)


@dataclass(frozen=True)
class Rank:
    """The rank ``number`` of ``count`` of the run of the name ``run``; ``shares``: they share the
    threads that the command names, as on one machine where nobody gives each its own.
    """

    number: int = 0
    count: int = 1
    run: str = ""
    shares: bool = False

    def threads(self, given: int) -> int:
        """Return this rank's part of the ``given`` threads."""
        return max(1, given // self.count) if self.shares else given


# A job of one process.
ALONE = Rank()


def own_rank(environment: Mapping[str, str]) -> Rank | None:
    """Return which rank this process is, None where it is none: by a launcher's variables, or those
    of a step of SLURM with several tasks, whose run a launcher may have named.
    """
    if NUMBER in environment:
        number, count = int(environment[NUMBER]), int(environment[COUNT])
        return Rank(number, count, environment[RUN], shares=True)
    step, tasks = environment.get("SLURM_STEP_ID", ""), environment.get("SLURM_NTASKS", "1")
    if not step.isdigit() or int(step) >= SPECIAL_STEPS or int(tasks) < 2:
        return None
    # A job that was put back into the queue counts its steps from 0 again, and where Snakemake runs
    # in it (the executor slurm-jobstep) a step is not told how often.
    of_slurm = (environment["SLURM_JOB_ID"], step, environment.get("SLURM_RESTART_COUNT", "0"))
    run = environment.get(RUN, ".".join(of_slurm))
    return Rank(int(environment["SLURM_PROCID"]), int(tasks), run)


def has_launcher(environment: Mapping[str, str]) -> bool:
    """Return whether a launcher tells how this process ends."""
    return RUN in environment


def failure_note(output: Path, number: int) -> Path:
    """Return where a rank of the job that makes ``output`` leaves how and why it ends: a JSON
    object of ``code``, ``message`` and whether it ``refused`` an input.
    """
    return work_folder(output) / f"failed.{number}.json"


def launch(
    command: Sequence[str], count: int, threads: int, output: Path, with_gpu: bool = False
) -> None:
    """Run ``command``, which makes ``output``, as ``count`` ranks and wait until all have ended; by
    srun with ``threads`` CPUs and, if asked for, a GPU a rank.

    Raises InputError where one of them refuses an input, NotNowError where it fails otherwise,
    Interrupted where they were told to stop.
    """
    _notes(output, count)
    named = {RUN: uuid.uuid4().hex}
    with stop_requests() as request:
        if "SLURM_JOB_ID" in os.environ:
            ranks = [_start([*_srun(count, threads, with_gpu), *command], named)]
        else:
            told = [{**named, NUMBER: str(rank), COUNT: str(count)} for rank in range(count)]
            ranks = [_start(command, variables) for variables in told]
        try:
            _wait(ranks, request)
        except KeyboardInterrupt:
            request.made = True
            _wait(ranks, request)
            _notes(output, count)
            raise
        codes, notes = [rank.returncode for rank in ranks], _notes(output, count)
        if any(codes):
            _tell(codes, notes, count, request.made)


def _wait(ranks: Sequence[subprocess.Popen[bytes]], request: StopRequest) -> None:
    """Wait until all ranks have ended; as soon as one ends by a fault, or this process is told to
    stop, tell all to.
    """
    stopping: float | None = None
    while None in (codes := [rank.poll() for rank in ranks]):
        if stopping is None:
            if request.made or any(codes):
                _send(ranks, signal.SIGTERM)
                stopping = time.monotonic()
        elif time.monotonic() - stopping > STOP_SECONDS:
            _send(ranks, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)


def _start(command: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one ends."""
    launcher = os.getpid()

    def bind() -> None:
        end_with(launcher)

    environment = {**os.environ, **variables}
    bound = bind if sys.platform == "linux" else None
    return subprocess.Popen(command, env=environment, preexec_fn=bound)


def _srun(count: int, threads: int, with_gpu: bool) -> list[str]:
    """Return the words that start a command as ranks in a job of SLURM (its manual of srun): where
    one ends by a fault the others are stopped; and in the job's resources even where another step
    of it, such as the workflow's own, holds them.
    """
    words = ["srun", f"--ntasks={count}", f"--cpus-per-task={threads}", "--kill-on-bad-exit=1"]
    return [*words, "--overlap", *(["--gpus-per-task=1"] if with_gpu else [])]


def _send(ranks: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    """Send a signal to the ranks that have not ended."""
    for rank in ranks:
        if rank.poll() is None:
            rank.send_signal(number)


@dataclass(frozen=True)
class Note:
    """The exit code and word of a rank; ``refused``: trying again does not mend it."""

    code: int
    message: str
    refused: bool


def _notes(output: Path, count: int) -> dict[int, Note]:
    """Return what each rank that left a note said, and remove them."""
    found = {}
    for number in range(count):
        note = failure_note(output, number)
        with suppress(FileNotFoundError):
            told = json.loads(note.read_text(encoding="utf-8"))
            found[number] = Note(int(told["code"]), str(told["message"]), bool(told["refused"]))
            note.unlink()
    with suppress(OSError):  # there are blocks in it, or it is not there
        work_folder(output).rmdir()
    return found


def _tell(codes: Sequence[int], notes: Mapping[int, Note], count: int, told_to_stop: bool) -> None:
    """Raise what the exit codes of the ranks, or the one of srun, and their words stand for; of
    several faults that of the first rank.
    """
    faults = {number: note for number, note in notes.items() if note.code not in STOPPED}
    failed = {number: note.message for number, note in faults.items()}
    if len(codes) == count:
        for number, code in enumerate(codes):
            if code not in STOPPED:
                failed.setdefault(number, _ended(code))
    if told_to_stop or not (failed or set(codes) - set(STOPPED)):
        stopped = "told to stop: the same command goes on from what is done"
        raise Interrupted(notes[0].message if 0 in notes else stopped)
    first = min(failed, default=-1)
    raised = InputError if first in faults and faults[first].refused else NotNowError
    if first == 0 and first in faults:  # whatever one process could meet
        raise raised(failed[first])
    who, why = f"rank {first} of {count}", failed.get(first, "")
    if first < 0:
        who, why = "srun", _ended(codes[0])
    raise raised(
        f"{who}: {why}. The others have stopped; what is done is kept, and the same command goes "
        "on from there, with as many ranks as you like"
    )


def _ended(code: int) -> str:
    """Return what an exit code says of a process that left no word."""
    number = -code if code < 0 else code - 128
    if number in set(signal.Signals):
        return f"ended by {signal.Signals(number).name}"
    return f"ended with exit code {code}"
