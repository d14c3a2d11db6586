"""fit(): killed at any step it ends with the same bytes; each step; losses that are not finite."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.made_up.places import SCRIPT
from zslpipe.machine.interruption import Interrupted
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.fit import NonFiniteLossError, Objective, fit
from zslpipe.training.held import Held

torch.set_num_threads(1)
IMAGES, BATCH, EPOCHS = 10, 4, 3
STEPS = 3  # batches in an epoch: 4, 4 and 2 images
INPUTS = torch.linspace(-1, 1, 6 * IMAGES).view(IMAGES, 6).sin()


class Net(nn.Module):
    """A network with dropout, so that the state of the random numbers counts; ``killed_at`` counts
    losses from 1.
    """

    def __init__(self, killed_at: int = 0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
        self.killed_at, self.losses = killed_at, 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        self.losses += 1
        if self.losses == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        outputs = self.layers(batch.inputs)
        return {
            "cross_entropy": nn.functional.cross_entropy(outputs, batch.labels),
            "size": 0.01 * outputs.square().mean(),
        }


def data_of(folder: Path, stamp: str = "a", checkpoint_seconds: float = 0.0) -> TrainingData:
    run = TrainingRun(7, torch.device("cpu"), folder, stamp, checkpoint_seconds=checkpoint_seconds)
    classes = Classes(
        ("x", "y", "z"), torch.eye(3), torch.ones(3, dtype=torch.bool), ("a", "b", "c")
    )
    return TrainingData(Held(INPUTS), torch.arange(IMAGES), torch.arange(IMAGES) % 3, classes, run)


def batches(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
    return list(torch.randperm(len(labels), generator=generator).split(BATCH))


def train(data: TrainingData, killed_at: int = 0) -> Net:
    """Train in two stages, as methods with several parts do."""
    torch.manual_seed(0)
    model = Net(killed_at)
    for stage in ("first", "second"):
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9)
        fit(model, data, batches, Objective(model.loss, optimizer), EPOCHS, stage)
    return model


def weight_bytes(model: nn.Module) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())


def without_times(history: list[dict]) -> list[dict]:
    kept = [dict(row) for row in history]
    for row in kept:
        del row["seconds"], row["waiting"]
    return kept


# In the middle of an epoch, at an epoch's first and last step, and in the second stage.
@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [5, 6, 7, 14])
def test_killed_and_run_again_it_ends_with_the_same_bytes(tmp_path, killed_at):
    whole = data_of(tmp_path / "whole")
    expected = train(whole)
    command = [sys.executable, __file__, str(tmp_path / "killed"), str(killed_at)]
    assert subprocess.run(command, env=SCRIPT, check=False).returncode == -signal.SIGKILL
    again = data_of(tmp_path / "killed")
    resumed = train(again)
    assert weight_bytes(resumed) == weight_bytes(expected)
    # Only what was missing is done: the step of the kill and all after it.
    assert resumed.losses == 2 * EPOCHS * STEPS - (killed_at - 1)
    assert without_times(again.run.history) == without_times(whole.run.history)
    assert len(again.run.history) == 2 * EPOCHS


def test_a_finished_training_is_not_repeated(tmp_path):
    data = data_of(tmp_path)
    expected = train(data)
    again = data_of(tmp_path)
    repeated = train(again)
    assert repeated.losses == 0
    assert weight_bytes(repeated) == weight_bytes(expected)
    assert again.run.history == data.run.history


def test_a_checkpoint_of_another_stamp_is_left_behind(tmp_path):
    expected = train(data_of(tmp_path / "other", stamp="b"))
    train(data_of(tmp_path / "folder", stamp="a"))
    data = data_of(tmp_path / "folder", stamp="b")
    fresh = train(data)
    assert fresh.losses == 2 * EPOCHS * STEPS
    assert weight_bytes(fresh) == weight_bytes(expected)
    assert len(data.run.history) == 2 * EPOCHS


def test_how_often_checkpoints_are_written_changes_nothing(tmp_path):
    often, seldom = (
        train(data_of(tmp_path / str(seconds), checkpoint_seconds=seconds))
        for seconds in (0.0, 1e6)
    )
    assert weight_bytes(often) == weight_bytes(seldom)


def test_no_half_written_checkpoint_is_left(tmp_path):
    train(data_of(tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["progress.json", "train.first.checkpoint.pt", "train.second.checkpoint.pt"]


def test_each_step_is_the_optimisers_on_the_sum_of_terms(tmp_path):
    """The same training written out, batch by batch."""
    data = data_of(tmp_path)
    trained = train(data)
    drawn = []

    def recorded(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        drawn.append(batches(labels, generator))
        return drawn[-1]

    # The batches that fit() draws, found with a network that is thrown away.
    for stage in ("first", "second"):
        other = Net()
        unmoved = Objective(other.loss, torch.optim.SGD(other.parameters(), lr=0.0))
        fit(other, data_of(tmp_path / "other"), recorded, unmoved, EPOCHS, stage)
    torch.manual_seed(0)
    model = Net()
    rows = []
    for first in (0, EPOCHS):
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9)
        for epoch in drawn[first : first + EPOCHS]:
            sums = [0.0, 0.0]
            for positions in epoch:
                terms = list(model.loss(data.batch(positions)).values())
                optimizer.zero_grad()
                (terms[0] + terms[1]).backward()
                optimizer.step()
                sums = [total + term.item() for total, term in zip(sums, terms, strict=True)]
            rows.append([total / len(epoch) for total in sums])
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor, rtol=0, atol=1e-7)
    for row, (cross_entropy, size) in zip(data.run.history, rows, strict=True):
        assert row["cross_entropy"] == pytest.approx(cross_entropy, abs=1e-6)
        assert row["size"] == pytest.approx(size, abs=1e-6)
        assert row["loss"] == pytest.approx(cross_entropy + size, abs=1e-6)
    assert len({tuple(torch.cat(epoch).tolist()) for epoch in drawn}) == 2 * EPOCHS


class Clock:
    """Inputs that take 3 s a batch by a clock that nothing else moves but the steps, of 7 s."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        taken = Held.take

        def slow(inputs: Held, rows: Tensor) -> Tensor:
            self.now += 3.0
            return taken(inputs, rows)

        monkeypatch.setattr(Held, "take", slow)

    def step(self, model: Net, batch: Batch) -> dict[str, Tensor]:
        self.now += 7.0
        return Net.loss(model, batch)


