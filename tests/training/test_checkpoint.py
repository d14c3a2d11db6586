"""SIGTERM in the middle of fit() saves and says so, and the training ends as it would have."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from tests.made_up.miniature import miniature_index
from tests.made_up.places import SCRIPT
from zslpipe.machine.interruption import EXIT_CODE, InterruptedTraining
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.training.contract import Batch, Classes, Inputs, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, fit
from zslpipe.training.held import Held

torch.set_num_threads(1)
CPU = torch.device("cpu")
WIDTH, IMAGES, BATCH, EPOCHS = 6, 23, 4, 3
STEPS = 6  # batches in an epoch, the last one of 3 images
SIZE = 16  # pixels
NEVER = 1e9


class Pair(nn.Module):
    """A classifier with dropout, and a part that moves its inputs; ``at_step`` is called at each
    step from 1.
    """

    def __init__(self, width: int = WIDTH, at_step: Callable[[int], None] = lambda step: None):
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Linear(width, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3)
        )
        self.mover = nn.Linear(width, width)
        self.at_step, self.steps = at_step, 0

    def classify(self, batch: Batch) -> dict[str, Tensor]:
        self.steps += 1
        self.at_step(self.steps)
        moved = self.mover(batch.inputs.flatten(1)).detach()
        outputs = self.classifier(batch.inputs.flatten(1) + moved)
        return {
            "cross_entropy": nn.functional.cross_entropy(outputs, batch.labels),
            "size": 0.01 * outputs.square().mean(),
        }

    def move(self, batch: Batch) -> dict[str, Tensor]:
        inputs = batch.inputs.flatten(1)
        return {
            "mislead": -nn.functional.cross_entropy(
                self.classifier(inputs + self.mover(inputs)), batch.labels
            )
        }


@dataclass(frozen=True)
class Case:
    """How a Pair is trained: settings of its first objective, its schedule, and how often the
    second one's turn is.
    """

    accumulate: int = 1
    largest_gradient: float | None = None
    schedule: Callable | None = None
    every: int = 0
    stops: tuple[int, ...] = (1, 5, STEPS, STEPS + 3, EPOCHS * STEPS)

    def objectives(self, model: Pair) -> list[Objective]:
        optimizer = SGD(model.classifier.parameters(), lr=0.1, momentum=0.9)
        schedule = self.schedule(optimizer) if self.schedule else None
        first = Objective(
            model.classify, optimizer, schedule, 1, self.accumulate, self.largest_gradient
        )
        second = Objective(model.move, Adam(model.mover.parameters(), lr=1e-2), every=self.every)
        return [first, second] if self.every else [first]


CASES = {
    "plain": Case(),
    "accumulated": Case(accumulate=2),
    "clipped": Case(largest_gradient=0.05),
    "alternating": Case(every=5),
    "steps": Case(schedule=lambda optimizer: StepLR(optimizer, 1, 0.5)),
    "plateau": Case(
        schedule=lambda optimizer: ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    ),
    "all": Case(4, 0.05, lambda optimizer: ReduceLROnPlateau(optimizer, factor=0.5, patience=0), 5),
}


def data_of(
    folder: Path, inputs: Inputs | None = None, checkpoint_seconds: float = NEVER
) -> TrainingData:
    """Return data whose checkpoints are written by an interruption and at the end alone, unless
    told otherwise.
    """
    values = torch.linspace(-1, 1, WIDTH * IMAGES).view(IMAGES, WIDTH).mul(50).sin()
    run = TrainingRun(7, CPU, folder, "stamp", checkpoint_seconds=checkpoint_seconds)
    classes = Classes(
        ("x", "y", "z"), torch.eye(3), torch.ones(3, dtype=torch.bool), ("a", "b", "c")
    )
    return TrainingData(
        inputs or Held(values), torch.arange(IMAGES), torch.arange(IMAGES) % 3, classes, run
    )


def batches(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
    return list(torch.randperm(len(labels), generator=generator).split(BATCH))


def train(
    data: TrainingData,
    case: Case,
    at_step: Callable[[int], None] = lambda step: None,
    seed: int = 0,
) -> tuple[Pair, list[Objective]]:
    torch.manual_seed(seed)
    model = Pair(int(np.prod(data.inputs.shape)), at_step)
    objectives = case.objectives(model)
    fit(model, data, batches, objectives, EPOCHS)
    return model, objectives


def terminate_at(stop: int) -> Callable[[int], None]:
    return lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == stop else None


def weight_bytes(model: nn.Module) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())


def without_times(history: list[dict]) -> list[dict]:
    kept = [dict(row) for row in history]
    for row in kept:
        del row["seconds"], row["waiting"]
    return kept


@pytest.mark.parametrize(
    ("name", "stop"), [(name, stop) for name, case in CASES.items() for stop in case.stops]
)
def test_told_to_stop_it_saves_and_ends_with_the_same_bytes_when_run_again(tmp_path, name, stop):
    case = CASES[name]
    whole = data_of(tmp_path / "whole")
    expected, _ = train(whole, case)
    with pytest.raises(InterruptedTraining) as caught:
        train(data_of(tmp_path / "stopped"), case, terminate_at(stop))
    # Accumulated gradients are not kept: the group is completed first.
    epoch, step = divmod(stop - 1, STEPS)
    saved = min(-(-(step + 1) // case.accumulate) * case.accumulate, STEPS)
    again = data_of(tmp_path / "stopped")
    # What is random comes from the checkpoint, not from the seed.
    resumed, _ = train(again, case, seed=99)
    assert weight_bytes(resumed) == weight_bytes(expected)
    assert without_times(again.run.history) == without_times(whole.run.history)
    assert resumed.steps == EPOCHS * STEPS - (epoch * STEPS + saved)
    if saved % case.accumulate == 0:
        assert f"told to stop at epoch {epoch + 1}, step {saved}; the checkpoint is written" in str(
            caught.value
        )


def test_told_to_stop_twice_it_goes_on_twice(tmp_path):
    expected, _ = train(data_of(tmp_path / "whole"), CASES["all"])
    for stop, seed in ((3, 0), (9, 1)):
        with pytest.raises(InterruptedTraining):
            train(data_of(tmp_path / "stopped"), CASES["all"], terminate_at(stop), seed)
    again, _ = train(data_of(tmp_path / "stopped"), CASES["all"], seed=2)
    assert weight_bytes(again) == weight_bytes(expected)


def test_the_checkpoint_is_of_the_step_that_the_message_names_whenever_the_signal_comes(
    tmp_path, monkeypatch
):
    """The loop looks at the clock several times a step; each of them is a moment for the signal."""
    for when in range(6, 40):
        looks = iter(range(1, 1000))

        def monotonic(when=when, looks=looks) -> float:
            if next(looks) == when:
                os.kill(os.getpid(), signal.SIGTERM)
            return 0.0

        monkeypatch.setattr("zslpipe.training.fit.time.monotonic", monotonic)
        with pytest.raises(InterruptedTraining) as caught:
            train(data_of(tmp_path / str(when)), CASES["plain"])
        state = torch.load(tmp_path / str(when) / "train.train.checkpoint.pt", weights_only=True)
        assert f"epoch {state['epoch'] + 1}, step {state['step']};" in str(caught.value)


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bytes_when_run_again(tmp_path):
    expected, _ = train(data_of(tmp_path / "whole"), CASES["all"])
    done = subprocess.run(
        [sys.executable, __file__, "killed", str(tmp_path / "killed"), "11"],
        env=SCRIPT,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    resumed, _ = train(data_of(tmp_path / "killed"), CASES["all"], seed=99)
    assert weight_bytes(resumed) == weight_bytes(expected)
    assert (
        resumed.steps == EPOCHS * STEPS - 10
    )  # a group of four ends before a multiple of four and each epoch


def image_inputs(folder: Path, workers: int) -> ImageInputs:
    """Return the images that :func:`pictures` makes."""
    index = replace(
        miniature_index(np.random.default_rng(0)),
        paths=tuple(f"{row}.png" for row in range(IMAGES)),
    )
    mean, deviation = torch.full((2, 1, 3, 1, 1), 0.5)
    return ImageInputs(folder, index, SIZE, mean, deviation, CPU, workers)


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder, generator = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for row in range(IMAGES):
        Image.fromarray(generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
            folder / f"{row}.png"
        )
    return folder


@pytest.mark.slow
def test_a_stop_of_all_processes_of_a_job_is_one_of_the_training(tmp_path, pictures):
    """Readers work on until the checkpoint is written; what a SLURM time limit does."""
    expected, _ = train(data_of(tmp_path / "whole", image_inputs(pictures, 0)), CASES["plain"])
    arguments = ["stopped", str(tmp_path / "stopped"), "9", str(pictures)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=SCRIPT,
        check=False,
        start_new_session=True,
        capture_output=True,
        text=True,
    )
    assert done.returncode == EXIT_CODE, done.stderr
    assert done.stdout.strip().startswith("train train: told to stop at epoch 2, step 3;")
    resumed, _ = train(
        data_of(tmp_path / "stopped", image_inputs(pictures, 1)), CASES["plain"], seed=99
    )
    assert weight_bytes(resumed) == weight_bytes(expected)
    assert resumed.steps == EPOCHS * STEPS - 9


def interrupt(folder: Path, stop: int, pictures: Path) -> None:
    """Train and send SIGTERM to all processes of this session at step ``stop``, from a process
    outside of it.
    """

    def stop_all(step: int) -> None:
        if step == stop:
            subprocess.run(
                ["kill", "-TERM", "--", f"-{os.getpgid(0)}"], check=True, start_new_session=True
            )

    try:
        train(data_of(folder, image_inputs(pictures, 2)), CASES["plain"], stop_all)
    except InterruptedTraining as stopped:
        sys.stdout.write(f"{stopped}\n")
        sys.exit(EXIT_CODE)


if __name__ == "__main__":
    if sys.argv[1] == "stopped":
        interrupt(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        kill = signal.SIGKILL
        train(
            data_of(Path(sys.argv[2]), checkpoint_seconds=0.0),
            CASES["all"],
            lambda step: os.kill(os.getpid(), kill) if step == int(sys.argv[3]) else None,
        )
