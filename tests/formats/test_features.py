"""The feature file: its layout, the journal of blocks that are safe, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.made_up.feature_bytes import STORAGES, all_bytes, flip, place_of
from zslpipe.formats import block_writer, features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.runs.cached_inputs import CachedInputs

torch.set_num_threads(1)
CPU = torch.device("cpu")
BLOCK = 4  # ten images are three blocks, the last one short
ARRAYS = {
    "regions": np.arange(10 * 4 * 3).reshape(10, 4, 3).astype(np.float16),
    "pooled": np.arange(30.0).reshape(10, 3),
}
SHAPES = {"regions": ((10, 4, 3), "float16"), "pooled": ((10, 3), "float32")}
SMALL, LARGE = {"extractor": "x", "size": 224}, {"extractor": "x", "size": 448}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", BLOCK)


def blocks_of(writer: BlockWriter, blocks: list[int]) -> None:
    for block in blocks:
        rows = slice(block * BLOCK, (block + 1) * BLOCK)
        writer.write(block, {name: array[rows] for name, array in ARRAYS.items()})


@pytest.fixture(params=STORAGES)
def storage(request) -> str:
    """Return where features are stored: every test that asks holds for both."""
    return request.param


@pytest.fixture
def complete(tmp_path, storage) -> Path:
    """Return the feature file of ARRAYS."""
    writer = BlockWriter(tmp_path / "complete", SHAPES, {"extractor": "x"}, storage=storage)
    blocks_of(writer, [0, 1, 2])
    writer.finish(tmp_path / "complete.h5")
    return tmp_path / "complete.h5"


@pytest.mark.parametrize("storage", ["hdf5"], indirect=True)
def test_h5py_reads_what_is_read_here(complete):
    stored = FeatureFile(complete)
    with h5py.File(complete) as file:
        for name, mapped in (("regions", stored.regions), ("pooled", stored.pooled)):
            assert file[name].chunks is None
            assert file[name].compression is None
            assert file[name].dtype == mapped.dtype == np.dtype(SHAPES[name][1])
            assert np.array_equal(file[name][()], mapped)
            assert np.array_equal(mapped, ARRAYS[name].astype(mapped.dtype))
        assert len(file["checksums"]) == 3
        assert file.attrs["complete"]
        assert file.attrs["extractor"] == "x"


@pytest.mark.parametrize(("share", "at_once"), [(0.5, 1 << 20), (0.0, 1 << 20), (0.0, 1)])
def test_inputs_from_memory_and_from_the_disk_are_the_same_rows(
    complete, monkeypatch, share, at_once
):
    monkeypatch.setattr("zslpipe.runs.cached_inputs.SHARE_OF_FREE_MEMORY", share)
    monkeypatch.setattr("zslpipe.formats.rows.AT_ONCE", at_once)  # a row at a time, or all
    stored, rows = FeatureFile(complete), torch.tensor([7, 0, 7, 3])
    for pooled, expected in ((False, stored.regions), (True, stored.pooled)):
        inputs = CachedInputs(stored, pooled, CPU)
        assert (inputs.held is None) == (share == 0.0)
        assert inputs.shape == expected.shape[1:]
        taken = inputs.take(rows)
        assert taken.dtype == torch.float32
        assert np.array_equal(taken.numpy(), expected[rows.numpy()].astype(np.float32))
        streamed = list(inputs.stream([rows, rows[:0], rows[2:], rows], start=1))
        assert [len(part) for part in streamed] == [0, 2, 4]
        assert torch.equal(torch.cat(streamed), torch.cat([taken[2:], taken]))


def test_a_block_whose_bytes_were_damaged_is_done_again(tmp_path, storage):
    writer = BlockWriter(tmp_path / "work", SHAPES, {"extractor": "x"}, storage=storage)
    blocks_of(writer, [0, 1, 2])
    flip(*place_of(writer.path, writer.slabs["regions"], 5))  # in the second block
    again = BlockWriter(tmp_path / "work", SHAPES, {"extractor": "x"}, storage=storage)
    assert sorted(again.done) == [0, 2]
    blocks_of(again, [1])
    again.finish(tmp_path / "x.h5")
    stored = FeatureFile(tmp_path / "x.h5")
    assert np.array_equal(stored.regions, ARRAYS["regions"])
    assert np.array_equal(stored.pooled, ARRAYS["pooled"].astype(np.float32))


def test_a_damaged_line_of_the_journal_costs_one_block(tmp_path, storage):
    writer = BlockWriter(tmp_path / "work", SHAPES, {"extractor": "x"}, storage=storage)
    blocks_of(writer, [0, 1])
    lines = writer.journal.read_text().splitlines()
    lines[1] = lines[1][:-1] + ("0" if lines[1][-1] != "0" else "1")
    writer.journal.write_text("\n".join(lines) + "\n2 00")  # and a last line that a kill cut off
    again = BlockWriter(tmp_path / "work", SHAPES, {"extractor": "x"}, storage=storage)
    assert sorted(again.done) == [1]


def test_blocks_of_other_settings_are_not_taken_over(tmp_path, storage):
    blocks_of(BlockWriter(tmp_path / "work", SHAPES, SMALL, storage=storage), [0, 1])
    assert BlockWriter(tmp_path / "work", SHAPES, LARGE, storage=storage).done == {}


def test_a_journal_never_lies_beside_a_file_of_another_stamp(tmp_path, monkeypatch, storage):
    blocks_of(BlockWriter(tmp_path / "work", SHAPES, SMALL, storage=storage), [0, 1])

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        # after the new file, before its journal
        patch.setattr(block_writer, "written_whole", killed)
        BlockWriter(tmp_path / "work", SHAPES, LARGE, storage=storage)
    again = BlockWriter(tmp_path / "work", SHAPES, SMALL, storage=storage)
    assert again.done == {}
    blocks_of(again, [0, 1, 2])
    again.finish(tmp_path / "x.h5")
    assert FeatureFile(tmp_path / "x.h5").attributes["size"] == 224


def test_a_file_with_a_block_that_was_never_written_is_not_finished(tmp_path, storage):
    writer = BlockWriter(tmp_path / "work", SHAPES, {"extractor": "x"}, storage=storage)
    blocks_of(writer, [0, 2])
    with pytest.raises(RuntimeError, match="1 blocks were not written, first block 1"):
        writer.finish(tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()


def test_the_order_and_time_of_writing_leave_no_trace(tmp_path, storage):
    contents = []
    for name, order in (("a", [0, 1, 2]), ("b", [2, 0, 1])):
        writer = BlockWriter(tmp_path / name, SHAPES, {"extractor": "x"}, storage=storage)
        blocks_of(writer, order)
        writer.finish(tmp_path / f"{name}.h5")
        contents.append(all_bytes(tmp_path / f"{name}.h5"))
    assert len(contents[0]) == (1 if storage == "hdf5" else 12)
    assert contents[0] == contents[1]
    with h5py.File(
        tmp_path / "a.h5"
    ) as file:  # a time in a header would differ from second to second
        assert {h5py.h5g.get_objinfo(file[name].id).mtime for name in file} == {0}


def test_a_file_that_is_not_stamped_complete_is_refused(complete, tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(complete.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["complete"] = False
    with pytest.raises(InputError, match=r"x\.h5: not stamped complete"):
        FeatureFile(path)


@pytest.mark.parametrize("kept", [0, 100, 1000, -20])
def test_a_file_that_was_cut_off_is_refused(complete, tmp_path, kept):
    (tmp_path / "x.h5").write_bytes(complete.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"x\.h5: not a readable feature file"):
        FeatureFile(tmp_path / "x.h5")


def test_a_missing_file_and_missing_features_are_refused(tmp_path, storage):
    with pytest.raises(InputError, match=r"x\.h5: no such file; the rule 'extract' .* writes it"):
        FeatureFile(tmp_path / "x.h5")
    writer = BlockWriter(
        tmp_path / "work", {"pooled": SHAPES["pooled"]}, {"extractor": "x"}, storage=storage
    )
    for block in range(3):
        writer.write(block, {"pooled": ARRAYS["pooled"][block * BLOCK : (block + 1) * BLOCK]})
    writer.finish(tmp_path / "x.h5")
    assert np.array_equal(
        FeatureFile(tmp_path / "x.h5").maps(pooled=True), ARRAYS["pooled"].astype(np.float32)
    )
    with pytest.raises(InputError, match="holds no region features"):
        FeatureFile(tmp_path / "x.h5").maps(pooled=False)
