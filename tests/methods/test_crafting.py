"""Classifier crafting against its equations written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.methods.crafting import (
    INPUT,
    Config,
    Model,
    class_means,
    projected_rules,
    set_visual_rules,
    train,
)
from zslpipe.networks.backbones import build_trunk
from zslpipe.training.contract import Batch, Classes, Images, Pooled, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, False, True, True, False])
IMAGES, WIDTH, ATTRIBUTES, SIDE = 12, 7, 4, 48
LABELS = torch.tensor([0, 2, 3]).repeat(4)
DEFAULT = Config(backbone="demo", head_epochs=1, epochs=2, batch_size=5)
VISUAL = replace(DEFAULT, rule="visual")
PLAIN = {"similarity": "inner product", "temperature": 1.0}


def classes_of(seed: int = 0, unseen_seed: int = 0) -> Classes:
    vectors = [
        torch.randn(len(SEEN), ATTRIBUTES, generator=torch.Generator().manual_seed(s))
        for s in (seed, 99)
    ]
    attributes = vectors[0] if not unseen_seed else torch.where(SEEN[:, None], *vectors)
    return Classes(tuple("ABCDE"), attributes, SEEN, tuple("abcd"))


def inputs_of(kind: str) -> Held:
    """Return pooled features or images, float32, of very different lengths."""
    shape = (IMAGES, WIDTH) if kind == "pooled" else (IMAGES, 3, SIDE, SIDE)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    lengths = torch.linspace(0.2, 5, IMAGES).view(-1, *[1] * (len(shape) - 1))
    return Held(values * lengths if kind == "pooled" else values, at_once=5)


def model_of(config: Config, kind: str, classes: Classes | None = None) -> Model:
    torch.manual_seed(0)
    return Model(config, classes or classes_of(), inputs_of(kind).shape).eval()


def data_of(folder, kind: str, classes: Classes | None = None) -> TrainingData:
    run = TrainingRun(0, torch.device("cpu"), folder)
    return TrainingData(inputs_of(kind), torch.arange(IMAGES), LABELS, classes or classes_of(), run)


def trained(config: Config, folder, kind: str, classes: Classes | None = None) -> Model:
    model = model_of(config, kind, classes)
    train(model, config, data_of(folder, kind, classes))
    return model


def dot(first: Tensor, second: Tensor) -> Tensor:
    return sum(a * b for a, b in zip(first, second, strict=True))


def plain_logits(config: Config, features: Tensor, rules: Tensor) -> list[list[Tensor]]:
    """Return the exponents of equation (1), image by image and class by class."""
    rows = []
    for feature in features:
        row = []
        for rule in rules:
            length = 1.0
            if config.similarity == "cosine":
                length = dot(feature, feature).sqrt() * dot(rule, rule).sqrt()
            row.append(dot(feature, rule) / length / config.temperature)
        rows.append(row)
    return rows


@pytest.mark.parametrize("change", [{}, {"temperature": 0.3}, PLAIN])
def test_the_softmax_of_the_scores_is_equation_1(change):
    config = replace(DEFAULT, **change)
    model, pooled, rules = (
        model_of(config, "pooled").double(),
        inputs_of("pooled").values.double(),
        classes_of(),
    )
    weight, bias = model.projection.weight, model.projection.bias
    features = []
    for image in pooled:
        projected = torch.stack([dot(row, image) for row in weight])
        features.append(projected + bias)
    features = torch.stack(features)
    expected = []
    for row in plain_logits(config, features, rules.attributes.double()):
        total = sum(logit.exp() for logit in row)
        expected.append(torch.stack([logit.exp() / total for logit in row]))
    # Class vectors of float32 become rules of unit length in float32.
    torch.testing.assert_close(
        model.scores(pooled).softmax(1), torch.stack(expected), rtol=0, atol=1e-6
    )


def test_the_loss_is_the_cross_entropy_over_seen_classes_with_its_gradients():
    model, pooled = model_of(DEFAULT, "pooled").double(), inputs_of("pooled").values.double()
    model.rules.copy_(torch.nn.functional.normalize(classes_of().attributes.double()))
    losses = model.loss(Batch(pooled, LABELS))
    terms = []
    for row, label in zip(
        plain_logits(DEFAULT, model.projection(pooled), model.rules), LABELS.tolist(), strict=True
    ):
        total = sum(logit.exp() for logit, seen in zip(row, SEEN, strict=True) if seen)
        terms.append(-(row[label].exp() / total).log())
    expected = sum(terms) / len(terms)
    assert list(losses) == ["cross_entropy"]
    torch.testing.assert_close(losses["cross_entropy"], expected, rtol=0, atol=1e-12)
    parameters = list(model.parameters())
    wanted = torch.autograd.grad(expected, parameters)
    assert [tuple(gradient.shape) for gradient in wanted] == [(ATTRIBUTES, WIDTH), (ATTRIBUTES,)]
    for gradient, right in zip(
        torch.autograd.grad(losses["cross_entropy"], parameters), wanted, strict=True
    ):
        assert right.abs().max() > 1e-3
        torch.testing.assert_close(gradient, right, rtol=0, atol=1e-11)


def test_the_temperature_divides_the_scores():
    pooled = inputs_of("pooled").values
    hot, cold = (
        model_of(replace(DEFAULT, temperature=value), "pooled").scores(pooled)
        for value in (1.0, 0.02)
    )
    torch.testing.assert_close(cold, 50 * hot)


def test_with_the_cosine_the_length_of_features_and_rules_does_not_count():
    classes, pooled = classes_of(), inputs_of("pooled").values
    longer = replace(classes, attributes=classes.attributes * torch.arange(1, 6)[:, None])
    first, second = (model_of(DEFAULT, "pooled", one) for one in (classes, longer))
    torch.testing.assert_close(second.scores(pooled), first.scores(pooled))
    model = model_of(VISUAL, "pooled")
    model.rules.normal_()
    torch.testing.assert_close(model.scores(9 * pooled), model.scores(pooled))
    plain = model_of(replace(VISUAL, **PLAIN), "pooled")
    plain.rules.copy_(model.rules)
    torch.testing.assert_close(plain.scores(9 * pooled), 9 * (pooled @ model.rules.T))


@pytest.mark.parametrize("change", [{}, PLAIN])
def test_seen_rules_are_the_mean_features_of_their_images(tmp_path, change):
    config = replace(VISUAL, **change)
    model = trained(config, tmp_path, "pooled")
    for number in (0, 2, 3):
        total = torch.zeros(WIDTH, dtype=torch.float64)
        members = inputs_of("pooled").values[torch.eq(LABELS, number)].double()
        for image in members:
            total += image / image.norm() if config.similarity == "cosine" else image
        mean = total / len(members)
        expected = mean / mean.norm() if config.similarity == "cosine" else mean
        torch.testing.assert_close(model.rules[number].double(), expected, rtol=0, atol=1e-6)


def test_unseen_rules_are_the_ridge_regression_on_seen_prototypes(tmp_path):
    """As a least-squares problem with lambda's rows added, solved by another algorithm; per column
    of V.
    """
    config = replace(VISUAL, **PLAIN, regulariser=0.4)
    model = trained(config, tmp_path, "pooled")
    vectors = classes_of().attributes.double().numpy()
    known, seen = vectors[SEEN.numpy()], model.rules[SEEN].double().numpy()
    scale = 0.4 * (known**2).sum() / len(known)
    left = np.concatenate([known, np.sqrt(scale) * np.eye(ATTRIBUTES)])
    for column in range(WIDTH):
        solved = np.linalg.lstsq(
            left, np.concatenate([seen[:, column], np.zeros(ATTRIBUTES)]), rcond=None
        )[0]
        found = model.rules[~SEEN, column].double().numpy()
        np.testing.assert_allclose(found, vectors[~SEEN.numpy()] @ solved, rtol=0, atol=1e-6)


def test_a_small_regulariser_reproduces_a_linear_map_and_the_embeddings_scale_does_not_count():
    generator = torch.Generator().manual_seed(4)
    known, others, linear = (
        torch.randn(n, m, generator=generator).double() for n, m in ((9, 4), (5, 4), (4, 7))
    )
    found = projected_rules(others, known @ linear, known, 1e-10)
    torch.testing.assert_close(found, others @ linear, rtol=0, atol=1e-7)
    once, thrice = (projected_rules(s * others, known @ linear, s * known, 0.5) for s in (1.0, 3.0))
    torch.testing.assert_close(thrice, once)
    assert (once - others @ linear).abs().max() > 0.1


def test_a_seen_class_without_training_images_gets_a_projected_rule(tmp_path):
    data = data_of(tmp_path, "pooled")
    model, few = (
        model_of(VISUAL, "pooled"),
        replace(data, rows=data.rows[LABELS != 3], labels=LABELS[LABELS != 3]),
    )
    means, counts = class_means(model, few)
    assert counts.tolist() == [4, 0, 4, 0, 0] and not means[3].any()
    set_visual_rules(model, VISUAL, few)
    known = classes_of().attributes[[0, 2]].double()
    expected = projected_rules(
        classes_of().attributes[3:4].double(), means[[0, 2]], known, VISUAL.regulariser
    )[0]
    torch.testing.assert_close(
        model.rules[3].double(), expected / expected.norm(), rtol=0, atol=1e-6
    )


def test_visual_rules_on_images_are_those_of_the_network_before_training(tmp_path):
    untrained = model_of(VISUAL, "images")
    model = trained(VISUAL, tmp_path, "images")
    with torch.no_grad():
        pooled = untrained.trunk(inputs_of("images").values).mean(dim=(2, 3)).double()
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    for number in (0, 2, 3):
        mean = pooled[LABELS.eq(number)].mean(0)
        torch.testing.assert_close(
            model.rules[number].double(), mean / mean.norm(), rtol=0, atol=1e-5
        )
    assert not torch.equal(next(model.trunk.parameters()), next(untrained.trunk.parameters()))


@pytest.mark.parametrize("kind", ["pooled", "images"])
def test_semantic_rules_stay_and_everything_else_trains(tmp_path, kind):
    before, after = model_of(DEFAULT, kind), trained(DEFAULT, tmp_path, kind)
    assert torch.equal(before.rules, after.rules)
    torch.testing.assert_close(before.rules, torch.nn.functional.normalize(classes_of().attributes))
    trained_ones = dict(after.named_parameters())
    pairs = [(name, old, trained_ones[name]) for name, old in before.named_parameters()]
    assert [name for name, old, new in pairs if torch.equal(old, new)] == []
    assert "rules" not in dict(before.named_parameters())


@pytest.mark.parametrize(
    ("rule", "kind"), [("semantic", "pooled"), ("semantic", "images"), ("visual", "images")]
)
def test_unseen_rules_do_not_enter_training(tmp_path, rule, kind):
    config = replace(DEFAULT, rule=rule)
    models = []
    for seed in (0, 1):
        classes = classes_of(unseen_seed=seed)
        models.append(trained(config, tmp_path / str(seed), kind, classes))
    first, second = models
    assert not torch.allclose(first.rules[~SEEN], second.rules[~SEEN])
    assert torch.equal(first.rules[SEEN], second.rules[SEEN])
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_visual_rules_on_pooled_features_are_all_there_is(tmp_path):
    data = data_of(tmp_path, "pooled")
    model = model_of(VISUAL, "pooled")
    train(model, VISUAL, data)
    assert list(model.parameters()) == [] and data.run.history == []
    pooled = torch.nn.functional.normalize(inputs_of("pooled").values)
    torch.testing.assert_close(model.scores(pooled), pooled @ model.rules.T / VISUAL.temperature)


@pytest.mark.parametrize("rule", ["semantic", "visual"])
def test_images_through_the_frozen_network_are_its_pooled_features(tmp_path, rule):
    model = model_of(replace(DEFAULT, rule=rule), "images")
    images = inputs_of("images")
    with torch.no_grad():
        pooled = Held(model.trunk(images.values).mean(dim=(2, 3)))
    light = Model(replace(DEFAULT, rule=rule), classes_of(), pooled.shape)
    if rule == "semantic":
        light.projection.load_state_dict(model.projection.state_dict())
    else:
        set_visual_rules(model, VISUAL, data_of(tmp_path, "images"))
        set_visual_rules(light, VISUAL, replace(data_of(tmp_path, "images"), inputs=pooled))
    torch.testing.assert_close(
        model.scores(images.values), light.scores(pooled.values), rtol=1e-4, atol=1e-4
    )


def test_training_is_adam_with_a_rate_a_part(tmp_path):
    """One batch of all images: Adam's first step is the rate times g / (|g| + 1e-8)."""
    config = replace(
        DEFAULT, head_epochs=0, epochs=1, batch_size=IMAGES, joint_lr=0.2, trunk_lr=0.03
    )
    before, after = model_of(config, "images"), trained(config, tmp_path, "images")
    before.loss(Batch(inputs_of("images").values, LABELS))["cross_entropy"].backward()
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        rate = 0.2 if name.startswith("projection") else 0.03
        clear = old.grad.abs() > 1e-5  # the batch's order changes the last digits of a gradient
        assert clear.any(), name
        expected = old - rate * old.grad / (old.grad.abs() + 1e-8)
        torch.testing.assert_close(new[clear], expected[clear], rtol=0, atol=1e-4, msg=name)


