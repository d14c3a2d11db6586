"""Images are compared with what features were computed from by their contents, not their times."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.miniature import miniature_index
from zslpipe.commands.cli import main
from zslpipe.features.rehash import rehash
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.index import images_hash, write_index
from zslpipe.machine.errors import InputError
from zslpipe.pictures import content_digest


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a folder with index.h5, images and features/x.h5 with digests."""
    index = miniature_index(np.random.default_rng(0))
    write_index(index, tmp_path / "index.h5")
    (tmp_path / "images").mkdir()
    digests = []
    for path in index.paths:
        (tmp_path / "images" / path).write_bytes(path.encode())
        digests.append(content_digest(path.encode()))
    arrays = {
        "pooled": np.zeros((len(digests), 3), np.float32),
        "contents": np.array(digests, np.uint64),
    }
    shapes = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    writer = BlockWriter(tmp_path / "work", shapes, {"images_hash": images_hash(index)})
    writer.write(0, arrays)
    writer.finish(tmp_path / "features/x.h5")
    return tmp_path


def test_equal_contents_whatever_their_times(dataset: Path, capsys) -> None:
    os.utime(dataset / "images/3.png", (1, 1))
    assert main(["rehash", str(dataset / "features/x.h5")]) == 0
    images = len(miniature_index(np.random.default_rng(0)).paths)
    said = f"features/x.h5: all {images} images are those it was computed from\n"
    assert capsys.readouterr().out.endswith(said)


def test_what_differs_and_what_is_missing_is_counted_and_named(dataset: Path) -> None:
    for name in ("3.png", "7.png"):
        stat = (dataset / "images" / name).stat()
        (dataset / "images" / name).write_bytes(b"other"[: stat.st_size])
        os.utime(dataset / "images" / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (dataset / "images/9.png").unlink()
    index = miniature_index(np.random.default_rng(0))
    with pytest.raises(InputError) as caught:
        rehash(dataset / "features/x.h5", index, dataset / "images")
    assert "2 differ: 3.png, 7.png; 1 are missing or unreadable: 9.png; touch" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_moved_box_is_another_image(dataset: Path) -> None:
    index = miniature_index(np.random.default_rng(0))
    boxed = replace(index, boxes=np.tile([0, 0, 5, 5], (len(index.paths), 1)))
    with pytest.raises(InputError, match="other images than those of the index of 'miniature'"):
        rehash(dataset / "features/x.h5", boxed, dataset / "images")


def test_a_folder_that_is_not_there_is_named(dataset: Path, caplog) -> None:
    call = ["rehash", str(dataset / "features/x.h5"), "--images", "none", "--data-root", "nowhere"]
    assert main(call) == 1
    assert "no image folder nowhere/none; give --images and --data-root" in caplog.text
