"""Faults provoked in the middle of a run of the whole workflow: whatever happens is said in a line
or survived, and the next call of Snakemake ends with the results of an undisturbed run.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from filelock import FileLock

from tests.made_up.checkouts import PARTS, Checkout, copied, run_checkout
from tests.made_up.faults import disturbed, killed, little_memory, mounted, processes, wait_until

pytestmark = pytest.mark.faults

# Three blocks of features, a head that trains for seconds, an end-to-end method.
LONGER = """\
seeds: [0]
methods: [dazle, rsan]
datasets:
  demo:
    adapter: demo
    source: {images_per_class: 16, auxiliary_classes: 4, auxiliary_images_per_class: 4}
    extractors: [demo_7x7]
    words: random
extractors:
  demo_7x7: {backbone: demo, size: 112, grid: 7}
words:
  random: {kind: random, dimension: 8}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1, checkpoint_seconds: 0.2}
dazle: {epochs: 20}
rsan: {extractor: demo_7x7, epochs: 2, episodes: 4, ways: 4}
"""
FEATURES = "results/demo/features/demo_7x7.h5"
RUN = "results/demo/runs/dazle/default/seed0"
FROM_IMAGES = "results/demo/runs/rsan/default/seed0"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which everything ran without a fault."""
    return run_checkout(tmp_path_factory.mktemp("undisturbed") / "checkout", LONGER)


