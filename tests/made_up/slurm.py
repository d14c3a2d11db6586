"""A SLURM of one node on this machine, in a folder of its own: munged, slurmctld and slurmd started
by hand with a configuration, ports and state that nothing else uses, and stopped with their jobs.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.made_up.checkouts import Checkout

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
DAEMONS = ("munged", "slurmctld", "slurmd")
# Where Debian keeps daemons; not on everybody's path.
ADMINISTRATION = "/usr/sbin"
PATIENCE = 60  # seconds for a daemon to answer, and for jobs to leave
# CPUs, memory and GPUs are claimed, not looked for: jobs ask for more than a small machine has. Any
# device file passes for a GPU. A job that is cut off gets KillWait seconds after SIGTERM. A job
# that is requeued waits until its credential has expired: two minutes by default, here five
# seconds.
CONFIGURATION = """\
ClusterName=zslpipe
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=20
OverTimeLimit=0
GresTypes=gpu
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=200000 Gres=gpu:1
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


# Snakemake looks at its jobs after 3 s, then after 13 more, 23 more, ... (the plugin adds ten
# seconds to each interval in which nothing ended); by itself it begins at 40.
THROUGH_SLURM = (
    *("--profile", "workflow/profiles/slurm"),
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"),
)
# Seconds that a run through SLURM may take.
LONGEST = 1200


class NotStartedError(Exception):
    """The daemons do not work on this machine; with the last that was said."""


@dataclass(frozen=True)
class Submission:
    """A run of Snakemake that submits jobs, and the file of what it says."""

    process: subprocess.Popen[str]
    said: Path

    @property
    def text(self) -> str:
        """Return what was said up to here."""
        return self.said.read_text(encoding="utf8")

    @property
    def submitted(self) -> list[str]:
        """Return the numbers of the jobs that were submitted."""
        return re.findall(r"has been submitted with SLURM jobid (\d+)", self.text)

    @property
    def has_ended(self) -> bool:
        """Return whether Snakemake has ended."""
        return self.process.poll() is not None

    def ended(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(LONGEST)


@dataclass(frozen=True)
class Cluster:
    """A running SLURM: its folder, and the environment in which its commands find it."""

    folder: Path
    environment: dict[str, str]

    def told(self, *command: str) -> str:
        """Return what a command of SLURM says."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def running(self, comment: str) -> list[str]:
        """Return the numbers of running jobs whose comment, Snakemake's rule and wildcards, holds a
        text.
        """
        lines = self.told("squeue", "--noheader", "--states=R", "--format=%A|%k").splitlines()
        return [line.split("|")[0] for line in lines if comment in line.split("|", 1)[1]]

    def job(self, number: str) -> dict[str, str]:
        """Return what SLURM says of a job: JobState, TimeLimit, TresPerJob, ..."""
        fields = self.told("scontrol", "show", "job", "--oneliner", number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)


def missing() -> str:
    """Return why no cluster can be started here; "" where one can."""
    folders = os.pathsep.join((os.environ.get("PATH", ""), ADMINISTRATION))
    absent = [name for name in (*DAEMONS, *COMMANDS) if shutil.which(name, path=folders) is None]
    if absent:
        return f"no {', '.join(absent)} here (Debian: apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started as root"


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a SLURM of one node, of 8 claimed CPUs and 1 claimed GPU, as long as the block runs.

    Raises NotStartedError where its daemons are here and do not answer.
    """
    folder.mkdir(mode=0o755)
    path = os.pathsep.join((str(folder / "bin"), os.environ["PATH"], ADMINISTRATION))
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    _configure(folder)
    _write_commands(folder)
    found = Cluster(folder, environment)
    with ExitStack() as daemons:
        daemons.enter_context(_munged(folder, environment))
        daemons.enter_context(_daemon(found, "slurmctld", "-D", "-i"))
        _answers(found, "scontrol", "ping")
        daemons.enter_context(_daemon(found, "slurmd", "-D", "-N", "node"))
        _answers(found, "srun", "--immediate=10", "true")
        daemons.callback(_emptied, found)
        yield found


def _configure(folder: Path) -> None:
    """Write the configuration, munge's key and the folders of state."""
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(host=host, folder=folder, ports=_free_ports(2))
    (folder / "slurm.conf").write_text(text, encoding="utf8")
    gpus = "NodeName=node Name=gpu Count=1 File=/dev/null\n"
    (folder / "gres.conf").write_text(gpus, encoding="utf8")
    # Named, and used by none of the plugins above: looking for one fails in a container without.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="utf8")
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir(mode=0o755)


def _write_commands(folder: Path) -> None:
    """Write commands that find this cluster: Snakemake's jobs drop SLURM's variables, and a site's
    configuration stands in /etc.
    """
    (folder / "bin").mkdir()
    for name in COMMANDS:
        script = f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which(name)} "$@"\n'
        (folder / "bin" / name).write_text(script, encoding="utf8")
        (folder / "bin" / name).chmod(0o755)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _munged(folder: Path, environment: dict[str, str]) -> "Iterator[None]":
    """Run munged in the foreground, with its key, socket and logs in the folder."""
    names = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder}/munge.{suffix}" for option, suffix in names.items()]
    # --force: the folders above belong to whoever runs the tests
    command = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key", *options]
    return _process(command, environment, folder / "munge.said")


def _daemon(found: Cluster, *command: str) -> "Iterator[None]":
    """Run a daemon of SLURM in the foreground."""
    said = found.folder / f"{command[0]}.said"
    return _process(list(command), found.environment, said)


@contextmanager
def _process(command: list[str], environment: dict[str, str], said: Path) -> Iterator[None]:
    """Run a program as long as the block runs, and no longer than this process."""
    with said.open("w", encoding="utf8") as stream:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", *command],
            env=environment,
            stdout=stream,
            stderr=stream,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(found: Cluster, *command: str) -> None:
    """Wait until a command of SLURM succeeds."""
    end, said = time.monotonic() + PATIENCE, ""
    while time.monotonic() < end:
        try:
            done = subprocess.run(
                command, env=found.environment, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return
        said = done.stdout + done.stderr
        time.sleep(0.2)
    logs = [path.read_text(errors="replace")[-2000:] for path in found.folder.glob("*.log")]
    raise NotStartedError("\n".join((f"{' '.join(command)}: no success", said, *logs)))


@contextmanager
def submitting(checkout: Checkout, *arguments: str) -> Iterator["Submission"]:
    """Run Snakemake with the unedited profile for SLURM, which it asks about jobs every few
    seconds, as long as the block runs.
    """
    said = checkout.folder / "said.txt"
    with said.open("w", encoding="utf8") as stream:
        run = checkout.started(*THROUGH_SLURM, *arguments, stream=stream)
        try:
            yield Submission(run, said)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait(PATIENCE)


def _emptied(found: Cluster) -> None:
    """Cancel every job and wait until none is left: a job outlives the daemon that started it."""
    found.told("scancel", "--user=root")
    end = time.monotonic() + PATIENCE
    while found.told("squeue", "--noheader").strip() and time.monotonic() < end:
        time.sleep(0.2)
