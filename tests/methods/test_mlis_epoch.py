"""An epoch of each of MLIS's three stages as its equations say, without fit()."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import CircleLoss
from torch import Tensor

from tests.made_up.recorded import Recorded
from zslpipe.methods.mlis import Config, Model, train
from zslpipe.training.contract import Classes, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, True, False, True, False])
WIDTH, ATTRIBUTES, IMAGES = 7, 4, 12
LABELS = torch.tensor([0, 3, 1, 0, 1, 0]).repeat(2)
# All that this file's loops repeat, at rates of which none is another's.
CONFIG = Config(
    hidden=9,
    generator_output="sigmoid",
    gradient_penalty=7.0,
    critic_steps=3,
    generator_steps=2,
    lr=0.02,
    batch_size=4,
    encoder_start="identity",
    metric_loss="circle",
    metric_margin=0.3,
    metric_scale=6.0,
    semantic_weight=0.5,
    refine_per_unseen=3,
    refine_per_seen=1,
    refinement_epochs=1,
    refinement_lr=0.03,
    refinement_batch_size=8,
    unit_length=False,
    classify_per_unseen=4,
    classify_per_seen=2,
    classifier_lr=0.04,
    classifier_batch_size=9,
    epochs=1,
)

Weights = dict[str, Tensor]


def classes() -> Classes:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.rand(len(SEEN), ATTRIBUTES, generator=generator, dtype=torch.float64)
    return Classes(tuple("vwxyz"), vectors, SEEN, tuple("abcd"))


VECTORS = classes().attributes


def features() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 5 * torch.rand(IMAGES, WIDTH, generator=generator, dtype=torch.float64) - 1


def linear(weights: Weights, layer: str, inputs: Tensor) -> Tensor:
    return F.linear(inputs, weights[f"{layer}.weight"], weights.get(f"{layer}.bias"))


def generated(weights: Weights, labels: Tensor) -> Tensor:
    """Return G(z, a): two layers with a LeakyReLU between them."""
    vectors = VECTORS[labels]
    given = torch.cat([torch.randn(vectors.shape, dtype=torch.float64), vectors], dim=1)
    hidden = F.leaky_relu(linear(weights, "generator.0", given), 0.2)
    return linear(weights, "generator.2", hidden).sigmoid()


def judged(weights: Weights, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return D(x, a): two layers with a LeakyReLU between them."""
    on_vectors = linear(weights, "critic.semantics", VECTORS[labels])
    hidden = F.leaky_relu(linear(weights, "critic.features", inputs) + on_vectors, 0.2)
    return linear(weights, "critic.value", hidden).squeeze(1)


def adam_of(weights: Weights, parts: tuple[str, ...], lr: float) -> torch.optim.Adam:
    chosen = [weight for name, weight in weights.items() if name.startswith(parts)]
    return torch.optim.Adam(chosen, lr=lr, betas=(0.5, 0.999))


