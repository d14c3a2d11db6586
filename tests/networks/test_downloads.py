"""Weights of timm that are downloaded: of those in the cache nobody is asked, and where there is no
network one is told at once.
"""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from zslpipe.machine.errors import InputError
from zslpipe.networks import library_networks
from zslpipe.networks.backbones import build_trunk

NAME = "test_vit.r160_in1k"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, on a machine on which nobody answers for the hub and nobody may wait."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def waits(seconds: float) -> None:
        raise RuntimeError(f"waited {seconds:.0f} s")

    monkeypatch.setattr(time, "sleep", waits)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        yield tmp_path


def test_without_a_network_one_line_tells_at_once(cache: Path) -> None:
    expected = (
        f"weights 'pretrained' of timm/{NAME} cannot be fetched (the Hugging Face Hub cannot be "
        "reached: .*Connection refused.*); run 'zslpipe fetch-weights'"
    )
    with pytest.raises(InputError, match=expected.replace("(", r"\(").replace(");", r"\);")):
        build_trunk(f"timm/{NAME}", "pretrained", size=160)


def test_what_the_cache_holds_asks_nobody(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    network = timm.create_model(NAME)
    snapshot = cache / f"models--timm--{NAME}" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    save_file(network.state_dict(), snapshot / "model.safetensors")
    monkeypatch.delattr(library_networks, "without_network")
    trunk = build_trunk(f"timm/{NAME}", "pretrained", size=160)
    found = dict(trunk.body.named_parameters())["network.patch_embed.proj.weight"]
    assert torch.equal(found, network.patch_embed.proj.weight)


def test_where_the_hub_can_be_asked_it_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_networks, "without_network", lambda: "")
    with pytest.raises(InputError, match=r"cannot be fetched \(waited 1 s\)"):  # to try again
        build_trunk(f"timm/{NAME}", "pretrained", size=160)
