"""Blocks of one file written by several ranks: where they lie, read from the file itself, and what
becomes of what they wrote.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from zslpipe.features.ranks import share
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import BLOCK, FeatureFile
from zslpipe.formats.slabs import add_contiguous
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranks import ALONE, Rank

STRIPE = 2**20


def shapes_of(images: int, grid: int, width: int) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        "regions": ((images, grid**2, width), "float16"),
        "pooled": ((images, width), "float32"),
        "contents": ((images,), "uint64"),
    }


def touched(path: Path, blocks: list[int], piece: int) -> set[int]:
    """Return the numbers of the pieces of the file that a rank writes to: of its blocks' rows in
    /regions and /pooled, at the offsets that HDF5 says.
    """
    found: set[int] = set()
    with h5py.File(path) as file:
        for name in ("regions", "pooled"):
            stored = file[name]
            row = int(np.prod(stored.shape[1:])) * stored.dtype.itemsize
            for block in blocks:
                rows = min(BLOCK, stored.shape[0] - block * BLOCK)
                start = stored.id.get_offset() + block * BLOCK * row
                found.update(range(start // piece, (start + rows * row - 1) // piece + 1))
    return found


@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize(
    ("grid", "width"), [(7, 2048), (7, 1280), (7, 192), (6, 257), (3, 7), (1, 1)]
)
@pytest.mark.parametrize("alignment", [4096, STRIPE])
def test_two_ranks_never_write_to_the_same_page(tmp_path, ranks, grid, width, alignment):
    """The file is sparse: nothing of its gigabytes is written."""
    images = 40 * BLOCK + 3
    shapes = shapes_of(images, grid, width)
    writer = BlockWriter(tmp_path / "work", shapes, {}, Rank(0, ranks, "run"), alignment)
    missing = [block for block in range(41) if block not in (3, 4, 17)]
    parts = [share(missing, writer.together, Rank(number, ranks)) for number in range(ranks)]
    assert sorted(itertools.chain(*parts)) == missing
    pieces = [touched(writer.path, part, alignment) for part in parts]
    assert sum(map(len, pieces)) == len(set().union(*pieces))
    with h5py.File(writer.path) as file:
        assert [file[name].id.get_offset() % alignment for name in file] == [0] * 4


@pytest.mark.parametrize(
    ("grid", "width", "pages", "stripes"),
    # By hand: 256 rows of 49 x 2048 float16 are 49 MiB, of 2048 float32 2 MiB; of 49 x 1280 they
    # are 30.625 MiB (8 make 245), of 192 float32 192 KiB (16 make 3 MiB), of 49 x 192 float16
    # 4.59375 MiB (32 make 147); of one float16 512 bytes and of one float32 1 KiB.
    [(7, 2048, 1, 1), (14, 2048, 1, 1), (7, 1280, 1, 8), (7, 192, 1, 32), (1, 1, 8, 2048)],
)
def test_how_many_blocks_a_rank_writes_together(tmp_path, grid, width, pages, stripes):
    shapes = shapes_of(10, grid, width)
    for alignment, expected in ((4096, pages), (STRIPE, stripes)):
        writer = BlockWriter(tmp_path / str(alignment), shapes, {}, ALONE, alignment)
        assert writer.together == expected


def rows(generator: np.random.Generator, images: int) -> Mapping[str, np.ndarray]:
    return {
        "regions": generator.normal(size=(images, 1, 8)).astype(np.float16),
        "pooled": generator.normal(size=(images, 8)).astype(np.float32),
        "contents": generator.integers(0, 2**63, images).astype(np.uint64),
    }


@pytest.fixture
def small(monkeypatch):
    """Let blocks be of eight images; return four of them, the last one short."""
    monkeypatch.setattr(features, "BLOCK", 8)
    generator = np.random.default_rng(0)
    return [dict(rows(generator, size)) for size in (8, 8, 8, 3)]


SHAPES = {
    "regions": ((27, 1, 8), "float16"),
    "pooled": ((27, 8), "float32"),
    "contents": ((27,), "uint64"),
}


def test_what_ranks_write_side_by_side_is_one_file(tmp_path, small):
    one = BlockWriter(tmp_path / "one", SHAPES, {"size": 1})
    for block, arrays in enumerate(small):
        one.write(block, arrays)
    one.finish(tmp_path / "one.h5")
    first = BlockWriter(tmp_path / "many", SHAPES, {"size": 1}, Rank(0, 3, "run"))
    others = [
        BlockWriter(tmp_path / "many", SHAPES, {"size": 1}, Rank(number, 3, "run"))
        for number in (1, 2)
    ]
    for block, writer in ((3, others[1]), (0, first), (2, others[0]), (1, others[1])):
        writer.write(block, small[block])
    assert sorted(first.done) == [0]
    first.finish(tmp_path / "many.h5")
    assert (tmp_path / "many.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()
    stored = FeatureFile(tmp_path / "many.h5")
    for name in ("regions", "pooled", "contents"):
        stored.check_rows(name)
        assert np.array_equal(stored.rows[name], np.concatenate([arrays[name] for arrays in small]))


def test_a_block_that_another_overwrote_is_found_and_made_again(tmp_path, small):
    first = BlockWriter(tmp_path / "work", SHAPES, {}, Rank(0, 2, "run"))
    other = BlockWriter(tmp_path / "work", SHAPES, {}, Rank(1, 2, "run"))
    for block, arrays in enumerate(small):
        (first, other)[block % 2].write(block, arrays)
    with first.path.open("r+b") as file:
        file.seek(first.slabs["regions"].place(2 * 8)[0])
        file.write(b"\1")
    with pytest.raises(InputError, match=r"1 blocks, first block 2, are not what the ranks wrote"):
        first.finish(tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()
    assert sorted(BlockWriter(tmp_path / "work", SHAPES, {}).done) == [0, 1, 3]


def test_a_rank_that_would_write_other_features_is_refused(tmp_path, small):
    BlockWriter(tmp_path / "work", SHAPES, {"torch": "2.9"}, Rank(0, 2, "run"))
    with pytest.raises(InputError, match="rank 1 of 2 would write other features than rank 0"):
        BlockWriter(tmp_path / "work", SHAPES, {"torch": "2.8"}, Rank(1, 2, "run"))
    BlockWriter(tmp_path / "work", SHAPES, {"torch": "2.9"}, Rank(1, 2, "run"))


def test_another_alignment_goes_on_with_the_file_as_it_lies(tmp_path, small):
    writer = BlockWriter(tmp_path / "work", SHAPES, {})
    writer.write(1, small[1])
    again = BlockWriter(tmp_path / "work", SHAPES, {}, Rank(0, 2, "run"), STRIPE)
    assert again.done == writer.done and again.contents(1) == small[1]["contents"].tolist()
    offsets = {slab.offset for slab in again.slabs.values()}
    assert len(offsets) == 3 and all(offset % 4096 == 0 for offset in offsets)


def test_files_of_earlier_versions_are_read(tmp_path, small):
    """They began where HDF5 put them."""
    path = tmp_path / "earlier.h5"
    with h5py.File(path, "w") as file:
        add_contiguous(file, SHAPES)
        for name in SHAPES:
            file[name][...] = np.concatenate([arrays[name] for arrays in small])
        file.attrs["complete"] = True
        assert file["regions"].id.get_offset() % 4096
    stored = FeatureFile(path)
    assert np.array_equal(stored.regions, np.concatenate([part["regions"] for part in small]))
