"""RSAN against its equations written out, in float64."""

from dataclasses import asdict, replace
from itertools import chain

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import TypeCheckError
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.methods.rsan import (
    PUBLISHED,
    Config,
    Model,
    attribute_kernels,
    concentrate_loss,
    places,
    train,
)
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, True, False, True, False])
IMAGES, SIDE, WIDTH, ATTRIBUTES, WORD_WIDTH = 4, 4, 7, 6, 5
REGIONS = SIDE * SIDE
LABELS = torch.tensor([0, 3, 1, 0])
DEFAULT = Config(backbone="demo")


def classes(seed: int = 0) -> Classes:
    generator = torch.Generator().manual_seed(seed)
    names = tuple(str(number) for number in range(len(SEEN)))
    vectors = torch.randn(len(SEEN), ATTRIBUTES, generator=generator, dtype=torch.float64)
    words = torch.randn(ATTRIBUTES, WORD_WIDTH, generator=generator, dtype=torch.float64)
    return Classes(names, vectors, SEEN, tuple("abcdef"), words)


def model_of(config: Config = DEFAULT, given: Classes | None = None) -> Model:
    """Return a float64 model whose maps have values of either sign."""
    torch.manual_seed(0)
    return Model(config, given or classes(), (REGIONS, WIDTH)).double()


def regions_of(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGES, REGIONS, WIDTH, generator=generator, dtype=torch.float64)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


def plain_maps(model: Model, image: Tensor) -> list[list[list[Tensor]]]:
    """Return M[k][i][j] of one image (r, d): v_ij' P, one number at a time."""
    maps = []
    for column in model.P.T:
        values = [region @ column for region in image]
        maps.append([values[i * SIDE : (i + 1) * SIDE] for i in range(SIDE)])
    return maps


def plain_attributes(model: Model, regions: Tensor) -> Tensor:
    """Return a^ of equation (4)."""
    rows = []
    for image in regions:
        maps = plain_maps(model, image)
        rows.append(torch.stack([max(chain(*one)) for one in maps]))
    return torch.stack(rows)


def plain_cosines(predicted: Tensor) -> Tensor:
    """Return cos(a^, a(c)) (b, c), pair by pair."""
    vectors, rows = classes().attributes, []
    for row in predicted:
        cosines = [row @ vector / (row.norm() * vector.norm()) for vector in vectors]
        rows.append(torch.stack(cosines))
    return torch.stack(rows)


def plain_classification(scores: Tensor, labels: Tensor) -> Tensor:
    """Return equation (5) as a mean over images: only seen classes are in the sum."""
    losses = []
    for row, label in zip(scores, labels.tolist(), strict=True):
        total = sum(score.exp() for score, seen in zip(row, SEEN, strict=True) if seen)
        losses.append(-(row[label].exp() / total).log())
    return sum(losses) / len(losses)


def plain_concentration(model: Model, regions: Tensor) -> Tensor:
    """Return equation (3) over sigmoid(M), cell by cell, divided by the number of cells of all
    maps.
    """
    terms = []
    for image in regions:
        for one in plain_maps(model, image):
            cells = {(i, j): one[i][j] for i in range(SIDE) for j in range(SIDE)}
            peak_i, peak_j = max(cells, key=lambda cell, cells=cells: cells[cell].item())
            terms += [
                ((i - peak_i) ** 2 + (j - peak_j) ** 2) / (1 + (-m).exp())
                for (i, j), m in cells.items()
            ]
    return sum(terms) / (IMAGES * ATTRIBUTES * REGIONS)


def plain_regression(model: Model, regions: Tensor, labels: Tensor) -> Tensor:
    """Return equations (9)-(11), window by window; squares summed over attributes, a mean over
    images.
    """
    size = model.kernels.shape[2]
    losses = []
    for image, label in zip(regions, labels.tolist(), strict=True):
        maps = image.view(SIDE, SIDE, WIDTH)
        vector = classes().attributes[label]
        for kernel, wanted in zip(model.kernels, vector / vector.norm(), strict=True):
            places = [(i, j) for i in range(SIDE - size + 1) for j in range(SIDE - size + 1)]
            windows = [maps[i : i + size, j : j + size].permute(2, 0, 1) for i, j in places]
            strongest = max((window * kernel).sum().clamp(min=0) for window in windows)
            losses.append((strongest - wanted) ** 2)
    return sum(losses) / len(labels)


