"""Grad-CAM of crafted networks: against its definition, and from weights to file."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.made_up.crafted import COUNT, SIZE, SPEC, model_of, noise_inputs, save, written_grad_cam
from zslpipe.machine.errors import InputError
from zslpipe.methods.crafting import Config
from zslpipe.runs.attention import pick_images
from zslpipe.runs.gradcam import (
    attribute_numbers,
    grad_cam,
    how_many_present,
    removed_attributes,
    write_grad_cam,
)
from zslpipe.runs.models import RunInputs

torch.set_num_threads(1)
PLAIN = {"similarity": "inner product", "temperature": 1.0}


def images_of(count: int = COUNT) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def run_inputs(tmp_path_factory) -> RunInputs:
    return noise_inputs(tmp_path_factory.mktemp("gradcam"))


@pytest.fixture(scope="module")
def written(run_inputs, tmp_path_factory) -> Path:
    return written_grad_cam(tmp_path_factory.mktemp("written"), run_inputs)


def test_of_the_inner_product_it_is_the_map_of_the_rule():
    """f . w with f = P mean(A) + p: the gradient is P' w / positions everywhere, written out
    position by position.
    """
    model, images = model_of(Config(backbone="demo", **PLAIN)), images_of()
    rules = model.rules[[0, 4, 4]]
    with torch.no_grad():
        maps = model.trunk(images)
        found = grad_cam(model, images, rules)
        assert found.shape == (COUNT, 4, 4) and not found.requires_grad
        for image, rule, heat in zip(maps, rules, found, strict=True):
            weights = model.projection.weight.T @ rule / 16
            for row in range(4):
                for column in range(4):
                    value = sum(weight * image[d, row, column] for d, weight in enumerate(weights))
                    assert float(heat[row, column]) == pytest.approx(
                        max(float(value), 0.0), abs=1e-5
                    )
    assert 0 < (found > 0).float().mean() < 1


def test_of_the_cosine_it_is_the_definition():
    """Weights from the gradient of the class's own score, through the length of f as well."""
    config = Config(backbone="demo", temperature=0.1)
    model, images, labels = model_of(config), images_of(), torch.tensor([1, 6, 2])
    maps = model.trunk(images).detach().requires_grad_()
    features = model.projection(maps.mean(dim=(2, 3)))
    cosines = torch.nn.functional.cosine_similarity(features, model.rules[labels]) / 0.1
    (gradient,) = torch.autograd.grad(cosines.sum(), maps)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(1).clamp(min=0).detach()
    assert expected.amax() > 0.01
    torch.testing.assert_close(
        grad_cam(model, images, model.rules[labels]), expected, rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(model.scores(images)[range(COUNT), labels], cosines)


def test_the_removed_attributes_are_the_outstanding_and_the_ordinary():
    rules = np.random.default_rng(5).uniform(0, 1, (9, 6))
    labels = np.array([4, 0, 4, 8])
    for label, (outstanding, ordinary) in zip(
        labels, removed_attributes(rules, labels), strict=True
    ):
        excess = [rules[label, a] - sum(rules[:, a]) / 9 for a in range(6)]
        strong = [a for a in range(6) if rules[label, a] >= max(rules[label]) / 2]
        assert outstanding == max(range(6), key=excess.__getitem__)
        assert ordinary == min(strong, key=lambda a, excess=excess: abs(excess[a]))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("black", "'wing::black', 'belly::Black'"),
        ("wing::blak", "'wing::black'"),
        ("qqq", "'wing::black', 'belly::Black', 'wing::red', 'timid'"),
    ],
)
def test_an_unknown_attribute_is_named_with_those_like_it(name, nearest):
    known = ("wing::black", "belly::Black", "wing::red", "timid")
    with pytest.raises(InputError) as error:
        attribute_numbers(["timid", name], known)
    said = str(error.value)
    assert said.startswith(f"no attribute {name!r} among the dataset's 4; nearest: {nearest}")
    assert "\n" not in said


def test_attributes_are_found_by_name():
    assert attribute_numbers(["c", "a"], ("a", "b", "c")).tolist() == [2, 0]
    known = ("has_size::small", "Caf\u00e9 brown", "caf\u00e9 blue")
    assert attribute_numbers(["cafe\u0301_BROWN", "Has size::small"], known).tolist() == [1, 0]
    with pytest.raises(InputError, match="removed_attributes: 'A b' may be 'a-b' and 'a_b'"):
        attribute_numbers(["A b"], ("a-b", "a_b"))