@pytest.mark.parametrize("stop", [None, 2, STEPS])
def test_the_share_of_an_epoch_that_waits_for_batches_is_in_the_history(
    tmp_path, monkeypatch, stop
):
    clock = Clock(monkeypatch)
    for attempt in (stop, None):
        data, model = data_of(tmp_path), Net(0)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

        def loss(batch: Batch, model: Net = model, attempt: int | None = attempt):
            terms = clock.step(model, batch)
            if model.losses == attempt:
                raise KeyboardInterrupt
            return terms

        try:
            fit(model, data, batches, Objective(loss, optimizer), 2)
        except KeyboardInterrupt:
            assert attempt is not None
    assert [row["waiting"] for row in data.run.history] == [0.3, 0.3]
    assert [row["seconds"] for row in data.run.history] == [10.0 * STEPS] * 2


def test_a_figure_after_each_epoch_joins_the_history(tmp_path):
    data = data_of(tmp_path)
    modes = []

    def figure(model: nn.Module, epochs: int) -> dict[str, float]:
        modes.append(model.training)
        return {"figure": 10.0 * epochs}

    data.run.after_epoch = figure
    model = Net()
    objective = Objective(model.loss, torch.optim.SGD(model.parameters(), lr=0.1))
    fit(model, data, batches, objective, EPOCHS)
    assert [row["figure"] for row in data.run.history] == [10.0, 20.0, 30.0]
    assert modes == [False] * EPOCHS
    assert not model.training


def test_a_stop_ends_a_measurement_at_once(tmp_path):
    data, measured = data_of(tmp_path), []

    def figure(model: nn.Module, epochs: int) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        measured.append(epochs)
        return {}

    data.run.after_epoch = figure
    model, before = Net(), signal.getsignal(signal.SIGTERM)
    objective = Objective(model.loss, torch.optim.SGD(model.parameters(), lr=0.1))
    try:
        with pytest.raises(Interrupted, match="train: told to stop while epoch 1 was measured"):
            fit(model, data, batches, objective, EPOCHS)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert measured == []


def test_what_a_measurement_draws_changes_no_weight(tmp_path):
    weights = []
    for draws in (0, 5):
        data = data_of(tmp_path / str(draws))
        data.run.after_epoch = lambda *_, draws=draws: {"drawn": torch.rand(draws).sum().item()}
        weights.append(weight_bytes(train(data)))
    assert weights[0] == weights[1]


class Diverging(Net):
    """A network whose term ``size`` is not finite at one step, the fifth."""

    def __init__(self, value: float, at: int = 5):
        super().__init__()
        self.value, self.at = value, at

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        terms = super().loss(batch)
        return terms | {"size": terms["size"] * (self.value if self.losses == self.at else 1.0)}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_stage_epoch_step_and_term(tmp_path, value):
    model = Diverging(value)
    with pytest.raises(NonFiniteLossError) as caught:
        objective = Objective(model.loss, torch.optim.SGD(model.parameters(), lr=0.1))
        fit(model, data_of(tmp_path), batches, objective, EPOCHS, "refinement")
    text = str(caught.value)
    assert text.startswith(f"train refinement: loss term 'size' is {value} at epoch 2, step 2;")
    assert "\n" not in text and text.endswith("the remedy: a smaller learning rate")


def test_before_the_first_step_no_learning_rate_is_blamed(tmp_path):
    model = Diverging(float("inf"), at=1)
    with pytest.raises(NonFiniteLossError, match=r"at epoch 1, step 1; the remedy: features or se"):
        objective = Objective(model.loss, torch.optim.SGD(model.parameters(), lr=0.1))
        fit(model, data_of(tmp_path), batches, objective, EPOCHS, "refinement")


if __name__ == "__main__":
    train(data_of(Path(sys.argv[1])), killed_at=int(sys.argv[2]))