def test_saliency_maps_are_products_and_attributes_their_maxima():
    model, regions = model_of(), regions_of()
    with torch.no_grad():
        maps = torch.tensor([plain_maps(model, image) for image in regions], dtype=torch.float64)
    close(model.attention(regions), maps)
    close(model.attribute_scores(regions), plain_attributes(model, regions))


def test_scores_are_equation_14():
    model, regions = model_of(), regions_of()
    with torch.no_grad():
        wanted = 20 * plain_cosines(plain_attributes(model, regions)) - 0.7 * SEEN.double()
        close(model.scores(regions), wanted)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_losses_and_gradients_of_all_parameters_equal_the_plain_form(kernel_size):
    model, regions = (
        model_of(replace(DEFAULT, kernel_size=kernel_size)),
        regions_of().requires_grad_(),
    )
    losses = model.loss(Batch(regions, LABELS))
    wanted = {
        "cross_entropy": plain_classification(
            20 * plain_cosines(plain_attributes(model, regions)), LABELS
        ),
        "concentrate": 0.1 * plain_concentration(model, regions),
        "regression": plain_regression(model, regions, LABELS),
    }
    assert list(losses) == list(wanted)
    for name, value in wanted.items():
        close(losses[name], value)
        tensors = [regions, model.kernels if name == "regression" else model.P]
        found, plain = (
            torch.autograd.grad(loss, tensors, retain_graph=True) for loss in (losses[name], value)
        )
        for gradient, expected in zip(found, plain, strict=True):
            assert expected.abs().max() > 1e-4, name
            close(gradient, expected)


def test_a_weight_of_zero_leaves_its_term_out():
    config = replace(DEFAULT, concentrate_weight=0.0, regression_weight=0.0)
    assert list(model_of(config).loss(Batch(regions_of(), LABELS))) == ["cross_entropy"]


def masked_concentration(saliency: Tensor, side: int) -> Tensor:
    """Return equation (3) over sigmoid(M) with a tensor of squared distances (b, r, a)."""
    cells = torch.cartesian_prod(torch.arange(side), torch.arange(side)).to(saliency)
    peaks = cells[saliency.argmax(1)]
    distances = (cells[None, :, None] - peaks[:, None]).square().sum(3)
    return (saliency.sigmoid() * distances).sum() / saliency.numel()


def test_moments_give_value_and_gradient_of_the_distances_at_full_size():
    saliency = torch.randn(3, 196, 11, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = concentrate_loss(saliency, saliency.argmax(1), places(14))
    wanted = masked_concentration(saliency, 14)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(loss, saliency)[0] for loss in (found, wanted)]
    largest = gradients[1].abs().max()
    torch.testing.assert_close(gradients[0] / largest, gradients[1] / largest, rtol=0, atol=1e-5)


def test_bfloat16_training_takes_the_moments_in_float32():
    saliency = torch.randn(3, 196, 11, generator=torch.Generator().manual_seed(0)).bfloat16()
    wanted = masked_concentration(saliency.float(), 14)
    with torch.autocast("cpu", torch.bfloat16):
        found = concentrate_loss(saliency, saliency.argmax(1), places(14))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)


def test_a_map_that_is_its_peak_alone_costs_nothing():
    saliency = torch.full((1, REGIONS, 2), -torch.inf)
    saliency[0, 5, 0], saliency[0, 12, 1] = 2.0, -1.0
    assert abs(concentrate_loss(saliency, saliency.argmax(1), places(SIDE)).item()) < 1e-7
    spread = saliency.clone()
    spread[0, 5 + SIDE + 2, 0] = 0.0  # one row and two columns off, of half weight
    found = concentrate_loss(spread, spread.argmax(1), places(SIDE))
    assert found.item() == pytest.approx(0.5 * (1**2 + 2**2) / (2 * REGIONS))


