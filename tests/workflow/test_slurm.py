"""The workflow on a real SLURM, of one node that the tests start: the unedited profile, what jobs
ask for, and what becomes of a training that SLURM cuts off.

The runs through SLURM end with the bytes of a run without it. Those that take minutes are marked
slurm_whole: ``make slurm`` runs all, ``make test`` the rest where SLURM is installed.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.made_up.checkouts import CONFIG, PARTS, Checkout, copied
from tests.made_up.faults import killed, processes, wait_until
from tests.made_up.places import ROOT
from tests.made_up.slurm import (
    Cluster,
    NotStartedError,
    Submission,
    cluster,
    missing,
    submitting,
)

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=missing() or "SLURM is here"),
]
TABLE = "results/tables/main.csv"
FEATURES = "results/demo/features/demo_7x7.h5"
RUN = "results/demo/runs/dazle/default/seed0"
# Of a training long enough to be cut off in its middle.
LONGER = "dazle.epochs=60 compute.checkpoint_seconds=0.2"


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM of one node; skipped where its daemons cannot run, as in some containers."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(cluster(tmp_path_factory.mktemp("slurm") / "cluster"))
        except NotStartedError as error:
            pytest.skip(f"SLURM does not start here: {error}")
        yield found


@pytest.fixture
def submitter(checkout: Checkout, slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A copy of the finished checkout, whose Snakemake finds SLURM's commands."""
    monkeypatch.setenv("PATH", slurm.environment["PATH"])
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return checkout


