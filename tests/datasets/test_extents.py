"""How large a dataset is before its index is there: as its adapter says once it is."""

from importlib import import_module

import pytest
from PIL import Image

from zslpipe.datasets.adapters import demo
from zslpipe.datasets.extents import drawn_pictures, extent_of_source
from zslpipe.formats.extents import extent_of
from zslpipe.formats.index import read_index


@pytest.mark.slow
@pytest.mark.parametrize("each", [2, 3])
def test_the_demo_s_extent_is_that_of_its_index(tmp_path, each: int) -> None:
    settings = {
        "images_per_class": each,
        "auxiliary_classes": 2,
        "auxiliary_images_per_class": 1,
    }
    (tmp_path / "demo").mkdir()
    demo.write(settings, tmp_path / "demo" / "index.h5", tmp_path)
    expected = extent_of(read_index(tmp_path / "demo" / "index.h5"), "its settings")
    assert extent_of_source("demo", demo, settings, tmp_path) == expected


def test_a_folder_s_extent_is_counted_and_nothing_is_left(tmp_path) -> None:
    images = tmp_path / "images"
    for name in ("a", "b", "c", "d", "e", "f"):
        (images / name).mkdir(parents=True)
        for number in range(5):
            write_picture(images / name / f"{number}.png", (ord(name), 40 * number, 9))
    rows = "\n".join(f"{name},{number + 1},{number % 2}" for number, name in enumerate("abcdef"))
    (tmp_path / "attributes.csv").write_text(f"class,one,two\n{rows}\n")
    (tmp_path / "unseen.txt").write_text("e\nf\n")
    settings = {"images": "images", "attributes": "attributes.csv", "unseen_classes": "unseen.txt"}
    adapter = import_module("zslpipe.datasets.adapters.folder")
    extent = extent_of_source("own", adapter, settings, tmp_path)
    assert (extent.images, extent.seen, extent.unseen, extent.attributes) == (30, 4, 2, 2)
    assert extent.splits["test_unseen"] == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "attributes.csv",
        "images",
        "unseen.txt",
    ]


def write_picture(path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (8, 8), colour).save(path)


@pytest.mark.slow
def test_drawn_pictures_are_there_to_be_decoded(tmp_path) -> None:
    pictures = drawn_pictures(tmp_path / "x")
    assert len(pictures.paths) == 64
    assert all((pictures.root / path).is_file() for path in pictures.paths)
