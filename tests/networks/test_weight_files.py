"""Weights as people's tools write them: the same tensors come out of every wrapping, and what does
not fit is refused with names of both sides.
"""

import argparse
import datetime
import logging
import os
import pathlib
import pickle
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from zslpipe.machine.errors import InputError
from zslpipe.networks import backbones
from zslpipe.networks.backbones import build_trunk
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.weight_files import read_weights


class WithConstant(nn.Module):
    """A network that makes a tensor in its forward pass, as maxvit and swinv2 do: tracing keeps it
    beside the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        doubled: torch.Tensor = self.second(self.first(images) * torch.tensor(2.0))
        return doubled


def test_constants_of_a_networks_code_are_not_asked_of_a_file(tmp_path, monkeypatch):
    torch.manual_seed(3)
    state = WithConstant().state_dict()
    torch.save(state, tmp_path / "weights.pt")
    monkeypatch.setattr(backbones, "whole_network", lambda *_: WithConstant())
    body = build_trunk("made up", str(tmp_path / "weights.pt"), "second").body
    assert any(name.startswith("_tensor_constant") for name in body.state_dict())
    for name, value in state.items():
        assert torch.equal(body.state_dict()[name], value)


def small(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


OTHER = small(1)
HEAD = {"fc.weight": torch.zeros(5, 4), "classifier.bias": torch.zeros(5)}
WRAPPED = {
    "plain": lambda state: state,
    "with what lies behind the cut": lambda state: {**state, **HEAD},
    "DataParallel": lambda state: under("module.", {**state, **HEAD}),
    "compiled": lambda state: under("_orig_mod.", state),
    "DataParallel of a compiled part": lambda state: {
        name.replace(".", "._orig_mod.module.", 1): value for name, value in state.items()
    },
    "torchvision's references": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}},
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
    },
    "the ImageNet example": lambda state: {
        "epoch": 9,
        "arch": "x",
        "state_dict": under("module.", state),
        "best_acc1": torch.tensor(7),
    },
    "Lightning": lambda state: {
        "state_dict": under("model.backbone.", {**state, **HEAD}),
        "pytorch-lightning_version": "2",
        "hyper_parameters": {"lr": 0.1},
        "global_step": 8,
        "loops": {"fit_loop": {"x": {}}},
    },
    "timm": lambda state: {
        "state_dict": under("module.", OTHER),
        "state_dict_ema": under("module.", state),
        "metric": np.float64(76.1),
        "args": argparse.Namespace(),
    },
    "averaged beside plain": lambda state: {"model": OTHER, "ema": state},
    "averaged under a prefix": lambda state: {**under("net.", OTHER), **under("ema_net.", state)},
    "a checkpoint in a checkpoint": lambda state: {"checkpoint": {"model": under("trunk.", state)}},
    "sharded, and checkpointed": lambda state: {
        name.replace(".", "._fsdp_wrapped_module._checkpoint_wrapped_module.", 1): value
        for name, value in state.items()
    },
    "averaged by torch": lambda state: {
        "model": OTHER,
        "swa_model": {**under("module.", state), "n_averaged": torch.tensor(3)},
    },
    "keys with dots, deep": lambda state: {"a.b": {"c.d": {"e": {"f.g": state}}}},
    "in a tuple": lambda state: (state, {"epoch": 3}),
    "arrays of numpy": lambda state: {
        "model": {name: value.numpy() for name, value in state.items()}
    },
    "beside what trainings leave": lambda state: {
        "state_dict": state,
        "mean": np.zeros(3),
        "when": datetime.datetime(2020, 1, 1),
        "args": argparse.Namespace(output=pathlib.PosixPath("x")),
        "history": defaultdict(list),
    },
    "self-supervised": lambda state: under("module.encoder_q.", {**state, **HEAD}),
    "older than counts of batches": lambda state: {
        name: value for name, value in state.items() if not name.endswith("tracked")
    },
}


@pytest.mark.parametrize("tool", WRAPPED)
def test_every_wrapping_gives_the_same_tensors(tool, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    state = small()
    torch.save(WRAPPED[tool](state), tmp_path / "x.pth.tar")
    found = read_weights(tmp_path / "x.pth.tar", state, "a network")
    needed = [name for name in state if not name.endswith("tracked")]
    for name in needed:
        assert torch.equal(found[name], state[name])
    assert found.keys() <= state.keys()


def test_safetensors_are_read(tmp_path):
    state = small()
    save_file(
        {name: value.clone() for name, value in under("backbone.", state).items()},
        tmp_path / "x.safetensors",
    )
    found = read_weights(tmp_path / "x.safetensors", state, "a network")
    assert all(torch.equal(found[name], state[name]) for name in state)
    (tmp_path / "y.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"y\.safetensors cannot be read \(cut off, or no file"):
        read_weights(tmp_path / "y.safetensors", state, "a network")


def test_a_file_is_what_its_bytes_are_whatever_its_name(tmp_path):
    state = small()
    save_file(state, tmp_path / "x.pt")
    save_file(state, tmp_path / "X.SAFETENSORS")
    torch.save(state, tmp_path / "y.safetensors")
    for path in tmp_path.iterdir():
        found = read_weights(path, state, "a network")
        assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid x", "a pointer of git-lfs"),
        (b"\x1f\x8b\x08", "compressed (gzip)); unpack it"),
        (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file (of Keras?)"),
        (b'{"dim": 768}', "it is JSON"),
        (b'{"weight_map": {}}', "weights that lie in several files); put them into one"),
        (b'{\n  "metadata": {"total_size": 9},', "in several files); put them into one"),
        (b"./model.pth".ljust(257, b"\0") + b"ustar", "it is a tar file); unpack it and name"),
        (pickle.dumps({"model": {}}), "a pickle that torch.save did not write"),
    ],
)
def test_what_is_no_file_of_weights_is_told_by_what_it_is(tmp_path, beginning, told):
    (tmp_path / "x.pt").write_bytes(beginning)
    assert told in refused(tmp_path / "x.pt")


def test_what_to_do_follows_from_what_a_file_is(tmp_path):
    """Of a download that did not work nobody can save a network's state."""
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("model.safetensors", b"0" * 99)
    assert refused(tmp_path / "x.pt").endswith(
        "(it is a zip file that torch did not write); unpack it and name the file in it"
    )
    save_file(small(), tmp_path / "whole.safetensors")
    data = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-9])
    told = "(its tensors are cut off); take another copy"
    assert refused(tmp_path / "x.safetensors").endswith(told)
    (tmp_path / "y.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x")
    assert refused(tmp_path / "y.bin").endswith("a pointer of git-lfs); run git lfs pull")


