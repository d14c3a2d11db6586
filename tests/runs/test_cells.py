"""Where the cells of a run's maps look: as its network or its feature file says, never guessed."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import timm
import torch

from tests.made_up.crafted import SIZE, noise_inputs
from tests.made_up.miniature import CENTRES, write_miniature
from tests.made_up.specification import SPEC
from zslpipe.cell_centres import CellCentres
from zslpipe.formats.features import FeatureFile, write_pooled_features
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.runs.attention import attend, peaks
from zslpipe.runs.cells import run_cell_centres
from zslpipe.runs.models import RunInputs
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.train import run_method

CPU = Compute(device="cpu", threads=1)


@pytest.fixture
def paths(tmp_path) -> dict[str, Path]:
    return write_miniature(tmp_path)


def opened(paths: dict[str, Path], **attributes: object) -> RunInputs:
    """Return the miniature's features as a run reads them, from a file that says only this of its
    cells.
    """
    with h5py.File(paths["features"], "r+") as file:
        del file.attrs["cell_first"], file.attrs["cell_step"]
        file.attrs.update(attributes)
    spec = {"input": "regions", "method": "dazle", "semantics": "att"}
    return open_run_inputs(spec, paths["index"], paths["features"], None, None, CPU)


def test_a_feature_file_carries_them(paths):
    centres = {"cell_first": CENTRES.first, "cell_step": CENTRES.step}
    assert run_cell_centres(opened(paths, **centres, backbone="vgg11")) == CENTRES


@pytest.mark.parametrize(
    ("backbone", "layer", "size", "first", "step"),
    [("demo", "last map", 112, 0.5, 16), ("resnet18", "layer3", 224, 0.5, 16)],
)
def test_a_file_made_before_they_were_carried_names_the_network_that_tells(
    paths, backbone, layer, size, first, step
):
    found = run_cell_centres(opened(paths, backbone=backbone, layer=layer, size=size))
    assert (found.first * size, found.step * size) == pytest.approx((first, step))


def test_the_network_is_built_for_the_size_of_the_file(paths, monkeypatch):
    """BEiT's tables of relative positions are of one size: built for its own, 224 px, it takes no
    image of 96.
    """
    create, tiny = timm.create_model, {"embed_dim": 24, "depth": 2, "num_heads": 2}
    monkeypatch.setattr(timm, "create_model", lambda name, **given: create(name, **given, **tiny))
    beit = {"backbone": "timm/beit_base_patch16_224", "layer": "last map", "size": 96}
    assert run_cell_centres(opened(paths, **beit)) == CellCentres(0.5 / 6, 1 / 6)


def test_where_nothing_tells_nothing_is_guessed(paths):
    bare = opened(paths)
    with pytest.raises(InputError, match=r"features\.h5: does not say where its regions look") as x:
        run_cell_centres(bare)
    assert "run the extraction again" in str(x.value) and "\n" not in str(x.value)


def test_an_end_to_end_run_takes_those_of_its_network(tmp_path):
    found = run_cell_centres(noise_inputs(tmp_path))
    assert (found.first * SIZE, found.step * SIZE) == pytest.approx((0.5, 16))


def test_pooled_features_have_no_cells(tmp_path):
    write_pooled_features(tmp_path / "x.h5", np.ones((3, 2)), {"extractor": "stored"})
    assert FeatureFile(tmp_path / "x.h5").centres is None


def test_a_method_without_maps_is_told(paths, tmp_path):
    settings = {"feature_regulariser": 1.0, "class_regulariser": 1.0}
    spec = {**SPEC, "method": "eszsl", "input": "pooled", "settings": settings}
    inputs = open_run_inputs(spec, paths["index"], paths["features"], None, None, CPU)
    run_method(spec, 0, inputs, None, tmp_path / "seed0", CPU)
    weights = tmp_path / "seed0" / "weights.pt"
    with pytest.raises(InputError, match=r"weights\.pt: method 'eszsl' has no attention maps"):
        attend(weights, inputs, None, 0, tmp_path / "attention.h5", 2)


def test_a_peak_lies_where_its_cell_looks():
    maps = torch.zeros(2, 3, 4, 5)
    maps[1, 2, 3, 1] = 2.0
    maps[0, 1, 1, 4] = maps[0, 1, 2, 0] = 1.0  # the first of equals
    found = peaks(maps, CellCentres(0.05, 0.2))
    assert found.dtype == torch.float32
    assert found[1, 2].tolist() == pytest.approx([0.25, 0.65])
    assert found[0, 1].tolist() == pytest.approx([0.85, 0.25])
    assert found[0, 0].tolist() == pytest.approx([0.05, 0.05])
