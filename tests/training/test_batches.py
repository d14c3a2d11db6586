"""What an epoch draws and the steps it takes: episodes against their definition, inputs held as a
tensor; accumulated, clipped and alternating steps, rates and their schedules.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from zslpipe.training.batches import class_balanced_batches, episodes
from zslpipe.training.contract import Batch, Classes, Inputs, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, fit
from zslpipe.training.held import Held, Unaugmented

torch.set_num_threads(1)
LABELS = torch.tensor(
    [9, 2, 2, 4, 4, 4, 7, 9, 9, 9, 2, 7, 4, 9, 2]
)  # 5 of class 9, 4 of 2, 4 of 4, 2 of 7


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_episodes(
    labels: Tensor, generator: torch.Generator, ways: int, shots: int, count: int
) -> list[list[int]]:
    """The definition in loops: random classes; of each the images with the smallest of random keys.

    Classes count in the order of their first images. A class has as many keys as the largest class
    has images; the surplus is not looked at.
    """
    images = {
        label: [i for i, other in enumerate(labels.tolist()) if other == label]
        for label in labels.tolist()
    }
    classes, longest = list(images), max(map(len, images.values()))
    batches = []
    for _ in range(count):
        chosen = [
            classes[number]
            for number in torch.randperm(len(classes), generator=generator)[:ways].tolist()
        ]
        keys = torch.rand(len(chosen), longest, generator=generator).tolist()
        batch: list[int] = []
        for label, row in zip(chosen, keys, strict=True):
            order = sorted(range(len(images[label])), key=lambda place, row=row: row[place])
            batch += [images[label][place] for place in order[:shots]]
        batches.append(batch)
    return batches


@pytest.mark.parametrize(("ways", "shots"), [(2, 2), (3, 1), (4, 3), (9, 2), (2, 50), (9, 50)])
def test_episodes_follow_the_definition(ways, shots):
    found = episodes(LABELS, seeded(3), ways, shots, 20)
    assert [batch.tolist() for batch in found] == plain_episodes(LABELS, seeded(3), ways, shots, 20)


def test_an_episode_has_so_many_different_images_of_each_of_so_many_classes():
    for batch in episodes(LABELS, seeded(), 3, 2, 50):
        counts = LABELS[batch].unique(return_counts=True)[1]
        assert counts.tolist() == [2, 2, 2]
        assert len(set(batch.tolist())) == 6


def test_an_episode_takes_all_there_is_of_classes_and_images_that_are_few():
    every = episodes(LABELS, seeded(), 10, 3, 5)
    assert [sorted(LABELS[batch].tolist()) for batch in every] == [
        [2, 2, 2, 4, 4, 4, 7, 7, 9, 9, 9]
    ] * 5
    whole = episodes(LABELS, seeded(), 10, 100, 5)
    assert [sorted(batch.tolist()) for batch in whole] == [list(range(15))] * 5


def test_episodes_draw_classes_and_a_classes_images_evenly():
    drawn = torch.cat(episodes(LABELS, seeded(), 2, 2, 4000))
    share = torch.bincount(drawn, minlength=15) / 4000  # of the episodes an image is in
    expected = 2 / 4 * (2 / torch.bincount(LABELS)[LABELS]).clamp(max=1)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.03)


def test_the_same_generator_gives_the_same_episodes_and_each_differs_from_the_next():
    first, again, other = (
        [batch.tolist() for batch in episodes(LABELS, seeded(seed), 3, 2, 6)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(map(tuple, first))) == 6


@pytest.mark.parametrize(
    "draw", [partial(episodes, ways=3, shots=2, count=10), partial(class_balanced_batches, size=3)]
)
def test_how_classes_are_numbered_is_no_matter(draw):
    numbers = torch.tensor([0, 0, 7, 0, 3, 0, 0, 2, 0, 5])  # new numbers, in another order
    found, renumbered = (draw(labels, seeded(5)) for labels in (LABELS, numbers[LABELS]))
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in renumbered]


def test_held_values_are_inputs_and_nothing_of_them_is_drawn():
    values = torch.arange(24.0).view(6, 2, 2)
    held = Held(values, at_once=4)
    assert isinstance(held, Inputs)
    assert held.shape == (2, 2)
    assert held.at_once == 4
    assert held.take(torch.tensor([5, 0, 5])).tolist() == [
        values[5].tolist(),
        values[0].tolist(),
        values[5].tolist(),
    ]
    batches, generator = [torch.tensor([1]), torch.tensor([3, 2]), torch.tensor([0, 0])], seeded()
    state = generator.get_state()
    for start in range(4):
        found = [batch.tolist() for batch in held.stream(batches, generator, start)]
        assert found == [values[rows].tolist() for rows in batches[start:]]
    assert torch.equal(generator.get_state(), state)


class Shifted(Held):
    """Values that a generator moves, as augmentation does."""

    def stream(self, batches, generator=None, start=0):
        moves = (
            torch.zeros(len(batches))
            if generator is None
            else torch.rand(len(batches), generator=generator)
        )
        return (
            self.take(rows) + move for rows, move in list(zip(batches, moves, strict=True))[start:]
        )


def test_unaugmented_inputs_draw_nothing():
    shifted, batches, generator = (
        Shifted(torch.arange(6.0)[:, None], 2),
        [torch.tensor([1]), torch.tensor([4])],
        seeded(),
    )
    assert next(shifted.stream(batches, seeded())).item() != 1.0
    plain = Unaugmented(shifted)
    assert isinstance(plain, Inputs)
    assert (plain.shape, plain.at_once) == ((1,), 2)
    state = generator.get_state()
    assert [batch.item() for batch in plain.stream(batches, generator)] == [1.0, 4.0]
    assert [batch.item() for batch in plain.stream(batches, generator, 1)] == [4.0]
    assert plain.take(torch.tensor([3])).item() == 3.0
    assert torch.equal(generator.get_state(), state)


def training_data(tmp_path) -> TrainingData:
    """Return four training images, rows 8, 6, 4 and 2 of the index."""
    classes = Classes(("x", "y"), torch.eye(2), torch.ones(2, dtype=torch.bool), ("a", "b"))
    run = TrainingRun(0, torch.device("cpu"), tmp_path)
    rows, labels = torch.tensor([8, 6, 4, 2]), torch.tensor([0, 1, 1, 0])
    return TrainingData(Shifted(torch.arange(10.0)[:, None]), rows, labels, classes, run)


def listed(batch: Batch) -> tuple[list[float], list[int], list[int]]:
    return batch.inputs.flatten().tolist(), batch.labels.tolist(), batch.positions.tolist()


def test_batches_are_rows_and_labels_at_positions(tmp_path):
    data = training_data(tmp_path)
    assert listed(data.batch(torch.tensor([3, 1]))) == ([2.0, 6.0], [0, 1], [3, 1])
    parts = [torch.tensor([0, 2]), torch.tensor([1]), torch.tensor([3])]
    expected = [([8.0, 4.0], [0, 1], [0, 2]), ([6.0], [1], [1]), ([2.0], [0], [3])]
    assert [listed(batch) for batch in data.batches(parts)] == expected
    assert [listed(batch) for batch in data.batches(parts, start=2)] == expected[2:]
    assert [listed(batch) for batch in data.in_order(3)] == [
        ([8.0, 6.0, 4.0], [0, 1, 1], [0, 1, 2]),
        ([2.0], [0], [3]),
    ]
    whole, rest = (
        [listed(batch) for batch in data.batches(parts, seeded(), start)] for start in (0, 1)
    )
    assert whole[1:] == rest
    assert whole[1][0] != [6.0]


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
    objectives = [
        Objective(model.loss, SGD([model.map], lr=0.05)),
        Objective(lambda batch: seen.append(batch.positions[0].item()) or model.joint_loss(batch),
                  SGD([model.other], lr=0.05), every=5),
    ]  # fmt: skip
    data = line_data(tmp_path)
    fit(model, data, in_order(2), objectives, 2)
    assert seen == [8, 18] * 2
    joint = [row["joint"] for row in data.run.history]
    assert [row["loss"] for row in data.run.history] == [
        row["square"] + row["joint"] for row in data.run.history
    ]
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
    data.run.after_epoch = lambda model, epoch: (
        rates.append([one.param_groups[0]["lr"] for one in optimizers]) or {}
    )
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
