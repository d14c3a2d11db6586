"""Networks and names of weights are known before a job runs, without torch."""

import csv
from pathlib import Path

import pytest
import timm
import torch
from torchvision import models

from zslpipe.formats.identity import OWN_WEIGHTS
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import WRITERS
from zslpipe.networks.backbones import OWN_MAPS, build_trunk
from zslpipe.study.config import load
from zslpipe.study.extractors import OWN
from zslpipe.study.networks import (
    DEMO_WIDTHS,
    TABLE,
    TWINS,
    check_folder,
    check_network,
    check_place,
    check_views,
    map_width,
)


def told(**extractor: object) -> str:
    with pytest.raises(InputError) as caught:
        check_network(extractor, "config, extractors.x")
    return str(caught.value)


def test_the_demo_s_networks_are_known_wherever_they_are_named():
    assert [Path(path).name for path in OWN.values()] == list(OWN_WEIGHTS.values())
    assert list(OWN) == list(OWN_WEIGHTS) == list(DEMO_WIDTHS) == list(OWN_MAPS)
    assert set(OWN_WEIGHTS.values()) == set(WRITERS)


def test_the_table_is_torchvision_s() -> None:
    with TABLE.open(encoding="utf8", newline="") as file:
        found = {row["backbone"]: row["weights"].split() for row in csv.DictReader(file)}
    known = models.list_models(module=models)
    assert found == {name: list(models.get_model_weights(name).__members__) for name in known}


# Of every kind of network one, the smallest.
ONE_OF_A_KIND = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5"),
    *("mobilenet_v2", "regnet_x_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"),
    *("swin_t", "vgg11"),
)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["demo", "demo_pair", *ONE_OF_A_KIND])
def test_the_width_of_a_map_is_known_without_its_network(backbone: str) -> None:
    trunk = build_trunk(backbone, "random")
    with torch.inference_mode():
        assert trunk(torch.zeros(1, 3, 64, 64)).shape[1] == map_width({"backbone": backbone})


def test_the_width_of_a_layer_that_is_named_is_not_known() -> None:
    assert map_width({"backbone": "resnet50"}) == 2048
    assert map_width({"backbone": "resnet50", "layer": "layer3"}) is None
    assert map_width({"backbone": "timm/darknet53"}) is None
    assert map_width({"backbone": "vit_b_16", "layer": "conv_proj"}) is None
    assert map_width({"backbone": "stored"}) is None
    assert map_width({"backbone": "timm/vit_base_patch16_plus_240"}) is None
    assert map_width({"backbone": "timm/vit_base_patch16_224", "layer": "patch_embed"}) is None


@pytest.mark.parametrize(
    "name",
    [
        *("vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2.lvd142m", "vit_relpos_small"),
        *("deit_tiny_distilled_patch16_224", "deit3_large_patch16_384", "beitv2_base_patch16_224"),
        *("eva02_tiny_patch14_224", "vit_large_patch16_siglip_256", "vit_base_patch16_clip_224"),
    ],
)
def test_the_width_of_tokens_is_told_by_the_networks_name(name: str) -> None:
    name = f"{name}_patch16_224" if name == "vit_relpos_small" else name
    with torch.device("meta"):
        network = timm.create_model(name)
    assert network.embed_dim == map_width({"backbone": f"timm/{name}", "layer": "blocks.3"})
    assert network.embed_dim == map_width({"backbone": f"timm/{name}"})
    extractor = {"backbone": f"timm/{name}", "weights": "random"}
    check_network(extractor | {"layer": f"blocks.{len(network.blocks) - 1}"}, "x")
    behind = told(**extractor, layer=f"blocks.{len(network.blocks)}")
    assert behind.startswith(f"config, extractors.x.layer: timm/{name} has blocks.0 to blocks.")


def test_a_block_behind_the_last_one_is_told_where_the_name_tells_how_many_there_are() -> None:
    vit = {"backbone": "timm/vit_base_patch16_224.mae", "weights": "random"}
    assert told(**vit, layer="blocks.99") == (
        "config, extractors.x.layer: timm/vit_base_patch16_224.mae has blocks.0 to blocks.11, not "
        "blocks.99; leave it out for the last one behind its norm"
    )
    check_network(vit | {"layer": "blocks.11.norm1"}, "x")
    # 36 blocks, and 18 of two branches
    for counted in ("36x1", "18x2"):
        counts = {"backbone": f"timm/vit_small_patch16_{counted}_224", "weights": "random"}
        check_network(counts | {"layer": "blocks.35"}, "x")
    check_network({"backbone": "timm/test_vit", "weights": "random", "layer": "blocks.99"}, "x")


