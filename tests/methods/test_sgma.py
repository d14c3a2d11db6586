"""SGMA against its equations written out, on the demo's network in float64."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.methods.sgma import (
    INPUT,
    Config,
    Model,
    centre_triplet,
    compactness,
    descent,
    diversity,
    ridge_combinations,
    stored_first_stage,
    train,
)
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, True, False, True, False])
ATTRIBUTES, IMAGES, SIDE = 6, 4, 48
DEMO = Config(backbone="demo", batch_size=4, epochs=1)


def classes(seed: int = 0) -> Classes:
    names = tuple(f"class {number}" for number in range(len(SEEN)))
    vectors = torch.randn(len(SEEN), ATTRIBUTES, generator=torch.Generator().manual_seed(seed))
    return Classes(names, vectors, SEEN, tuple("abcdef"))


def images_of(count: int = IMAGES, side: int = SIDE, seed: int = 1) -> Tensor:
    return torch.randn(
        count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def model_of(config: Config = DEMO, side: int = SIDE) -> Model:
    """Return a float64 model in which every weight of the heads is random."""
    torch.manual_seed(0)
    model = Model(config, classes(), (3, side, side)).double().eval()
    for name, parameter in model.named_parameters():
        if not name.startswith("trunk."):
            torch.nn.init.normal_(parameter, 0, 0.1)
    torch.nn.init.normal_(model.prototypes)
    return model


def plain_maps(maps: Tensor) -> list[list[list[float]]]:
    """Return maps (b, m, h, w) as lists of positions."""
    return maps.flatten(2).tolist()


def plain_compactness(maps: Tensor) -> float:
    """Return the sum over maps of equation (5), its mean over images; the ideal map is a Gaussian
    at the peak.
    """
    total, side = 0.0, maps.shape[3]
    deviation = 0.1 * side
    for image in plain_maps(maps):
        for values in image:
            top, left = divmod(values.index(max(values)), side)
            for z, value in enumerate(values):
                distance = (z // side - top) ** 2 + (z % side - left) ** 2
                total += (value - math.exp(-distance / (2 * deviation**2))) ** 2 / len(values)
    return total / len(maps)


def plain_diversity(maps: Tensor, margin: float) -> float:
    """Return the sum over maps of equation (6) over the positions, its mean over images."""
    total = 0.0
    for image in plain_maps(maps):
        for i, values in enumerate(image):
            for z, value in enumerate(values):
                other = max(image[k][z] for k in range(len(image)) if k != i)
                total += value * max(0.0, other - margin) / len(values)
    return total / len(maps)


def plain_triplets(embedding: Tensor, centres: Tensor, target: int, margin: float) -> list[float]:
    """Return the terms of equation (8) of one image, one a wrong class."""
    unit = [value / embedding.norm() for value in embedding]
    distances = []
    for centre in centres:
        squares = [(x - y / centre.norm()) ** 2 for x, y in zip(unit, centre, strict=True)]
        distances.append(sum(squares).item())
    return [
        max(0.0, margin + distances[target] - wrong)
        for k, wrong in enumerate(distances)
        if k != target
    ]


def plain_views(model: Model, images: Tensor) -> list[list[Tensor]]:
    """Return theta of each image's views, one after the other through the network, at
    ``feature_length``.
    """
    rows = []
    for image in images:
        view = F.interpolate(image[None], size=model.view, mode="bilinear", antialias=True)
        views = [view]
        if model.config.parts == "two":
            logits = model.attention(model.trunk(image[None]).flatten(2).transpose(1, 2))
            crops = model.cropping(image[None], logits, model.view)
            views += [crops[:, part] for part in range(2)]
        features = [model.trunk(view)[0].mean((1, 2)) for view in views]
        rows.append([model.config.feature_length * theta / theta.norm() for theta in features])
    return rows


def maps_of(seed: int = 0, parts: int = 2) -> Tensor:
    return torch.rand(
        3, parts, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def test_compactness_is_equation_5():
    assert compactness(maps_of()).item() == pytest.approx(plain_compactness(maps_of()), abs=1e-12)


@pytest.mark.parametrize("margin", [0.2, 0.6])
def test_diversity_is_equation_6(margin):
    assert diversity(maps_of(), margin).item() == pytest.approx(
        plain_diversity(maps_of(), margin), abs=1e-12
    )


def test_neither_map_comes_first():
    swapped = maps_of().flip(1)
    torch.testing.assert_close(diversity(swapped, 0.2), diversity(maps_of(), 0.2))
    torch.testing.assert_close(compactness(swapped), compactness(maps_of()))


def test_diversity_knows_no_places_and_ends_where_maps_do_not_meet():
    maps = maps_of()
    order = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    moved = maps.flatten(2)[:, :, order].unflatten(2, (5, 5))
    torch.testing.assert_close(diversity(moved, 0.2), diversity(maps, 0.2))
    apart = maps.clone()
    apart[:, 0, :, :3], apart[:, 1, :, 3:] = 0.0, 0.0
    assert diversity(apart, 0.2) == 0


def test_a_map_that_is_its_ideal_costs_nothing():
    steps = torch.arange(5).double()
    maps = torch.exp(-((steps[:, None] - 1) ** 2 + (steps - 3) ** 2) / (2 * 0.5**2)).expand(
        2, 2, 5, 5
    )
    assert compactness(maps).item() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("margin", [0.8, 2.5])
def test_the_triplet_is_equation_8_against_the_hardest_or_all_wrong_centres(margin):
    embedding, centres = maps_of(3).flatten(1)[:, :7] - 0.5, maps_of(4).flatten(1)[:, :7] - 0.5
    centres = torch.cat([centres, -centres[:1]])
    targets = [2, 0, 3]
    terms = [
        plain_triplets(row, centres, target, margin)
        for row, target in zip(embedding, targets, strict=True)
    ]
    hardest = sum(max(row) for row in terms) / 3
    mean = sum(sum(row) / len(row) for row in terms) / 3
    assert hardest > mean > 0
    for wrong, expected in (("hardest", hardest), ("mean", mean)):
        found = centre_triplet(embedding, centres, torch.tensor(targets), margin, wrong)
        assert found.item() == pytest.approx(expected, abs=1e-12)
        scaled = centre_triplet(3 * embedding, 0.1 * centres, torch.tensor(targets), margin, wrong)
        torch.testing.assert_close(scaled, found)


@pytest.mark.slow
@pytest.mark.parametrize("side", [SIDE, 112])
@pytest.mark.parametrize(
    "change", [{}, {"crop": "network"}, {"parts": "none"}, {"wrong_centre": "mean"}]
)
def test_the_terms_of_the_loss_are_those_of_the_equations(side, change):
    config = replace(DEMO, embedding_weight=0.5, diversity_weight=3.0, centre_weight=2.0, **change)
    model, images, labels = model_of(config, side), images_of(2, side), torch.tensor([3, 1])
    assert (model.cells, model.view) == (side // 16, side // 2)
    losses = model.loss(Batch(images, labels))
    targets = [2, 1]  # among the seen classes 0, 1, 3
    known = F.normalize(classes().attributes.double(), dim=1)[SEEN]
    expected: dict[str, float] = {"embedding": 0.0}
    for views, target in zip(plain_views(model, images), targets, strict=True):
        embedded = sum(theta @ model.W for theta in views)
        scores = [(embedded @ vector).item() for vector in known]
        expected["embedding"] -= (
            0.5 / 2 * math.log(math.exp(scores[target]) / sum(map(math.exp, scores)))
        )
    if config.parts == "two":
        maps = model.part_attention(images)
        expected["compactness"] = plain_compactness(maps)
        expected["diversity"] = 3 * plain_diversity(maps, 0.2)
        expected["centre"] = 0.0
        for views, target in zip(plain_views(model, images), targets, strict=True):
            terms = plain_triplets(
                sum(theta @ model.W for theta in views), model.centres, target, 0.8
            )
            chosen = max(terms) if config.wrong_centre == "hardest" else sum(terms) / len(terms)
            expected["centre"] += 2.0 / 2 * chosen
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        expected, abs=1e-6
    )


def test_scores_are_compatibility_similarity_to_the_prototypes_or_the_sum_of_cosines():
    model, images = model_of(), images_of()
    embedding = torch.stack([sum(views) @ model.W for views in plain_views(model, images)])
    vectors = F.normalize(classes().attributes.double(), dim=1)
    direction = embedding / embedding.norm(dim=1, keepdim=True)
    expected = {
        "compatibility": embedding @ vectors.T,
        "centres": direction @ model.prototypes.T,
        "sum": direction @ vectors.T + direction @ model.prototypes.T,
    }
    for inference, scores in expected.items():
        model.config = replace(model.config, inference=inference)
        torch.testing.assert_close(model.scores(images), scores, rtol=0, atol=1e-6)


def test_the_embedding_loss_reaches_the_attention_through_the_crops():
    """The attention networks' gradient of L_CLS is that of a finite difference, and not zero."""
    model, batch = model_of(side=112), Batch(images_of(2, 112), torch.tensor([0, 3]))
    bias = model.attention.bias
    model.loss(batch)["embedding"].backward()
    channel = int(bias.grad[0].abs().argmax())
    step, values = 1e-7, []
    for sign in (1, -1):
        with torch.no_grad():
            bias[0, channel] += sign * step
            values.append(model.loss(batch)["embedding"].item())
            bias[0, channel] -= sign * step
    assert abs(bias.grad[0, channel]) > 1e-6
    assert bias.grad[0, channel].item() == pytest.approx(
        (values[0] - values[1]) / (2 * step), rel=1e-4
    )
    for parameter in (model.attention.W1, model.attention.W2, model.W):
        assert parameter.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in model.trunk.parameters())


