"""A job of SLURM that was told to stop asks to be started again, by ``scontrol requeue``: the same
job, later, with the same limits and no attempt of Snakemake's used up.

SLURM itself starts again what its nodes lose (``--requeue``); a time limit or a warning before a
preemption it leaves to the job. The executor sees the job as COMPLETING, then PENDING: still to
come. Tried with SLURM 22.05: at a time limit, too, a job may ask until KillWait is over.
"""

import subprocess
from collections.abc import Mapping
from datetime import datetime

from zslpipe.machine.ranks import has_launcher

# Set by the Snakefile in jobs that its executor has submitted: nobody else's job, in whose script
# Snakemake runs, is started again behind its owner's back.
OURS = "ZSLPIPE_REQUEUE"
# Times that SLURM has started a job again when it no more asks (ours): a job that is never done is
# told of.
MOST_RESTARTS = 20
# A stop this near to a job's end is its time limit (ours): sbatch --signal may warn before it.
WARNING_SECONDS = 900
PATIENCE = 20  # seconds for SLURM to answer (ours): KillWait is 30 s as a rule


def requeued(kept: bool, environment: Mapping[str, str]) -> str:
    """Ask SLURM to start this process's job again where it submitted it and is not ending it for
    good; return what to say of it, "" where the process is in no such job, or one of its ranks:
    what stopped a rank, a fault of another one too, its launcher knows.

    ``kept``: whether there is something to go on from. Without that a job that has reached its time
    limit would reach it again: it fails, and the next attempt has more time.
    """
    job = environment.get("SLURM_JOB_ID", "")
    if not job or environment.get(OURS) != "1" or has_launcher(environment):
        return ""
    told = _asked("show", "job", "--oneliner", job)
    if told.returncode != 0:
        return f"SLURM job {job} is not requeued: {_last_line(told.stderr)}"
    fields = dict(field.split("=", 1) for field in told.stdout.split() if "=" in field)
    refusal = _refusal(fields, kept)
    if refusal:
        return f"SLURM job {job} is not requeued: {refusal}"
    done = _asked("requeue", job)
    if done.returncode != 0:
        return f"SLURM job {job} is not requeued: {_last_line(done.stderr)}"
    rest = "goes on where it stopped" if kept else "begins again"
    return f"SLURM job {job} is requeued: it {rest} when SLURM starts it"


def _asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return how ``scontrol`` ended, with an answer of our own where it cannot be asked."""
    command = ["scontrol", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"scontrol does not answer ({error})")


def _last_line(said: str) -> str:
    """Return the last line of what a command said, where it says why it gives up."""
    return (said.strip().splitlines() or ["scontrol gives no reason"])[-1]


def _refusal(fields: Mapping[str, str], kept: bool) -> str:
    """Return why a job, as SLURM shows it, is not to be started again; "" where it is.

    A job that is cancelled has left RUNNING for COMPLETING when it is told to stop; so has one at
    its time limit, but that is the reason that SLURM gives.
    """
    state, reason = fields.get("JobState", ""), fields.get("Reason", "")
    at_limit = reason == "TimeLimit" or _seconds_left(fields) < WARNING_SECONDS
    if state != "RUNNING" and reason != "TimeLimit":
        return f"SLURM has it as {state or 'unknown'} already (cancelled, or requeued)"
    if at_limit and not kept:
        return "it reached its time limit with nothing to go on from; give it more (runtime)"
    if int(fields.get("Restarts", "0")) >= MOST_RESTARTS:
        return f"it was {MOST_RESTARTS} times; give it more time (runtime)"
    return ""


def _seconds_left(fields: Mapping[str, str]) -> float:
    """Return the seconds until a job's end, without end where SLURM names none."""
    try:
        return (datetime.fromisoformat(fields["EndTime"]) - datetime.now()).total_seconds()
    except (KeyError, ValueError):
        return float("inf")
