"""Grad-CAM of crafted networks, from file to picture."""

from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.crafted import COUNT, noise_inputs, written_grad_cam
from tests.made_up.figures import titles
from tests.made_up.miniature import ATTRIBUTES, CLASSES
from zslpipe.cell_centres import CellCentres
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import SIDE
from zslpipe.reports.figures.gradcam import grad_cam_maps
from zslpipe.reports.figures.overlays import painted
from zslpipe.reports.figures.style import CHANGE
from zslpipe.runs.models import RunInputs

torch.set_num_threads(1)
TILES = CellCentres(0.125, 0.25)  # four cells that are equal tiles of the picture


@pytest.fixture(scope="module")
def run_inputs(tmp_path_factory) -> RunInputs:
    return noise_inputs(tmp_path_factory.mktemp("gradcam"))


@pytest.fixture(scope="module")
def written(run_inputs, tmp_path_factory) -> Path:
    return written_grad_cam(tmp_path_factory.mktemp("written"), run_inputs)


def draw(path: Path, run_inputs: RunInputs, stem: Path) -> tuple[Path, Path]:
    folder = run_inputs.inputs.root
    return grad_cam_maps(path, folder / "index.h5", folder, stem)


@pytest.fixture(scope="module")
def drawn(written, run_inputs) -> tuple[Path, Path]:
    return draw(written, run_inputs, written.parent / "drawn" / "picture")


def test_a_row_names_its_classes_attributes_and_largest_changes(written, drawn):
    screen, paper = drawn
    found = "\n".join(titles(paper))
    with h5py.File(written) as file:
        maps, without, attributes = (
            file[name][()] for name in ("maps", "maps_without", "attributes")
        )
    for row in range(COUNT):
        for number in range(2):
            change = without[row, number] - maps[row]
            most = 100 * change.flat[np.abs(change).argmax()] / maps[row].max()
            assert f"at most {most:+.1f} %" in found
            assert f"attribute {attributes[row, number]}" in found
    assert (
        found.count("of the true class") == COUNT
        and "true: class 2" in found
        and "true: class 6" in found
    )
    assert "crafting / s_cc on miniature: Grad-CAM" in found
    with Image.open(screen) as picture:
        assert picture.width > 1000


def test_an_empty_map_is_drawn_as_none(written, run_inputs, tmp_path):
    with h5py.File(written) as file:
        maps = file["maps"][()]
    maps[1] = 0
    _, paper = draw(
        copied(written, tmp_path / "empty.h5", maps=maps), run_inputs, tmp_path / "gradcam"
    )
    assert sum("no map" in text for text in titles(paper)) == 2


def test_what_is_painted_is_in_proportion_to_the_values():
    grey = np.full((SIDE, SIDE, 3), 0.5)
    values = np.zeros((4, 4), np.float32)
    values[0, 3], values[3, 0] = 2.0, -2.0
    heated = painted(grey, np.maximum(values, 0), TILES, 4.0, "inferno")
    corner = (
        0,
        SIDE - 1,
    )  # beyond the middle of the outermost cell, which bilinear enlarging leaves flat
    half = np.array(mpl.colormaps["inferno"](np.float32(0.5))[:3])
    assert heated[corner] == pytest.approx((1 - 0.425) * 0.5 + 0.425 * half, abs=1e-6)
    assert np.array_equal(heated[SIDE // 2 :], grey[SIDE // 2 :])
    both = painted(grey, values, TILES, 2.0, CHANGE)
    for place, share in ((corner, 1.0), ((SIDE - 1, 0), 0.0)):
        colour = np.array(mpl.colormaps[CHANGE](share)[:3])
        assert both[place] == pytest.approx(0.15 * 0.5 + 0.85 * colour, abs=1e-6)
    assert np.array_equal(painted(grey, values * 0, TILES, 0.0, CHANGE), grey)


def copied(original: Path, target: Path, **changes) -> Path:
    with h5py.File(original) as file, h5py.File(target, "w") as copy:
        for name in file:
            copy[name] = changes.get(name, file[name][()])
        copy.attrs.update(dict(file.attrs))
    return target


def test_bad_files_are_refused(written, run_inputs, tmp_path):
    cases = {
        "absent": (None, "no such file"),
        "other": (
            copied(written, tmp_path / "other.h5", images=np.array([1, 2, 900])),
            "does not belong to",
        ),
        "names": (
            copied(written, tmp_path / "names.h5", attributes=np.full((COUNT, 2), ATTRIBUTES)),
            "attribute",
        ),
        "short": (
            copied(written, tmp_path / "short.h5", labels=np.array([2])),
            "its parts disagree",
        ),
        "classes": (
            copied(written, tmp_path / "classes.h5", predicted=np.full(COUNT, CLASSES)),
            "does not belong",
        ),
    }
    (tmp_path / "cut.h5").write_bytes(written.read_bytes()[:900])
    cases["cut"] = (tmp_path / "cut.h5", r"not a readable gradcam\.h5")
    for name, stamp in (("stopped", {"complete": False}), ("unstamped", {})):
        path = copied(written, tmp_path / f"{name}.h5")
        with h5py.File(path, "r+") as file:
            del file.attrs["complete"]
            file.attrs.update(stamp)
        cases[name] = (path, "not stamped complete")
    with h5py.File(written) as file:
        empty = {name: file[name][()][:0] for name in file}
    cases["empty"] = (copied(written, tmp_path / "empty.h5", **empty), "holds no image")
    for name, (_, message) in cases.items():
        with pytest.raises(InputError, match=message):
            draw(tmp_path / f"{name}.h5", run_inputs, tmp_path / "picture")
    assert not list(tmp_path.glob("picture*"))


def test_the_same_file_gives_the_same_bytes(written, run_inputs, drawn, tmp_path):
    again = draw(written, run_inputs, tmp_path / "picture")
    assert [path.name for path in again] == ["picture.webp", "picture.pdf"]
    assert all(
        one.read_bytes() == other.read_bytes() for one, other in zip(drawn, again, strict=True)
    )