@pytest.mark.parametrize("ridge", [0.1, 3.0])
def test_combinations_minimise_equation_10_and_leave_seen_classes_alone(ridge):
    vectors = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = torch.tensor([True, False, True, True, True, False])
    combinations = ridge_combinations(vectors, seen, ridge)
    assert torch.equal(combinations[seen], torch.eye(4).double())
    free = combinations[~seen].clone().requires_grad_()
    objective = (vectors[~seen] - free @ vectors[seen]).square().sum() + ridge * free.square().sum()
    torch.testing.assert_close(torch.autograd.grad(objective, free)[0], torch.zeros(2, 4).double())
    closed = (
        vectors[~seen]
        @ vectors[seen].T
        @ torch.linalg.inv(vectors[seen] @ vectors[seen].T + ridge * torch.eye(4))
    )
    torch.testing.assert_close(combinations[~seen], closed)


@dataclass
class Counted:
    """Images of the index's rows 2, 3 ... held in memory; counts which were read and whether
    augmented.
    """

    values: Tensor
    read: list[int] = field(default_factory=list)
    augmented: int = 0
    at_once: int = 4

    __hash__ = object.__hash__

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    def take(self, rows: Tensor) -> Tensor:
        self.read += rows.tolist()
        return self.values[rows - 2]

    def stream(self, batches, generator=None, start=0):
        self.augmented += generator is not None
        return (self.take(rows) for rows in batches[start:])


