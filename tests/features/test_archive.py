"""Feature files as archives: byte for byte both ways, whole or not at all."""

import hashlib
import shutil

import h5py
import numpy as np
import pytest
import zarr

from zslpipe.commands.cli import main
from zslpipe.features import archive
from zslpipe.features.archive import pack, unpack
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import write_pooled_features
from zslpipe.machine.errors import InputError


def feature_file(folder, images=300):
    random = np.random.default_rng(0)
    regions = random.normal(size=(images, 4, 8)).astype(np.float16)
    regions[256:] = 0  # a whole block of zeros, which zarr would leave out
    pooled = regions.astype(np.float32).mean(1)
    shapes = {"regions": (regions.shape, "float16"), "pooled": (pooled.shape, "float32")}
    # As an extraction's: texts, numbers and means of channels as float32, in no alphabet's order.
    attributes = {"extractor": "m", "backbone": "demo", "grid": 2}
    attributes["deviation"] = np.array([0.229, 0.224], np.float32)
    writer = BlockWriter(folder / ".m.work", shapes, attributes)
    for block in range(-(-images // features.BLOCK)):
        part = slice(block * features.BLOCK, (block + 1) * features.BLOCK)
        writer.write(block, {"regions": regions[part], "pooled": pooled[part]})
    writer.finish(folder / "m.h5")
    return regions, pooled


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def packed(tmp_path):
    """A feature file and its archive, in a folder."""
    feature_file(tmp_path)
    pack(tmp_path / "m.h5", tmp_path / "m.zarr")
    return tmp_path


def refused(folder, message, source="m.zarr"):
    """Unpacking is refused in one line and leaves nothing behind."""
    before = sorted(folder.rglob("*.h5*"))
    with pytest.raises(InputError, match=message) as caught:
        unpack(folder / source, folder / "new" / "m.h5")
    assert "\n" not in str(caught.value)
    assert sorted(folder.rglob("*.h5*")) == before


def test_an_archive_gives_the_feature_file_back(tmp_path):
    regions, pooled = feature_file(tmp_path)
    pack(tmp_path / "m.h5", tmp_path / "archives" / "m.zarr")
    unpack(tmp_path / "archives" / "m.zarr", tmp_path / "again" / "m.h5")
    assert sha256(tmp_path / "again" / "m.h5") == sha256(tmp_path / "m.h5")
    again = features.FeatureFile(tmp_path / "again" / "m.h5")
    assert np.array_equal(again.regions, regions)
    assert np.array_equal(again.pooled, pooled)
    assert again.attributes["extractor"] == "m"
    assert again.attributes["deviation"].dtype == np.float32
    for folder in (tmp_path / "archives", tmp_path / "again"):
        assert len(list(folder.iterdir())) == 1  # no temporary file is left


def of_h5py(path):
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["note"] = "of another program"
        file["further"] = np.arange(5)
        file["pooled"] = np.random.default_rng(0).random((700, 3), np.float32)
        file.attrs["complete"] = True


def of_mat(path):
    write_pooled_features(path, np.random.default_rng(0).random((700, 3)), {"extractor": "x"})


def with_further_bytes(path):
    of_h5py(path)
    path.write_bytes(path.read_bytes() + b"a tail")


@pytest.mark.parametrize("write", [of_h5py, of_mat, with_further_bytes])
def test_files_of_any_writer_come_back_byte_for_byte(tmp_path, write):
    write(tmp_path / "x.h5")
    pack(tmp_path / "x.h5", tmp_path / "x.zarr")
    unpack(tmp_path / "x.zarr", tmp_path / "y.h5")
    assert sha256(tmp_path / "x.h5") == sha256(tmp_path / "y.h5")


def test_attributes_that_json_cannot_hold_are_no_hindrance(tmp_path):
    """Bytes, nothing at all, a reference: other programs write such."""
    path = tmp_path / "own.h5"
    with h5py.File(path, "w") as file:
        file["pooled"] = np.ones((5, 3), np.float32)
        file.attrs["complete"] = True
        file.attrs["note"] = np.bytes_(b"x\xff")
        file.attrs["empty"] = h5py.Empty("f")
        file.attrs["where"] = file["pooled"].ref
        file.attrs["numbers"] = np.arange(3)
    pack(path, tmp_path / "own.zarr")
    unpack(tmp_path / "own.zarr", tmp_path / "back.h5")
    assert (tmp_path / "back.h5").read_bytes() == path.read_bytes()
    assert zarr.open_group(tmp_path / "own.zarr").attrs["attributes"]["numbers"] == [0, 1, 2]


def test_somebody_elses_zarr_is_no_archive_of_features(tmp_path):
    zarr.open_group(tmp_path / "x.zarr", mode="w").create_array("x", data=np.zeros(3))
    with pytest.raises(InputError, match=r"x\.zarr: no archive of features"):
        unpack(tmp_path / "x.zarr", tmp_path / "x.h5")


def test_what_lies_there_is_not_overwritten(packed):
    with pytest.raises(InputError, match=r"m\.zarr exists already"):
        pack(packed / "m.h5", packed / "m.zarr")
    (packed / "n.h5").write_text("mine")
    with pytest.raises(InputError, match=r"n\.h5 exists already"):
        unpack(packed / "m.zarr", packed / "n.h5")
    assert (packed / "n.h5").read_text() == "mine"
    (packed / "link.h5").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"link\.h5 exists already"):
        unpack(packed / "m.zarr", packed / "link.h5")


def test_a_target_that_appears_meanwhile_is_kept(packed, monkeypatch):
    write = archive._write_file

    def slow(group, path):
        write(group, path)
        (packed / "n.h5").write_text("somebody else's")

    monkeypatch.setattr(archive, "_write_file", slow)
    with pytest.raises(InputError, match="exists already"):
        unpack(packed / "m.zarr", packed / "n.h5")
    assert (packed / "n.h5").read_text() == "somebody else's"


def test_what_is_no_archive_is_told_in_one_line(packed):
    (packed / "plain").mkdir()
    (packed / "plain" / "a.txt").write_text("a")
    refused(packed, "no archive of features, or one cut off", "plain")
    refused(packed, "no such archive, nothing lies there", "absent.zarr")
    refused(packed, "no such archive, it is a file", "m.h5")


def test_an_archive_that_was_not_finished_is_refused(packed):
    metadata = packed / "m.zarr" / "zarr.json"
    text = metadata.read_text()
    metadata.write_text(text.replace('"complete": true', '"complete": false'))
    refused(packed, "not complete")
    metadata.write_text(text.replace('"layout": 2', '"layout": 1'))
    refused(packed, "of another version or kind")
    metadata.write_text(text.replace(sha256(packed / "m.h5"), "0" * 64))
    refused(packed, "what comes out is not what was packed")


@pytest.mark.parametrize("name", ["regions", "pooled", "checksums", "rest"])
def test_a_missing_chunk_is_an_error_and_not_zeros(packed, name):
    chunks = sorted(path for path in (packed / "m.zarr" / name / "c").rglob("*") if path.is_file())
    assert len(chunks) == (2 if name in ("regions", "pooled") else 1)
    chunks[-1].unlink()
    refused(packed, f"1 of {len(chunks)} chunks of {name} are missing")
    shutil.rmtree(packed / "m.zarr" / name)
    refused(packed, "damaged archive")


def test_a_changed_chunk_is_named(packed):
    group = archive.zarr.open_group(packed / "m.zarr", mode="r+")
    changed = group["regions"][256:]
    changed[0, 0, 0] = 1
    group["regions"][256:] = changed
    refused(packed, "block 1 of regions is not what was packed")


def test_a_flipped_byte_anywhere_in_an_archive_is_one_line_or_nothing(packed):
    random, told = np.random.default_rng(0), 0
    for path in sorted(path for path in (packed / "m.zarr").rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place in random.integers(0, len(whole), 12).tolist():
            damaged = bytearray(whole)
            damaged[place] ^= int(random.integers(1, 256))
            path.write_bytes(damaged)
            try:
                unpack(packed / "m.zarr", packed / "n.h5")
            except InputError as error:
                told += 1
                assert "\n" not in str(error)
                assert not (packed / "n.h5").exists()
            else:
                assert sha256(packed / "n.h5") == sha256(packed / "m.h5"), path
                (packed / "n.h5").unlink()
        path.write_bytes(whole)
    assert told > 60


def test_a_damaged_feature_file_is_not_packed_and_nothing_is_left(tmp_path):
    feature_file(tmp_path)
    slab = features.locate_slabs(tmp_path / "m.h5")["regions"]
    with (tmp_path / "m.h5").open("r+b") as file:
        file.seek(slab.offset + 299 * slab.row_bytes)
        file.write(b"\x01")
    with pytest.raises(InputError, match="images 256 to 299 are not what was written"):
        pack(tmp_path / "m.h5", tmp_path / "m.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]


def test_from_the_command_line(packed, caplog):
    assert main(["unpack", str(packed / "m.zarr"), str(packed / "n.h5")]) == 0
    assert main(["unpack", str(packed / "m.zarr"), str(packed / "n.h5")]) == 1
    assert main(["unpack", str(packed / "m.h5"), str(packed / "o.h5")]) == 2
    assert main(["pack", str(packed), str(packed / "o.zarr")]) == 2
    (packed / "a.jpg").write_bytes(b"no picture")
    assert main(["pack", str(packed / "a.jpg"), str(packed / "o.zarr")]) == 1
    assert all("\n" not in record.getMessage() for record in caplog.records)
