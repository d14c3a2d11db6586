"""An extraction that takes known rows from an earlier file gives the bytes of one from nothing."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.feature_bytes import STORAGES, all_bytes, flip, place_of
from tests.made_up.miniature import miniature_index
from zslpipe.features import extraction, mapper
from zslpipe.features.earlier import kept_aside
from zslpipe.features.extractor import Extractor
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.pictures import content_digest

torch.set_num_threads(1)
CPU = torch.device("cpu")
BLOCK, BATCH, IMAGES = 8, 4, 22  # blocks of 8, 8 and 6: batches of 4, 4 | 4, 4 | 4, 2


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", BLOCK)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Return a list that grows by the size of every batch that goes through the network."""
    sizes: list[int] = []
    normalise = mapper.normalise

    def counted(pixels, *others):
        sizes.append(len(pixels))
        return normalise(pixels, *others)

    monkeypatch.setattr(mapper, "normalise", counted)
    return sizes


def picture(path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (120 + seed % 7, 130, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder of 22 pictures, named so that another one fits in between, and weights."""
    (tmp_path / "images").mkdir()
    for number in range(IMAGES):
        picture(tmp_path / f"images/{number:02d}0.png", number)
    torch.manual_seed(0)
    torch.save(DemoNetwork(classes=3).state_dict(), tmp_path / "weights.pt")
    return tmp_path


def run(
    folder: Path, output: Path, boxes: np.ndarray | None = None, storage: str = "hdf5", **changes
) -> Path:
    paths = tuple(sorted(path.name for path in (folder / "images").glob("*.png")))
    index = replace(miniature_index(np.random.default_rng(0)), paths=paths, boxes=boxes)
    weights = str(folder / "weights.pt")
    extractor = Extractor("small", "demo", weights, 112, 7, features_version=1, batch_size=BATCH)
    extractor = replace(extractor, **changes)
    extraction.extract(index, folder / "images", extractor, output, CPU, 0, storage=storage)
    return output


def replaced(folder: Path) -> None:
    picture(folder / "images/050.png", 100)


def added(folder: Path) -> None:
    picture(folder / "images/055.png", 100)


def removed(folder: Path) -> None:
    (folder / "images/050.png").unlink()


def renamed(folder: Path) -> None:
    (folder / "images/050.png").rename(folder / "images/195.png")


def cut(folder: Path) -> None:
    """Leave a short last batch of images that were in a full one."""
    for name in ("190", "200", "210"):
        (folder / f"images/{name}.png").unlink()


def touched(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        os.utime(path, (1, 1))


# Batches of 4 hold images 0-3, 4-7, ...; 20 and 21 are a short batch. What is computed: batches
# with an image that is new or was in the short batch, and the new short batch.
CHANGES: list[tuple[Callable[[Path], None], list[int]]] = [
    (touched, [2]),
    (replaced, [4, 2]),
    (added, [4, 3]),  # image 5.5, and the last 3
    (removed, [4, 1]),  # image 20 comes into a full batch
    (renamed, [2]),
    (cut, [3]),
]


@pytest.mark.parametrize(("earlier", "storage"), list(itertools.product(STORAGES, STORAGES)))
@pytest.mark.parametrize(("change", "sizes"), CHANGES)
def test_the_bytes_are_those_of_an_extraction_from_nothing(
    folder, change, sizes, computed, earlier, storage
):
    output = run(folder, folder / "kept/small.h5", storage=earlier)
    output.rename(kept_aside(output))
    change(folder)
    computed.clear()
    run(folder, output, storage=storage)
    assert computed == sizes
    fresh = run(folder, folder / "fresh/small.h5", storage=storage)
    assert all_bytes(output) == all_bytes(fresh)
    kept = ["small.h5"] if storage == "hdf5" else ["small.h5", "small.zarr"]
    assert sorted(path.name for path in output.parent.iterdir()) == kept


def test_the_file_itself_is_the_earlier_one_where_none_is_kept_aside(folder, computed):
    output = run(folder, folder / "small.h5")
    computed.clear()
    replaced(folder)
    assert run(folder, output) and computed == [4, 2]


def test_contents_are_digests_of_the_files_bytes_and_boxes(folder):
    boxes = np.tile([3, 2, 110, 100], (IMAGES, 1))
    boxes[4] = 0, 0, 50, 60
    names = [f"images/{number:02d}0.png" for number in range(IMAGES)]
    data = [(folder / name).read_bytes() for name in names]
    plain = FeatureFile(run(folder, folder / "plain.h5")).digests[:]
    boxed = FeatureFile(run(folder, folder / "boxed.h5", boxes)).digests[:]
    assert plain.dtype == boxed.dtype == np.uint64
    assert plain.tolist() == [content_digest(one) for one in data]
    both = zip(data, boxes, strict=True)
    assert boxed.tolist() == [content_digest(one, box) for one, box in both]
    assert not set(plain.tolist()) & set(boxed.tolist())
    assert len(set(boxed.tolist())) == IMAGES


def test_a_box_that_moved_is_a_new_image(folder, computed):
    boxes = np.tile([3, 2, 110, 100], (IMAGES, 1))
    output = run(folder, folder / "small.h5", boxes)
    boxes[9] = 0, 0, 100, 90
    computed.clear()
    run(folder, output, boxes)
    assert computed == [4, 2]


@pytest.mark.parametrize(
    "change", [{"features_version": 2}, {"batch_size": 3}, {"layer": "features"}, {"name": "other"}]
)
def test_nothing_is_taken_from_a_file_of_other_stamps(folder, computed, change):
    output = run(folder, folder / "small.h5")
    output.rename(kept_aside(output))
    computed.clear()
    run(folder, output, **change)
    assert sum(computed) == IMAGES
    assert not kept_aside(output).exists()


def test_nothing_is_taken_from_a_file_of_another_library(folder, computed):
    output = run(folder, folder / "small.h5")
    with h5py.File(output, "r+") as file:
        file.attrs["pillow"] = "1.0"
    computed.clear()
    run(folder, output)
    assert sum(computed) == IMAGES


@pytest.mark.parametrize("storage", STORAGES)
def test_a_damaged_block_is_computed(folder, computed, storage):
    output = run(folder, folder / "small.h5", storage=storage)
    whole, file = all_bytes(output), FeatureFile(output)
    flip(*place_of(output, file.slabs["regions"], 9))  # in block 1
    computed.clear()
    run(folder, output, storage=storage)
    assert computed == [4, 4, 2]
    assert all_bytes(output) == whole


def test_an_unreadable_earlier_file_is_as_good_as_none(folder, computed):
    kept_aside(folder / "small.h5").write_bytes(b"no HDF5")
    run(folder, folder / "small.h5")
    assert sum(computed) == IMAGES


def test_the_earlier_file_stays_until_the_new_one_is_complete(folder, computed):
    output = run(folder, folder / "small.h5")
    output.rename(kept_aside(output))
    whole = (folder / "images/050.png").read_bytes()
    (folder / "images/050.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"1 of 22 images .*050\.png"):
        run(folder, output)
    (folder / "images/050.png").write_bytes(whole)
    computed.clear()
    run(folder, output)
    assert computed == []  # its other blocks were done, and all of this one is known
    assert not kept_aside(output).exists()


@pytest.mark.parametrize("storage", STORAGES)
def test_images_replaced_while_an_extraction_lay_still_are_computed_again(
    folder, computed, monkeypatch, storage
):
    """A killed extraction has written blocks of what the files held then."""
    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "finish", lambda self, output: None)
        run(folder, folder / "small.h5", storage=storage)
    replaced(folder)
    computed.clear()
    run(folder, folder / "small.h5", storage=storage)
    assert computed == [4, 4]  # the block of image 5
    fresh = run(folder, folder / "fresh/small.h5", storage=storage)
    assert all_bytes(folder / "small.h5") == all_bytes(fresh)