LABELS = torch.tensor([0, 1, 3]).repeat(3)


def problem(folder: Path, stamp: str = "", side: int = SIDE, **run) -> tuple[Counted, TrainingData]:
    inputs = Counted(images_of(len(LABELS), side).float())
    rows = torch.arange(len(LABELS)) + 2
    return inputs, TrainingData(
        inputs, rows, LABELS, classes(), TrainingRun(0, torch.device("cpu"), folder, stamp, **run)
    )


def fresh(config: Config = DEMO, side: int = SIDE) -> Model:
    torch.manual_seed(0)
    return Model(config, classes(), (3, side, side))


def test_the_stored_first_stage_is_that_of_the_network(tmp_path):
    model = fresh()
    inputs, data = problem(tmp_path)
    stored = stored_first_stage(model, data)
    whole, regions = model.first_stage(inputs.values)
    torch.testing.assert_close(torch.from_numpy(stored.pooled[:]), whole)
    torch.testing.assert_close(
        torch.from_numpy(stored.regions[:]).float(), regions, rtol=1e-3, atol=1e-3
    )
    assert inputs.read == (torch.arange(len(LABELS)) + 2).tolist()


def test_a_damaged_first_stage_is_made_anew(tmp_path):
    _, data = problem(tmp_path, "one")
    stored = stored_first_stage(fresh(), data)
    whole = stored.regions[:]
    with stored.path.open("r+b") as file:
        file.seek(stored.slabs["regions"].offset + 10)
        file.write(b"\x01\x02")
    assert np.array_equal(stored_first_stage(fresh(), data).regions, whole)


