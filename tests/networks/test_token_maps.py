"""Networks of tokens as maps: of every family grid, order, prefix tokens."""

import pytest
import timm
import torch
from torch import nn

from tests.networks.test_backbones import map_of
from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import Trunk, build_trunk, folded, state_hash
from zslpipe.networks.receptive_fields import cell_centres

torch.set_num_threads(1)

# What makes a family's smallest network tiny; its code is what counts.
TINY = {"embed_dim": 24, "depth": 2, "num_heads": 2}
STAGES = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}
# Name, size, grid, width, tokens before the patches', whether the first is a class token, width of
# what the head gives.
FAMILIES = (
    ("vit_tiny_patch16_224", 224, 14, 24, 1, True, 1000),
    ("vit_base_patch16_224.augreg_in21k", 96, 6, 24, 1, True, 21843),
    ("flexivit_small", 240, 15, 24, 1, True, 1000),
    ("deit_tiny_distilled_patch16_224", 224, 14, 24, 2, True, 1000),
    ("deit3_small_patch16_224", 96, 6, 24, 1, True, 1000),
    ("beit_base_patch16_224", 224, 14, 24, 1, True, 1000),
    ("beitv2_base_patch16_224", 96, 6, 24, 1, True, 1000),
    ("eva02_tiny_patch14_224", 112, 8, 24, 1, True, 24),
    ("vit_small_patch14_dinov2", 224, 16, 24, 1, True, 24),
    ("vit_small_patch14_dinov2", 518, 37, 24, 1, True, 24),
    ("vit_small_patch14_reg4_dinov2", 224, 16, 24, 5, True, 24),
    ("vit_small_patch16_dinov3", 96, 6, 24, 5, True, 24),
    ("vit_base_patch16_siglip_224", 224, 14, 24, 0, False, 24),
    ("vit_base_patch16_clip_224.openai", 224, 14, 24, 1, True, 512),
    ("vit_relpos_small_patch16_224", 96, 6, 24, 0, False, 1000),
    ("cait_xxs24_224", 96, 6, 24, 0, True, 1000),
    ("mixer_s32_224", 224, 7, 512, 0, False, 1000),
)
IDS = [f"{family[0]}-{family[1]}" for family in FAMILIES]


@pytest.fixture(autouse=True)
def tiny(monkeypatch) -> None:
    """Make timm build tiny networks."""
    create = timm.create_model

    def created(name: str, **settings):
        if name.startswith("swin"):
            return create(name, **settings, **STAGES)
        if name.startswith(("vit", "flexivit", "deit", "beit", "eva", "cait")):
            return create(name, **settings, **TINY)
        return create(name, **settings)

    monkeypatch.setattr(timm, "create_model", created)


def tokens_of(name: str, size: int, trunk: Trunk) -> tuple[nn.Module, torch.Tensor]:
    """Return timm's own network with a trunk's weights and what it makes of an image before its
    head, tokens in a row.
    """
    network = timm.create_model(name, img_size=size).eval()
    state = {key.removeprefix("network."): value for key, value in trunk.body.state_dict().items()}
    missing = network.load_state_dict(state, strict=False).missing_keys
    left_out = ("head", "attn_pool", "fc_norm", "cls_token", "blocks_token_only")
    assert not [key for key in missing if not key.startswith(left_out)]
    return network, network.forward_features(image_of(size))