def test_names_that_exist_pass() -> None:
    check_network({"backbone": "resnet101", "weights": "IMAGENET1K_V2"}, "x")
    check_network({"backbone": "resnet101", "weights": "DEFAULT"}, "x")
    check_network({"backbone": "resnet101", "weights": "own/w.pth.tar"}, "x")
    check_network({"backbone": "timm/darknet53", "weights": "pretrained"}, "x")
    check_network({"backbone": "vit_b_16", "weights": "random", "layer": "conv_proj"}, "x")
    for backbone in ("demo", "stored"):
        check_network({"backbone": backbone}, "x")
    check_network({"backbone": "demo", "weights": "random"}, "x")


def test_a_network_that_there_is_not_is_told_with_the_nearest() -> None:
    start = "config, extractors.x.backbone: no torchvision network "
    assert told(backbone="ResNet101", weights="random").startswith(
        f"{start}'ResNet101'; did you mean 'resnet101'?"
    )
    assert told(backbone="Demo").startswith(f"{start}'Demo'; did you mean 'demo'?")
    assert "timm/NAME" in told(backbone="TIMM/resnet18", weights="random")
    assert "no torchvision network" in told(backbone="fasterrcnn_resnet50_fpn", weights="random")


def test_weights_that_there_are_not_are_told() -> None:
    assert told(backbone="resnet18", weights="imagenet1k_v1").endswith(
        ".pkl), hf:FOLDER, random, nor one of IMAGENET1K_V1, DEFAULT"
    )
    assert "'model.onnx' of resnet18: neither a file (.pt" in told(
        backbone="resnet18", weights="model.onnx"
    )
    assert told(backbone="demo", weights="IMAGENET1K_V1").endswith("hf:FOLDER, random")
    assert told(backbone="timm/resnet18", weights="true").endswith("or a tag of timm's")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["vit_b_32", "vit_l_16"])
def test_torchvision_s_transformers_are_refused_with_the_same_network_of_timm(backbone) -> None:
    refusal = told(backbone=backbone, weights="random")
    assert "has tokens and no map; take timm/vit_" in refusal
    with pytest.raises(InputError):
        trunk = build_trunk(backbone, "random")
        trunk(trunk.mean.new_zeros(2, 3, 224, 224))
    assert timm.is_model(TWINS[backbone].removeprefix("timm/"))


def test_twins_are_the_same_network() -> None:
    """By their numbers of weights, without the classifier."""
    for backbone in ("vit_b_16", "vit_b_32"):
        with torch.device("meta"):
            ours = models.get_model(backbone)
            theirs = timm.create_model(TWINS[backbone].removeprefix("timm/"))
        counts = [sum(value.numel() for value in one.parameters()) for one in (ours, theirs)]
        assert counts[0] == counts[1]


def vit(**settings: object) -> dict[str, object]:
    known = {"backbone": "timm/vit_base_patch16_224", "weights": "random", "size": 224, "grid": 14}
    return known | settings


def test_the_grid_of_patches_is_known_without_the_network() -> None:
    check_network(vit(), "x")
    check_network(vit(size=448, grid=28), "x")
    check_network(vit(layer="blocks.9"), "x")
    check_network(vit(layer="patch_embed", grid=7), "x")
    check_network(vit(backbone="timm/vit_small_patch14_dinov2", size=518, grid=37), "x")
    check_network(vit(backbone="timm/vit_base_r26_s32_224", grid=7), "x")
    check_network(vit(backbone="timm/swin_tiny_patch4_window7_224", grid=7), "x")
    assert told(**vit(size=230)) == (
        "config, extractors.x.size: 230 px are no multiple of vit_base_patch16_224's patches of 16 "
        "px; write 224 or 240"
    )
    assert told(**vit(grid=7)) == (
        "config, extractors.x.grid: the network vit_base_patch16_224 has 14 x 14 patches at this "
        "size, not 7 x 7; write 14"
    )


def test_pooled_features_that_a_network_lacks_are_told() -> None:
    check_network(vit(pooled="class_token"), "x")
    check_network(vit(backbone="timm/resnet50", pooled="head"), "x")
    of_timm = "config, extractors.x.pooled: 'head' is read of timm's networks, and this is "
    assert told(backbone="resnet18", weights="random", pooled="head").startswith(of_timm)
    assert told(backbone="stored", pooled="head").startswith(of_timm)
    check_network(vit(backbone="timm/vit_small_resnet26d_224", pooled="class_token"), "x")
    for name in ("vit_base_patch16_siglip_224", "swin_tiny_patch4_window7_224", "seresnet50"):
        refusal = told(**vit(backbone=f"timm/{name}", pooled="class_token"))
        assert "has no class token; write head" in refusal


def test_networks_said_to_lack_a_class_token_do() -> None:
    with torch.device("meta"):
        hybrid = timm.create_model("vit_small_resnet26d_224")
    assert hybrid.cls_token is not None
    for name in ("vit_base_patch16_siglip_224", "swin_tiny_patch4_window7_224", "mixer_s32_224"):
        with torch.device("meta"):
            network = timm.create_model(name)
        assert getattr(network, "cls_token", None) is None
    for name in timm.list_models("*patch*"):
        assert not ("siglip" in name and "_cls" in name)