@pytest.fixture(scope="session")
def undisturbed(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a longer training leaves, without SLURM."""
    checkout = Checkout(tmp_path_factory.mktemp("longer") / "checkout")
    copied(finished.folder, checkout.folder)
    checkout.snakemake("--cores", "1", f"{RUN}/scores.h5", "--config", f"set={LONGER}")
    return left(checkout)


def left(checkout: Checkout, run: str = RUN) -> dict[str, bytes]:
    """Return the bytes of what a training leaves, its history apart, which has times."""
    names = ("weights.pt", "scores.h5")
    return {name: (checkout.folder / run / name).read_bytes() for name in names}


def test_features_heads_and_the_table(submitter: Checkout, finished: Checkout) -> None:
    for path in ("features", "runs"):
        shutil.rmtree(submitter.folder / "results" / "demo" / path)
    (submitter.folder / TABLE).unlink()
    chosen = "seeds=[0] methods=[dazle,eszsl]"
    with submitting(submitter, TABLE, "--config", f"set={chosen}") as run:
        assert run.ended() == 0, run.text
        # the extraction, and a group of two heads of dazle and one of eszsl
        assert len(run.submitted) == 2, run.text
        assert "Traceback" not in run.text
    for name in ("dazle/default", "dazle/no_calibration", "eszsl/default"):
        folder = f"results/demo/runs/{name}/seed0"
        assert left(submitter, folder) == left(finished, folder)
    assert (submitter.folder / FEATURES).read_bytes() == (finished.folder / FEATURES).read_bytes()
    assert submitter.snakemake("-n", TABLE, "--config", f"set={chosen}").count("Nothing to be")


def test_a_gpu_is_asked_for_and_given(submitter: Checkout, slurm: Cluster) -> None:
    (submitter.folder / RUN / "scores.h5").unlink()
    with submitting(submitter, f"{RUN}/scores.h5", "--config", "set=compute.device=auto") as run:
        wait_until(lambda: bool(processes(submitter, "zslpipe", "train")) or run.has_ended)
        process = processes(submitter, "zslpipe", "train")[-1]
        given = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
        (job,) = run.submitted
        asked = slurm.job(job)
        slurm.told("scancel", job)
    assert asked["TresPerJob"] == "gres:gpu:1"
    assert "CUDA_VISIBLE_DEVICES=0" in given


def test_a_training_on_the_processor_asks_for_none(submitter: Checkout, slurm: Cluster) -> None:
    (submitter.folder / RUN / "scores.h5").unlink()
    with submitting(submitter, f"{RUN}/scores.h5") as run:
        wait_until(lambda: bool(run.submitted) or run.has_ended)
        (job,) = run.submitted
        asked = slurm.job(job)
        slurm.told("scancel", job)
    assert [field for field in asked.values() if "gpu" in field] == []


def cancelled(slurm: Cluster, job: str) -> None:
    """Cancel a job."""
    slurm.told("scancel", job)


def out_of_time(slurm: Cluster, job: str) -> None:
    """Let a job's time limit be over."""
    slurm.told("scontrol", "update", f"JobId={job}", "EndTime=now")


def requeued(slurm: Cluster, job: str) -> None:
    """Put a job back into its queue, as a preemption does."""
    slurm.told("scontrol", "requeue", job)


@pytest.mark.parametrize(
    "cut_off",
    [
        pytest.param(cancelled, marks=pytest.mark.slurm_whole),
        pytest.param(out_of_time, marks=pytest.mark.slurm_whole),
        requeued,
    ],
)
def test_a_training_that_is_cut_off_ends_with_the_same_bytes(
    submitter: Checkout,
    slurm: Cluster,
    undisturbed: dict[str, bytes],
    cut_off: Callable[[Cluster, str], None],
) -> None:
    shutil.rmtree(submitter.folder / RUN)
    work = (submitter.folder / RUN).parent / ".seed0.work"
    with submitting(submitter, f"{RUN}/scores.h5", "--config", f"set={LONGER}") as run:
        wait_until(lambda: any(work.rglob("*.pt")) or run.has_ended)
        # SLURM lets a stopped process go on when it ends it; no training is too short for the test
        for process in processes(submitter, "zslpipe", "train"):
            os.kill(process, signal.SIGSTOP)
        assert not (submitter.folder / RUN / "scores.h5").exists(), run.text
        cut_off(slurm, run.submitted[0])
        assert run.ended() == 0, run.text
        # what SLURM itself starts again, or a job at its time limit asks it to, is no new one
        assert len(run.submitted) == (2 if cut_off is cancelled else 1), run.text
    assert left(submitter) == undisturbed


@pytest.mark.slurm_whole
def test_a_killed_process_of_an_extraction_is_made_good(
    submitter: Checkout, finished: Checkout
) -> None:
    """Of one in shards the last rank is killed."""
    (submitter.folder / FEATURES).unlink()
    with submitting(submitter, FEATURES) as run:
        wait_until(lambda: bool(processes(submitter, "zslpipe", "extract")) or run.has_ended)
        killed(processes(submitter, "zslpipe", "extract")[-1])
        assert run.ended() == 0, run.text
        assert len(run.submitted) == 2, run.text
    assert (submitter.folder / FEATURES).read_bytes() == (finished.folder / FEATURES).read_bytes()


@pytest.fixture(scope="session")
def of_blocks(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose features are four blocks, extracted by one process without SLURM."""
    checkout = Checkout(tmp_path_factory.mktemp("blocks") / "checkout")
    copied(finished.folder, checkout.folder)
    checkout.replace("config.yaml", "images_per_class: 2,", "images_per_class: 20,")
    checkout.snakemake("--cores", "1", FEATURES)
    return checkout


@pytest.fixture
def ranked(
    of_blocks: Checkout, submitter: Checkout, tmp_path: Path, slurm: Cluster
) -> Iterator[tuple[Checkout, Submission, list[int]]]:
    """A copy without the features, their extraction by two ranks in a job of SLURM, of which rank 0
    has written its two blocks, and the processes of rank 1, which are stopped.
    """
    checkout = Checkout(tmp_path / "ranked")
    copied(of_blocks.folder, checkout.folder)
    (checkout.folder / FEATURES).unlink()
    with submitting(checkout, FEATURES, "--config", "set=compute.extract_tasks=2") as run:
        wait_until(lambda: bool(of_rank(checkout, 1)) or run.has_ended)
        stopped = of_rank(checkout, 1)
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        # a line that says what is written, and one a block
        journal = (checkout.folder / FEATURES).parent / ".demo_7x7.work" / "journal"
        wait_until(lambda: journal.is_file() and journal.read_text().count("\n") == 3)
        asked = slurm.job(run.submitted[0])
        assert (asked["NumTasks"], asked["CPUs/Task"]) == ("2", "1")
        yield checkout, run, stopped


def of_rank(checkout: Checkout, number: int) -> list[int]:
    """Return the processes of a rank that srun has started, the one that watches the others
    first.
    """
    found = []
    for process in processes(checkout, "zslpipe", "extract"):
        with suppress(OSError):
            said = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
            if f"SLURM_PROCID={number}" in said and "SLURM_STEP_ID=0" in said:
                found.append(process)
    return found


@pytest.mark.slurm_whole
def test_a_killed_rank_of_an_extraction_is_tried_again(ranked, of_blocks: Checkout) -> None:
    checkout, run, stopped = ranked
    killed(stopped[0])
    assert run.ended() == 0, run.text
    # a fault is a retry, and no requeueing of the same job: the next has more memory
    assert len(run.submitted) == 2, run.text
    assert "what is done is kept" in run.text
    assert features(checkout) == features(of_blocks)


@pytest.mark.slurm_whole
def test_ranks_that_are_told_to_stop_requeue_their_job(
    ranked, of_blocks: Checkout, slurm: Cluster
) -> None:
    checkout, run, stopped = ranked
    slurm.told("scancel", "--signal=TERM", run.submitted[0])
    for process in stopped:
        os.kill(process, signal.SIGCONT)
    assert run.ended() == 0, run.text
    assert len(run.submitted) == 1, run.text
    assert features(checkout) == features(of_blocks)


@pytest.mark.slurm_whole
def test_an_extraction_that_was_stopped_goes_on_with_other_ranks(
    ranked, of_blocks: Checkout
) -> None:
    checkout, run, _ = ranked
    run.process.send_signal(signal.SIGINT)
    assert run.ended() != 0, run.text
    wait_until(lambda: not processes(checkout, "zslpipe", "extract"))
    with submitting(checkout, FEATURES, "--config", "set=compute.extract_tasks=3") as again:
        assert again.ended() == 0, again.text
        assert len(again.submitted) == 1, again.text
    assert features(checkout) == features(of_blocks)


def features(checkout: Checkout) -> bytes:
    """Return the bytes of the features."""
    return (checkout.folder / FEATURES).read_bytes()


@pytest.mark.slurm_whole
def test_the_small_demo_from_nothing_to_its_page(
    slurm: Cluster, finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", slurm.environment["PATH"])
    checkout = Checkout(tmp_path / "checkout")
    checkout.folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, checkout.folder / part)
    (checkout.folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    with submitting(checkout) as run:
        assert run.ended() == 0, run.text
    assert checkout.planned() == set()
    made, expected = checkout.folder / "results", finished.folder / "results"
    for path in expected.rglob("metrics.json"):
        found = made / path.relative_to(expected)
        assert json.loads(found.read_bytes()) == json.loads(path.read_bytes())
    assert (made / "tables/main.csv").read_bytes() == (expected / "tables/main.csv").read_bytes()
    assert (made / "report/index.html").is_file()
