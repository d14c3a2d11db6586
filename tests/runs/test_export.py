"""A run in a folder of its own: it opens elsewhere and predicts the same; its card; damage."""

import json
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import zslpipe
from tests.made_up.pictured import METHODS, train, write_pictured
from zslpipe.commands.cli import main
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import build_trunk, state_hash
from zslpipe.runs.export import described, export, is_exported, read_exported
from zslpipe.runs.trained import Trained, open_trained
from zslpipe.scores.changes import TakenOff
from zslpipe.scores.rebalancing import rebalance

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictured(tmp_path_factory.mktemp("pictured"))


def table_of(dataset: Path) -> pd.DataFrame:
    names = read_index(dataset / "index.h5").attribute_names
    return pd.DataFrame([[1.0, 0.0, 0.5, 0.2, 0.1]], index=["newcomer"], columns=names)


@pytest.mark.parametrize("method", METHODS)
def test_it_predicts_the_same_without_the_results(dataset, tmp_path, method):
    copy = tmp_path / "results" / "miniature"
    shutil.copytree(dataset, copy)
    seed = train(copy, method, validated=method == "dazle")
    images = [path.rename(tmp_path / path.name) for path in sorted((copy / "images").iterdir())][:5]
    before = zslpipe.load(seed, device="cpu")
    classes = None if method in ("mlis", "sgma") else table_of(copy)
    expected = before.predict(images, top=9, classes=classes)
    assert main(["export", str(seed), str(tmp_path / "exported")]) == 0
    shutil.rmtree(copy)
    (tmp_path / "exported").rename(tmp_path / "elsewhere")
    after = zslpipe.load(tmp_path / "elsewhere", device="cpu")
    pd.testing.assert_frame_equal(after.predict(images, top=9, classes=classes), expected)
    assert after.notes == before.notes
    assert described(after.trained) == described(before.trained)


def test_a_rebalancing_goes_with_it_and_the_card_says_what_there_is(dataset, tmp_path):
    seed = train(dataset, "eszsl", variant="carded")
    folder = seed / "calibrated_stacking"
    settings = {"factor": 0.25}
    rebalance("calibrated_stacking", seed / "scores.h5", folder / "scores.h5", None, None, settings)
    files = [str(folder / name) for name in ("scores.h5", "metrics.json")]
    assert main(["evaluate", "--scores", files[0], "--output", files[1]]) == 0
    assert main(["export", str(folder), str(tmp_path / "exported")]) == 0
    assert read_exported(tmp_path / "exported").probabilities.change == TakenOff(0.25)
    card = (tmp_path / "exported" / "README.md").read_text("utf8")
    metrics = json.loads((folder / "metrics.json").read_text("utf8"))
    for said in (
        "# eszsl (carded) on miniature, seed 0",
        "| split | own split |",
        "| classes | 6 seen, 2 unseen |",
        "| class vectors | att (unit) |",
        "| backbone | demo |",
        "| size | 32 px |",
        "| feature_regulariser | 0.1 |",
        f"| H (harmonic mean of U and S) | {100 * metrics['H']:.1f} % |",
        "Selection: as configured",
        "calibrated_stacking: 0.25 off the scores of seen classes",
        "Not calibrated",
        f"| torch | {metrics['versions']['torch']} |",
        "inherit the licences of the data they were trained on and of the backbone",
    ):
        assert said in card, said
    assert str(dataset) not in card + (tmp_path / "exported" / "config.json").read_text("utf8")


def exported(dataset: Path, folder: Path) -> Trained:
    """Export a run of eszsl; return it as it was."""
    trained = open_trained(train(dataset, "eszsl"), Path("data"))
    export(trained, folder, "card")
    return trained


def test_anybody_may_read_what_is_written(dataset, tmp_path):
    exported(dataset, tmp_path / "run")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()}
    assert modes == {stat.S_IMODE((dataset / "index.h5").stat().st_mode)}


def test_weights_of_the_library_are_named_and_looked_at_again(dataset, tmp_path):
    trained = exported(dataset, tmp_path / "file")
    with_file = load_file(tmp_path / "file" / "model.safetensors")
    assert any(name.startswith("trunk.") for name in with_file)
    cache = {**trained.spec["cache"], "weights": "random"}  # had by its name, as a library's are
    network = build_trunk("demo", "random")
    named = replace(
        trained,
        spec={**trained.spec, "cache": cache},
        trunk=network,
        network_hash=state_hash(network),
    )
    export(named, tmp_path / "named", "card")
    tensors = load_file(tmp_path / "named" / "model.safetensors")
    assert not any(name.startswith("trunk.") for name in tensors)
    again = read_exported(tmp_path / "named")
    assert again.trunk is not None and state_hash(again.trunk) == state_hash(network)
    export(replace(named, network_hash="another"), tmp_path / "other", "card")
    with pytest.raises(InputError, match="weights 'random' of demo are not those it was trained"):
        read_exported(tmp_path / "other")


def test_damage_is_told_and_a_folder_cut_off_is_none(dataset, tmp_path):
    folder = tmp_path / "run"
    exported(dataset, folder)
    tensors = folder / "model.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-5] ^= 1
    tensors.write_bytes(data)
    with pytest.raises(InputError, match=r"model.safetensors: not the tensors that config.json"):
        read_exported(folder)
    config = folder / "config.json"
    text = config.read_text("utf8")
    config.write_text(text.replace('"format": 2', '"format": 3'), "utf8")
    with pytest.raises(InputError, match="it has format 3, this version reads 2"):
        read_exported(folder)
    config.write_text(re.sub(r'"boxed": \w+,', "", text), "utf8")
    with pytest.raises(InputError, match="it lacks boxed"):
        read_exported(folder)
    config.write_text(text[: len(text) // 2], "utf8")
    with pytest.raises(InputError, match=r"not a readable config.json"):
        read_exported(folder)
    config.unlink()
    assert not is_exported(folder)


def test_a_folder_of_other_things_is_left_alone_and_an_earlier_export_written_anew(
    dataset, tmp_path
):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds notes.txt; export to a folder of its own"):
        exported(dataset, tmp_path)
    trained = exported(dataset, tmp_path / "run")
    export(trained, tmp_path / "run", "another card")
    assert (tmp_path / "run" / "README.md").read_text("utf8") == "another card"
    found = read_exported(tmp_path / "run")
    np.testing.assert_array_equal(found.state["W"], trained.state["W"])