def image_of(size: int) -> torch.Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
@torch.no_grad()
def test_patch_tokens_are_regions_row_by_row(family) -> None:
    name, size, grid, width, before, *_ = family
    trunk = build_trunk(f"timm/{name}", "random", size=size)
    _, tokens = tokens_of(name, size, trunk)
    found = trunk(image_of(size))[0]
    assert found.shape == (width, grid, grid)
    if name.startswith("cait"):  # its class token joins behind the blocks: timm puts it first
        before = 1
    assert tokens.shape == (1, before + grid * grid, width)
    for row, column in ((0, 0), (0, 3), (grid - 1, 1), (2, grid - 1)):
        expected = tokens[0, before + row * grid + column]
        torch.testing.assert_close(found[:, row, column], expected, rtol=1e-4, atol=1e-5)
    assert found.std() > 0


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
@torch.no_grad()
def test_a_spot_moves_the_region_that_it_lies_in_and_centres_say_where(family) -> None:
    name, size, grid, *_ = family
    trunk = build_trunk(f"timm/{name}", "random", size=size)
    image, patch = image_of(size), size // grid
    plain = trunk(image)
    for row, column in ((0, 0), (1, grid - 2), (grid - 1, 2)):
        changed = image.clone()
        changed[..., row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] += 3
        moved = (trunk(changed) - plain)[0].norm(dim=0)
        assert divmod(int(moved.argmax()), grid) == (row, column)
    centres = cell_centres(trunk, size)
    assert (centres.first, centres.step) == pytest.approx((0.5 / grid, 1 / grid))


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
@torch.no_grad()
def test_whole_images_are_described_by_class_token_or_head(family) -> None:
    name, size, grid, width, _, has_class_token, head_width = family
    trunk = build_trunk(f"timm/{name}", "random", size=size, pooled="head")
    network, tokens = tokens_of(name, size, trunk)
    maps, pooled = trunk.features(image_of(size))
    torch.testing.assert_close(pooled, network(image_of(size)), rtol=1e-4, atol=1e-5)
    assert maps.shape == (1, width, grid, grid) and pooled.shape == (1, head_width)
    if not has_class_token:
        with pytest.raises(InputError, match=f"{name}' has no class token; set pooled to head"):
            build_trunk(f"timm/{name}", "random", size=size, pooled="class_token")
        return
    trunk = build_trunk(f"timm/{name}", "random", size=size, pooled="class_token")
    again, pooled = trunk.features(image_of(size))
    torch.testing.assert_close(pooled, tokens[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again, maps)


@torch.no_grad()
def test_a_named_block_is_read_as_it_leaves_the_block_and_nothing_behind_it_is_kept() -> None:
    backbone = "timm/vit_tiny_patch16_224"
    trunk, last = (build_trunk(backbone, "random", layer, 96) for layer in ("blocks.0", "blocks.1"))
    network = timm.create_model("vit_tiny_patch16_224", img_size=96).eval()
    network.load_state_dict(last.body.network.state_dict(), strict=False)
    left: dict[str, torch.Tensor] = {}
    for name in ("blocks.0", "blocks.1"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: left.update({name: output})
        )
    network.forward_features(image_of(96))
    for one, name in ((trunk, "blocks.0"), (last, "blocks.1")):
        expected = left[name][:, 1:].transpose(1, 2).unflatten(2, (6, 6))
        torch.testing.assert_close(one(image_of(96)), expected, rtol=1e-4, atol=1e-5)
    names = " ".join(trunk.body.state_dict())
    assert "blocks.0." in names and "blocks.1." not in names and "head" not in names
    assert " network.norm." not in names
    normed = build_trunk(backbone, "random", size=96)(image_of(96))
    expected = network.norm(left["blocks.1"])[:, 1:].transpose(1, 2).unflatten(2, (6, 6))
    assert not torch.allclose(normed, last(image_of(96)), atol=1e-2)
    network.norm.load_state_dict(build_trunk(backbone, "random").body.network.norm.state_dict())
    torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_pooled_head_and_a_block_before_it_go_together() -> None:
    backbone = "timm/vit_tiny_patch16_224"
    whole = build_trunk(backbone, "random", size=96, pooled="head").features(image_of(96))
    block = build_trunk(backbone, "random", "blocks.0", 96, "head").features(image_of(96))
    alone = build_trunk(backbone, "random", "blocks.0", 96)(image_of(96))
    torch.testing.assert_close(block[0], alone)
    torch.testing.assert_close(block[1], whole[1])


@torch.no_grad()
def test_a_convolutional_network_with_its_head_has_the_same_map() -> None:
    plain = build_trunk("timm/resnet10t", "random", size=64)
    trunk = build_trunk("timm/resnet10t", "random", size=64, pooled="head")
    trunk.body.network.load_state_dict(plain.body.state_dict(), strict=False)
    maps, pooled = trunk.features(image_of(64))
    torch.testing.assert_close(maps, plain(image_of(64)))
    assert pooled.shape == (1, 1000)
    torch.testing.assert_close(pooled, trunk.body.network.fc(maps.mean((2, 3))))


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["blocks.2", None])
@torch.no_grad()
def test_stages_that_are_called_blocks_are_found_by_name(layer) -> None:
    """EfficientNet has seven blocks, of which timm reads five."""
    plain = build_trunk("timm/efficientnet_b0", "random", layer, 64)
    trunk = build_trunk("timm/efficientnet_b0", "random", layer, 64, "head")
    trunk.body.network.load_state_dict(plain.body.state_dict(), strict=False)
    torch.testing.assert_close(trunk(image_of(64)), plain(image_of(64)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("swin_tiny_patch4_window7_224", 224, (128, 7, 7)),
        ("swin_tiny_patch4_window7_224", 448, (128, 14, 14)),
        ("swinv2_tiny_window8_256", 256, (128, 8, 8)),
        ("maxvit_pico_rw_256", 256, (256, 8, 8)),
    ],
)
@torch.no_grad()
def test_networks_of_windows_are_maps_in_order(name, size, shape) -> None:
    trunk = build_trunk(f"timm/{name}", "random", size=size)
    image, (width, grid, _) = image_of(size), shape
    plain = trunk(image)
    assert plain.shape == (1, width, grid, grid)
    for row, column in ((0, 0), (1, grid - 2), (grid - 1, 2)):
        changed, patch = image.clone(), size // grid
        changed[..., row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] += 3
        moved = (trunk(changed) - plain)[0].norm(dim=0)
        assert divmod(int(moved.argmax()), grid) == (row, column)