def test_the_concentrate_loss_is_the_same_for_a_transposed_image():
    model, regions = model_of(), regions_of()
    turned = regions.unflatten(1, (SIDE, SIDE)).transpose(1, 2).flatten(1, 2)
    whole, other = (model.loss(Batch(one, LABELS)) for one in (regions, turned))
    close(other["concentrate"], whole["concentrate"])
    close(model.attention(turned), model.attention(regions).transpose(2, 3))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_kernels_are_a_valid_convolution(size):
    model, regions = model_of(replace(DEFAULT, kernel_size=size)), regions_of()
    images = regions.view(IMAGES, SIDE, SIDE, WIDTH).permute(0, 3, 1, 2)
    maps = F.conv2d(images, model.kernels).relu()
    assert maps.shape[2:] == (SIDE - size + 1, SIDE - size + 1)
    difference = F.max_pool2d(maps, maps.shape[2]).flatten(1) - model.attributes[LABELS]
    wanted = difference.square().sum() / IMAGES
    close(model.loss(Batch(regions, LABELS))["regression"], wanted)


def test_only_seen_classes_compete_in_training():
    whole = classes()
    moved = whole.attributes.clone()
    moved[~SEEN] = 100 * torch.rand(2, ATTRIBUTES).double()
    losses, others = (
        model_of(given=given).loss(Batch(regions_of(), LABELS))
        for given in (whole, replace(whole, attributes=moved))
    )
    torch.testing.assert_close(others, losses, rtol=0, atol=0)


def test_calibration_is_subtracted_from_seen_scores_alone():
    without, with_factor = (
        model_of(replace(DEFAULT, calibration=factor)) for factor in (0.0, 3.75)
    )
    difference = with_factor.scores(regions_of()) - without.scores(regions_of())
    close(difference, torch.where(SEEN, -3.75, 0.0).double().expand(IMAGES, -1))
    batch = Batch(regions_of(), LABELS)
    torch.testing.assert_close(with_factor.loss(batch), without.loss(batch), rtol=0, atol=0)


def scaled(model: Model, factor: float) -> Model:
    with torch.no_grad():
        model.P *= factor
    return model


def test_the_length_of_the_predicted_attributes_counts_for_the_dot_product_alone():
    regions = regions_of()
    close(scaled(model_of(), 7.5).scores(regions), model_of().scores(regions))
    dot = replace(DEFAULT, similarity="dot product", calibration=0.0)
    close(scaled(model_of(dot), 7.5).scores(regions), 7.5 * model_of(dot).scores(regions))
    unit = classes().attributes / classes().attributes.norm(dim=1, keepdim=True)
    close(model_of(dot).scores(regions), plain_attributes(model_of(dot), regions) @ unit.T)


def test_the_length_of_a_class_vector_does_not_count():
    lengths = torch.tensor([0.1, 3, 50, 7, 1]).double()[:, None]
    longer = replace(classes(), attributes=lengths * classes().attributes)
    batch = Batch(regions_of(), LABELS)
    close(model_of(given=longer).scores(batch.inputs), model_of().scores(batch.inputs))
    torch.testing.assert_close(
        model_of(given=longer).loss(batch), model_of().loss(batch), rtol=0, atol=1e-12
    )


def test_the_baseline_is_a_linear_map_of_the_mean_region():
    model, regions = model_of(replace(DEFAULT, mapping="global average")), regions_of()
    wanted = torch.stack([sum(image) / REGIONS @ model.P for image in regions])
    close(model.attribute_scores(regions), wanted)
    close(model.attention(regions), model_of().attention(regions))


def test_permuting_regions_leaves_scores_and_permutes_maps():
    model, regions = model_of(), regions_of()
    order = torch.randperm(REGIONS, generator=torch.Generator().manual_seed(3))
    close(model.scores(regions[:, order]), model.scores(regions))
    close(
        model.attention(regions[:, order]).flatten(2),
        model.attention(regions).flatten(2)[:, :, order],
    )


