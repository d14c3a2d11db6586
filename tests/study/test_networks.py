"""Networks and names of weights are known before a job runs, without torch."""

import csv
from pathlib import Path

import pytest
import torch
from torchvision import models

from zslpipe.formats.identity import OWN_WEIGHTS
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import WRITERS
from zslpipe.networks.backbones import OWN_MAPS, build_trunk
from zslpipe.study.extractors import OWN
from zslpipe.study.networks import DEMO_WIDTHS, TABLE, check_network, map_width


def told(**extractor: str) -> str:
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
        ".pkl), random, nor one of IMAGENET1K_V1, DEFAULT"
    )
    assert "'model.onnx' of resnet18: neither a file (.pt" in told(
        backbone="resnet18", weights="model.onnx"
    )
    assert told(backbone="demo", weights="IMAGENET1K_V1").endswith(".pkl), random")
    assert told(backbone="timm/resnet18", weights="true").endswith("nor one of pretrained")


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone",
    [
        *("vit_b_32", "timm/vit_tiny_patch16_224", "timm/deit_tiny_patch16_224"),
        *("timm/mixer_s32_224", "timm/resmlp_12_224", "timm/gmlp_ti16_224"),
        *("timm/cait_xxs24_224", "timm/eva02_tiny_patch14_224", "timm/flexivit_small"),
    ],
)
def test_a_network_of_tokens_is_refused_by_name_as_a_job_would(backbone: str) -> None:
    assert "has tokens and no map" in told(backbone=backbone, weights="random")
    with pytest.raises(InputError):
        trunk = build_trunk(backbone, "random")
        trunk(trunk.mean.new_zeros(2, 3, 224, 224))
