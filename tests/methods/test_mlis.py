"""MLIS against its equations written out, in float64."""

import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.made_up.recorded import Recorded
from zslpipe.methods.mlis import PUBLISHED, Config, Model, refine, train, with_synthetic
from zslpipe.networks.critic import Critic
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, True, False, True, False])
WIDTH, ATTRIBUTES, IMAGES = 7, 4, 6
SMALL = Config(
    hidden=9, generator_steps=3, batch_size=4, refinement_epochs=2, epochs=2, classify_per_unseen=6
)
LABELS = torch.tensor([0, 3, 1, 0, 1, 0])


def classes() -> Classes:
    vectors = torch.rand(
        len(SEEN), ATTRIBUTES, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return Classes(tuple("vwxyz"), vectors, SEEN, tuple("abcd"))


def model_of(config: Config = SMALL) -> Model:
    """Return a float64 model whose weights are all random and not small: the fast form has to be
    right everywhere.
    """
    torch.manual_seed(0)
    model = Model(config, classes(), (WIDTH,)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def features_of(seed: int = 1, images: int = IMAGES) -> Tensor:
    return torch.rand(
        images, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def data_of(folder: Path) -> TrainingData:
    inputs = Held(5 * features_of(2, 12) - 1)
    return TrainingData(
        inputs,
        torch.arange(12),
        LABELS.repeat(2),
        classes(),
        TrainingRun(0, torch.device("cpu"), folder),
    )


def trained(config: Config, folder: Path) -> tuple[Model, TrainingData]:
    torch.manual_seed(0)
    model, data = Model(config, classes(), (WIDTH,)).double(), data_of(folder)
    train(model, config, data)
    return model, data


def plain_critic(model: Model, feature: Tensor, vector: Tensor) -> Tensor:
    """Return D(x, a) of one image, unit by unit."""
    critic = model.critic
    value = critic.value.bias[0]
    rows = zip(critic.features.weight, critic.features.bias, critic.semantics.weight, strict=True)
    for number, (row, bias, column) in enumerate(rows):
        unit = row @ feature + column @ vector + bias
        value = value + critic.value.weight[0, number] * (unit if unit > 0 else 0.2 * unit)
    return value


def case() -> tuple[Model, Tensor, Tensor, Tensor, Tensor]:
    """Return model, real and synthetic features, class vectors, and the interpolates that seed 5
    draws.
    """
    model, real, synthetic = model_of(), features_of(1), features_of(2)
    torch.manual_seed(5)
    share = torch.rand(IMAGES, 1, dtype=torch.float64)
    return model, real, synthetic, model.attributes[LABELS], share * real + (1 - share) * synthetic


def closed_penalty(model: Model, real: Tensor, synthetic: Tensor, vectors: Tensor) -> Tensor:
    torch.manual_seed(5)
    return model.critic.losses(real, synthetic, vectors)[1]


def gradients_of(loss: Tensor, model: Model) -> list[Tensor]:
    weights = list(model.critic.parameters())
    return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))


def test_the_penalty_and_its_gradient_are_those_of_a_double_backward():
    model, real, synthetic, vectors, between = case()
    closed = closed_penalty(model, real, synthetic, vectors)
    between.requires_grad_()
    slopes = torch.autograd.grad(model.critic(between, vectors).sum(), between, create_graph=True)[
        0
    ]
    expected = ((slopes.norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(closed, expected, rtol=0, atol=1e-12)
    found, wanted = gradients_of(closed, model), gradients_of(expected, model)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
    assert found[0].abs().max() > 1e-3


def test_the_penalty_is_that_of_finite_differences():
    model, real, synthetic, vectors, between = case()
    step, terms = 1e-6, []
    with torch.no_grad():
        for feature, vector in zip(between, vectors, strict=True):
            moves = step * torch.eye(WIDTH, dtype=torch.float64)
            pairs = [
                (
                    plain_critic(model, feature + move, vector),
                    plain_critic(model, feature - move, vector),
                )
                for move in moves
            ]
            terms.append(
                (math.hypot(*((up - down).item() / (2 * step) for up, down in pairs)) - 1) ** 2
            )
        closed = closed_penalty(model, real, synthetic, vectors)
    assert closed.item() == pytest.approx(sum(terms) / len(terms), abs=1e-6)


@pytest.mark.parametrize(
    ("layer", "place"), [("features", (0, 0)), ("features", (4, 3)), ("value", (0, 2))]
)
def test_the_penaltys_gradient_is_that_of_finite_differences(layer, place):
    model, real, synthetic, vectors, _ = case()
    weight = getattr(model.critic, layer).weight
    found = torch.autograd.grad(closed_penalty(model, real, synthetic, vectors), weight)[0][place]
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            weight[place] += step
            values.append(closed_penalty(model, real, synthetic, vectors).item())
            weight[place] -= step
    assert found.item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-5)


def test_the_critic_learns_under_bfloat16():
    critic = Critic(WIDTH, ATTRIBUTES, 9)
    real, synthetic = features_of(1).float(), features_of(2).float()
    vectors = classes().attributes[LABELS].float()
    torch.manual_seed(5)
    expected = critic.losses(real, synthetic, vectors)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        found = critic.losses(real, synthetic, vectors)
    for half, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(half.float(), whole, rtol=0.05, atol=0.02)
    sum(found).backward()
    assert all(weight.grad.isfinite().all() for weight in critic.parameters())


def test_losses_of_critic_and_generator_are_equation_2():
    model, real = model_of(), features_of()
    torch.manual_seed(5)
    losses = model.critic_loss(Batch(real, LABELS))
    torch.manual_seed(5)
    noise = torch.randn(IMAGES, ATTRIBUTES, dtype=torch.float64)
    vectors = classes().attributes[LABELS]
    synthetic = model.generator(torch.cat([noise, vectors], 1)).detach()
    on_real = [plain_critic(model, *pair) for pair in zip(real, vectors, strict=True)]
    on_synthetic = [plain_critic(model, *pair) for pair in zip(synthetic, vectors, strict=True)]
    expected = sum(on_synthetic) / IMAGES - sum(on_real) / IMAGES
    torch.testing.assert_close(losses["critic"], expected, rtol=0, atol=1e-10)
    penalty = model.critic.losses(real, synthetic, vectors)[
        1
    ]  # the generator's state goes on to draw the shares
    torch.testing.assert_close(losses["penalty"], 10 * penalty, rtol=0, atol=1e-10)
    torch.manual_seed(5)
    loss = model.generator_loss(Batch(real, LABELS))["generator"]
    torch.testing.assert_close(loss, -sum(on_synthetic) / IMAGES, rtol=0, atol=1e-10)


def test_each_player_gets_only_its_own_gradient():
    model, batch = model_of(), Batch(features_of(), LABELS)
    sum(model.critic_loss(batch).values()).backward()
    assert all(weight.grad is None for weight in model.generator.parameters())
    model.zero_grad()
    model.generator_loss(batch)["generator"].backward()
    assert all(weight.grad is None for weight in model.critic.parameters())
    assert all(weight.grad.abs().max() > 0 for weight in model.generator.parameters())


def similarities(model: Model, refined: Tensor) -> list[list[float]]:
    """Return (cos h + w^2 cos a) / (1 + w^2) of every two images."""

    def cosine(first: Tensor, second: Tensor) -> float:
        return (first @ second / (first.norm() * second.norm())).item()

    config, vectors = model.config, classes().attributes[LABELS]
    weight = config.semantic_weight**2 if config.implicit_semantics else 0.0
    similarities: list[list[float]] = [[] for _ in refined]
    for row, (h, a) in zip(similarities, zip(refined, vectors, strict=True), strict=True):
        for other_h, other_a in zip(refined, vectors, strict=True):
            row.append((cosine(h, other_h) + weight * cosine(a, other_a)) / (1 + weight))
    return similarities


def others(anchor: int, same: bool) -> list[int]:
    return [
        k for k in range(IMAGES) if k != anchor and (LABELS[k] == LABELS[anchor]).item() is same
    ]


def mean_of_nonzero(losses: list[float]) -> float:
    return sum(losses) / sum(loss > 0 for loss in losses)


def plain_circle(config: Config, s: list[list[float]]) -> float:
    """Return equation (1) with Sun et al.'s weights, one an anchor that has both kinds of pairs."""
    m, gamma, losses = config.metric_margin, config.metric_scale, []
    for i in range(IMAGES):
        within = [
            math.exp(-gamma * max(1 + m - s[i][k], 0) * (s[i][k] - (1 - m)))
            for k in others(i, True)
        ]
        between = [math.exp(gamma * max(s[i][k] + m, 0) * (s[i][k] - m)) for k in others(i, False)]
        losses.append(math.log(1 + sum(between) * sum(within)) if within and between else 0.0)
    return mean_of_nonzero(losses)


def plain_contrastive(s: list[list[float]]) -> float:
    """Return the mean distance within classes and the mean shortfall of 1 between them (Hadsell et
    al. 2006).
    """
    pairs = list(permutations(range(IMAGES), 2))
    distances = {pair: math.sqrt(max(2 - 2 * s[pair[0]][pair[1]], 0)) for pair in pairs}
    within = [distances[i, j] for i, j in pairs if LABELS[i] == LABELS[j]]
    between = [max(1 - distances[i, j], 0) for i, j in pairs if LABELS[i] != LABELS[j]]
    return mean_of_nonzero(within) + mean_of_nonzero(between)


def plain_multi_similarity(s: list[list[float]]) -> float:
    """Return the multi-similarity loss (Wang et al. 2019) at alpha 2, beta 50, base 0.5."""
    losses = []
    for i in range(IMAGES):
        within = sum(math.exp(-2 * (s[i][k] - 0.5)) for k in others(i, True))
        between = sum(math.exp(50 * (s[i][k] - 0.5)) for k in others(i, False))
        losses.append(math.log(1 + within) / 2 + math.log(1 + between) / 50)
    return mean_of_nonzero(losses)


@pytest.mark.parametrize("semantics", [True, False])
@pytest.mark.parametrize("name", ["circle", "contrastive", "multi-similarity"])
def test_metric_losses_are_their_definitions(name, semantics):
    config = replace(SMALL, metric_loss=name, implicit_semantics=semantics, semantic_weight=0.7)
    model, refined = model_of(config), features_of()
    s = similarities(model, refined)
    expected = {
        "circle": plain_circle(config, s),
        "contrastive": plain_contrastive(s),
        "multi-similarity": plain_multi_similarity(s),
    }
    assert model.metric_loss(refined, LABELS).item() == pytest.approx(expected[name], abs=1e-6)


def refining_batches(config: Config, folder: Path) -> tuple[list[Tensor], Tensor]:
    """Return the batches of the first epoch of refinement, and all labels that they are of."""
    run = TrainingRun(0, torch.device("cpu"), folder)
    data = Recorded(Held(features_of(2, 12)), torch.arange(12), LABELS.repeat(2), classes(), run)
    model = model_of(config)
    refine(model, config, data)
    torch.manual_seed(0)
    labels = with_synthetic(model, data, config.refine_per_unseen, config.refine_per_seen).labels
    return data.epochs[0], labels


def test_refinement_takes_images_as_they_come_or_some_of_each_of_some_classes(tmp_path):
    config = replace(SMALL, refinement_batch_size=6, refine_per_unseen=4)
    as_they_come, labels = refining_batches(config, tmp_path / "random")
    drawn = torch.cat(as_they_come).tolist()
    assert len(set(drawn)) == len(drawn) == 3 * 6
    assert min(drawn) < 12 <= max(drawn) < 12 + 2 * 4
    balanced, _ = refining_batches(replace(config, refinement_shots=2), tmp_path / "balanced")
    assert len(balanced) == len(as_they_come) == 3
    for batch in balanced:
        assert len(set(batch.tolist())) == 6
        assert labels[batch].unique(return_counts=True)[1].tolist() == [2, 2, 2]
    # More of a class than a batch has room for: of two classes, or nothing would be told apart.
    large, _ = refining_batches(replace(config, refinement_shots=4), tmp_path / "large")
    assert {len(labels[batch].unique()) for batch in large} == {2}


def test_synthetic_features_enter_the_cross_entropy_alone():
    model, positions = model_of(), torch.arange(IMAGES)
    real, synthetic = features_of(1), features_of(2)
    alone = model.refinement_loss(Batch(real, LABELS, positions), IMAGES)
    batch = Batch(
        torch.cat([real, synthetic]), torch.cat([LABELS, 4 - LABELS]), torch.arange(2 * IMAGES)
    )
    both = model.refinement_loss(batch, IMAGES)
    torch.testing.assert_close(both["metric"], alone["metric"], rtol=0, atol=1e-12)
    logs = model.refinement_classifier(model.refined(batch.inputs)).log_softmax(1)
    expected = -sum(row[label] for row, label in zip(logs, batch.labels, strict=True)) / (
        2 * IMAGES
    )
    torch.testing.assert_close(both["cross_entropy"], expected, rtol=0, atol=1e-12)
    without = model_of(replace(SMALL, synthetic_refinement=False))
    assert list(without.refinement_loss(batch, IMAGES)) == ["metric"]


def test_features_are_scaled_by_the_training_images(tmp_path):
    model, data = trained(SMALL, tmp_path)
    scaled = model.scaled(data.inputs.values)
    torch.testing.assert_close(scaled.amin(0), torch.zeros(WIDTH).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(scaled.amax(0), torch.ones(WIDTH).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("output", "bound"), [("sigmoid", 1.0), ("relu", math.inf)])
def test_synthetic_features_are_as_many_as_asked_and_in_range(tmp_path, output, bound):
    model, data = model_of(replace(SMALL, generator_output=output)), data_of(tmp_path)
    both = with_synthetic(model, data, per_unseen=3, per_seen=2)
    assert torch.equal(both.inputs.values[:12], data.inputs.values)
    assert both.labels[12:].bincount().tolist() == [2, 2, 3, 2, 3]
    assert 0 <= both.inputs.values[12:].min() <= both.inputs.values[12:].max() <= bound


def test_scores_are_log_probabilities_and_no_class_vector_takes_part(tmp_path):
    model, data = trained(SMALL, tmp_path)
    scores = model.scores(data.inputs.values)
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(12).double(), rtol=0, atol=1e-12)
    model.attributes.zero_()
    assert torch.equal(model.scores(data.inputs.values), scores)


def test_the_control_classifies_the_features_themselves(tmp_path):
    model, data = trained(replace(SMALL, refinement=False), tmp_path)
    scaled = model.scaled(data.inputs.values)
    assert torch.equal(model.scores(data.inputs.values), model.classifier(scaled).log_softmax(1))
    assert {row["stage"] for row in data.run.history} == {"generate", "classify"}


def test_the_encoder_starts_at_the_identity_where_asked():
    model = Model(SMALL, classes(), (WIDTH,)).double()
    torch.testing.assert_close(model.refined(features_of()), features_of())
    other = Model(
        replace(SMALL, encoder_start="normal", encoder_width=3), classes(), (WIDTH,)
    ).double()
    assert other.refined(features_of()).shape == (IMAGES, 3)


def test_unit_length_gives_the_classifier_features_of_one_length():
    model = model_of(replace(SMALL, unit_length=True))
    lengths = model.classified(features_of()).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((IMAGES,), 10.0).double())


@pytest.mark.slow
def test_generator_steps_are_counted_over_equal_epochs(tmp_path):
    _, data = trained(replace(SMALL, generator_steps=130), tmp_path)
    rows = [row for row in data.run.history if row["stage"] == "generate"]
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 5 * 65), (2, 5 * 65)]