def images_of() -> Tensor:
    return torch.randn(IMAGES, 3, 48, 48, generator=torch.Generator().manual_seed(2)).double()


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_images_give_what_the_trunks_own_regions_give(kernel_size):
    config, images = replace(DEFAULT, kernel_size=kernel_size), images_of()
    torch.manual_seed(0)
    whole, head = (
        Model(config, classes(), shape).double().eval() for shape in ((3, 48, 48), (9, 192))
    )
    head.load_state_dict(
        {name: value for name, value in whole.state_dict().items() if not name.startswith("trunk.")}
    )
    maps = whole.trunk(images)
    assert maps.shape == (IMAGES, 192, 3, 3)
    regions = torch.stack([maps[:, :, i, j] for i in range(3) for j in range(3)], dim=1)
    for name in ("scores", "attention", "attribute_scores"):
        close(getattr(whole, name)(images), getattr(head, name)(regions))
    found, wanted = whole.loss(Batch(images, LABELS)), head.loss(Batch(regions, LABELS))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


def test_kernels_start_as_a_linear_map_of_unit_word_vectors():
    """Eq. 8: attributes of one word share a kernel, an opposite word gives the opposite, a sum of
    words the sum.
    """
    first, second = torch.eye(WORD_WIDTH)[:2].double()
    words = torch.stack([first, 4 * first, -first, second, first + second, second])
    torch.manual_seed(0)
    kernels = attribute_kernels(
        replace(DEFAULT, kernel_size=3), replace(classes(), words=words), WIDTH
    )
    assert kernels.shape == (ATTRIBUTES, WIDTH, 3, 3)
    close(kernels[1], kernels[0])
    close(kernels[2], -kernels[0])
    close(kernels[4], (kernels[0] + kernels[3]) / 2**0.5)
    assert not torch.allclose(kernels[3], kernels[0])


@pytest.mark.parametrize("initialisation", ["words", "random"])
def test_kernels_start_at_a_hundredth_of_torchs_convolution(initialisation):
    torch.manual_seed(0)
    config = replace(DEFAULT, kernel_size=3, kernel_initialisation=initialisation)
    many = replace(classes(), words=torch.eye(ATTRIBUTES))  # words of their own: nothing is shared
    kernels = attribute_kernels(config, many, 2000)
    reference = torch.nn.Conv2d(2000, ATTRIBUTES, 3).weight
    assert 100 * kernels.std().item() == pytest.approx(reference.std().item(), rel=0.01)
    assert 100 * abs(kernels.mean().item()) < 0.02 * reference.std().item()


def test_p_starts_as_torchs_linear_layer():
    torch.manual_seed(0)
    wide = Model(replace(DEFAULT, kernel_initialisation="random"), classes(), (REGIONS, 2000)).P
    reference = torch.nn.Linear(2000, ATTRIBUTES).weight
    assert wide.std().item() == pytest.approx(reference.std().item(), rel=0.02)
    assert wide.abs().max().item() == pytest.approx(reference.abs().max().item(), rel=0.02)


def test_mapped_words_keep_the_words_and_train_their_map(tmp_path):
    config = replace(DEFAULT, kernel_initialisation="mapped words", kernel_size=3, episodes=3)
    before, after, data = trained(config, tmp_path)
    assert before.kernels.shape == (WORD_WIDTH, WIDTH, 3, 3)
    assert not torch.equal(after.kernels, before.kernels)
    unit = classes().words / classes().words.norm(dim=1, keepdim=True)
    free = model_of(replace(DEFAULT, kernel_size=3))
    with torch.no_grad():
        free.kernels.copy_(torch.einsum("av,vdhw->adhw", unit, after.kernels))
    batch = Batch(data.inputs.take(torch.arange(4)), LABELS)
    close(after.loss(batch)["regression"], free.loss(batch)["regression"])


def test_random_kernels_need_no_words_and_word_kernels_do():
    wordless = replace(classes(), words=None)
    assert model_of(replace(DEFAULT, kernel_initialisation="random"), wordless).kernels.shape == (
        6,
        7,
        1,
        1,
    )
    with pytest.raises(ValueError, match="word vectors"):
        model_of(given=wordless)


