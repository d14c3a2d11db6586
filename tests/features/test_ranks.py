"""One extraction by several ranks: whatever their number, and whoever of them is killed or stopped,
the bytes are those of one process. Ranks are forks of the test where nothing is about commands.
"""

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.faults import wait_until
from tests.made_up.feature_bytes import all_bytes
from tests.made_up.places import SCRIPT
from zslpipe.features import extraction, extraction_progress, mapper
from zslpipe.features import ranks as ranks_module
from zslpipe.features.extraction_progress import ExtractionProgress
from zslpipe.features.extractor import Extractor
from zslpipe.features.ranks import Team, share
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.image_list import read_irrelevant_images, write_image_list
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import EXIT_CODE, StopRequest
from zslpipe.machine.progress import process_start
from zslpipe.machine.ranks import ALONE, Rank
from zslpipe.networks.demo_network import DemoNetwork

torch.set_num_threads(1)
CPU = torch.device("cpu")
BLOCK, IMAGES = 32, 203  # seven blocks, the last one short
# Python runs this at its start, in the command and in each of its ranks: small blocks, a line a
# block that is written, and a signal that a rank sends itself behind its first one, or (HOLD) that
# each rank waits for behind its own.
AT_START = """
import os, signal, time
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.machine.interruption import StopRequest
features.BLOCK = 32
write, receive, told = BlockWriter.write, StopRequest.receive, []
def heard(self, number, frame):
    receive(self, number, frame)
    told.append(number)
StopRequest.receive = heard
def watched(self, block, arrays):
    write(self, block, arrays)
    with open(os.environ["WRITTEN"], "a") as file:
        file.write(f"{self.rank.number} {block} {os.getpid()}\\n")
    rank, sent = os.environ.get("SIGNAL", "-1 TERM").split()
    if self.rank.number == int(rank):
        os.kill(os.getpid(), getattr(signal, "SIG" + sent))
    while "HOLD" in os.environ and not told:
        time.sleep(0.01)
BlockWriter.write = watched
"""
# What srun does with the options that it is given, on one machine.
SRUN = """#!{python}
import itertools, os, signal, subprocess, sys, time
options = list(itertools.takewhile(lambda word: word.startswith("--"), sys.argv[1:]))
command = sys.argv[1 + len(options):]
count = int(options[0].removeprefix("--ntasks="))
assert "--kill-on-bad-exit=1" in options and "--cpus-per-task=1" in options
ranks = []
for rank in range(count):
    own = {{"SLURM_PROCID": str(rank), "SLURM_NTASKS": str(count), "SLURM_STEP_ID": "0"}}
    ranks.append(subprocess.Popen(command, env=os.environ | own))
def stop(number, frame):
    [rank.terminate() for rank in ranks]
signal.signal(signal.SIGTERM, stop)
while any(rank.poll() is None for rank in ranks):
    if any(rank.poll() for rank in ranks):
        stop(0, None)
    time.sleep(0.1)
sys.exit(max(code if code >= 0 else 128 - code for code in (rank.returncode for rank in ranks)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder of 203 pictures, their list, weights, and what Python runs at its start."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    paths = [f"{number:03d}.png" for number in range(IMAGES)]
    for name in paths:
        pixels = generator.integers(0, 256, (112, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    write_image_list(folder / "list.h5", "made up", {}, paths)
    torch.manual_seed(0)
    torch.save(DemoNetwork(classes=3).state_dict(), folder / "weights.pt")
    (folder / "start").mkdir()
    (folder / "start" / "sitecustomize.py").write_text(AT_START)
    return folder


def command(place: Path, output: Path, ranks: int, images: Path | None = None) -> list[str]:
    settings = {"name": "small", "backbone": "demo", "size": 112, "grid": 7}
    settings |= {"batch_size": 10, "features_version": 1}
    compute = {"device": "cpu", "extract_tasks": ranks, "extract_threads": 1}
    words = [sys.executable, "-m", "zslpipe", "extract-irrelevant"]
    words += ["--index", str(place / "list.h5"), "--images", str(images or place / "images")]
    words += ["--settings", json.dumps(settings), "--weights", str(place / "weights.pt")]
    return [*words, "--output", str(output), "--compute", json.dumps(compute), "--threads", "1"]


def environment(place: Path, output: Path, **more: str) -> dict[str, str]:
    paths = f"{place / 'start'}:{SCRIPT['PYTHONPATH']}"
    of_slurm = [name for name in SCRIPT if name.startswith("SLURM_")]
    kept = {name: value for name, value in SCRIPT.items() if name not in of_slurm}
    return kept | {"PYTHONPATH": paths, "WRITTEN": str(log(output)), **more}


def log(output: Path) -> Path:
    return output.with_suffix(".written")


def written(output: Path) -> dict[int, list[int]]:
    """Return the blocks that each rank wrote since one last asked."""
    found: dict[int, list[int]] = {}
    lines = log(output).read_text().splitlines()
    log(output).unlink()
    for rank, block, _ in (map(int, line.split()) for line in lines):
        found.setdefault(rank, []).append(block)
    return found


def run(
    place: Path, output: Path, ranks: int, images: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    words, variables = command(place, output, ranks, images), environment(place, output, **more)
    return subprocess.run(
        words, env=variables, stderr=subprocess.PIPE, text=True, check=False, timeout=300
    )


def extractor(place: Path) -> Extractor:
    weights = str(place / "weights.pt")
    return Extractor("small", "demo", weights, 112, 7, features_version=1, batch_size=10)


def extract(
    place: Path,
    output: Path,
    rank: Rank = ALONE,
    images: Path | None = None,
    storage: str = "hdf5",
) -> str | None:
    """Extract as one rank of a run; return what it is refused with."""
    listed = read_irrelevant_images(place / "list.h5")
    given = (listed, images or place / "images", extractor(place), output, CPU)
    try:
        extraction.extract(*given, workers=0, rank=rank, storage=storage)
    except InputError as error:
        return str(error)
    return None


def as_ranks(
    place: Path, output: Path, ranks: int, images: Path | None = None, storage: str = "hdf5"
) -> list[str | int | None]:
    """Extract as so many processes; return what each is refused with, or its exit code."""
    run, context = uuid.uuid4().hex, multiprocessing.get_context("fork")
    processes, pipes = [], []
    for number in range(ranks):
        ours, theirs = context.Pipe(duplex=False)
        rank = Rank(number, ranks, run)

        def work(rank=rank, pipe=theirs) -> None:
            pipe.send(extract(place, output, rank, images, storage))

        processes.append(context.Process(target=work))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    for process in processes:
        process.join(300)
    codes = [process.exitcode for process in processes]
    return [code or pipe.recv() for code, pipe in zip(codes, pipes, strict=True)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", BLOCK)


class Blocks:
    """The blocks that are written here, in any process, each as (rank, block)."""

    def __init__(self, path: Path):
        self.path = path

    def note(self, rank: int, block: int) -> None:
        with self.path.open("a") as file:
            file.write(f"{rank} {block}\n")

    def pairs(self) -> list[tuple[int, int]]:
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        return sorted((int(line.split()[0]), int(line.split()[1])) for line in lines)

    def numbers(self) -> list[int]:
        return sorted(block for _, block in self.pairs())


@pytest.fixture
def blocks(monkeypatch, tmp_path_factory) -> Blocks:
    found = Blocks(tmp_path_factory.mktemp("blocks") / "written")
    write = BlockWriter.write

    def noted(self, block, arrays):
        write(self, block, arrays)
        found.note(self.rank.number, block)

    monkeypatch.setattr(BlockWriter, "write", noted)
    return found


@pytest.fixture(scope="module")
def alone(place, tmp_path_factory) -> bytes:
    """Return the feature file of one process."""
    output = tmp_path_factory.mktemp("alone") / "small.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BLOCK", BLOCK)
        assert extract(place, output) is None
    return output.read_bytes()


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_any_number_of_ranks_gives_the_bytes_of_one(
    place, alone, blocks, tmp_path, monkeypatch, ranks
):
    """And leaves nothing else, however often they say that they live."""
    output = tmp_path / "small.h5"
    monkeypatch.setattr(ranks_module, "REPORT_SECONDS", 0.0)
    assert as_ranks(place, output, ranks) == [None] * ranks
    assert blocks.pairs() == sorted((block % ranks, block) for block in range(7))
    assert output.read_bytes() == alone
    assert [path.name for path in tmp_path.iterdir()] == ["small.h5"]


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_fill_one_store_with_the_bytes_of_one_process(place, blocks, tmp_path, ranks):
    one, many = tmp_path / "one" / "small.h5", tmp_path / "many" / "small.h5"
    assert extract(place, one, storage="zarr") is None
    blocks.path.unlink()
    assert as_ranks(place, many, ranks, storage="zarr") == [None] * ranks
    assert blocks.pairs() == sorted((block % ranks, block) for block in range(7))
    assert all_bytes(many) == all_bytes(one)
    assert len(all_bytes(one)) > 3 * 7  # a shard a block of each array
    assert sorted(path.name for path in many.parent.iterdir()) == ["small.h5", "small.zarr"]


@pytest.mark.parametrize(("ranks", "lost", "then"), [(3, 1, 2), (3, 0, 4), (2, 1, 1), (1, 0, 3)])
def test_a_lost_rank_costs_its_blocks_and_any_number_goes_on(
    place, alone, blocks, tmp_path, monkeypatch, ranks, lost, then
):
    output, write = tmp_path / "small.h5", BlockWriter.write

    def lost_at_its_second(self, block, arrays):
        if self.rank.number == lost and block >= self.rank.count:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, block, arrays)

    def lost_alone(self, number, heard, check=Team._check_silence):
        if number == lost:  # another one may have to wait for a core as long
            check(self, number, heard)

    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "write", lost_at_its_second)
        patch.setattr(Team, "_check_silence", lost_alone)
        patch.setattr(ranks_module, "SILENCE_SECONDS", 2.0)
        patch.setattr(ranks_module, "REPORT_SECONDS", 0.1)
        ended = as_ranks(place, output, ranks)
    assert ended[lost] == -signal.SIGKILL and not output.exists()
    assert lost == 0 or f"rank {lost} of {ranks} has said nothing" in str(ended[0])
    # The lost rank's first block and all of the others' are kept, and not written again.
    kept = [block for block in range(7) if block % ranks != lost or block < ranks]
    assert blocks.numbers() == kept
    assert as_ranks(place, output, then) == [None] * then
    assert blocks.numbers() == list(range(7))
    assert output.read_bytes() == alone


def test_a_rank_that_takes_longer_than_the_others_is_waited_for(
    place, alone, tmp_path, monkeypatch
):
    """It says that it lives while it writes."""
    output, write = tmp_path / "small.h5", BlockWriter.write

    def slow(self, block, arrays):
        word = self.folder / f"rank{self.rank.number}.json"
        for _ in range(5):
            said = word.read_bytes()
            wait_until(lambda said=said: word.read_bytes() != said)
        write(self, block, arrays)

    monkeypatch.setattr(BlockWriter, "write", slow)
    monkeypatch.setattr(ranks_module, "REPORT_SECONDS", 0.1)
    assert as_ranks(place, output, 2) == [None, None]
    assert output.read_bytes() == alone


def test_broken_images_of_all_ranks_are_named_in_one_line(place, blocks, tmp_path):
    images, output = tmp_path / "images", tmp_path / "small.h5"
    shutil.copytree(place / "images", images)
    broken = ["005.png", "040.png", "041.png", "200.png"]  # of the blocks 0, 1 and 6
    for name in broken:
        (images / name).unlink()
    first, *others = as_ranks(place, output, 3, images)
    assert others == [None, None] and not output.exists()
    assert str(first).startswith(f"4 of {IMAGES} images under {images} cannot be read: 005.png")
    places = [str(first).index(name) for name in broken]
    assert places == sorted(places)
    assert blocks.numbers() == [2, 3, 4, 5]


def test_rows_of_an_earlier_file_are_taken_by_each_rank(place, tmp_path, monkeypatch):
    images, output, fresh = tmp_path / "images", tmp_path / "small.h5", tmp_path / "fresh.h5"
    shutil.copytree(place / "images", images)
    assert as_ranks(place, output, 2, images) == [None, None]
    changed = ("007.png", "100.png")  # of two batches, in the blocks 0 and 3
    for name in changed:
        Image.new("RGB", (120, 112), (int(name[:3]), 0, 0)).save(images / name)
    counts, normalise = Blocks(tmp_path / "batches"), mapper.normalise

    def counted(pixels, *others):
        counts.note(len(pixels), 0)
        return normalise(pixels, *others)

    with monkeypatch.context() as patch:
        patch.setattr(mapper, "normalise", counted)
        assert as_ranks(place, output, 3, images) == [None, None, None]
    # Two batches of ten with another image, and the short ones: 6 of 2 images and one of one.
    assert [size for size, _ in counts.pairs()] == [1, *[2] * 6, 10, 10]
    assert extract(place, fresh, images=images) is None
    assert output.read_bytes() == fresh.read_bytes()


def test_images_that_change_between_two_runs_are_computed_again(place, tmp_path, monkeypatch):
    """Their pixels are the same: only the digests tell, which no later line may undo."""
    images, output, fresh = tmp_path / "images", tmp_path / "small.h5", tmp_path / "fresh.h5"
    shutil.copytree(place / "images", images)
    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "finish", lambda self, output: None)
        assert as_ranks(place, output, 3, images) == [None] * 3
    for name in ("000.png", "040.png"):
        (images / name).write_bytes((images / name).read_bytes() + b"behind the picture")
    assert as_ranks(place, output, 2, images) == [None, None]
    assert extract(place, fresh, images=images) is None
    assert output.read_bytes() == fresh.read_bytes()


def told(errors: str) -> list[str]:
    """Return the lines by which a command ended."""
    return [line for line in errors.splitlines() if "error" in line or "told to stop" in line]


@pytest.mark.slow
def test_a_killed_rank_is_told_in_one_line(place, alone, blocks, tmp_path):
    output = tmp_path / "small.h5"
    ended = run(place, output, 3, SIGNAL="2 KILL")
    assert ended.returncode == 1
    [line] = told(ended.stderr)
    assert "error: rank 2 of 3: killed (SIGKILL): most likely out of memory" in line
    assert line.endswith("goes on from there, with as many ranks as you like")
    assert not output.exists()
    first = written(output)
    assert first[2] == [2]
    assert as_ranks(place, output, 2) == [None, None]
    again = set(blocks.numbers())
    # Told to stop, a rank finishes the block that is being written.
    assert set(itertools.chain(*first.values())) | again == set(range(7))
    assert not set(itertools.chain(*first.values())) & again
    assert output.read_bytes() == alone


@pytest.mark.slow
def test_told_to_stop_all_ranks_stop(place, alone, blocks, tmp_path):
    """The signal goes to the command alone, as a workflow sends it."""
    output = tmp_path / "small.h5"
    words, variables = command(place, output, 2), environment(place, output, HOLD="")
    with subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: log(output).exists() or process.poll() is not None)
        process.terminate()
        errors = process.communicate(timeout=300)[1]
    assert process.returncode == EXIT_CODE, errors
    [line] = told(errors)
    assert "of 7 blocks are written and the same command goes on from there" in line
    first = set(itertools.chain(*written(output).values()))
    assert len(first) < 7
    assert as_ranks(place, output, 3) == [None, None, None]
    again = set(blocks.numbers())
    assert first | again == set(range(7)) and not first & again
    assert output.read_bytes() == alone


@pytest.mark.slow
def test_a_second_run_is_refused_and_ranks_end_with_their_launcher(place, alone, tmp_path):
    output = tmp_path / "small.h5"
    words, variables = command(place, output, 2), environment(place, output, SIGNAL="1 STOP")
    with subprocess.Popen(words, env=variables) as process:
        stands = "1 1 "  # rank 1, behind its first block
        wait_until(lambda: log(output).exists() and stands in log(output).read_text())
        refused = run(place, output, 2)
        assert process.poll() is None  # its leader waits for the rank that stands still
        process.kill()
    [line] = told(refused.stderr)
    assert refused.returncode == 1 and "writes here; wait for its end" in line
    numbers = {int(line.split()[2]) for line in log(output).read_text().splitlines()}
    wait_until(lambda: not any(process_start(number) for number in numbers))
    assert extract(place, output) is None
    assert output.read_bytes() == alone


@pytest.fixture
def srun(tmp_path) -> dict[str, str]:
    """Return the environment of a job of SLURM in which srun is a script."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "srun").write_text(SRUN.format(python=sys.executable))
    (folder / "srun").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}


