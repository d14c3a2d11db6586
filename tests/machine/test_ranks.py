"""Which rank a process is, how a launcher starts ranks, and what it says of their ends."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from zslpipe.machine import ranks
from zslpipe.machine.errors import InputError, NotNowError
from zslpipe.machine.failures import record_failure
from zslpipe.machine.files import work_folder
from zslpipe.machine.interruption import Interrupted
from zslpipe.machine.ranks import Note, Rank, failure_note, launch, own_rank

# A rank that does what its number is told to: end with a code, by a signal, or not at all.
RANK = """
import os, signal, sys, time
what = sys.argv[1:][int(os.environ["ZSLPIPE_RANK"])]
if what == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    time.sleep(60)
if what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(os.environ["DEAF"], "w").close()
    time.sleep(60)
if what == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
# One write, which no other rank's comes into, buffered or not.
sys.stdout.write(f"{os.environ['ZSLPIPE_RUN']} {os.environ['ZSLPIPE_RANKS']}\\n")
sys.stdout.flush()
sys.exit(int(what))
"""


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "ZSLPIPE_RANK", "ZSLPIPE_RUN")):
            monkeypatch.delenv(name)


def run(output: Path, *ends: str) -> None:
    launch([sys.executable, "-c", RANK, *ends], len(ends), 1, output)


def test_a_rank_is_told_by_its_launcher_or_by_a_step_of_slurm():
    assert own_rank({}) is None
    told = {"ZSLPIPE_RANK": "2", "ZSLPIPE_RANKS": "3", "ZSLPIPE_RUN": "x"}
    assert own_rank(told) == Rank(2, 3, "x", shares=True)
    job = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "SLURM_NTASKS": "4"}
    assert own_rank(job) is None  # the batch script of a job of four tasks
    assert own_rank({**job, "SLURM_STEP_ID": "4294967291"}) is None
    assert own_rank({**job, "SLURM_STEP_ID": "0"}) == Rank(1, 4, "7.0.0")
    again = {**job, "SLURM_STEP_ID": "0", "SLURM_RESTART_COUNT": "2"}
    assert own_rank(again) == Rank(1, 4, "7.0.2")
    # Snakemake's executor in a job keeps the number of restarts from its steps: the launcher's name
    # is another one each time.
    assert own_rank({**job, "SLURM_STEP_ID": "0", "ZSLPIPE_RUN": "x"}) == Rank(1, 4, "x")
    # The step in which the workflow runs a job of one task.
    assert own_rank({**job, "SLURM_STEP_ID": "0", "SLURM_NTASKS": "1"}) is None


def test_ranks_of_one_machine_share_its_threads_and_those_of_slurm_have_their_own():
    assert [Rank(0, count, "x", shares=True).threads(8) for count in (1, 3, 20)] == [8, 2, 1]
    assert Rank(0, 4, "x").threads(8) == 8


def test_a_launcher_names_the_run_and_ends_when_all_have(tmp_path, capfd):
    run(tmp_path / "x.h5", "0", "0", "0")
    lines = capfd.readouterr().out.split()
    assert len(set(lines[::2])) == 1 and lines[1::2] == ["3"] * 3
    run(tmp_path / "x.h5", "0", "0")
    assert capfd.readouterr().out.split()[0] not in lines
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        (("wait", "killed", "0"), "rank 1 of 3: ended by SIGKILL. The others have stopped"),
        (("wait", "0", "3"), "rank 2 of 3: ended with exit code 3. The others have stopped"),
        (("137", "wait"), "rank 0 of 2: ended by SIGKILL. The others have stopped"),
    ],
)
def test_where_one_rank_fails_all_stop_and_it_is_named(tmp_path, ends, line):
    with pytest.raises(InputError, match=f"^{line}; what is done is kept"):
        run(tmp_path / "x.h5", *ends)


def test_a_rank_that_was_told_to_stop_stops_all(tmp_path):
    with pytest.raises(Interrupted, match="the same command goes on from what is done"):
        run(tmp_path / "x.h5", "wait", "75")


def test_a_launcher_that_is_told_to_stop_tells_its_ranks(tmp_path, monkeypatch):
    looked = []

    def told(ranks, request):
        looked.append(True)
        os.kill(os.getpid(), signal.SIGTERM)
        wait(ranks, request)

    wait, before = ranks._wait, signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ranks, "_wait", told)
    try:
        with pytest.raises(Interrupted):
            run(tmp_path / "x.h5", "wait", "wait")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert looked == [True]


def test_after_ctrl_c_a_rank_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    started, wait, deaf = [], ranks._wait, tmp_path / "deaf"

    def interrupted(processes, request):
        started.extend(processes)
        monkeypatch.setattr(ranks, "_wait", wait)
        while not deaf.exists():
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setenv("DEAF", str(deaf))
    monkeypatch.setattr(ranks, "_wait", interrupted)
    monkeypatch.setattr(ranks, "STOP_SECONDS", 0.1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "x.h5", "0", "deaf")
    assert started[1].returncode == -signal.SIGKILL and list(tmp_path.iterdir()) == [deaf]


def test_a_rank_leaves_why_it_ends_to_its_launcher(tmp_path, monkeypatch):
    output = tmp_path / "x.h5"
    arguments = ["extract", "--output", str(output)]
    assert not record_failure(arguments, "no room", 1)  # nobody's rank says it itself
    monkeypatch.setenv("ZSLPIPE_RUN", "x")
    monkeypatch.setenv("ZSLPIPE_RANK", "1")
    monkeypatch.setenv("ZSLPIPE_RANKS", "2")
    assert record_failure(arguments, "no room", 1)
    note = failure_note(output, 1)
    told = {"code": 1, "message": "no room", "refused": False}
    assert json.loads(note.read_text()) == told
    notes = ranks._notes(output, 2)
    assert notes == {1: Note(1, "no room", False)} and not work_folder(output).exists()


def test_what_ranks_leave_is_what_their_launcher_tells():
    """Whether trying again may mend it, too."""

    def told(codes: list[int], **notes: tuple[int, str, bool]) -> Exception:
        read = {int(number[1:]): Note(*note) for number, note in notes.items()}
        with pytest.raises((InputError, Interrupted)) as raised:
            ranks._tell(codes, read, 4 if len(codes) == 1 else len(codes), False)
        return raised.value

    stopped = (75, "told to stop; 2 of 7", False)
    one = told([75, 1], r1=(1, "no room", False), r0=stopped)
    assert type(one) is NotNowError and str(one).startswith("rank 1 of 2: no room. The others")
    refused = told([75, 1], r1=(1, "broken", True), r0=stopped)
    assert type(refused) is InputError and str(refused).startswith("rank 1 of 2: broken. The")
    # What rank 0 says is said of the whole; srun has one code for all.
    first = told([1, 75], r0=(1, "four images are broken", True), r1=stopped)
    assert type(first) is InputError and str(first) == "four images are broken"
    by_srun = told([137], r3=(137, "killed", False), r1=stopped)
    assert type(by_srun) is NotNowError and str(by_srun).startswith("rank 3 of 4: killed")
    alone = told([1])
    assert type(alone) is NotNowError and str(alone).startswith("srun: ended with exit code 1")
    stop = told([75], r0=stopped)
    assert type(stop) is Interrupted and str(stop) == "told to stop; 2 of 7"


def test_in_a_job_of_slurm_the_command_is_srun_s(tmp_path, monkeypatch):
    started = []

    class Ended:
        returncode = 0

        def poll(self) -> int:
            return 0

    def start(command, variables):
        started.append((list(command), sorted(variables)))
        return Ended()

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(ranks, "_start", start)
    launch(["python", "x"], 4, 16, tmp_path / "x.h5", with_gpu=True)
    words = "srun --ntasks=4 --cpus-per-task=16 --kill-on-bad-exit=1 --overlap --gpus-per-task=1"
    assert started == [([*words.split(), "python", "x"], ["ZSLPIPE_RUN"])]