@pytest.mark.parametrize("size", [0, 5])
def test_a_kernel_that_does_not_fit_the_map_is_refused(size):
    with pytest.raises(
        InputError, match=f"kernel_size {size} does not fit a 4 x 4 map; take one from 1 to 4"
    ):
        model_of(replace(DEFAULT, kernel_size=size))


def trained(config: Config, folder, images: bool = False) -> tuple[Model, Model, TrainingData]:
    """Return a model before and after a short training, and what it was trained on."""
    shape = (3, 48, 48) if images else (REGIONS, WIDTH)
    values = torch.randn(
        12, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    data = TrainingData(
        Held(values),
        torch.arange(12),
        torch.tensor([0, 1, 3]).repeat(4),
        classes(),
        TrainingRun(0, torch.device("cpu"), folder),
    )
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(Model(config, classes(), shape).double())
    train(models[1], config, data)
    return models[0], models[1], data


@pytest.mark.parametrize("kind", ["batch", "pretrained"])
def test_batch_norms_keep_the_pretrained_statistics_where_asked(kind):
    config = Config(backbone="demo", batch_norm=kind)
    model = Model(config, classes(), (3, 48, 48)).double().train()
    before = {
        name: value.clone() for name, value in model.trunk.named_buffers() if "running" in name
    }
    model.loss(Batch(torch.randn(4, 3, 48, 48).double(), torch.zeros(4, dtype=torch.long)))
    changed = [
        name
        for name, value in model.trunk.named_buffers()
        if name in before and (value != before[name]).any()
    ]
    assert bool(changed) == (kind == "batch")
    assert model.training and not model.eval().training


def by_hand(model: Model, batch: Batch, config: Config, rates: dict[str, float]) -> None:
    """Train on the same batch: steps with momentum and decay; rates are halved after each epoch."""
    weights = dict(model.named_parameters())
    velocity = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for epoch in range(config.epochs):
        for _ in range(config.episodes):
            total = sum(model.loss(batch).values())
            gradients = torch.autograd.grad(total, list(weights.values()))
            with torch.no_grad():
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                    decayed = gradient + config.weight_decay * weight
                    velocity[name] = config.momentum * velocity[name] + decayed
                    weight -= 0.5**epoch * rates[name] * velocity[name]


@pytest.mark.parametrize("images", [False, True])
def test_training_is_sgd_with_rates_of_their_own(tmp_path, images):
    """Every batch is all images; kernels learn at the head's rate over the attributes."""
    config = replace(
        DEFAULT,
        sampler="random",
        batch_size=12,
        episodes=3,
        epochs=2,
        lr=0.01,
        trunk_lr=0.002,
        weight_decay=0.1,
        lr_halved_every=1,
    )
    model, after, data = trained(config, tmp_path, images)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    rates = dict.fromkeys(start, config.trunk_lr)
    rates |= {"P": config.lr, "kernels": config.lr / ATTRIBUTES}
    batch = Batch(data.inputs.take(torch.arange(12)), data.labels)
    by_hand(model.train(), batch, config, rates)
    for name, weight in model.named_parameters():
        moved = (weight - start[name]).norm().item()
        apart = (dict(after.named_parameters())[name] - weight).norm().item()
        assert apart < 1e-7 * moved, name


@pytest.mark.parametrize(
    ("change", "steps", "length"),
    [
        ({"sampler": "episodes", "ways": 2, "shots": 3, "episodes": 7}, 7, 6),
        (
            {"sampler": "episodes", "ways": 16, "shots": 2, "episodes": 3},
            3,
            6,
        ),  # three classes are there
        ({"sampler": "random", "batch_size": 4, "episodes": 5}, 5, 4),  # more than a pass
        # an epoch is a pass over the twelve images
        ({"sampler": "random", "batch_size": 4, "episodes": 0}, 3, 4),
        ({"sampler": "episodes", "ways": 2, "shots": 3, "episodes": 0}, 2, 6),
    ],
)
def test_an_epoch_is_what_the_sampler_says(tmp_path, monkeypatch, change, steps, length):
    lengths = []
    loss = Model.loss
    monkeypatch.setattr(
        Model, "loss", lambda model, batch: lengths.append(len(batch.labels)) or loss(model, batch)
    )
    data = trained(replace(DEFAULT, epochs=2, **change), tmp_path)[2]
    assert lengths == [length] * 2 * steps
    assert [row["step"] for row in data.run.history] == [steps, steps]


def test_the_constraint_branch_changes_no_score_of_fixed_features(tmp_path):
    config = replace(DEFAULT, epochs=2, episodes=4, lr=0.1)
    with_branch, without = (
        trained(replace(config, regression_weight=weight), tmp_path / str(weight))[1]
        for weight in (1.0, 0.0)
    )
    assert torch.equal(with_branch.P, without.P)
    assert not torch.equal(with_branch.kernels, without.kernels)


def test_a_trunk_rate_of_zero_fixes_the_encoder(tmp_path):
    config = replace(DEFAULT, episodes=2, epochs=1, trunk_lr=0.0)
    before, after, _ = trained(config, tmp_path, images=True)
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    moved = {name for (name, old), new in pairs if not torch.equal(old, new)}
    assert moved == {"P", "kernels"}


# What a loss teaches

BIRDS, BIRD_ATTRIBUTES, BIRD_WIDTH = 20, 100, 300


def bird_classes() -> Classes:
    generator = torch.Generator().manual_seed(0)
    names = tuple(str(number) for number in range(BIRDS))
    vectors = torch.rand(BIRDS, BIRD_ATTRIBUTES, generator=generator) ** 3
    words = torch.randn(BIRD_ATTRIBUTES, 50, generator=generator)
    seen = torch.arange(BIRDS) < 16
    return Classes(names, vectors, seen, tuple(map(str, range(BIRD_ATTRIBUTES))), words)


def bird_data(folder) -> TrainingData:
    """Regions as a backbone's last map has them: none negative, of a length of about 36, with their
    class's attributes in some of them.
    """
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(16).repeat(8)
    directions = torch.randn(BIRD_ATTRIBUTES, BIRD_WIDTH, generator=generator)
    content = bird_classes().attributes[labels] @ directions
    shown = torch.rand(len(labels), REGIONS, 1, generator=generator) < 0.5
    noise = torch.randn(len(labels), REGIONS, BIRD_WIDTH, generator=generator)
    regions = (shown * content[:, None] / content.std() + noise).relu()
    regions = 36 * regions / regions.norm(dim=2).mean()
    run = TrainingRun(0, torch.device("cpu"), folder)
    return TrainingData(Held(regions), torch.arange(len(labels)), labels, bird_classes(), run)


def bird_model(config: Config) -> Model:
    torch.manual_seed(0)
    return Model(config, bird_classes(), (REGIONS, BIRD_WIDTH))


QUICK = replace(DEFAULT, lr=0.01, epochs=1, episodes=60)


@pytest.fixture(scope="module", params=["words", "random", "mapped words"])
def taught(request, tmp_path_factory) -> tuple[Model, Batch]:
    """Return a model after 60 episodes, and all its images as one batch."""
    config = replace(QUICK, kernel_initialisation=request.param)
    data = bird_data(tmp_path_factory.mktemp("birds"))
    model = bird_model(config)
    train(model, config, data)
    return model, data.batch(torch.arange(len(data.labels)))


def test_the_regression_beats_nothing_and_the_best_constant(taught):
    model, batch = taught
    wanted = model.attributes[batch.labels]
    constant = (wanted - wanted.mean(0)).square().sum(1).mean().item()
    nothing = wanted.square().sum(1).mean().item()
    assert model.loss(batch)["regression"].item() < 0.95 * constant < nothing


def test_no_attributes_kernel_is_dead_for_all_images(taught):
    model, batch = taught
    gradients = torch.autograd.grad(model.loss(batch)["regression"], model.kernels)[0]
    assert (gradients.flatten(1).norm(dim=1) > 0).all()


def test_the_classification_beats_chance(taught):
    model, batch = taught
    assert model.loss(batch)["cross_entropy"].item() < 0.5 * torch.tensor(16.0).log().item()


def test_maps_are_more_concentrated_than_flat_ones(tmp_path):
    """A flat map costs half the mean squared distance to its peak."""
    config = replace(QUICK, concentrate_weight=1.0, regression_weight=0.0)
    data, model = bird_data(tmp_path), bird_model(config)
    train(model, config, data)
    batch = data.batch(torch.arange(len(data.labels)))
    saliency = batch.inputs @ model.P
    flat = concentrate_loss(torch.zeros_like(saliency), saliency.argmax(1), places(SIDE))
    assert model.loss(batch)["concentrate"].item() < 0.8 * flat.item()


def test_gradients_of_all_losses_on_the_features_are_of_one_order(taught):
    for model in (bird_model(QUICK), taught[0]):
        inputs = taught[1].inputs.clone().requires_grad_()
        losses = model.loss(Batch(inputs, taught[1].labels))
        norms = {}
        for name, loss in losses.items():
            norms[name] = torch.autograd.grad(loss, inputs, retain_graph=True)[0].norm().item()
        shares = {name: norm / norms["cross_entropy"] for name, norm in norms.items()}
        assert 0.02 < shares["regression"] < 5, shares
        assert 0.002 < shares["concentrate"] < 5, shares


def test_every_loss_reaches_what_it_trains():
    torch.manual_seed(0)
    model = Model(DEFAULT, classes(), (3, 48, 48)).double()
    own = {"cross_entropy": "P", "concentrate": "P", "regression": "kernels"}
    for name, loss in model.loss(Batch(images_of(), LABELS)).items():
        weights = dict(model.named_parameters())
        gradients = torch.autograd.grad(
            loss, list(weights.values()), retain_graph=True, allow_unused=True
        )
        reached = {key for key, gradient in zip(weights, gradients, strict=True) if has(gradient)}
        trunk = {key for key in weights if key.startswith("trunk.")}
        assert reached == trunk | {own[name]}, name


def has(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.abs().max().item() > 1e-9


def test_bfloat16_leaves_the_head_in_float32():
    given = replace(classes(), attributes=torch.rand(5, ATTRIBUTES), words=classes().words.float())
    torch.manual_seed(0)
    model = Model(replace(DEFAULT, kernel_size=3), given, (3, 48, 48)).eval()
    images = images_of().float()
    with torch.autocast("cpu", torch.bfloat16):
        maps = model.trunk(images)
        scores, losses = model.scores(images), model.loss(Batch(images, LABELS))
    assert maps.dtype == torch.bfloat16
    model.trunk = None
    regions = maps.float().flatten(2).transpose(1, 2)
    torch.testing.assert_close(scores, model.scores(regions))
    wanted = model.loss(Batch(regions, LABELS))
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    torch.testing.assert_close(losses, wanted)


def test_published_settings_are_those_of_the_paper():
    default = Config()
    assert PUBLISHED["CUB"] == default
    changed = {}
    for name, config in PUBLISHED.items():
        pairs = set(asdict(config).items()) - set(asdict(default).items())
        changed[name] = dict(pairs)
    assert changed == {
        "CUB": {},
        "SUN": {"kernel_size": 5, "scale": 25.0},
        "AWA2": {"kernel_size": 3, "calibration": 3.75},
    }
    assert (default.lr, default.momentum, default.weight_decay, default.lr_halved_every) == (
        1e-3,
        0.9,
        1e-5,
        10,
    )
    assert (default.epochs, default.episodes, default.ways, default.shots) == (20, 300, 16, 2)
    assert (default.concentrate_weight, default.regression_weight, default.calibration) == (
        0.1,
        1.0,
        0.7,
    )


def test_shapes_are_those_of_the_signatures():
    with pytest.raises(TypeCheckError, match="b r d"):
        model_of().scores(regions_of()[:, 0])