@pytest.mark.parametrize("name", ["vgg11", "xcit_nano_12_p8_224", "hiera_tiny_224", "pit_ti_224"])
@pytest.mark.slow
@torch.no_grad()
def test_what_torch_fx_does_not_follow_is_read_by_timm(name) -> None:
    trunk = build_trunk(f"timm/{name}", "random", size=224)
    maps = trunk(image_of(224))
    assert maps.ndim == 4 and maps.shape[2] == maps.shape[3] > 1
    assert maps.isfinite().all() and maps.std() > 0


@torch.no_grad()
def test_folding_leaves_tokens_as_they_are_and_random_weights_are_the_same() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trunk = build_trunk("timm/vit_tiny_patch16_224", "random", size=96)
    assert torch.equal(torch.get_rng_state(), before)
    again = build_trunk("timm/vit_tiny_patch16_224", "random", size=96)
    assert state_hash(again) == state_hash(trunk)
    expected = map_of(trunk, 96)
    assert torch.equal(map_of(folded(again), 96), expected)


@torch.no_grad()
def test_embeddings_of_one_size_follow_views_of_another() -> None:
    """As SGMA sends images of 448 px and views of 224 px through one network."""
    trunk = build_trunk("timm/vit_tiny_patch16_224", "random", size=192)
    assert trunk.body.network.pos_embed.shape == (1, 1 + 12 * 12, 24)
    assert trunk(image_of(192)).shape == (1, 24, 12, 12)
    assert trunk(image_of(96)).shape == (1, 24, 6, 6)


def test_networks_are_normalised_as_their_weights_were_trained() -> None:
    clip = build_trunk("timm/vit_base_patch16_clip_224.openai", "random", size=32)
    found = clip.mean.flatten().tolist()
    assert found == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    found = clip.deviation.flatten().tolist()
    assert found == pytest.approx([0.26862954, 0.26130258, 0.27577711])
    plain = build_trunk("timm/vit_tiny_patch16_224", "random", size=32)
    assert plain.deviation.flatten().tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("backbone", "settings", "told"),
    [
        ("timm/vit_tiny_patch16_224", {"size": 225}, "patches of 16 px, of which 225 px are no mu"),
        ("timm/beit_base_patch16_224", {"size": 100}, "set the extractor's size to 96 or 112"),
        ("timm/vit_tiny_patch16_224", {"layer": "blocks.2"}, "has no block 'blocks.2'; did you me"),
        ("timm/test_vit", {"layer": "norm"}, "cannot be cut at 'norm': torch.fx does"),
        ("timm/test_vit", {"layer": "norm"}, "leave 'layer' out, or name one (known: blocks.0, "),
        ("resnet18", {"pooled": "head"}, "'resnet18': pooled 'head' is read of timm's networks"),
        ("timm/resnet10t", {"pooled": "class_token"}, "'timm/resnet10t' has no class token"),
    ],
)
def test_what_a_network_does_not_have_is_one_line(backbone, settings, told) -> None:
    with pytest.raises(InputError) as caught:
        build_trunk(backbone, "random", **settings)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_an_image_of_a_size_that_tokens_cannot_follow_is_told() -> None:
    trunk = build_trunk("timm/beit_base_patch16_224", "random", size=96)
    with pytest.raises(InputError, match=r"takes no images of 48x48 px"):
        trunk(image_of(48))
