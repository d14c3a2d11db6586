"""Files of weights of vision transformers as their tools write them: timm, open_clip, DINOv2,
DeiT-III, DataParallel, Lightning, Hugging Face folders; and of images of another size.
"""

import json
import logging
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.machine.weight_names import said_of_folder, weights_path
from zslpipe.networks.backbones import build_trunk, state_hash

torch.set_num_threads(1)
TINY = {"embed_dim": 24, "depth": 2, "num_heads": 2}
VIT = "vit_tiny_patch16_224"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make timm build tiny transformers."""
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **given: create(name, **given, **TINY))


def network_of(name: str = VIT, **settings: object) -> nn.Module:
    """Return a network whose every tensor is drawn, scales and embeddings too."""
    network = timm.create_model(name, **settings).eval()
    generator = torch.Generator().manual_seed(1)
    for tensor in network.state_dict().values():
        tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network


def image_of(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def same_tokens(path: Path, network: nn.Module, name: str = VIT, size: int = 224) -> None:
    """Check that the trunk of a file gives the patch tokens of a network."""
    before = network.num_prefix_tokens
    expected = network.forward_features(image_of(size))[:, before:].transpose(1, 2)
    trunk = build_trunk(f"timm/{name}", str(path), size=size)
    torch.testing.assert_close(trunk(image_of(size)).flatten(2), expected, rtol=1e-4, atol=1e-5)


WRAPPED = {
    "plain.pth": lambda state: state,
    "train.pth.tar": lambda state: {"state_dict": state, "arch": VIT, "epoch": 3},
    "parallel.bin": lambda state: {f"module.{name}": value for name, value in state.items()},
    "compiled.pt": lambda state: {"model": {f"_orig_mod.{key}": one for key, one in state.items()}},
    "lightning.ckpt": lambda state: {
        "state_dict": {f"model.backbone.{name}": value for name, value in state.items()},
        "pytorch-lightning_version": "2.0",
    },
}


@pytest.mark.parametrize("file", WRAPPED)
@pytest.mark.parametrize("size", [224, 96])
def test_files_of_a_training_whatever_wraps_them(tmp_path, file, size) -> None:
    network = network_of()
    torch.save(WRAPPED[file](network.state_dict()), tmp_path / file)
    if size == 224:
        same_tokens(tmp_path / file, network)
    trunk = build_trunk(f"timm/{VIT}", str(tmp_path / file), size=size)
    assert trunk.body.network.pos_embed.shape == (1, 1 + (size // 16) ** 2, 24)


def test_safetensors_are_read_and_the_head_is_not_asked_for(tmp_path) -> None:
    network = network_of(num_classes=5)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    same_tokens(tmp_path / "w.safetensors", network)


def test_position_embeddings_of_another_size_are_resized_and_that_is_said(tmp_path, caplog) -> None:
    network = network_of()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    with caplog.at_level(logging.INFO):
        trunk = build_trunk(f"timm/{VIT}", str(tmp_path / "w.safetensors"), size=96)
    assert "position embeddings are resized from 197 to 37 positions" in caplog.text
    grid = network.pos_embed.detach()[:, 1:].reshape(1, 14, 14, 24).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=(6, 6), mode="bicubic", antialias=True)
    found = trunk.body.network.pos_embed.detach()
    torch.testing.assert_close(found[0, 1:], resized[0].flatten(1).T, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[0, 0], network.pos_embed[0, 0])
    same = build_trunk(f"timm/{VIT}", str(tmp_path / "w.safetensors"), size=224)
    assert torch.equal(same.body.network.pos_embed, network.pos_embed)
    assert state_hash(same) != state_hash(build_trunk(f"timm/{VIT}", "random", size=224))


@pytest.mark.parametrize("before", ["", "module.", "model."])
@torch.no_grad()
def test_open_clips_towers_are_found_among_images_and_texts(tmp_path, before) -> None:
    open_clip = pytest.importorskip("open_clip")
    seen = {"image_size": 64, "layers": 2, "width": 24, "patch_size": 16, "head_width": 12}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    clip = open_clip.CLIP(512, seen, text).eval()
    state = {f"{before}{name}": value for name, value in clip.state_dict().items()}
    torch.save({"epoch": 1, "name": "run", "state_dict": state}, tmp_path / "epoch_1.pt")
    backbone = "timm/vit_base_patch16_clip_224.laion2b"
    trunk = build_trunk(backbone, str(tmp_path / "epoch_1.pt"), size=64, pooled="head")
    maps, pooled = trunk.features(image_of(64))
    torch.testing.assert_close(pooled, clip.encode_image(image_of(64)), rtol=1e-4, atol=1e-5)
    assert maps.shape == (2, 24, 4, 4)


def test_a_head_of_another_width_is_told(tmp_path) -> None:
    torch.save(network_of(num_classes=7).state_dict(), tmp_path / "w.pt")
    told = r"with its head \(pooled: head\): 2 of .* first head.weight 1000x24: the file has 7x24"
    with pytest.raises(InputError, match=told):
        build_trunk(f"timm/{VIT}", str(tmp_path / "w.pt"), size=224, pooled="head")


@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"])
@pytest.mark.parametrize("size", [224, 518])
@torch.no_grad()
def test_dinov2s_first_files(tmp_path, name, size) -> None:
    """They hold a mask token, registers by another name, and embeddings of 37 x 37 patches and the
    class token.
    """
    network = network_of(name)
    state = dict(network.state_dict()) | {"mask_token": torch.zeros(1, 24)}
    if "reg4" in name:
        state["register_tokens"] = state.pop("reg_token")
        own = torch.full((1, 1, 24), 0.25)
        state["pos_embed"] = torch.cat([own, state["pos_embed"]], 1)
        state["cls_token"] = state["cls_token"] - own
    torch.save(state, tmp_path / "dinov2_vits14_pretrain.pth")
    if size == 518:
        same_tokens(tmp_path / "dinov2_vits14_pretrain.pth", network, name, size)
    path = str(tmp_path / "dinov2_vits14_pretrain.pth")
    trunk = build_trunk(f"timm/{name}", path, size=size)
    assert trunk(image_of(size)).shape == (2, 24, size // 14, size // 14)


def test_deit_iiis_first_files_name_their_layer_scales_otherwise(tmp_path) -> None:
    network = network_of("deit3_small_patch16_224")
    state = {}
    for name, value in network.state_dict().items():
        state[name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2")] = value
    assert any("gamma_1" in name for name in state)
    torch.save({"model": state}, tmp_path / "deit_3_small_224_1k.pth")
    same_tokens(tmp_path / "deit_3_small_224_1k.pth", network, "deit3_small_patch16_224")


@torch.no_grad()
def test_flexivits_embeddings_are_resized_as_they_were_trained(tmp_path) -> None:
    """Bilinear, without smoothing: timm says that its weights prefer it."""
    network = network_of("flexivit_small")
    torch.save(network.state_dict(), tmp_path / "w.pt")
    trunk = build_trunk("timm/flexivit_small", str(tmp_path / "w.pt"), size=96)
    flat = network.pos_embed[:, -225:]
    grid = flat.reshape(1, 15, 15, 24).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=(6, 6), mode="bilinear", antialias=False)
    found = trunk.body.network.pos_embed[0, -36:]
    torch.testing.assert_close(found, resized[0].flatten(1).T, rtol=1e-5, atol=1e-6)


def test_what_fits_no_network_is_told_by_its_names(tmp_path) -> None:
    torch.save({"vit.encoder.layer.0.weight": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"do not fit timm/vit_tiny.*it needs cls_token, .* the f"):
        build_trunk(f"timm/{VIT}", str(tmp_path / "w.pt"), size=224)


@pytest.mark.parametrize("is_safe", [True, False])
def test_a_folder_of_hugging_faces_layout_is_read_by_its_file(tmp_path, is_safe) -> None:
    network = network_of()
    timm.models.save_for_hf(network, tmp_path / "mine", safe_serialization=is_safe)
    path = weights_path(tmp_path, "hf:mine")
    assert path.name == ("model.safetensors" if is_safe else "pytorch_model.bin")
    same_tokens(path, network)
    assert said_of_folder(tmp_path, "hf:mine")["architecture"] == VIT
    assert said_of_folder(tmp_path, "mine") == {}


def test_of_several_files_in_a_folder_the_one_is_taken_that_timm_takes(tmp_path) -> None:
    for name in reversed(timm.models._hub._PREFERRED_FILES):
        (tmp_path / name).touch()
        assert weights_path(tmp_path, "hf:.").name == name


@pytest.mark.parametrize("is_early", [True, False])
def test_a_folder_whose_images_were_normalised_otherwise_names_the_tag(tmp_path, is_early) -> None:
    """Mean and deviation of MAE's weights are ImageNet's, those of timm's first tag 0.5."""
    name = "vit_base_patch16_224"
    timm.models.save_for_hf(network_of(f"{name}.mae"), tmp_path / "mae")
    if is_early:
        config = tmp_path / "mae" / "config.json"
        said = json.loads(config.read_text())
        config.write_text(json.dumps(said | said.pop("pretrained_cfg")))
    path = str(weights_path(tmp_path, "hf:mae"))
    with pytest.raises(InputError) as caught:
        build_trunk(f"timm/{name}", path, size=224)
    assert str(caught.value).endswith(
        "by mean and std [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], backbone "
        f"'timm/{name}' by [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]; name the backbone with the tag of "
        f"its weights (timm/{name}.mae)"
    )
    trunk = build_trunk(f"timm/{name}.mae", path, size=224)
    assert trunk.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    (tmp_path / "mae" / "config.json").unlink()
    build_trunk(f"timm/{name}", path, size=224)


def test_a_tag_that_timm_does_not_have_is_told_with_those_it_has() -> None:
    with pytest.raises(InputError, match=r"weights 'augreg' of timm/vit_tiny.*augreg_in21k"):
        build_trunk(f"timm/{VIT}", "augreg")
    with pytest.raises(InputError, match=r"weights 'augreg' of timm/vit_tiny"):
        build_trunk(f"timm/{VIT}.augreg", "random")


@pytest.mark.parametrize("weights", ["augreg_in21k", "pretrained"])
def test_a_tag_names_the_weights_that_are_fetched(monkeypatch, weights) -> None:
    asked = []

    def offline(name: str, pretrained: bool = False, **settings: object) -> nn.Module:
        if pretrained:
            asked.append(name)
            raise OSError("Name or service not known")
        return network_of(name)

    monkeypatch.setattr(timm, "create_model", offline)
    named = VIT if weights != "pretrained" else f"{VIT}.augreg_in21k"
    with pytest.raises(InputError, match=r"cannot be fetched .*; run 'zslpipe fetch-weights'"):
        build_trunk(f"timm/{named}", weights)
    assert asked == [f"{VIT}.augreg_in21k"]
