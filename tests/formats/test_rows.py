"""Rows read at their place: as numpy's own memory map reads them, with memory that stays flat."""

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from zslpipe.formats import rows as rows_module
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.rows import Rows, in_one_file
from zslpipe.formats.slabs import add_contiguous
from zslpipe.machine.errors import InputError
from zslpipe.runs.cached_inputs import CachedInputs

BLOCK, SHAPE, OFFSET = 4, (11, 3, 5), 13
VALUES = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.float16)


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "x").write_bytes(bytes(OFFSET) + VALUES.tobytes() + b"behind")
    return tmp_path / "x"


@pytest.fixture
def rows(path) -> Rows:
    row_bytes = VALUES[0].nbytes
    return Rows(path, SHAPE, VALUES.dtype, BLOCK, in_one_file(path, OFFSET, BLOCK * row_bytes))


KEYS = {
    "a number": 7,
    "the last": -1,
    "of numpy": np.int64(3),
    "all": slice(None),
    "across blocks": slice(2, 9),
    "backwards": slice(None, None, -1),
    "every third": slice(1, None, 3),
    "none": slice(5, 5),
    "a list": [4, 0, 4, 10, 3],
    "runs and single ones": np.array([0, 1, 2, 3, 4, 5, 9, 8, 7, 10, 10]),
    "a mask": np.arange(11) % 2 == 0,
    "an empty list": np.array([], np.int64),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("together", [64, 1])
def test_rows_are_those_of_a_memory_map(path, rows, monkeypatch, key, together):
    monkeypatch.setattr(rows_module, "OPEN", together)
    mapped = np.memmap(path, np.float16, "r", OFFSET, SHAPE)
    found = rows[key]
    assert found.dtype == np.float16
    assert np.array_equal(found, mapped[key])


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("together", [64, 1])
@pytest.mark.parametrize("held", [1, 2, 3, 100])
def test_parts_are_the_rows_one_after_the_other(path, rows, monkeypatch, key, together, held):
    monkeypatch.setattr(rows_module, "OPEN", together)
    numbers = np.atleast_1d(np.arange(len(rows))[key])
    memory = np.empty((held, *SHAPE[1:]), np.float16)
    starts, parts = [], []
    for start, part in rows.parts(numbers, memory):
        assert np.shares_memory(part, memory)
        starts.append(start)
        parts.append(part.copy())  # the next ones overwrite it
    assert starts == list(range(0, len(numbers), held))
    assert np.array_equal(np.concatenate([*parts, VALUES[:0]]), VALUES[numbers])


@pytest.mark.parametrize(("bytes_at_once", "count"), [(1, 1), (30, 1), (60, 2), (89, 2), (90, 3)])
def test_a_part_is_as_many_rows_as_the_cache_holds_and_one_at_least(
    rows, monkeypatch, bytes_at_once, count
):
    monkeypatch.setattr(rows_module, "AT_ONCE", bytes_at_once)  # a row has 30
    assert rows.part().shape == (count, *SHAPE[1:])
    assert rows.part().dtype == np.float16


@pytest.mark.parametrize("at_once", [1 << 20, 7])
def test_a_checksum_is_of_a_blocks_bytes(rows, monkeypatch, at_once):
    monkeypatch.setattr(rows_module, "AT_ONCE", at_once)
    for block in range(3):
        told = VALUES[block * BLOCK : (block + 1) * BLOCK].tobytes()
        assert rows.checksum(block) == zlib.crc32(told)
        assert rows.checksum(block, 5) == zlib.crc32(told, 5)


def test_an_index_beyond_the_last_row_is_refused(rows):
    for key in (11, -12, [0, 11], np.array([11])):
        with pytest.raises(IndexError):
            rows[key]


def test_numpy_takes_rows_for_an_array(rows):
    assert len(rows) == 11
    assert rows.nbytes == VALUES.nbytes
    assert np.array_equal(np.asarray(rows), VALUES)
    assert np.asarray(rows, np.float32).dtype == np.float32


def test_a_file_that_ends_early_is_refused_where_it_is_read(path, rows):
    with path.open("r+b") as file:
        file.truncate(OFFSET + VALUES[:9].nbytes + 2)
    assert np.array_equal(rows[:9], VALUES[:9])
    with pytest.raises(InputError, match=r"x: ends before its rows do"):
        rows[[0, 9]]


def test_a_file_put_in_its_place_later_is_not_mixed_in(path, rows):
    path.rename(path.with_name("old"))
    path.write_bytes(bytes(1000))
    assert np.array_equal(rows[:], VALUES)


def kilobytes(*names: str) -> int:
    """Return the sum of figures of the process's memory."""
    told = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        told[name] = value.split()
    return sum(int(told[name][0]) for name in names)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
def test_memory_stays_flat_with_a_cache_of_232_gigabytes(tmp_path):
    # DeepFashion's images at 14x14 cells; a file with a hole where the features would be.
    shape = (289_222, 196, 2048)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        add_contiguous(file, {"regions": (shape, "float16")})
        file.attrs["complete"] = True
    assert (tmp_path / "x.h5").stat().st_size > 232e9
    inputs = CachedInputs(FeatureFile(tmp_path / "x.h5"), False, torch.device("cpu"))
    assert inputs.held is None
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(len(inputs.rows), (20,), generator=generator) for _ in range(40)]
    known = []
    for number, batch in enumerate(inputs.stream(batches)):
        assert batch.shape == (20, 196, 2048)
        if number in (9, 39):
            # Own memory, pages of files that count as the job's, and tables of mapped pages.
            known.append(kilobytes("RssAnon", "RssFile", "VmPTE"))
    # A batch takes 49 MB, of which some are under way; a memory map would have added 480 MB.
    assert known[1] - known[0] < 150_000