def test_a_finished_training_is_resumed_and_its_weights_make_the_round_trip(tmp_path):
    first, data = trained(SMALL, tmp_path)
    second, _ = trained(SMALL, tmp_path)
    assert [row["stage"] for row in data.run.history] == [
        "generate",
        "refine",
        "refine",
        "classify",
        "classify",
    ]
    assert torch.equal(second.scores(data.inputs.values), first.scores(data.inputs.values))
    fresh = Model(SMALL, classes(), (WIDTH,)).double()
    fresh.load_state_dict(first.state_dict())
    assert torch.equal(fresh.scores(data.inputs.values), first.scores(data.inputs.values))


def test_the_generators_steps_are_the_familys_epochs_of_the_papers_images():
    """Training images of table 1; the family's epochs are whole numbers, of batches of 64.

    Rates and synthetic features of the third stage are the family's too, and printed nowhere.
    """
    images = {"CUB": 7057, "AWA2": 23527, "SUN": 10320, "FLO": 5631, "aPY": 5932}
    epochs = {"CUB": 56, "AWA2": 30, "SUN": 40, "FLO": 80, "aPY": 40}
    assert set(PUBLISHED) == set(images)
    for name, config in PUBLISHED.items():
        passes = config.generator_steps * config.batch_size / images[name]
        assert passes == pytest.approx(epochs[name], rel=0.01), name


def test_published_settings_are_those_that_the_paper_prints():
    """Figure 3: five synthetic features of an unseen class in the second stage; figure 4: a margin
    below 0.4; table 3: the circle loss, implicit semantics and refinement together.
    """
    for name, config in PUBLISHED.items():
        assert config.refine_per_unseen == 5, name
        assert 0 < config.metric_margin < 0.4, name
        assert config.metric_loss == "circle", name
        assert config.implicit_semantics and config.synthetic_refinement, name