@pytest.mark.slow
def test_in_a_job_of_slurm_srun_starts_the_ranks(place, alone, tmp_path, srun):
    output = tmp_path / "small.h5"
    ended = run(place, output, 2, **srun, SIGNAL="1 KILL")
    [line] = told(ended.stderr)
    assert ended.returncode == 1 and "error: rank 1 of 2: killed (SIGKILL)" in line
    assert run(place, output, 2, **srun).returncode == 0
    assert output.read_bytes() == alone


def test_blocks_are_divided_by_groups_and_each_goes_to_one_rank():
    missing = [0, 1, 2, 5, 6, 8, 9, 10, 11]
    parts = [share(missing, 2, Rank(number, 3)) for number in range(3)]
    assert parts == [[0, 1, 6], [2, 8, 9], [5, 10, 11]]
    assert share(missing, 4, Rank(0, 4)) == [0, 1, 2]
    assert share(missing, 4, Rank(3, 4)) == []
    assert share(missing, 1, Rank()) == missing


def test_a_silent_rank_is_given_up_and_a_speaking_one_is_not(tmp_path, monkeypatch):
    """By a clock that the leader's looks alone move."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep, time=lambda: next(moments))
    moments = itertools.count()  # no word is like another
    monkeypatch.setattr(ranks_module, "time", clock)
    monkeypatch.setattr(ranks_module, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(ranks_module, "REPORT_SECONDS", 0.01)
    with Team(tmp_path, Rank(0, 2, "run")) as leader, Team(tmp_path, Rank(1, 2, "run")) as other:
        leader.begin()
        leader.go([4, 5])
        assert other.missing() == [4, 5]
        other.begin()
        other.done, word, request = 3, tmp_path / "rank1.json", StopRequest()

        def tell() -> None:
            request.made = now[0] > 2.5
            other.done = 4
            said = word.read_bytes()
            wait_until(lambda: word.read_bytes() != said)

        assert not leader.wait(request, tell)
        assert leader.others("done") == 4
        other._end.set()
        with pytest.raises(InputError, match="rank 1 of 2 has said nothing for"):
            leader.wait(StopRequest(), lambda: None)


def test_a_rank_of_another_run_does_not_begin_and_one_that_lost_its_run_knows(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ranks_module, "SILENCE_SECONDS", 0.3)
    with Team(tmp_path, Rank(0, 2, "new")) as leader, Team(tmp_path, Rank(1, 2, "old")) as other:
        leader.begin()
        leader.go([0])
        assert leader.is_on() and not other.is_on()
        with pytest.raises(InputError, match="rank 0 of 2 has said nothing"):
            other.missing()


def test_a_rank_writes_no_block_of_a_run_that_is_not_its_own(tmp_path):
    written = []
    writer = SimpleNamespace(folder=tmp_path, write=lambda block, arrays: written.append(block))
    with Team(tmp_path, Rank(1, 2, "old")) as team:
        (tmp_path / "go.json").write_text(json.dumps({"run": "old", "missing": [0, 1, 2, 3]}))
        assert extraction._write_blocks(iter([(1, {}, [])]), writer, team) == {}
        (tmp_path / "go.json").write_text(json.dumps({"run": "new", "missing": [0, 2, 3]}))
        with pytest.raises(InputError, match="another run writes here; see which one goes on"):
            extraction._write_blocks(iter([(3, {}, [])]), writer, team)
    assert (written, team.blocks) == ([1], 1)


def test_who_says_nothing_more_has_written_the_word_under_way(tmp_path, monkeypatch):
    begun, goes_on, write = threading.Event(), threading.Event(), ranks_module.written_whole

    def slow(path):
        begun.set()
        goes_on.wait(60)
        return write(path)

    monkeypatch.setattr(ranks_module, "written_whole", slow)
    with Team(tmp_path, Rank(0, 2, "run")) as team:
        team.begin()
        assert begun.wait(60)
        hushed = threading.Thread(target=team.hush)
        hushed.start()
        hushed.join(0.2)
        assert hushed.is_alive()
        goes_on.set()
        hushed.join(60)
        assert (tmp_path / "rank0.json").is_file()


def test_rank_0_tells_the_sum_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks_module, "REPORT_SECONDS", 0.1)
    monkeypatch.setattr(extraction_progress, "REPORT_SECONDS", 0.0)
    with Team(tmp_path, Rank(0, 3, "run")) as leader, Team(tmp_path, Rank(2, 3, "run")) as other:
        leader.begin()
        other.begin()
        other.done = 30
        other.leave({})
        progress = ExtractionProgress("small", 100, 40, leader)
        progress.add(8)
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["what"], told["step"], told["steps"]) == ("extraction small", 78, 100)