def test_a_finished_first_stage_is_used_again_and_another_stamps_made_anew(tmp_path):
    inputs, data = problem(tmp_path, "one")
    first = stored_first_stage(fresh(), data).pooled[:]
    inputs.read.clear()
    assert (stored_first_stage(fresh(), data).pooled == first).all()
    assert inputs.read == []
    inputs.values = inputs.values.flip(0)
    other = replace(data, run=replace(data.run, stamp="two"))
    torch.testing.assert_close(
        torch.from_numpy(stored_first_stage(fresh(), other).pooled[::-1]),
        torch.tensor(first),
    )
    assert len(inputs.read) == len(LABELS)


def gradients_of(model: Model, losses: dict[str, Tensor]) -> list[Tensor]:
    """Return the gradients of the joint features' weights, and those of the attention by the losses
    of its maps.

    Behind random weights and white noise the attention's gradient through the crops jumps with the
    last digits.
    """
    maps = losses["compactness"] + losses["diversity"]
    joint = torch.autograd.grad(sum(losses.values()), [model.W, model.centres], retain_graph=True)
    return [*joint, *torch.autograd.grad(maps, list(model.attention.parameters()))]


def test_losses_and_gradients_of_the_stored_first_stage_are_those_of_the_images(tmp_path):
    model, (_, data) = model_of(side=112).float(), problem(tmp_path, side=112)
    stored = stored_first_stage(model, data)
    batch = data.batch(torch.tensor([5, 0, 7]))
    rows = batch.positions.numpy()
    kept = torch.from_numpy(stored.pooled[rows]), torch.from_numpy(stored.regions[rows]).float()
    found, expected = model.losses(batch, kept), model.loss(batch)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    for gradient, direct in zip(
        gradients_of(model, found), gradients_of(model, expected), strict=True
    ):
        assert (gradient - direct).norm() < 0.01 * direct.norm()


@pytest.mark.parametrize("change", [{}, {"crop": "network"}, {"trunk_lr": 1e-3}, {"parts": "none"}])
def test_training_changes_what_it_should(tmp_path, change):
    config = replace(DEMO, epochs=2, **change)
    before, after = fresh(config), fresh(config)
    inputs, data = problem(tmp_path)
    train(after, config, data)
    changed = {
        name
        for name, value in after.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    }
    two, tuned = config.parts == "two", bool(config.trunk_lr)
    assert {"W", "prototypes"} <= changed
    for name in ("centres", "attention.W1", "attention.W2", "attention.bias", "attention.clusters"):
        assert (name in changed) == two, name
    assert any(name.startswith("cropping.") for name in changed) == (config.crop == "network")
    assert any(name.startswith("trunk.") for name in changed) == tuned
    assert not any("running" in name or "batches_tracked" in name for name in changed)
    # Both epochs' images are augmented where the network is trained; the baseline reads images
    # once, before training, the method twice, and full batches of them in either epoch.
    assert inputs.augmented == (2 if tuned else 0)
    shown = len(LABELS) // config.batch_size * config.batch_size
    assert len(inputs.read) == (2 * len(LABELS) + 2 * shown if two else len(LABELS))


