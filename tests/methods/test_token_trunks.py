"""Methods that train a network take a transformer as well: its tokens are the map."""

import importlib
from dataclasses import replace

import pytest
import torch

from tests.methods import test_contract as contract
from zslpipe.networks.token_maps import TokenMaps
from zslpipe.training.contract import Batch

torch.set_num_threads(1)
SIDE = 64  # pixels: 4 x 4 patches of timm's test_vit, whose width is 64
FROM_IMAGES = ("crafting", "rsan", "sgma")


@pytest.fixture(autouse=True)
def transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contract.QUICK, "backbone", "timm/test_vit")
    monkeypatch.setattr(contract, "SIDE", SIDE)


def case_of(name: str) -> contract.Case:
    return contract.Case(importlib.import_module(f"zslpipe.methods.{name}"), "images")


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_IMAGES)
def test_a_transformer_is_trained_scored_and_kept(name, tmp_path) -> None:
    case = case_of(name)
    classes = contract.classes_of(case)
    model = contract.trained(case, tmp_path, classes, torch.arange(len(contract.SEEN)))
    assert isinstance(model.trunk.body, TokenMaps)
    scores = contract.scores_of(case, model)
    assert scores.shape == (contract.IMAGES, len(contract.SEEN)) and scores.isfinite().all()
    assert scores.std(0).min() > 0
    config = contract.quick(case.module.Config())
    again = case.module.Model(config, classes, (3, SIDE, SIDE)).eval()
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(contract.scores_of(case, again), scores)


@pytest.mark.parametrize("name", ["crafting", "rsan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_reach_the_patch_embedding(name, dtype) -> None:
    case = case_of(name)
    classes = contract.classes_of(case)
    config = contract.quick(case.module.Config())
    model = case.module.Model(config, classes, (3, SIDE, SIDE)).train()
    images = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        losses = model.loss(Batch(images, torch.tensor([0, 2, 3, 5]), torch.arange(4)))
    sum(losses.values()).backward()
    gradient = model.trunk.body.network.patch_embed.proj.weight.grad
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_maps_of_attributes_are_of_the_patches() -> None:
    case = case_of("rsan")
    classes = contract.classes_of(case)
    config = contract.quick(case.module.Config())
    model = case.module.Model(config, classes, (3, SIDE, SIDE)).eval()
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps, tokens = model.attention(images), model.trunk(images)
        for row, column in ((0, 3), (2, 1)):
            expected = tokens[0, :, row, column] @ model.P
            torch.testing.assert_close(maps[0, :, row, column], expected, rtol=1e-4, atol=1e-5)
    assert maps.shape == (1, contract.ATTRIBUTES, 4, 4)


def test_sgmas_parts_are_cropped_where_the_patches_lie() -> None:
    """Views of half the side have embeddings of half the grid; a crop's middle is a patch's."""
    case = case_of("sgma")
    classes = contract.classes_of(case)
    config = replace(contract.quick(case.module.Config()), trunk_lr=0.0)
    model = case.module.Model(config, classes, (3, SIDE, SIDE))
    assert (model.cells, model.view) == (4, 32)
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pooled, regions = model.first_stage(images)
        assert (pooled.shape, regions.shape) == ((2, 64), (2, 16, 64))
        assert model.part_attention(images).shape == (2, 2, 4, 4)
    losses = model.loss(Batch(images, torch.tensor([0, 2]), torch.arange(2)))
    assert all(loss.isfinite() for loss in losses.values())
