"""An epoch of DAZLE as its equations and RMSprop's say, without fit()."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.made_up.recorded import Recorded
from zslpipe.methods.dazle import Config, Model, train
from zslpipe.training.contract import Classes, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, True, False, True, False])
IMAGES, REGIONS, WIDTH, ATTRIBUTES, WORD_WIDTH = 12, 9, 7, 6, 5
LABELS = torch.tensor([0, 1, 3]).repeat(4)
# Rates at which a term left out shows within three steps; no optimiser's own defaults.
CONFIG = Config(lr=0.01, momentum=0.8, weight_decay=0.3, batch_size=5, epochs=1)
PARAMETERS = ("word_vectors", "W_e", "W_alpha", "W_beta")

Weights = dict[str, Tensor]


def classes(attributes: int = ATTRIBUTES, word_width: int = WORD_WIDTH) -> Classes:
    generator = torch.Generator().manual_seed(0)
    names = tuple(str(number) for number in range(len(SEEN)))
    vectors = torch.randn(len(SEEN), attributes, generator=generator, dtype=torch.float64)
    words = torch.randn(attributes, word_width, generator=generator, dtype=torch.float64)
    return Classes(names, vectors, SEEN, tuple(map(str, range(attributes))), words)


def regions() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(IMAGES, REGIONS, WIDTH, generator=generator, dtype=torch.float64)


def fresh() -> Model:
    torch.manual_seed(0)
    return Model(CONFIG, classes(), (REGIONS, WIDTH)).double()


def weights_of(model: Model) -> Weights:
    return {name: getattr(model, name).detach().clone() for name in PARAMETERS}


def trained(config: Config, folder: Path) -> tuple[Weights, Weights, list[Tensor]]:
    """Return the weights before and after the epoch, and its batches."""
    model, run = fresh(), TrainingRun(0, torch.device("cpu"), folder)
    before = weights_of(model)
    data = Recorded(Held(regions()), torch.arange(IMAGES), LABELS, classes(), run)
    train(model, config, data)
    [batches] = data.epochs
    return before, weights_of(model), batches


def loss_by_hand(weights: Weights, images: Tensor, labels: Tensor) -> Tensor:
    """Return L of equation (12): (2) to (4), (6) to (8) and -log of the batch's mean of (11)."""
    features = F.normalize(images, dim=2)
    compatible = "av,vd,brd->bar"
    words = weights["word_vectors"]
    alpha = torch.einsum(compatible, words, weights["W_alpha"], features).softmax(2)
    attended = torch.einsum("bar,brd->bad", alpha, features)
    e = torch.einsum("av,vd,bad->ba", words, weights["W_e"], attended)
    beta = torch.einsum("av,vd,bad->ba", words, weights["W_beta"], attended).sigmoid()
    scores = (e * beta) @ F.normalize(classes().attributes, dim=1).T
    shifted = scores + torch.where(SEEN, -1.0, 1.0)
    unseen = shifted.softmax(1)[:, ~SEEN].sum(1)
    return F.cross_entropy(scores, labels) - 0.1 * unseen.mean().log()


def epoch_by_hand(config: Config, start: Weights, batches: list[Tensor]) -> Weights:
    """Return the weights after RMSprop: squares forget by 0.99, steps add up by the momentum."""
    weights = {name: value.clone().requires_grad_() for name, value in start.items()}
    squares = {name: torch.zeros_like(value) for name, value in start.items()}
    moves = {name: torch.zeros_like(value) for name, value in start.items()}
    for batch in batches:
        loss = loss_by_hand(weights, regions()[batch], LABELS[batch])
        gradients = torch.autograd.grad(loss, list(weights.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                slope = gradient + config.weight_decay * weight
                squares[name] = 0.99 * squares[name] + 0.01 * slope**2
                step = slope / (squares[name].sqrt() + 1e-8)
                moves[name] = config.momentum * moves[name] + step
                weight -= config.lr * moves[name]
    return weights


@pytest.mark.parametrize("sampler", ["random", "class balanced"])
def test_an_epoch_is_that_by_hand(tmp_path, sampler):
    config = replace(CONFIG, sampler=sampler)
    before, after, batches = trained(config, tmp_path)
    assert len(batches) > 1
    expected = epoch_by_hand(config, before, batches)
    for name, value in after.items():
        torch.testing.assert_close(value, expected[name].detach(), rtol=0, atol=1e-9, msg=name)


def test_random_batches_take_an_image_once_and_are_full(tmp_path):
    _, _, batches = trained(CONFIG, tmp_path)
    assert list(map(len, batches)) == [5, 5]  # of twelve images: no step rests on the two left over
    drawn = torch.cat(batches).tolist()
    assert len(set(drawn)) == len(drawn)


def test_balanced_batches_take_one_image_of_a_class(tmp_path):
    _, _, batches = trained(replace(CONFIG, sampler="class balanced"), tmp_path)
    for batch in batches:
        assert LABELS[batch].sort().values.tolist() == [0, 1, 3]


def test_the_compatibility_starts_at_a_standard_normal_draw_and_both_attentions_at_zero():
    """Deviations of 0.01 and of 1 can both be trained: what an epoch says is what it starts at."""
    torch.manual_seed(0)
    model = Model(CONFIG, classes(attributes=3, word_width=60), (REGIONS, 300))
    drawn = model.W_e.detach()
    assert drawn.shape == (60, 300)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    # A standard normal draw's fourth moment; a uniform one's of the same deviation is 1.8.
    assert drawn.pow(4).mean().item() == pytest.approx(3, abs=0.2)
    assert not model.W_alpha.any() and not model.W_beta.any()