def test_crops_by_the_network_are_at_first_those_around_the_peaks():
    """Models that differ in ``crop`` alone start at the same embedding, losses and maps."""
    images, labels = images_of(4, 112).float(), torch.tensor([3, 1, 0, 3])
    found = []
    for crop in ("peak", "network"):
        model = fresh(replace(DEMO, crop=crop), 112).eval()
        torch.manual_seed(1)
        for weights in (model.W, model.centres, model.attention.bias):
            torch.nn.init.normal_(weights, 0, 0.1)
        found.append((model(images, *model.first_stage(images)), model.loss(Batch(images, labels))))
    torch.testing.assert_close(found[0], found[1])


def test_channels_start_in_two_clusters_of_their_peaks(tmp_path):
    model = fresh()
    train(model, replace(DEMO, epochs=0), problem(tmp_path)[1])
    expected = 2.2 * torch.stack(
        [1.0 - 2 * model.attention.clusters, 2 * model.attention.clusters - 1.0]
    )
    torch.testing.assert_close(model.attention.bias, expected)
    assert sorted(model.attention.clusters.unique().tolist()) == [0, 1]


@pytest.mark.parametrize("change", [{}, {"parts": "none"}, {"trunk_lr": 1e-3}])
def test_prototypes_are_class_means_combined_at_unit_length(tmp_path, change):
    config = replace(DEMO, **change)
    model, (inputs, data) = fresh(config), problem(tmp_path)
    train(model, config, data)
    with torch.no_grad():
        embedding, _ = model(inputs.values, *model.first_stage(inputs.values))
        directions = embedding / embedding.norm(dim=1, keepdim=True)
        means = torch.stack([directions[torch.eq(LABELS, number)].mean(0) for number in (0, 1, 3)])
        expected = ridge_combinations(model.attributes, SEEN, config.ridge) @ means
    torch.testing.assert_close(
        model.prototypes, expected / expected.norm(dim=1, keepdim=True), rtol=1e-3, atol=1e-3
    )


def test_what_is_measured_after_an_epoch_sees_the_prototypes_of_that_epoch(tmp_path):
    seen: list[Tensor] = []

    def measure(model: Model, epochs: int) -> dict[str, float]:
        seen.append(model.prototypes.clone())
        return {"figure": float(epochs)}

    _, data = problem(tmp_path, after_epoch=measure)
    model = fresh()
    train(model, replace(DEMO, epochs=2), data)
    assert [row["figure"] for row in data.run.history] == [1.0, 2.0]
    assert seen[0].abs().sum() > 0
    assert not torch.equal(seen[0], seen[1])
    torch.testing.assert_close(seen[1], model.prototypes)


@pytest.mark.slow
def test_a_training_taken_up_again_ends_the_same(tmp_path):
    config = replace(DEMO, epochs=3)
    whole, halves = fresh(config), [fresh(config), fresh(config)]
    train(whole, config, problem(tmp_path / "whole")[1])
    for model, epochs in zip(halves, (1, 3), strict=True):
        train(
            model,
            config if epochs == 3 else replace(config, epochs=1),
            problem(tmp_path / "halves")[1],
        )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halves[1].state_dict()[name]), name


def test_the_rate_falls_by_tenths_on_a_plateau_down_to_its_floor():
    optimizer, schedule = descent(fresh(replace(DEMO, trunk_lr=1e-3)))
    rates = []
    for _ in range(10):
        schedule.step(1.0)
        rates.append(tuple(group["lr"] for group in optimizer.param_groups))
    expected = [(0.05, 1e-3)] * 3 + [(0.005, 1e-4)] * 3 + [(5e-4, 1e-5)] * 4
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_the_network_keeps_its_batch_norms_while_the_rest_trains():
    model = fresh().train()
    assert model.training
    assert not any(module.training for module in model.trunk.modules())