def descend(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def critic_loss(weights: Weights, real: Tensor, labels: Tensor) -> Tensor:
    """Return equation (2), the penalty's gradient by a second backward."""
    synthetic = generated(weights, labels).detach()
    share = torch.rand(len(real), 1, dtype=torch.float64)
    between = (share * real + (1 - share) * synthetic).requires_grad_()
    value = judged(weights, between, labels).sum()
    [slopes] = torch.autograd.grad(value, between, create_graph=True)
    penalty = ((slopes.norm(dim=1) - 1) ** 2).mean()
    distance = judged(weights, synthetic, labels).mean() - judged(weights, real, labels).mean()
    return distance + CONFIG.gradient_penalty * penalty


def play(weights: Weights, real: Tensor, batches: list[Tensor]) -> None:
    """Train critic and generator, the generator after each ``critic_steps`` steps of the critic."""
    critic = adam_of(weights, ("critic.",), CONFIG.lr)
    generator = adam_of(weights, ("generator.",), CONFIG.lr)
    for step, batch in enumerate(batches, start=1):
        labels = LABELS[batch]
        descend(critic, critic_loss(weights, real[batch], labels))
        if step % CONFIG.critic_steps == 0:
            descend(generator, -judged(weights, generated(weights, labels), labels).mean())


def completed(
    weights: Weights, real: Tensor, per_unseen: int, per_seen: int
) -> tuple[Tensor, Tensor]:
    """Return real features, then synthetic ones of each class in the order of class vectors, and
    the labels of all.
    """
    drawn: list[int] = []
    for number in sorted(range(len(SEEN)), key=VECTORS.tolist().__getitem__):
        drawn += [number] * (per_seen if SEEN[number] else per_unseen)
    labels = torch.tensor(drawn)
    with torch.no_grad():
        synthetic = generated(weights, labels)
    return torch.cat([real, synthetic]), torch.cat([LABELS, labels])


def refine(weights: Weights, real: Tensor, batches: list[Tensor]) -> None:
    """Train the encoder by (1) of real features and (3) of all."""
    inputs, labels = completed(weights, real, CONFIG.refine_per_unseen, CONFIG.refine_per_seen)
    optimizer = adam_of(weights, ("encoder.", "refinement_classifier."), CONFIG.refinement_lr)
    circle = CircleLoss(m=CONFIG.metric_margin, gamma=CONFIG.metric_scale)
    for batch in batches:
        refined = linear(weights, "encoder", inputs[batch]).relu()
        own = labels[batch]
        semantics = CONFIG.semantic_weight * F.normalize(VECTORS[own], dim=1)
        joined = torch.cat([F.normalize(refined, dim=1), semantics], dim=1)
        is_real = batch < IMAGES
        logits = linear(weights, "refinement_classifier", refined)
        loss = circle(joined[is_real], own[is_real]) + F.cross_entropy(logits, own)
        descend(optimizer, loss)


def classify(weights: Weights, real: Tensor, batches: list[Tensor]) -> None:
    """Train the classifier by (3) on refined features of all."""
    inputs, labels = completed(weights, real, CONFIG.classify_per_unseen, CONFIG.classify_per_seen)
    refined = linear(weights, "encoder", inputs).relu().detach()
    optimizer = adam_of(weights, ("classifier.",), CONFIG.classifier_lr)
    for batch in batches:
        logits = linear(weights, "classifier", refined[batch])
        descend(optimizer, F.cross_entropy(logits, labels[batch]))


Trained = tuple[Weights, Weights, list[list[Tensor]]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Weights before and after train(), and the batches of each stage's epoch."""
    folder: Path = tmp_path_factory.mktemp("mlis")
    torch.manual_seed(0)
    model = Model(CONFIG, classes(), (WIDTH,)).double()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    run = TrainingRun(0, torch.device("cpu"), folder)
    data = Recorded(Held(features()), torch.arange(IMAGES), LABELS, classes(), run)
    torch.manual_seed(3)
    train(model, CONFIG, data)
    after = {name: value.detach() for name, value in model.named_parameters()}
    return before, after, data.epochs


@pytest.fixture(scope="module")
def by_hand(trained: Trained) -> Weights:
    before, _, epochs = trained
    weights = {name: value.clone().requires_grad_() for name, value in before.items()}
    lowest, highest = features().amin(0), features().amax(0)
    scaled = (features() - lowest) / (highest - lowest)
    torch.manual_seed(3)
    for stage, batches in zip((play, refine, classify), epochs, strict=True):
        stage(weights, scaled, batches)
    return {name: value.detach() for name, value in weights.items()}


@pytest.mark.parametrize(
    "part", ["critic.", "generator.", "encoder.", "refinement_classifier.", "classifier."]
)
def test_an_epoch_of_each_stage_is_that_by_hand(trained, by_hand, part):
    before, after, _ = trained
    names = [name for name in before if name.startswith(part)]
    assert names
    for name in names:
        torch.testing.assert_close(after[name], by_hand[name], rtol=0, atol=1e-9, msg=name)
        # A constant cancels between real and synthetic features.
        if name != "critic.value.bias":
            assert not torch.equal(after[name], before[name]), name


def test_the_stages_batches_are_of_real_features_then_of_all(trained):
    _, _, (playing, refining, classifying) = trained
    assert [len(batch) for batch in playing] == [4] * 6
    assert max(torch.cat(playing)) < IMAGES
    # Two unseen classes and three seen ones.
    for batches, synthetic, size in ((refining, 2 * 3 + 3, 8), (classifying, 2 * 4 + 3 * 2, 9)):
        drawn = torch.cat(batches).tolist()
        assert [len(batch) for batch in batches] == [size] * ((IMAGES + synthetic) // size)
        assert len(set(drawn)) == len(drawn)
        assert min(drawn) < IMAGES <= max(drawn) < IMAGES + synthetic
