"""fetch-weights: what is in the caches, what is missing, what comes into them; nothing here asks a
network.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from tests.made_up.places import ROOT
from zslpipe.commands.cli import main
from zslpipe.networks import library_weights

CONFIGURATION = """\
extractors:
  own: {backbone: resnet18, weights: own.pt, size: 224, grid: 7}
  tried: {backbone: resnet18, weights: random, size: 224, grid: 7}
  demo: {backbone: demo, size: 112, grid: 7}
  coarse: {backbone: squeezenet1_1, weights: IMAGENET1K_V1, size: 224, grid: 7}
  fine: {backbone: squeezenet1_1, weights: IMAGENET1K_V1, size: 448, grid: 14}
  small: {backbone: timm/test_resnet.r160_in1k, weights: pretrained, size: 160, grid: 5}
"""
CHECKPOINT = "squeezenet1_1-b8a52dc0.pth"  # torchvision's address ends in it
REPOSITORY = "models--timm--test_resnet.r160_in1k"  # as Hugging Face keeps timm's network


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with two networks of libraries, and empty caches beside it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(library_weights, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    (tmp_path / "study.yaml").write_text(CONFIGURATION, encoding="utf8")
    return tmp_path / "study.yaml"


def in_torch(folder: Path) -> Path:
    """Return where torch keeps the weights of squeezenet, and make its folder."""
    path = folder / "torch" / "hub" / "checkpoints" / CHECKPOINT
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def in_hub(folder: Path) -> Path:
    """Return where Hugging Face keeps the weights of timm's network, and make its folder."""
    repository = folder / "hf" / "hub" / REPOSITORY
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123")
    (repository / "snapshots" / "0123").mkdir(parents=True)
    return repository / "snapshots" / "0123" / "model.safetensors"


def test_check_says_what_is_missing_and_fetches_nothing(
    configuration: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delattr(library_weights, "build_trunk")
    assert main(["fetch-weights", str(configuration), "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "squeezenet1_1 IMAGENET1K_V1: missing, 4.7 MB",  # as torchvision's documentation says
        "timm/test_resnet.r160_in1k pretrained: missing",
    ]
    assert "2 of 2 networks have no weights: run zslpipe fetch-weights where" in caplog.text


def test_what_is_there_is_not_fetched(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(library_weights, "build_trunk")
    first, second = in_torch(configuration.parent), in_hub(configuration.parent)
    first.write_bytes(bytes(4_700_000))
    second.write_bytes(bytes(900_000))
    assert main(["fetch-weights", str(configuration)]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"squeezenet1_1 IMAGENET1K_V1: there, 4.7 MB, {first}",
        f"timm/test_resnet.r160_in1k pretrained: there, 0.9 MB, {second}",
    ]


def test_what_is_missing_is_fetched_as_jobs_do(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, folder = [], configuration.parent

    def built(backbone: str, weights: str, layer: str | None) -> None:
        asked.append((backbone, weights, layer))
        path = in_hub(folder) if "timm" in backbone else in_torch(folder)
        path.write_bytes(bytes(10**6))

    monkeypatch.setattr(library_weights, "build_trunk", built)
    assert main(["fetch-weights", str(configuration)]) == 0
    # each network once: two extractors read one at two sizes
    assert asked == [
        ("squeezenet1_1", "IMAGENET1K_V1", None),
        ("timm/test_resnet.r160_in1k", "pretrained", None),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert [": fetched, 1.0 MB, " in line for line in lines] == [True, True, False]
    assert f"jobs read them from {folder}/torch/hub/checkpoints and" in lines[-1]


def test_without_a_network_the_rest_is_looked_at_and_one_line_says_why(
    configuration: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def offline(*names, **settings):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.models.get_model", offline)
    in_hub(configuration.parent).write_bytes(bytes(10**6))
    assert main(["fetch-weights", str(configuration)]) == 1
    states = [line.split(": ")[1].split(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert states == ["missing", "there"]
    (error,) = [line for line in caplog.messages if line.startswith("error:")]
    assert error.startswith("error: 1 of 2 networks have no weights: weights 'IMAGENET1K_V1' of")
    assert "(Name or service not known); run 'zslpipe fetch-weights' where there is a" in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("methods: [dazle]\n", "has no extractors; name a study's configuration"),
        ("- 1\n", "has no extractors"),
        ("extractors: [\n", "is no YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(
    text: str, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "study.yaml").write_text(text, encoding="utf8")
    assert main(["fetch-weights", str(tmp_path / "study.yaml")]) == 1
    assert told in caplog.text


def test_a_network_or_weights_that_there_are_not_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for backbone, weights, told in (
        ("resnet19", "IMAGENET1K_V1", "no torchvision network 'resnet19'"),
        ("resnet18", "IMAGENET1K_V9", "weights 'IMAGENET1K_V9' of resnet18: neither"),
        ("timm/resnet19", "pretrained", "no timm network 'resnet19'"),
    ):
        text = f"extractors: {{it: {{backbone: {backbone}, weights: {weights}}}}}\n"
        (tmp_path / "study.yaml").write_text(text, encoding="utf8")
        assert main(["fetch-weights", str(tmp_path / "study.yaml")]) == 1
        assert told in caplog.text


@pytest.mark.slow
def test_jobs_read_what_lies_where_the_command_looks(configuration: Path) -> None:
    """The caches are filled by hand and both libraries build their network from them, offline."""
    folder = configuration.parent
    network = models.squeezenet1_1()
    torch.nn.init.constant_(network.features[0].bias, 0.25)
    torch.save(network.state_dict(), in_torch(folder))
    small = timm.create_model("test_resnet.r160_in1k")
    torch.nn.init.constant_(small.conv1[0].weight, 0.125)
    save_file(small.state_dict(), in_hub(folder))
    program = (
        "from zslpipe.networks.backbones import build_trunk\n"
        "state = build_trunk('squeezenet1_1', 'IMAGENET1K_V1').body.state_dict()\n"
        "print(state['features.0.bias'].unique().tolist())\n"
        "state = build_trunk('timm/test_resnet.r160_in1k', 'pretrained').body.state_dict()\n"
        "print(state['conv1.0.weight'].unique().tolist())\n"
    )
    environment = os.environ | {
        "TORCH_HOME": str(folder / "torch"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    checked = said(environment, "-m", "zslpipe", "fetch-weights", str(configuration), "--check")
    assert checked.count(": there, ") == 2
    assert said(environment, "-c", program).splitlines() == ["[0.25]", "[0.125]"]


def said(environment: dict[str, str], *words: str) -> str:
    """Return what a fresh interpreter writes."""
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