def test_numbers_of_8_bits_are_read_as_others(tmp_path):
    state = {name: value.to(torch.float8_e4m3fn) for name, value in small().items()}
    expected = {name: value.float() for name, value in small().items()}
    torch.save(state, tmp_path / "x.pt")
    found = read_weights(tmp_path / "x.pt", expected, "a network")
    assert torch.equal(found["0.weight"].float(), state["0.weight"].float())
    state["1.bias"] = torch.full((4,), torch.nan).to(torch.float8_e4m3fn)
    torch.save(state, tmp_path / "x.pt")
    assert "1.bias holds nan or infinity" in refused(tmp_path / "x.pt", expected)


def test_a_folder_is_told(tmp_path):
    assert refused(tmp_path).endswith("is a folder; name a file in it")


def test_a_flipped_byte_of_somebodys_weights_is_told(tmp_path):
    state, path = small(), tmp_path / "x.pt"
    torch.save(state, path)
    data = bytearray(path.read_bytes())
    data[data.index(state["0.weight"].numpy().tobytes()) + 9] ^= 1
    path.write_bytes(data)
    assert "in it is damaged: not what was written (CRC-32); take another copy" in refused(path)


def test_quantised_weights_and_nan_are_refused(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({name: value.to(torch.int8) for name, value in small().items()}, path)
    assert "first 0.weight 4x3x3x3: the file has 4x3x3x3 of torch.int8" in refused(path)
    torch.save({**small(), "1.bias": torch.full((4,), torch.nan)}, path)
    assert refused(path).endswith("1.bias holds nan or infinity; take another file")


class Harmful:
    """What a pickle may hold: a command that loading it runs."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def test_no_foreign_code_is_run(tmp_path, monkeypatch):
    torch.save({"state_dict": small(), "x": Harmful()}, tmp_path / "x.pt")
    torch.save({"state_dict": small(), "x": defaultdict(list, a=[1])}, tmp_path / "y.pt")
    run: list[str] = []
    monkeypatch.setattr(os, "system", run.append)
    assert "which could run foreign code and is not loaded" in refused(tmp_path / "x.pt")
    assert "it holds more than tensors, which is not loaded" in refused(tmp_path / "y.pt")
    assert run == []


def test_old_files_of_densenet_are_read(tmp_path):
    network = nn.ModuleDict({"denselayer1": nn.ModuleDict({"norm1": nn.BatchNorm2d(2)})})
    state = network.state_dict()
    old = {name.replace("norm1", "norm.1"): value for name, value in state.items()}
    assert "denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "x.pth")
    assert read_weights(tmp_path / "x.pth", state, "densenet121").keys() == state.keys()


def refused(path, state=None) -> str:
    with pytest.raises(InputError) as caught:
        read_weights(path, state or small(), "resnet18")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_that_fits_is_refused_with_names_of_both_sides(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(
        {"net": {"layers.0.kernel": torch.zeros(3), "layers.0.offset": torch.zeros(3)}}, path
    )
    assert refused(path).endswith(
        "x.pt do not fit resnet18: it needs 0.weight, 0.bias, 1.weight, ... (7), the file has "
        "under 'net' layers.0.kernel, layers.0.offset"
    )
    torch.save({"module.0.weight": torch.zeros(4, 3, 5, 5)}, path)
    assert refused(path).endswith(
        "6 of 7 tensors missing or of another shape, first 0.weight 4x3x3x3: the file has 4x3x5x5; "
        "the file has 0.weight"
    )
    state = small()
    del state["1.running_var"]
    torch.save(state, path)
    assert "1 of 7 tensors missing or of another shape, first 1.running_var 4: absent" in refused(
        path
    )


def test_two_networks_that_fit_are_not_chosen_between(tmp_path):
    state = small()
    torch.save({**under("encoder_q.", state), **under("encoder_k.", OTHER)}, tmp_path / "x.pt")
    assert refused(tmp_path / "x.pt").endswith(
        "holds several networks that fit: encoder_q.*, encoder_k.*; save one"
    )
    torch.save({"student": state, "teacher": OTHER}, tmp_path / "x.pt")
    assert "student > *, teacher > *" in refused(tmp_path / "x.pt")


class Foreign:
    pass


def test_what_is_no_state_dict_is_told_by_what_it_is(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"state_dict": small(), "options": Foreign()}, path)
    assert "it holds a " in refused(path) and "Foreign beside tensors" in refused(path)
    torch.save({"epoch": 3}, path)
    assert "holds no state dict" in refused(path)
    path.write_bytes(b"PK\x03\x04 cut")
    assert "cut off: it begins as a zip file and does not end as one" in refused(path)
    assert "does not exist" in refused(tmp_path / "absent.pt")


def test_the_demos_backbone_with_another_networks_file_is_refused_in_one_line(tmp_path):
    torch.save(small(), tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"x\.pt do not fit demo: it needs features\.0\.weight"):
        build_trunk("demo", str(tmp_path / "x.pt"))


def test_of_a_network_what_lies_behind_the_cut_is_not_asked_for(tmp_path):
    state = DemoNetwork(classes=7).state_dict()
    kept = {name: value for name, value in state.items() if name.startswith("features")}
    torch.save(under("module.backbone.", kept), tmp_path / "x.ckpt")
    trunk = build_trunk("demo", str(tmp_path / "x.ckpt"))
    assert torch.equal(trunk.body.state_dict()["features.0.weight"], state["features.0.weight"])
