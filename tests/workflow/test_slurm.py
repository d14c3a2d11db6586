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
from pathlib import Path

import pytest

from tests.made_up.checkouts import CONFIG, PARTS, Checkout, copied
from tests.made_up.faults import killed, processes, wait_until
from tests.made_up.places import ROOT
from tests.made_up.slurm import Cluster, cluster, missing, submitting

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
    """A SLURM of one node."""
    with cluster(tmp_path_factory.mktemp("slurm") / "cluster") as found:
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
        (job,) = run.submitted
        asked = slurm.job(job)
        process = processes(submitter, "zslpipe", "train")[-1]
        given = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
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
        # what SLURM itself starts again is no new job of Snakemake's
        assert len(run.submitted) == (1 if cut_off is requeued else 2), run.text
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