def test_the_linear_layer_stays_while_the_network_trains(tmp_path):
    """As it was trained alone; a random one that never trains is refused."""
    layers = []
    for number, epochs in enumerate((1, 3)):
        config = replace(DEFAULT, epochs=epochs)
        layers.append(trained(config, tmp_path / str(number), "images").projection)
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert torch.equal(layers[0].bias, layers[1].bias)
    with pytest.raises(InputError, match="head_epochs 0 and joint_lr 0 leave the linear layer ran"):
        trained(replace(DEFAULT, head_epochs=0), tmp_path / "none", "images")
    trained(replace(DEFAULT, head_epochs=0), tmp_path / "pooled", "pooled")


def test_the_linear_layers_own_epochs_are_not_measured(tmp_path):
    """Choosing counts the epochs of the network; scoring all images after others would cost."""
    data, measured = data_of(tmp_path, "images"), []
    run = replace(data.run, after_epoch=lambda model, epoch: measured.append(epoch) or {})
    train(model_of(DEFAULT, "images"), DEFAULT, replace(data, run=run))
    assert measured == [1, 2]
    stages = [(row["stage"], row["epoch"]) for row in run.history]
    assert stages == [("head", 1), ("train", 1), ("train", 2)]


def test_batch_norms_keep_their_statistics(tmp_path):
    """A file of weights may hold batch norms folded into their convolutions, which batch statistics
    would undo.
    """
    before, after = model_of(DEFAULT, "images"), trained(DEFAULT, tmp_path, "images")
    kept = {name for name, _ in before.trunk.named_buffers() if "running" in name}
    assert len(kept) > 10
    old, new = dict(before.trunk.named_buffers()), dict(after.trunk.named_buffers())
    assert all(torch.equal(new[name], old[name]) for name in kept)
    model = model_of(DEFAULT, "images").train()
    assert (
        model.training
        and model.projection.training
        and not any(part.training for part in model.trunk.modules())
    )