def test_maps_of_parts_and_of_channels():
    model, images = model_of(side=112), images_of(2, 112)
    model.attention.clusters.copy_(torch.arange(192) % 2)
    with torch.inference_mode():
        maps, channels = model.part_attention(images), model.channel_maps(images)
        regions = model.trunk(images)
    assert maps.shape == channels.shape == (2, 2, 7, 7)
    assert maps.flatten(2).amin(2).flatten().tolist() == pytest.approx([1 / (1 + math.exp(5))] * 4)
    assert maps.flatten(2).amax(2).flatten().tolist() == pytest.approx([1 / (1 + math.exp(-5))] * 4)
    torch.testing.assert_close(
        channels, torch.stack([regions[:, 0::2].mean(1), regions[:, 1::2].mean(1)], dim=1)
    )


def test_a_map_of_one_region_is_refused_in_one_line():
    with pytest.raises(InputError, match="demo makes one region of 16 px; take larger images"):
        Model(DEMO, classes(), (3, 16, 16))


def test_centres_are_drawn_by_name():
    order = torch.tensor([3, 0, 4, 2, 1])
    found = []
    for given in (classes(), classes().subset(order, SEEN[order])):
        torch.manual_seed(0)
        model = Model(DEMO, given, (3, SIDE, SIDE))
        names = [name for name, seen in zip(given.names, given.seen.tolist(), strict=True) if seen]
        found.append(dict(zip(names, model.centres.tolist(), strict=True)))
    assert found[0] == found[1]
    assert model.centres.std().item() == pytest.approx(0.01, rel=0.5)


def test_defaults_are_those_that_the_report_prints():
    """Section 3.2; its images have 448 pixels and the joint features' 224, its learning rate falls
    twice by tenths from 0.05 to the smallest; 30 epochs are section 3.4's.
    """
    config = Config()
    assert (config.backbone, config.trunk_lr, config.batch_size) == ("vgg19", 0, 32)
    assert (INPUT.size, config.view * INPUT.size) == (448, 224)
    assert config.smallest_lr == pytest.approx(config.lr / 10 / 10) == 5 * 10**-4
    assert (config.momentum, config.weight_decay) == (0.9, 5 * 10**-4)
    assert (config.diversity_margin, config.centre_margin, config.steepness) == (0.2, 0.8, 10)
    assert config.epochs == 30


def test_held_images_train_as_files_do(tmp_path):
    """Any inputs do: the package's own inputs of a tensor give the same model."""
    inputs, data = problem(tmp_path / "counted")
    models = [fresh(), fresh()]
    train(models[0], DEMO, data)
    held = Held(torch.cat([torch.zeros(2, 3, SIDE, SIDE), inputs.values]))
    train(
        models[1], DEMO, replace(data, inputs=held, run=replace(data.run, folder=tmp_path / "held"))
    )
    assert torch.equal(models[0].W, models[1].W)


def test_an_interrupted_first_stage_is_completed(tmp_path):
    """257 images are two blocks; the first is safe when the images of the second cannot be read."""
    values = images_of(257, 32).float()
    rows, labels = torch.arange(257), torch.arange(257) % 2
    run = TrainingRun(0, torch.device("cpu"), tmp_path)
    model = fresh(replace(DEMO, batch_size=64), side=32)

    class Broken(Counted):
        def stream(self, batches, generator=None, start=0):
            yield self.values[:256]
            raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        stored_first_stage(model, TrainingData(Broken(values), rows, labels, classes(), run))
    passed = []
    handle = model.trunk.register_forward_hook(
        lambda module, inputs, output: passed.append(len(output))
    )
    stored = stored_first_stage(model, TrainingData(Held(values), rows, labels, classes(), run))
    handle.remove()
    assert passed == [1, 1]  # the second block's image: its view and itself
    whole, regions = model.first_stage(values)
    torch.testing.assert_close(torch.from_numpy(stored.pooled[:]), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.from_numpy(stored.regions[:]).float(), regions, rtol=1e-3, atol=1e-3
    )
