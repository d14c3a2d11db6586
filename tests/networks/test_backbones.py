"""Networks cut at a layer: folding changes no value, maps have the size the cache expects, misfits
are named.
"""

from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import Trunk, build_trunk, folded, last_map, state_hash
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.receptive_fields import cell_centres

torch.set_num_threads(1)


def varied(trunk: Trunk) -> Trunk:
    """Give batch norms statistics other than 0 and 1, so that folding them counts."""
    generator = torch.Generator().manual_seed(0)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return trunk


def map_of(trunk: Trunk, size: int) -> torch.Tensor:
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return trunk(images).clone()


def batch_norms(trunk: Trunk) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet18", "demo"])
def test_a_folded_trunk_gives_the_same_map(backbone):
    torch.manual_seed(0)
    trunk = varied(build_trunk(backbone, "random"))
    expected = map_of(trunk, 64)
    assert batch_norms(trunk) > 0
    quick = folded(trunk)
    assert batch_norms(quick) == 0
    found = map_of(quick, 64)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert expected.abs().max() > 0


def test_a_folded_trunks_map_is_region_major_in_memory():
    quick = folded(build_trunk("resnet18", "random"))
    images = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert quick(images).permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size", "shape"),
    [
        ("resnet18", 224, (512, 7, 7)),
        ("mobilenet_v2", 224, (1280, 7, 7)),
        ("shufflenet_v2_x0_5", 224, (1024, 7, 7)),
        ("vgg11", 64, (512, 2, 2)),
        ("densenet121", 64, (1024, 2, 2)),
        ("alexnet", 224, (256, 6, 6)),
        ("demo", 112, (192, 7, 7)),
        ("demo", 224, (192, 14, 14)),
    ],
)
def test_the_last_map_has_the_size_that_is_known(backbone, size, shape):
    assert map_of(build_trunk(backbone, "random"), size).shape == (2, *shape)