@pytest.mark.parametrize("kind", ["pooled", "images"])
@pytest.mark.parametrize("rule", ["semantic", "visual"])
def test_weights_round_trip(tmp_path, rule, kind):
    config = replace(DEFAULT, rule=rule)
    model = trained(config, tmp_path, kind)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    fresh = Model(config, classes_of(), inputs_of(kind).shape).eval()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(fresh.scores(inputs_of(kind).values), model.scores(inputs_of(kind).values))


def test_permuting_the_classes_permutes_the_visual_rules(tmp_path):
    order = torch.tensor([3, 1, 4, 0, 2])
    classes, data = classes_of(), data_of(tmp_path, "pooled")
    first = trained(VISUAL, tmp_path, "pooled")
    moved = replace(
        data, labels=order.argsort()[LABELS], classes=classes.subset(order, SEEN[order])
    )
    second = model_of(VISUAL, "pooled", moved.classes)
    train(second, VISUAL, moved)
    torch.testing.assert_close(second.rules, first.rules[order])


def test_half_precision_reaches_the_features_but_not_the_product_with_the_rules():
    model, pooled = model_of(DEFAULT, "pooled"), inputs_of("pooled").values
    with torch.autocast("cpu", torch.bfloat16):
        scores, features = model.scores(pooled), model.features(pooled)
    assert scores.dtype == features.dtype == torch.float32
    assert torch.equal(scores, features @ model.rules.T / DEFAULT.temperature)
    assert not torch.equal(features, model.features(pooled))


def test_it_takes_images_first_and_pooled_features_too():
    default, other = INPUT
    assert default == Images(size=224) and other == Pooled(size=224)
    assert Config().rule == "semantic" and Config().backbone == "resnet101"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "layer", "size", "width", "grid"),
    [("alexnet", "classifier.5", 224, 4096, 1), ("resnet101", "", 224, 2048, 7),
     ("densenet201", "", 224, 1920, 7), ("timm/darknet53", "", 256, 1024, 8)],
)  # fmt: skip
def test_the_papers_backbones_are_cut_before_their_softmax(backbone, layer, size, width, grid):
    """AlexNet's f is fc7, the others' the mean over their last map."""
    trunk = build_trunk(backbone, "random", layer or None)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = trunk(images)
    assert maps.shape == (2, width, grid, grid)
    assert torch.isfinite(maps).all()
    assert grid == 1 or maps.std(dim=(2, 3)).max() > 0
    assert not torch.allclose(maps[0], maps[1])
    model = Model(Config(backbone=backbone, layer=layer), classes_of(), (3, size, size))
    assert model.projection.in_features == width
    with torch.no_grad():
        torch.testing.assert_close(model.pooled(images).shape, torch.Size([2, width]))
