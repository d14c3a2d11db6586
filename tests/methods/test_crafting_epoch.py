"""An epoch of classifier crafting as its equations and Adam's say, without fit()."""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.made_up.recorded import Recorded
from zslpipe.methods.crafting import Config, Model, train
from zslpipe.training.contract import Batch, Classes, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, False, True, True, False])
IMAGES, WIDTH, ATTRIBUTES, SIDE = 12, 7, 4, 48
LABELS = torch.tensor([0, 2, 3]).repeat(4)
TARGETS = {0: 0, 2: 1, 3: 2}  # among the seen classes


def classes() -> Classes:
    vectors = torch.randn(len(SEEN), ATTRIBUTES, generator=torch.Generator().manual_seed(0))
    return Classes(tuple("ABCDE"), vectors, SEEN, tuple("abcd"))


def values_of(*shape: int) -> Tensor:
    return torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(1))


def trained(
    config: Config, values: Tensor, folder: Path
) -> tuple[Model, Model, list[list[Tensor]]]:
    """Return a model before and after training, and each epoch's batches."""
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(Model(config, classes(), tuple(values.shape[1:])).to(values.dtype).eval())
    run = TrainingRun(0, torch.device("cpu"), folder)
    data = Recorded(Held(values), torch.arange(IMAGES), LABELS, classes(), run)
    train(models[1], config, data)
    for batches in data.epochs:
        # Full batches of different images: those left over wait for another epoch.
        size = min(config.batch_size, IMAGES)
        assert [len(batch) for batch in batches] == [size] * (IMAGES // size)
        assert len(set(torch.cat(batches).tolist())) == IMAGES // size * size
    return models[0], models[1], data.epochs


class Adam:
    """Adam by its definition (Kingma and Ba 2015, algorithm 1), its rates the usual ones."""

    def __init__(self, weights: list[Tensor], rates: list[float]):
        self.weights, self.rates, self.steps = weights, rates, 0
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]

    def step(self, loss: Tensor) -> None:
        self.steps += 1
        gradients = torch.autograd.grad(loss, self.weights)
        for number, gradient in enumerate(gradients):
            mean, square = self.means[number], self.squares[number]
            mean.mul_(0.9).add_(0.1 * gradient)
            square.mul_(0.999).add_(0.001 * gradient**2)
            root = (square / (1 - 0.999**self.steps)).sqrt() + 1e-8
            with torch.no_grad():
                move = mean / (1 - 0.9**self.steps) / root
                self.weights[number] -= self.rates[number] * move


def test_an_epoch_of_semantic_rules_is_that_by_hand(tmp_path):
    """Equations (1) and (2) on pooled features: cosines over the temperature, seen classes."""
    config = Config(lr=0.02, temperature=0.3, batch_size=5, epochs=1)
    pooled = values_of(WIDTH).double()
    before, after, [batches] = trained(config, pooled, tmp_path)
    A = before.projection.weight.detach().clone().requires_grad_()
    a = before.projection.bias.detach().clone().requires_grad_()
    rules = F.normalize(classes().attributes, dim=1).double()[SEEN]
    adam = Adam([A, a], [0.02, 0.02])
    for batch in batches:
        features = F.normalize(pooled[batch] @ A.T + a, dim=1)
        targets = torch.tensor([TARGETS[label] for label in LABELS[batch].tolist()])
        adam.step(F.cross_entropy(features @ rules.T / 0.3, targets))
    torch.testing.assert_close(after.projection.weight, A, rtol=0, atol=1e-9)
    torch.testing.assert_close(after.projection.bias, a, rtol=0, atol=1e-9)


def test_an_epoch_of_the_network_is_that_by_hand(tmp_path):
    """Visual rules, made before training, then the network alone, at its own rate."""
    rate = 1e-3
    config = Config(rule="visual", backbone="demo", trunk_lr=rate, batch_size=5, epochs=1)
    images = values_of(3, SIDE, SIDE).double()
    before, after, [batches] = trained(config, images, tmp_path)
    before.rules.copy_(after.rules)
    weights = list(before.trunk.parameters())
    started = [weight.detach().clone() for weight in weights]
    adam = Adam(weights, [rate] * len(weights))
    for batch in batches:
        adam.step(before.loss(Batch(images[batch], LABELS[batch]))["cross_entropy"])
    for weight, start, found in zip(weights, started, after.trunk.parameters(), strict=True):
        move = (weight - start).norm()
        assert move > 0
        assert (found - weight).norm() < 1e-3 * move


def test_semantic_rules_of_images_train_the_linear_layer_first(tmp_path):
    """An epoch of A alone on what the network makes of the images before it trains, then one of
    both, each at its rate, Adam begun anew.
    """
    config = Config(
        backbone="demo", lr=0.02, trunk_lr=1e-3, joint_lr=0.01, temperature=0.3, batch_size=5,
        head_epochs=1, epochs=1,
    )  # fmt: skip
    images = values_of(3, SIDE, SIDE)
    before, after, [first, second] = trained(config, images, tmp_path)
    rules = F.normalize(classes().attributes, dim=1)[SEEN]
    targets = torch.tensor([TARGETS[label] for label in LABELS.tolist()])

    def loss(pooled: Tensor, batch: Tensor) -> Tensor:
        features = F.normalize(pooled @ A.T + a, dim=1)
        return F.cross_entropy(features @ rules.T / 0.3, targets[batch])

    A = before.projection.weight.detach().clone().requires_grad_()
    a = before.projection.bias.detach().clone().requires_grad_()
    with torch.no_grad():
        pooled = before.trunk(images).mean(dim=(2, 3))
    adam = Adam([A, a], [0.02, 0.02])
    for batch in first:
        adam.step(loss(pooled[batch], batch))
    head = A.detach().clone()
    weights = list(before.trunk.parameters())
    started = [weight.detach().clone() for weight in weights]
    adam = Adam([*weights, A, a], [1e-3] * len(weights) + [0.01, 0.01])
    for batch in second:
        adam.step(loss(before.trunk(images[batch]).mean(dim=(2, 3)), batch))
    assert (head - before.projection.weight).norm() > 0.1 < (A - head).norm()
    torch.testing.assert_close(after.projection.weight, A.detach(), rtol=0, atol=1e-3)
    torch.testing.assert_close(after.projection.bias, a.detach(), rtol=0, atol=1e-3)
    moved = torch.cat([(one - old).flatten() for one, old in zip(weights, started, strict=True)])
    pairs = zip(after.trunk.parameters(), started, strict=True)
    found = torch.cat([(one - old).flatten() for one, old in pairs])
    assert (found - moved).norm() < 0.05 * moved.norm() > 0


def test_a_head_of_no_epochs_and_visual_rules_train_at_once(tmp_path):
    for number, config in enumerate(
        (Config(head_epochs=0, joint_lr=0.1, epochs=2), Config(rule="visual", epochs=2))
    ):
        values = values_of(3, SIDE, SIDE)
        epochs = trained(replace(config, backbone="demo"), values, tmp_path / str(number))[2]
        assert len(epochs) == 2