def test_named_attributes_are_taken_away_from_images_of_classes_that_have_them(
    run_inputs, tmp_path
):
    names = run_inputs.index.attribute_names
    config = Config(backbone="demo")
    weights, output = save(tmp_path, config, model_of(config)), tmp_path / "gradcam.h5"
    rules = model_of(config).rules.numpy()
    unseen = np.flatnonzero(~run_inputs.index.seen)
    present = rules[unseen] >= rules.mean(axis=0)
    number = int(np.flatnonzero(present.sum(axis=0) == 1)[0])  # that one unseen class alone has
    write_grad_cam(weights, run_inputs, 3, output, 1, (names[number], names[0]))
    with h5py.File(output) as file:
        assert file["attributes"][()].tolist() == [[number, 0]]
        assert file["maps_without"].shape == (1, 2, 4, 4)
        [label] = file["labels"][()]
    counts = how_many_present(rules, np.array([number, 0]))
    plain = [sum(rules[c, a] >= rules[:, a].mean() for a in (number, 0)) for c in range(len(rules))]
    assert counts.tolist() == plain
    assert counts[label] == counts[unseen].max()


def test_the_file_holds_maps_with_and_without(written, run_inputs):
    model = model_of(Config(backbone="demo"))
    rows = pick_images(run_inputs.index, COUNT)
    with h5py.File(written) as file:
        found = {name: file[name][()] for name in file}
        attributes = dict(file.attrs)
    assert json.loads(attributes.pop("run")) == SPEC | {"seed": 3}
    assert attributes == {name: SPEC[name] for name in ("method", "dataset", "variant")} | {
        "seed": 3,
        "cell_first": 0.5 / SIZE,  # the demo's network: odd kernels of stride 2, padded evenly
        "cell_step": 16 / SIZE,
        "complete": True,
    }
    assert found["images"].tolist() == rows.tolist() and set(run_inputs.index.labels[rows]) == {
        2,
        6,
    }
    assert found["labels"].tolist() == run_inputs.index.labels[rows].tolist()
    assert found["maps"].dtype == found["maps_without"].dtype == np.float32
    images = run_inputs.inputs.take(torch.from_numpy(rows))
    with torch.no_grad():
        assert found["predicted"].tolist() == model.scores(images).argmax(1).tolist()
    for row, label in enumerate(found["labels"]):
        whole = grad_cam(model, images[row : row + 1], model.rules[[label]])[0]
        np.testing.assert_allclose(found["maps"][row], whole, rtol=1e-4, atol=1e-6)
        for number, attribute in enumerate(found["attributes"][row]):
            rule = model.rules[[label]].clone()
            rule[0, attribute] = 0
            without = grad_cam(model, images[row : row + 1], rule)[0]
            np.testing.assert_allclose(
                found["maps_without"][row, number], without, rtol=1e-4, atol=1e-6
            )
            assert (without - whole).abs().max() > 1e-4
    assert not list(written.parent.glob("*.partial"))


def test_removing_what_a_class_does_not_have_changes_nothing():
    model, images = model_of(Config(backbone="demo")), images_of()
    rules = model.rules[[0, 1, 2]].clone()
    rules[:, 3] = 0
    again = rules.scatter(1, torch.full((COUNT, 1), 3), 0.0)
    assert torch.equal(grad_cam(model, images, again), grad_cam(model, images, rules))


def test_the_number_of_batches_does_not_count(written, run_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("zslpipe.runs.gradcam.BATCH", 1)
    config = Config(backbone="demo")
    write_grad_cam(
        save(tmp_path, config, model_of(config)), run_inputs, 3, tmp_path / "gradcam.h5", COUNT
    )
    with h5py.File(written) as first, h5py.File(tmp_path / "gradcam.h5") as second:
        for name in first:
            np.testing.assert_allclose(second[name][()], first[name][()], rtol=1e-4, atol=1e-6)


def test_other_weights_are_refused(run_inputs, tmp_path):
    config = Config(backbone="demo")
    cases = {
        "visual rules; an attribute": (replace(config, rule="visual"), (3, SIZE, SIZE)),
        "trained on pooled features": (config, (192,)),
    }
    for message, (changed, shape) in cases.items():
        weights = save(tmp_path, changed, model_of(changed, shape), shape)
        with pytest.raises(InputError, match=message):
            write_grad_cam(weights, run_inputs, 0, tmp_path / "gradcam.h5", COUNT)
    fewer = replace(
        run_inputs,
        index=replace(run_inputs.index, attribute_names=("a", "b"), attribute_groups=("", "")),
    )
    with pytest.raises(InputError, match="rules of 'att' have 5 numbers, the dataset 2 attributes"):
        write_grad_cam(
            save(tmp_path, config, model_of(config)), fewer, 0, tmp_path / "gradcam.h5", COUNT
        )
    assert not (tmp_path / "gradcam.h5").exists()