def test_tags_of_timm_are_weights() -> None:
    for weights in ("augreg_in21k_ft_in1k", "openai", "mae", "a1_in1k", "lvd142m"):
        check_network(vit(weights=weights), "x")
    for weights in ("true", "imagenet", "Pretrained", "IMAGENET1K_V1", "openia"):
        assert told(**vit(weights=weights)).endswith("nor one of pretrained or a tag of timm's")


def test_every_tag_of_timm_passes() -> None:
    known = {name.partition(".")[2] for name in timm.list_models(pretrained=True)}
    for tag in known - {""}:
        check_network(vit(weights=tag), "x")


def test_a_folder_of_hugging_face_is_of_the_network_that_it_says() -> None:
    check_network(vit(weights="hf:models/vit"), "x")
    check_folder("timm/vit_base_patch16_224", {"architecture": "vit_base_patch16_224"}, "x")
    check_folder("timm/vit_base_patch16_224.mae", {"architecture": "vit_base_patch16_224"}, "x")
    check_folder("timm/vit_base_patch16_224", {}, "x")
    with pytest.raises(InputError, match=r"^x\.weights: the folder's config.json says archite"):
        check_folder("timm/vit_base_patch16_224", {"architecture": "vit_small_patch16_224"}, "x")
    with pytest.raises(InputError, match="of the library transformers"):
        check_folder("timm/vit_base_patch16_224", {"architectures": ["ViTModel"]}, "x")


def test_a_folder_is_looked_into_before_a_job_runs(tmp_path) -> None:
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "clip").mkdir()
    check_network(vit(weights="pretrained"), "x", tmp_path)
    with pytest.raises(InputError, match=r"^x\.weights: 'clip' is a folder; write hf:clip$"):
        check_network(vit(weights="clip"), "x", tmp_path)
    config = {
        "data_root": str(tmp_path),
        "methods": ["eszsl"],
        "datasets": {"creatures": {"adapter": "demo", "extractors": ["vit"]}},
        "extractors": {"vit": vit(weights="clip")},
    }
    with pytest.raises(InputError, match=r"^config, extractors\.vit\.weights: 'clip' is a folder;"):
        load(config)
    check_place(tmp_path, "pretrained", "x")
    check_place(tmp_path, "hf:absent", "x")
    with pytest.raises(InputError, match=r"^x\.weights: the folder .*clip holds no weights \(mode"):
        check_place(tmp_path, "hf:clip", "x")
    for number in (2, 1):
        (tmp_path / "clip" / f"pytorch_model-0000{number}-of-00002.bin").touch()
    told = r"several files \(pytorch_model-00001-of-00002\.bin \.\.\.\); put them into one, model"
    with pytest.raises(InputError, match=told):
        check_place(tmp_path, "hf:clip", "x")
    (tmp_path / "clip" / "open_clip_model.safetensors").touch()
    check_place(tmp_path, "hf:clip", "x")


def test_views_of_a_share_of_the_image_are_whole_patches_too() -> None:
    dino = {"backbone": "timm/vit_small_patch14_dinov2", "size": 518}
    # 0.7 x 700 is a little less than 490
    for size, share in ((504, 0.5), (448, 0.5), (518, 1.0), (280, 0.25), (700, 0.7)):
        check_views(dino | {"size": size}, {"view": share}, "config, sgma")
    check_views({"backbone": "vgg19", "size": 450}, {"view": 0.5}, "config, sgma")
    check_views(dino, {}, "config, rsan")
    with pytest.raises(InputError) as error:
        check_views(dino, {"view": 0.5}, "config, sgma")
    assert str(error.value) == (
        "config, sgma.view: 259 px, 0.5 of images of 518 px, are no multiple of "
        "timm/vit_small_patch14_dinov2's patches of 14 px; take an extractor of 504 or 532 px"
    )


def test_views_are_checked_where_a_method_is_configured() -> None:
    config = {
        "methods": ["sgma"],
        "datasets": {"creatures": {"adapter": "demo", "extractors": ["vit"]}},
        "extractors": {
            "vit": {"backbone": "timm/vit_tiny_patch16_224", "weights": "random"}
            | {"size": 208, "grid": 13}
        },
        "sgma": {"extractor": "vit"},
    }
    told = r"^config, sgma\.view: 104 px, 0\.5 of images of 208 px, .*; take .* of 192 or 224 px$"
    with pytest.raises(InputError, match=told):
        load(config)
    load(config | {"sgma": {"extractor": "vit", "view": 1.0}})


def test_a_name_of_another_library_is_answered_by_how_it_is_written_here() -> None:
    told = "no torchvision network 'vit_base_patch16_224'; timm's are written timm/vit_base_patch1"
    with pytest.raises(InputError, match=told):
        check_network(vit(backbone="vit_base_patch16_224"), "x")
    with pytest.raises(InputError, match=r"2-base'; networks of timm are written timm/NAME"):
        check_network(vit(backbone="facebook/dinov2-base"), "x")
