"""What is looked at before a training; each thing that keeps it from beginning; without torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.made_up.miniature import write_miniature
from tests.made_up.places import SCRIPT
from tests.made_up.specification import SPEC
from zslpipe.formats.features import locate_slabs
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError
from zslpipe.runs.readiness import check_inputs

RUN = SPEC | {"method": "dazle", "input": "regions", "words": "words", "settings": {}}


@pytest.fixture
def paths(tmp_path) -> dict[str, Path]:
    """A miniature dataset with its pictures and a network's weights."""
    paths = write_miniature(tmp_path)
    for name in read_index(paths["index"]).paths:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "trunk.pt")
    return paths | {"images": tmp_path, "trunk": tmp_path / "trunk.pt"}


def check(paths: dict[str, Path], **changes) -> None:
    spec = RUN | changes
    features = None if spec["input"] == "images" else paths["features"]
    check_inputs(spec, paths["index"], paths["words"], features, paths["images"], paths["trunk"])


def flip(path: Path, place: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["regions", "pooled", "images"])
def test_what_is_whole_and_as_asked_passes(paths, kind):
    check(paths, input=kind)


def test_a_flipped_byte_in_the_features_that_are_read(paths):
    slab = locate_slabs(paths["features"])["regions"]
    flip(paths["features"], slab.offset + 5)
    with pytest.raises(InputError, match=r"regions of the images 0 to .* are not what was written"):
        check(paths)
    check(paths, input="pooled")


def test_features_of_another_extractor(paths):
    cache = {"name": "other", "backbone": "demo", "weights": "w.pt", "features_version": 1}
    with pytest.raises(InputError, match="extractor: asked 'other'"):
        check(paths, cache=cache)


def test_an_index_of_other_settings(paths):
    asked = {"dataset": "miniature", "adapter": "folder", "made_of": "0123456789abcdef"}
    with pytest.raises(InputError, match=r"index\.h5: not what was asked: .*adapter"):
        check(paths, index=asked)


@pytest.mark.parametrize("name", ["index", "words", "features", "trunk"])
def test_a_file_that_was_cut(paths, name):
    content = paths[name].read_bytes()
    paths[name].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=paths[name].name):
        check(paths)


def test_a_flipped_byte_in_the_network(paths):
    flip(paths["trunk"], len(paths["trunk"].read_bytes()) // 2)
    with pytest.raises(InputError, match=r"trunk\.pt.*damaged"):
        check(paths, input="images")


def test_images_that_are_gone_are_counted_and_named(paths):
    first = read_index(paths["index"]).paths[0]
    (paths["images"] / first).unlink()
    with pytest.raises(InputError, match=f"1 of [0-9]+ images missing in .*: {first}"):
        check(paths, input="images")
    check(paths)


def test_no_torch_is_loaded():
    program = "import sys, zslpipe.runs.readiness; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], env=SCRIPT).returncode == 0
