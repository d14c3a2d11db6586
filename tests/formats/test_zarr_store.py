"""Features in a zarr store: what zarr itself reads and writes, and the two files as one."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.made_up.feature_bytes import all_bytes
from zslpipe.features.archive import pack
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.shards import put_in_place
from zslpipe.formats.verification import verify
from zslpipe.machine.errors import InputError

RANDOM = np.random.default_rng(0)
COUNT = 600  # three blocks, the last of 88 images
ARRAYS = {
    "regions": RANDOM.random((COUNT, 4, 3)).astype(np.float16),
    "pooled": RANDOM.random((COUNT, 3)).astype(np.float32),
    "contents": RANDOM.integers(1, 2**63, COUNT).astype(np.uint64),
}
ARRAYS["regions"][7] = 0  # zarr leaves out chunks of zeros where it is not told otherwise
STAMPS = {"extractor": "x", "mean": np.float32([0.5, 0.25]), "size": 224}


def written(path: Path, storage: str, arrays: dict[str, np.ndarray] = ARRAYS) -> Path:
    """Write a feature file of ``arrays``."""
    shapes = {name: (values.shape, values.dtype.name) for name, values in arrays.items()}
    writer = BlockWriter(path.parent / f".{path.stem}.work", shapes, STAMPS, storage=storage)
    for block in range(3):
        rows = slice(block * 256, (block + 1) * 256)
        writer.write(block, {name: values[rows] for name, values in arrays.items()})
    writer.finish(path)
    return path


@pytest.fixture
def path(tmp_path) -> Path:
    return written(tmp_path / "features" / "x.h5", "zarr")


def test_both_storages_say_the_same(path, tmp_path):
    stored, plain = FeatureFile(path), FeatureFile(written(tmp_path / "plain.h5", "hdf5"))
    assert stored.contents == plain.contents
    assert np.array_equal(stored.checksums, plain.checksums)
    assert stored.attributes.keys() == plain.attributes.keys()
    assert stored.attributes["size"] == 224
    for name, values in ARRAYS.items():
        assert np.array_equal(stored.rows[name], values)
        assert np.array_equal(plain.rows[name], values)
    assert path.stat().st_size < 10_000


def test_zarr_reads_the_arrays(path):
    group = zarr.open_group(path.with_suffix(".zarr"), mode="r")
    for name, values in ARRAYS.items():
        assert group[name].dtype == values.dtype
        assert group[name].shards[0] == 256
        assert np.array_equal(group[name][:], values)
        assert np.array_equal(group[name][[599, 3, 256]], values[[599, 3, 256]])
    assert group["regions"].chunks == (1, 4, 3)  # an image at a time from an object store
    assert np.array_equal(group["checksums"][:], FeatureFile(path).checksums)
    told = dict(group.attrs)
    assert told.pop("layout") == "zslpipe features 1"
    assert told == {"extractor": "x", "mean": [0.5, 0.25], "size": 224, "complete": True}


def test_shards_have_the_bytes_that_zarr_itself_writes(path, tmp_path):
    group = zarr.open_group(tmp_path / "other.zarr", mode="w")
    for name, values in ARRAYS.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            shards=(256, *values.shape[1:]),
            chunks=(1 if values.ndim == 3 else 256, *values.shape[1:]),
            compressors=None,
            filters=None,
            config={"write_empty_chunks": True},
        )
        for start in (0, 256, 512):
            array[start : start + 256] = values[start : start + 256]
    shards = sorted((tmp_path / "other.zarr").glob("*/c/**/*"))
    compared = 0
    for shard in shards:
        if shard.is_file():
            ours = path.with_suffix(".zarr") / shard.relative_to(tmp_path / "other.zarr")
            assert ours.read_bytes() == shard.read_bytes(), shard
            compared += 1
    assert compared == 9
    for name in ARRAYS:
        one, other = (
            json.loads((store / name / "zarr.json").read_text())
            for store in (path.with_suffix(".zarr"), tmp_path / "other.zarr")
        )
        assert one == other


def test_a_file_without_its_store_says_what_to_do(path):
    shutil.rmtree(path.with_suffix(".zarr"))
    with pytest.raises(InputError, match=r"x\.h5: its rows lie in .*x\.zarr/.*put the store back"):
        FeatureFile(path)


def test_a_shard_that_is_missing_or_cut_off_is_named(path):
    shard = path.with_suffix(".zarr") / "regions" / "c" / "1" / "0" / "0"
    os.truncate(shard, 20)
    file = FeatureFile(path)
    assert np.array_equal(file.regions[[0, 599]], ARRAYS["regions"][[0, 599]])
    with pytest.raises(InputError, match=r"x\.h5: ends before its rows do"):
        file.regions[300]
    shard.unlink()
    with pytest.raises(InputError, match=r"x\.h5: lacks the rows 256 to 511 .*regions/c/1/0/0"):
        file.regions[300]


def test_a_store_takes_the_place_of_an_earlier_one(path):
    held = FeatureFile(path)
    changed = {**ARRAYS, "pooled": ARRAYS["pooled"] + 1}
    written(path, "zarr", changed)
    assert np.array_equal(FeatureFile(path).pooled, changed["pooled"])
    assert sorted(one.name for one in path.parent.iterdir()) == ["x.h5", "x.zarr"]
    with pytest.raises(InputError, match="lacks the rows"):  # never rows of the new one
        held.pooled[0]
    written(path, "hdf5")
    assert [one.name for one in path.parent.iterdir()] == ["x.h5"]
    assert np.array_equal(FeatureFile(path).pooled, ARRAYS["pooled"])


@pytest.mark.parametrize("kind", ["a file", "an archive"])
def test_what_is_no_store_is_not_touched(tmp_path, kind):
    place = tmp_path / "x.zarr"
    if kind == "a file":
        place.write_text("mine")
    else:
        pack(written(tmp_path / "other.h5", "hdf5"), place)
    written(tmp_path / "x.h5", "hdf5")
    with pytest.raises(InputError, match=r"x\.zarr: is no store of features"):
        written(tmp_path / "x.h5", "zarr")
    assert place.exists()
    place.rename(tmp_path / "away")
    writer = BlockWriter(
        tmp_path / ".x.work",
        {name: (values.shape, values.dtype.name) for name, values in ARRAYS.items()},
        STAMPS,
        storage="zarr",
    )
    assert sorted(writer.done) == [0, 1, 2]  # nothing is computed again
    writer.finish(tmp_path / "x.h5")
    assert np.array_equal(FeatureFile(tmp_path / "x.h5").regions, ARRAYS["regions"])


def test_a_kill_between_sealing_and_moving_costs_nothing(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("zslpipe.formats.block_writer.put_in_place", killed)
        written(tmp_path / "x.h5", "zarr")
    shapes = {name: (values.shape, values.dtype.name) for name, values in ARRAYS.items()}
    writer = BlockWriter(tmp_path / ".x.work", shapes, STAMPS, storage="zarr")
    assert sorted(writer.done) == [0, 1, 2]
    writer.finish(tmp_path / "x.h5")
    whole = written(tmp_path / "whole" / "x.h5", "zarr")
    assert all_bytes(tmp_path / "x.h5") == all_bytes(whole)


def test_a_kill_between_moving_the_store_and_its_file_is_made_good(tmp_path, monkeypatch):
    def moved_and_killed(*places: Path) -> None:
        put_in_place(*places)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("zslpipe.formats.block_writer.put_in_place", moved_and_killed)
        written(tmp_path / "x.h5", "zarr")
    assert (tmp_path / "x.zarr").is_dir() and not (tmp_path / "x.h5").exists()
    written(tmp_path / "x.h5", "zarr")
    whole = written(tmp_path / "whole" / "x.h5", "zarr")
    assert all_bytes(tmp_path / "x.h5") == all_bytes(whole)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["whole", "x.h5", "x.zarr"]


def test_blocks_of_one_storage_are_not_taken_over_by_the_other(tmp_path):
    shapes = {"pooled": ((COUNT, 3), "float32")}
    for first, second in (("hdf5", "zarr"), ("zarr", "hdf5")):
        BlockWriter(tmp_path / first, shapes, STAMPS, storage=first).write(
            0, {"pooled": ARRAYS["pooled"][:256]}
        )
        assert sorted(BlockWriter(tmp_path / first, shapes, STAMPS, storage=first).done) == [0]
        assert BlockWriter(tmp_path / first, shapes, STAMPS, storage=second).done == {}


def test_verify_looks_at_every_shard(tmp_path):
    path = written(tmp_path / "results" / "birds" / "features" / "x.h5", "zarr")
    assert verify(tmp_path / "results").damaged == ()
    shard = path.with_suffix(".zarr") / "contents" / "c" / "2"
    data = bytearray(shard.read_bytes())
    data[5] ^= 1
    shard.write_bytes(data)
    (told,) = verify(tmp_path / "results").damaged
    assert "contents of the images 512 to 599 are not what was written" in told
    assert "snakemake --force results/birds/features/x.h5" in told


def test_what_lies_in_a_store_is_not_packed(path, tmp_path):
    with pytest.raises(InputError, match=r"lie in a zarr store already; copy .*x\.zarr too"):
        pack(path, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
