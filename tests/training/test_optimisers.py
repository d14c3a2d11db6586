"""The steps of an epoch: accumulated, clipped and alternating; rates and their schedules."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, fit
from zslpipe.training.held import Held

torch.set_num_threads(1)


class Line(nn.Module):
    """A linear map without anything random, so that steps can be written out; ``other`` is a second
    part.
    """

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.map, self.other = (nn.Parameter(torch.randn(6, generator=generator)) for _ in range(2))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"square": (batch.inputs @ self.map - batch.labels).square().mean()}

    def joint_loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"joint": (batch.inputs @ (self.map * self.other) - 2.0).square().mean()}


def line_data(folder: Path) -> TrainingData:
    """Return twenty training images."""
    classes = Classes(
        ("x", "y", "z"), torch.eye(3), torch.ones(3, dtype=torch.bool), ("a", "b", "c")
    )
    values = torch.linspace(-50, 50, 120).view(20, 6).sin()
    rows = torch.arange(20)
    return TrainingData(
        Held(values), rows, rows % 3, classes, TrainingRun(0, torch.device("cpu"), folder)
    )


def in_order(size: int) -> Callable[[Tensor, torch.Generator], list[Tensor]]:
    """Return a sampler of all images in batches of ``size``."""
    return lambda labels, generator: list(torch.arange(len(labels)).split(size))


def gradient(loss: Callable[[Batch], dict[str, Tensor]], batch: Batch, weight: Tensor) -> Tensor:
    return torch.autograd.grad(sum(loss(batch).values()), weight)[0]


def test_gradients_are_clipped_to_their_common_norm(tmp_path):
    model, expected, data = Line(), Line(), line_data(tmp_path)
    objective = Objective(model.loss, SGD(model.parameters(), lr=0.1), largest_gradient=0.3)
    fit(model, data, in_order(5), objective, 1)
    norms = []
    for batch in data.in_order(5):
        slope = gradient(expected.loss, batch, expected.map)
        norms.append(slope.norm().item())
        with torch.no_grad():
            expected.map -= 0.1 * slope * min(1.0, 0.3 / norms[-1])
    assert max(norms) > 0.3
    torch.testing.assert_close(model.map, expected.map, rtol=0, atol=1e-6)


@pytest.mark.parametrize("largest", [None, 0.3])
def test_two_accumulated_batches_are_one_of_twice_their_size(tmp_path, largest):
    models = []
    for size, accumulate in ((10, 1), (5, 2), (2, 5)):
        model = Line()
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        objective = Objective(
            model.loss, optimizer, accumulate=accumulate, largest_gradient=largest
        )
        data = line_data(tmp_path / str(size))
        fit(model, data, in_order(size), objective, 3)
        models.append((model, [row["loss"] for row in data.run.history]))
    for model, losses in models[1:]:
        torch.testing.assert_close(model.map, models[0][0].map, rtol=0, atol=1e-6)
        assert losses[0] != pytest.approx(losses[-1], rel=0.01)
    assert not torch.allclose(models[0][0].map, Line().map, atol=0.01)


def test_what_is_left_of_an_epoch_is_averaged_over_as_many_batches_as_there_are(tmp_path):
    """Five batches in groups of two: the fifth is a group of its own."""
    model, expected, data = Line(), Line(), line_data(tmp_path)
    fit(
        model,
        data,
        in_order(4),
        Objective(model.loss, SGD(model.parameters(), lr=0.05), accumulate=2),
        1,
    )
    for group in torch.arange(20).split(8):
        slope = gradient(expected.loss, data.batch(group), expected.map)
        with torch.no_grad():
            expected.map -= 0.05 * slope
    torch.testing.assert_close(model.map, expected.map, rtol=0, atol=1e-6)


def test_an_objectives_gradients_are_of_its_own_loss_alone(tmp_path):
    """Two objectives, the second one's loss reaching what the first one is accumulating for."""
    model, expected, data = Line(), Line(), line_data(tmp_path)
    objectives = [
        Objective(model.loss, SGD([model.map], lr=0.05), accumulate=2),
        Objective(model.joint_loss, SGD([model.other], lr=0.05)),
    ]
    fit(model, data, in_order(5), objectives, 1)
    slopes = []
    for number, batch in enumerate(map(data.batch, torch.arange(20).split(5))):
        slopes.append(gradient(expected.loss, batch, expected.map))
        with torch.no_grad():
            if number % 2:
                expected.map -= 0.05 * (slopes[-2] + slopes[-1]) / 2
        slope = gradient(expected.joint_loss, batch, expected.other)
        with torch.no_grad():
            expected.other -= 0.05 * slope
    torch.testing.assert_close(model.map, expected.map, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.other, expected.other, rtol=0, atol=1e-6)


def test_every_fifth_batch_is_every_fifth_batch_of_an_epoch(tmp_path):
    model, seen = Line(), []

    def noted(batch: Batch) -> dict[str, Tensor]:
        seen.append(batch.positions[0].item())
        return model.joint_loss(batch)

    objectives = [
        Objective(model.loss, SGD([model.map], lr=0.05)),
        Objective(noted, SGD([model.other], lr=0.05), every=5),
    ]
    data = line_data(tmp_path)
    fit(model, data, in_order(2), objectives, 2)
    assert seen == [8, 18] * 2
    assert len(data.run.history) == 2
    joint = [row["joint"] for row in data.run.history]
    for row in data.run.history:
        assert row["loss"] == row["square"] + row["joint"]
    assert joint[1] < joint[0]


@pytest.mark.parametrize("rate", [0.05, 1.0])  # the loss falls; the loss rises
def test_rates_follow_their_schedules_epoch_by_epoch(tmp_path, rate):
    model, data, rates = Line(), line_data(tmp_path), []
    optimizers = [SGD([model.map], lr=rate), SGD([model.other], lr=0.04)]
    plateau = ReduceLROnPlateau(optimizers[0], factor=0.1, patience=1)
    objectives = [
        Objective(model.loss, optimizers[0], plateau),
        Objective(
            lambda batch: {"apart": model.other.square().mean()},
            optimizers[1],
            StepLR(optimizers[1], 2, 0.5),
        ),
    ]

    def note_rates(model: nn.Module, epoch: int) -> dict[str, float]:
        rates.append([one.param_groups[0]["lr"] for one in optimizers])
        return {}

    data.run.after_epoch = note_rates
    fit(model, data, in_order(5), objectives, 8)
    falling, best, waited, expected = rate, float("inf"), 0, []
    for epoch, row in enumerate(data.run.history, 1):
        waited = 0 if row["loss"] < best * (1 - 1e-4) else waited + 1
        best = min(best, row["loss"])
        if waited > 1:
            falling, waited = falling * 0.1, 0
        expected.append([falling, 0.04 * 0.5 ** (epoch // 2)])
    torch.testing.assert_close(torch.tensor(rates), torch.tensor(expected))
    assert (falling < rate) == (rate == 1.0)