def test_the_last_map_is_what_the_classifier_averages():
    torch.manual_seed(0)
    network = models.get_model("resnet18").eval()
    images = torch.randn(2, 3, 64, 64)
    body = create_feature_extractor(network, {"layer4": "map"})
    trunk = Trunk(body, "layer4").eval()
    with torch.inference_mode():
        expected = network(images)
        found = network.fc(trunk(images).mean((2, 3)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_densenets_last_map_is_its_final_relu():
    torch.manual_seed(0)
    network = models.get_model("densenet121").eval()
    trunk = build_trunk("densenet121", "random")
    trunk.body.load_state_dict(network.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        found = trunk(images)
        expected = torch.relu(network.features(images))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found.min() == 0
    assert (expected > 0).any()


@pytest.mark.slow
def test_a_layer_of_vectors_is_a_map_of_one_cell():
    """AlexNet's fc7: what its softmax layer reads, 4096 numbers behind a ReLU."""
    torch.manual_seed(0)
    network = models.get_model("alexnet").eval()
    trunk = build_trunk("alexnet", "random", layer="classifier.5")
    trunk.body.load_state_dict(network.state_dict(), strict=False)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        found, expected = trunk(images), network(images)
        softmax_reads = found.flatten(1)
        assert found.shape == (2, 4096, 1, 1) and found.min() == 0 < found.max()
        torch.testing.assert_close(network.classifier[6](softmax_reads), expected)
        torch.testing.assert_close(folded(trunk)(images), found)


def test_a_named_layer_is_cut_there():
    assert map_of(build_trunk("resnet18", "random", layer="layer3"), 224).shape == (2, 256, 14, 14)


def test_random_weights_are_always_the_same_and_leave_the_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = build_trunk("resnet18", "random")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert state_hash(build_trunk("resnet18", "random")) == state_hash(first)
    first.body.conv1.weight.data[0, 0, 0, 0] += 1
    assert state_hash(build_trunk("resnet18", "random")) != state_hash(first)


@pytest.mark.slow
def test_timm_networks_are_normalised_as_they_were_trained():
    pytest.importorskip("timm")
    trunk = build_trunk("timm/mixer_s32_224", "random", layer="norm")
    assert trunk.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert trunk.deviation.flatten().tolist() == [0.5, 0.5, 0.5]
    assert trunk.mean.shape == (1, 3, 1, 1)
    plain = build_trunk("timm/resnet10t", "random")
    assert torch.equal(plain.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_a_timm_network_that_names_no_last_map_asks_for_a_layer():
    timm = pytest.importorskip("timm")
    without = next(name for name in ("mixer_s32_224", "resmlp_12_224") if timm.is_model(name))
    network = timm.create_model(without, num_classes=0, global_pool="")
    del network.feature_info
    with pytest.raises(
        InputError,
        match=f"backbone 'timm/{without}': its last map is not known; give the extractor",
    ):
        last_map(f"timm/{without}", network)


@pytest.mark.slow
def test_a_timm_network_ends_at_its_last_map():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False, num_classes=0, global_pool="").eval()
    trunk = build_trunk("timm/resnet10t", "random")
    trunk.body.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = network.forward_features(images)
        torch.testing.assert_close(trunk(images), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            folded(trunk)(images), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
        )
    assert expected.shape == (2, 512, 7, 7)


def test_weights_come_from_a_file_whatever_lies_beside_the_state_dict(tmp_path):
    network = DemoNetwork(classes=5)
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "x.pt")
    trunk = build_trunk("demo", str(tmp_path / "x.pt"))
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            trunk(images), network.eval().features(images), rtol=0, atol=1e-6
        )


def test_weights_that_do_not_fit_are_named(tmp_path):
    state = models.get_model("resnet18").state_dict()
    del state["layer1.0.conv1.weight"]
    state["fc.weight"] = torch.zeros(5, 512)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(InputError) as caught:
        build_trunk("resnet18", str(tmp_path / "x.pt"))
    assert str(caught.value).endswith(
        "x.pt do not fit resnet18: 1 of 120 tensors missing or of another shape, first "
        "layer1.0.conv1.weight 64x64x3x3: absent; the file has conv1.weight, bn1.weight, bn1.bias, "
        "... (121)"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"no weights", "cannot be read"),
        # bytes that are instructions of a pickle: torch raises struct.error, IndexError, KeyError
        (b"junk", "cannot be read"),
        (b"Rl.", "cannot be read"),
        (b"h\x85j", "cannot be read"),
        (b"PK\x03\x04 half an archive", "cut off: it begins as a zip file"),
    ],
)
def test_a_weights_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.pt:? {said}") as caught:
        build_trunk("resnet18", str(tmp_path / "x.pt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backbone", ["timm/resnet10tt", "vit_b_16"])
def test_an_unknown_network_or_last_map_is_named(backbone):
    with pytest.raises(
        InputError,
        match=r"did you mean 'resnet10t'|its last map is not known; give the extractor a 'layer'",
    ):
        build_trunk(backbone, "random")


def test_a_weights_file_of_something_else_is_refused(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"x\.pt holds no state dict"):
        build_trunk("resnet18", str(tmp_path / "x.pt"))


@pytest.mark.parametrize(
    ("backbone", "layer", "told"),
    [
        ("vit_b_16", "encoder", "'vit_b_16', layer 'encoder': gives 197x768 numbers an image"),
        ("timm/mixer_s32_224", "norm", "'timm/mixer_s32_224', layer 'norm': gives 49x512"),
        ("timm/vit_tiny_patch16_224", "norm", "layer 'norm': gives 197x192 numbers an image"),
    ],
)
def test_tokens_are_refused_by_name(backbone, layer, told):
    trunk = build_trunk(backbone, "random", layer)
    with pytest.raises(InputError, match="leave 'layer' out or name a block") as caught:
        trunk(torch.zeros(1, 3, 224, 224))
    assert told in str(caught.value)


def test_a_size_that_a_network_does_not_take_is_told():
    trunk = build_trunk("timm/mixer_s32_224", "random")
    with pytest.raises(InputError, match=r"takes no images of 256x256 px \(.*; change the extr"):
        trunk(torch.zeros(1, 3, 256, 256))


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        ("timm/crossvit_9_240", "'timm/crossvit_9_240' cannot be had without its classifier"),
        ("timm/coat_tiny", "'timm/coat_tiny' cannot be had without its classifier"),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(backbone, told):
    with pytest.raises(InputError, match="take another backbone") as caught:
        build_trunk(backbone, "random")
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("backbone", "weights", "told"),
    [
        ("resnet18", "IMAGENET", "neither a file (.pt, .pth, .pth.tar, .tar, .ckpt, .bin, .safete"),
        ("timm/resnet10t", "IMAGENET1K_V1", "of timm/resnet10t: neither a file (.pt,"),
        ("demo", "pretrained", "weights 'pretrained' of backbone 'demo': no file of weights (.pt)"),
        ("resnet18", "absent.safetensors", "weights file absent.safetensors does not exist"),
    ],
)
def test_weights_that_nobody_has_are_told(backbone, weights, told):
    with pytest.raises(InputError) as caught:
        build_trunk(backbone, weights)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("library", "backbone", "weights"),
    [
        ("torchvision.models.get_model", "resnet18", "IMAGENET1K_V1"),
        ("timm.create_model", "timm/resnet10t", "pretrained"),
    ],
)
def test_weights_by_name_where_there_is_no_network_are_one_line(
    library, backbone, weights, monkeypatch
):
    def offline(*names, **settings):
        raise URLError("Name or service not known")

    monkeypatch.setattr(library, offline)
    with pytest.raises(
        InputError, match=r"cannot be fetched .*; run 'zslpipe fetch-weights' where there is a"
    ):
        build_trunk(backbone, weights)


def test_swins_map_has_its_channels_first_and_its_cells_are_tiles():
    """Without attention and perceptrons what joins tiles is left: each cell depends on its own tile
    of the image alone.
    """
    trunk = build_trunk("swin_t", "random")
    for name, module in trunk.body.named_modules():
        if name.endswith(("attn.proj", "mlp.3")):
            module.weight.data.zero_()
            module.bias.data.zero_()
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        plain = trunk(images)
        assert plain.shape == (1, 768, 7, 7)
        for row, column in ((0, 0), (2, 5), (6, 1)):
            changed = images.clone()
            changed[:, :, 32 * row + 16, 32 * column + 16] += 1
            moved = (trunk(changed) - plain).abs().amax(1)[0] > 1e-6
            assert moved.nonzero().tolist() == [[row, column]]
    centres = cell_centres(trunk, 224)
    assert (centres.first * 224, centres.step * 224) == pytest.approx((16, 32))
    with torch.inference_mode():
        torch.testing.assert_close(folded(trunk)(images), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size", "shape"),
    [
        ("timm/swin_tiny_patch4_window7_224", 224, (768, 7, 7)),
        ("timm/maxvit_nano_rw_256", 256, (512, 8, 8)),
        ("maxvit_t", 224, (512, 7, 7)),
        ("inception_v3", 299, (2048, 8, 8)),
        ("swin_v2_t", 256, (768, 8, 8)),
        ("timm/swinv2_cr_tiny_224", 224, (768, 7, 7)),
    ],
)
def test_networks_of_windows_have_maps_and_are_folded(backbone, size, shape):
    trunk = build_trunk(backbone, "random")
    expected = map_of(trunk, size)
    assert expected.shape == (2, *shape)
    found = map_of(folded(trunk), size)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