@pytest.fixture
def checkout(undisturbed: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished checkout, to be disturbed."""
    copied(undisturbed.folder, tmp_path / "copy")
    return Checkout(tmp_path / "copy")


@pytest.fixture
def ends_equal(undisturbed: Checkout, checkout: Checkout) -> Iterator[None]:
    """After the test another call of Snakemake ends with the results of the undisturbed run."""
    yield
    checkout.snakemake("--cores", "2")
    assert results(checkout) == results(undisturbed)
    assert not checkout.planned()
    left = [path for path in (checkout.folder / "results").rglob("*") if "partial" in path.name]
    assert not left


def results(checkout: Checkout) -> dict[str, str]:
    """Return a digest of every result: the bytes of features and figures of metrics, the arrays of
    scores.
    """
    folder = checkout.folder / "results"
    found = {}
    for path in [*folder.rglob("features/*.h5"), *folder.rglob("main.csv")]:
        found[str(path.relative_to(folder))] = digest(path.read_bytes())
    for path in folder.rglob("metrics.json"):
        figures = json.loads(path.read_text(encoding="utf8"))
        found[str(path.relative_to(folder))] = json.dumps(figures, sort_keys=True)
    for path in folder.rglob("seed*/scores.h5"):
        with h5py.File(path) as file:
            arrays = [np.asarray(file[f"{split}/scores"]) for split in ("test_seen", "test_unseen")]
        found[str(path.relative_to(folder))] = digest(b"".join(map(np.ndarray.tobytes, arrays)))
    assert len(found) >= 6
    return found


def digest(content: bytes) -> str:
    """Return a digest of bytes."""
    return hashlib.sha256(content).hexdigest()


def extracting(checkout: Checkout, blocks: int = 1) -> Callable[[], bool]:
    """Take the features away; return what tells that ``blocks`` blocks are made again."""
    (checkout.folder / FEATURES).unlink()
    for work in (checkout.folder / FEATURES).parent.glob(".*.work"):
        shutil.rmtree(work)  # or the last features would be taken for what they are
    journal = checkout.folder / "results/demo/features/.demo_7x7.work/journal"
    return lambda: journal.is_file() and journal.read_text().count("\n") > blocks


def training(checkout: Checkout, run: str = RUN) -> Callable[[], bool]:
    """Take a run's results away; return what tells that its training has left a checkpoint."""
    shutil.rmtree(checkout.folder / run)
    work = (checkout.folder / run).parent / ".seed0.work"
    return lambda: any(work.rglob("*.pt"))


def jobs_killed(checkout: Checkout, command: str) -> Callable[[subprocess.Popen], None]:
    """Return what kills the processes of a command of ours in the checkout."""

    def act(_: subprocess.Popen) -> None:
        for process in processes(checkout, "zslpipe", command):
            killed(process)

    return act


def signalled(number: int) -> Callable[[subprocess.Popen], None]:
    """Return what sends a signal to Snakemake and all of its jobs, as a terminal does."""
    return lambda run: os.killpg(run.pid, number)


# Processes


@pytest.mark.usefixtures("ends_equal")
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_extraction_is_killed(checkout: Checkout, blocks: int) -> None:
    status, _ = disturbed(checkout, extracting(checkout, blocks), jobs_killed(checkout, "extract"))
    assert status


@pytest.mark.usefixtures("ends_equal")
def test_a_worker_of_the_extraction_is_killed(checkout: Checkout) -> None:
    come = extracting(checkout)

    def act(_: subprocess.Popen) -> None:
        killed(processes(checkout, "zslpipe", "extract")[-1])

    status, said = disturbed(checkout, come, act)
    assert status
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
@pytest.mark.parametrize("run", [RUN, FROM_IMAGES])
def test_a_training_is_killed(checkout: Checkout, run: str) -> None:
    status, said = disturbed(checkout, training(checkout, run), jobs_killed(checkout, "train"))
    assert status
    assert "memory" in said


@pytest.mark.usefixtures("ends_equal")
@pytest.mark.parametrize("what", [extracting, training])
def test_snakemake_is_killed(checkout: Checkout, what: Callable[[Checkout], Callable]) -> None:
    status, _ = disturbed(checkout, what(checkout), lambda run: run.kill())
    assert status == -signal.SIGKILL
    checkout.snakemake("--unlock")


@pytest.mark.usefixtures("ends_equal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("what", [extracting, training])
def test_everything_is_told_to_stop(
    checkout: Checkout, what: Callable[[Checkout], Callable], number: int
) -> None:
    status, said = disturbed(checkout, what(checkout), signalled(number))
    assert status
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
def test_two_writers(checkout: Checkout) -> None:
    come = training(checkout)

    def act(_: subprocess.Popen) -> None:
        first = processes(checkout, "zslpipe", "train")
        for process in first:  # or it might have ended before the second has begun
            os.kill(process, signal.SIGSTOP)
        words = Path(f"/proc/{first[-1]}/cmdline").read_text().split("\0")[1:-1]
        second = subprocess.run(
            [sys.executable, *words],
            cwd=checkout.folder,
            env=os.environ | {"PYTHONPATH": str(checkout.folder)},
            capture_output=True,
            text=True,
        )
        for process in first:
            os.kill(process, signal.SIGCONT)
        assert second.returncode == 1, second.stderr
        assert "writes here; wait for its end" in second.stderr
        assert "Traceback" not in second.stderr

    status, _ = disturbed(checkout, come, act)
    assert status == 0


@pytest.mark.usefixtures("ends_equal")
def test_a_lock_is_held(checkout: Checkout) -> None:
    training(checkout)
    work = (checkout.folder / RUN).parent / ".seed0.work"
    work.mkdir()
    with FileLock(work / "lock"):
        said = checkout.snakemake("--cores", "2", fails=True)
    assert "writes here; wait for its end" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
def test_too_little_memory(checkout: Checkout) -> None:
    training(checkout)
    with little_memory(160 << 20) as group:
        # Every "python" of a job enters the group first.
        script = f'echo $$ > {group}\nexec {sys.executable} "$@"\n'
        checkout.program("python", script)
        said = checkout.snakemake("--cores", "1", fails=True)
        (checkout.folder / "bin/python").unlink()
        wait_until(lambda: not group.read_text())
    assert "memory" in said
    assert "Traceback" not in said


# Disks


@pytest.mark.usefixtures("ends_equal")
def test_a_full_disk(checkout: Checkout, tmp_path: Path) -> None:
    extracting(checkout)
    with mounted(checkout.folder / "results/demo/features", "-t", "tmpfs", "-o", "size=256k", "x"):
        said = checkout.snakemake("--cores", "2", fails=True)
    assert "its disk has" in said  # asked before anything is computed
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
def test_a_full_disk_for_scores(checkout: Checkout) -> None:
    training(checkout)
    folder = (checkout.folder / RUN).parent
    with mounted(folder, "-t", "tmpfs", "-o", "size=128k", "x"):
        said = checkout.snakemake("--cores", "2", fails=True)
    assert "No space left on device" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
def test_a_folder_that_is_read_only(checkout: Checkout) -> None:
    training(checkout)
    folder = (checkout.folder / RUN).parent
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        said = checkout.snakemake("--cores", "2", fails=True)
    assert "Read-only file system" in said


# Files

# What is damaged, and what a job makes of it.
DAMAGED = {
    # The first one: a training that refuses its input leaves no metrics.json, so that it would be
    # due here, and would mend the scores.
    f"{RUN}/scores.h5": "results/demo/.evaluated/seed0.json",
    FEATURES: f"{RUN}/scores.h5",
    "results/demo/index.h5": f"{RUN}/scores.h5",
    "results/demo/words/random.h5": f"{RUN}/scores.h5",
    f"{RUN}/attention.h5": f"{RUN}/localization.json",
    f"{RUN}/weights.pt": f"{RUN}/attention.h5",
    # The last one: the features that it costs are made again.
    "results/demo/backbone.pt": FEATURES,
}


@pytest.mark.usefixtures("ends_equal")
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_bytes(checkout: Checkout, damage: str) -> None:
    for path, made in DAMAGED.items():
        file = checkout.folder / path
        content, times = file.read_bytes(), file.stat()
        file.write_bytes(damaged(content, damage))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        said = checkout.snakemake("--cores", "2", "--force", made, fails=True)
        assert "Traceback" not in said, path
        assert path in said
        # What takes a training to make is not lost.
        assert (checkout.folder / f"{RUN}/weights.pt").is_file(), path
        assert (checkout.folder / f"{RUN}/scores.h5").is_file(), path
        file.write_bytes(content)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def damaged(content: bytes, damage: str) -> bytes:
    """Return bytes cut in the middle, or with a bit flipped there."""
    middle = len(content) // 2
    if damage == "cut":
        return content[:middle]
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


@pytest.mark.usefixtures("ends_equal")
def test_features_of_another_extractor(checkout: Checkout) -> None:
    other = "extractors.demo_7x7.layer=features"
    shutil.copy2(checkout.folder / FEATURES, checkout.folder / "kept.h5")
    checkout.snakemake("--cores", "2", FEATURES, "--config", f"set={other}")
    shutil.copy2(checkout.folder / FEATURES, checkout.folder / "other.h5")
    copied(checkout.folder / "kept.h5", checkout.folder / FEATURES)
    checkout.snakemake("--cores", "2")
    shutil.copy2(checkout.folder / "other.h5", checkout.folder / FEATURES)
    said = checkout.snakemake("--cores", "2", "--force", f"{RUN}/scores.h5", fails=True)
    assert "layer" in said
    assert (checkout.folder / RUN / "scores.h5").is_file()
    (checkout.folder / FEATURES).unlink()


@pytest.mark.usefixtures("ends_equal")
def test_an_image_is_broken(checkout: Checkout) -> None:
    extracting(checkout)
    picture = next((checkout.folder / "results/demo/images").rglob("*.png"))
    whole, times = picture.read_bytes(), picture.stat()
    picture.write_bytes(whole[: len(whole) // 2])
    said = checkout.snakemake("--cores", "2", fails=True)
    assert picture.name in said
    assert "Traceback" not in said
    assert (checkout.folder / RUN / "scores.h5").is_file()
    picture.write_bytes(whole)
    os.utime(picture, ns=(times.st_atime_ns, times.st_mtime_ns))


# Places and clocks


def test_a_copy_with_new_times(undisturbed: Checkout, tmp_path: Path) -> None:
    copied(undisturbed.folder, tmp_path / "copy")
    for path in sorted((tmp_path / "copy/results").rglob("*")):
        os.utime(path)
    again = Checkout(tmp_path / "copy")
    again.snakemake("--cores", "2")
    assert results(again) == results(undisturbed)


def test_results_in_a_fresh_clone_of_another_configuration(
    undisturbed: Checkout, tmp_path: Path
) -> None:
    clone = Checkout(tmp_path / "clone")
    clone.folder.mkdir()
    for part in (*PARTS, "config.yaml", "results"):
        copied(undisturbed.folder / part, clone.folder / part)
    assert not clone.planned()
    clone.replace("config.yaml", "epochs: 20", "epochs: 21")
    said = clone.snakemake("--cores", "2", "--force", f"{RUN}/attention.h5", fails=True)
    assert "asked 21" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("ends_equal")
def test_the_clock_was_set_back(checkout: Checkout) -> None:
    tomorrow = time.time() + 86400
    for path in (FEATURES, "results/demo/index.h5"):
        os.utime(checkout.folder / path, (tomorrow, tomorrow))
    # Snakemake would refuse when the job has ended, and remove what it has made and what lay there.
    said = checkout.snakemake("--cores", "2", fails=True)
    assert "is of the future" in said and "has older modification time" not in said
    assert (checkout.folder / RUN / "scores.h5").is_file()
    for path in (FEATURES, "results/demo/index.h5"):
        os.utime(checkout.folder / path)
