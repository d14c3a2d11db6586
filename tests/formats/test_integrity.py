"""A flipped byte anywhere in a file of the chain is refused in one line, or changes nothing."""

import zlib
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from tests.formats.test_hdf5 import FILES
from tests.made_up.feature_bytes import STORAGES, flip, place_of
from tests.made_up.miniature import write_miniature
from zslpipe.formats import rows as rows_module
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile, Storage, write_pooled_features
from zslpipe.formats.hdf5 import sealed
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import MARK, check_seal, is_sealed, seal
from zslpipe.methods import eszsl
from zslpipe.networks.weight_files import read_content
from zslpipe.runs.cached_inputs import CachedInputs
from zslpipe.runs.weights import read_config, read_spec, save_weights

POSITIONS = 60
CPU = torch.device("cpu")


def told(value: object) -> object:
    """Return what a reader gives in a form that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, torch.Tensor):
        return told(value.numpy())
    if isinstance(value, nn.Module):
        return told(value.state_dict())
    if isinstance(value, tuple | list):
        return [told(one) for one in value]
    if isinstance(value, dict):
        return {key: told(one) for key, one in value.items()}
    if isinstance(value, FeatureFile):
        value.check(True)
        return told([value.attributes, *map(np.asarray, value.rows.values())])
    fields = getattr(value, "__dataclass_fields__", None)
    return value if fields is None else [told(getattr(value, name)) for name in fields]


def write_regions(path: Path, storage: Storage = "hdf5") -> None:
    """Write a feature file as an extraction does: three blocks, the last one short."""
    random = np.random.default_rng(0)
    arrays = {"regions": random.random((600, 4, 3)), "pooled": random.random((600, 3))}
    shapes = {"regions": ((600, 4, 3), "float16"), "pooled": ((600, 3), "float32")}
    stamps = {"extractor": "x", "mean": np.float32([0.1, 0.2, 0.3]), "cell_first": 0.25}
    writer = BlockWriter(path.parent / ".x.work", shapes, stamps, storage=storage)
    for block in range(3):
        rows = slice(block * 256, (block + 1) * 256)
        writer.write(block, {name: values[rows] for name, values in arrays.items()})
    writer.finish(path)


def read_all_features(path: Path) -> FeatureFile:
    """Return a feature file whose every block was looked at."""
    file = FeatureFile(path)
    for name in file.rows:
        file.check(name == "pooled")
    return file


def write_weights(path: Path) -> None:
    model = nn.Linear(40, 3)
    with torch.no_grad():
        for values in model.parameters():
            values.uniform_(generator=torch.Generator().manual_seed(0))
    save_weights(model, eszsl.Config(), {"method": "eszsl", "dataset": "x"}, (40,), path)


def read_weights(path: Path) -> object:
    return read_spec(path), read_config(path, eszsl)


# Beside those of FILES.
FURTHER = {
    "regions": (write_regions, read_all_features),
    "beside a store": (partial(write_regions, storage="zarr"), read_all_features),
    "weights": (write_weights, read_weights),
}
KINDS = {name: (file[0], file[1]) for name, file in FILES.items()} | FURTHER
WITHOUT_SEAL = "attention"  # its made-up file was changed in place


# Of HDF5 files the seal is needed: damaged bytes can keep the library in an endless loop.
@pytest.mark.parametrize(
    ("kind", "has_seal"), [*((kind, True) for kind in KINDS), ("weights", False)]
)
def test_a_flipped_byte_is_one_line_or_changes_nothing(tmp_path, kind, has_seal):
    write, read = KINDS[kind]
    path = tmp_path / "x.h5"
    write(path)
    if kind == WITHOUT_SEAL:
        seal(path)
    whole, refused = path.read_bytes(), 0
    assert is_sealed(path)
    if not has_seal:  # as another program or an earlier version writes
        whole = whole[: whole.rindex(MARK)]
        path.write_bytes(whole)
    expected = told(read(path))
    random = np.random.default_rng(len(whole))
    places = random.integers(0, len(whole), POSITIONS)
    for place in [*places.tolist(), len(whole) - 1, len(whole) - 30]:
        damaged = bytearray(whole)
        damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            found = told(read(path))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
            assert str(error).startswith(f"{path}: ")
            assert "run again" in str(error) or not has_seal
        else:
            assert found == expected or not has_seal, f"byte {place} of {len(whole)}"
    assert refused >= (POSITIONS if has_seal else 1)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("share", [0.5, 0.0])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_damaged_block_is_met_by_whoever_touches_it(
    tmp_path, monkeypatch, storage, share, pooled
):
    monkeypatch.setattr("zslpipe.runs.cached_inputs.SHARE_OF_FREE_MEMORY", share)
    path = tmp_path / "x.h5"
    write_regions(path, storage)
    file, offset = place_of(path, FeatureFile(path).slabs["pooled" if pooled else "regions"], 300)
    flip(file, offset + 5)  # in the second block
    message = r"images 256 to 511 are not what was written .* the rule 'extract'"
    if share:
        with pytest.raises(InputError, match=message):
            CachedInputs(FeatureFile(path), pooled, CPU)
    else:
        inputs = CachedInputs(FeatureFile(path), pooled, CPU)
        inputs.take(torch.tensor([0, 255, 512, 599]))
        with pytest.raises(InputError, match=message):
            inputs.take(torch.tensor([0, 511]))
    # Nobody is kept from what is whole.
    CachedInputs(FeatureFile(path), not pooled, CPU).take(torch.arange(600))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_block_is_read_once_for_its_checksum(tmp_path, monkeypatch, storage):
    monkeypatch.setattr("zslpipe.runs.cached_inputs.SHARE_OF_FREE_MEMORY", 0.0)
    write_regions(tmp_path / "x.h5", storage)
    lengths = []

    def counted(data, value=0):
        lengths.append(len(data))
        return zlib.crc32(data, value)

    monkeypatch.setattr(rows_module, "crc32", counted)
    inputs = CachedInputs(FeatureFile(tmp_path / "x.h5"), False, CPU)
    for rows in ([3, 599], [4, 255], [256], [1, 2]):
        inputs.take(torch.tensor(rows))
    image = 4 * 3 * 2  # bytes
    # The first block, the last, the second.
    assert lengths == [256 * image, 88 * image, 256 * image]


def test_checksums_of_earlier_files_are_one_a_block(tmp_path):
    path = tmp_path / "x.h5"
    write_regions(path)
    with h5py.File(path, "r+") as file:
        chained = []
        for block in range(3):
            rows = slice(block * 256, (block + 1) * 256)
            together = file["pooled"][rows].tobytes() + file["regions"][rows].tobytes()
            chained.append(zlib.crc32(together))
        del file["checksums"]
        file["checksums"] = np.array(chained, np.uint32)
    assert not is_sealed(path)  # h5py cuts the seal off
    file = FeatureFile(path)
    file.check(True)
    file.check(False)
    with path.open("r+b") as damaged:
        damaged.seek(file.slabs["regions"].offset)
        damaged.write(b"\x01\x02")
    with pytest.raises(InputError, match="images 0 to 255"):
        FeatureFile(path).check(True)


def test_features_of_other_programs_have_no_checksums_and_pass(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["pooled"] = np.ones((3, 2), np.float32)
        file.attrs["complete"] = True
    FeatureFile(tmp_path / "x.h5").check(True)


def test_stored_features_have_checksums_too(tmp_path):
    write_pooled_features(tmp_path / "x.h5", np.ones((600, 2)), {"extractor": "x"})
    assert FeatureFile(tmp_path / "x.h5").checksums.shape == (3, 1)


def test_a_seal_is_over_every_byte_but_those_left_out(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    seal(path, [(40, 10), (10, 5)])
    check_seal(path)
    for place in range(path.stat().st_size):
        data = bytearray(path.read_bytes())
        data[place] ^= 8
        path.write_bytes(data)
        free = 10 <= place < 15 or 40 <= place < 50
        marked = 100 <= place < 100 + len(MARK)  # without its mark it is no seal
        if free or marked:
            check_seal(path)
        else:
            with pytest.raises(ValueError, match=r"not those that were written|its seal"):
                check_seal(path)
        data[place] ^= 8
        path.write_bytes(data)


def test_a_seal_cut_off_halfway_is_damage(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    seal(path)
    for kept in range(3 + len(MARK), path.stat().st_size):
        (tmp_path / "cut").write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ValueError, match="seal"):
            check_seal(tmp_path / "cut")


def test_what_h5py_changes_in_place_is_as_another_program_wrote_it(tmp_path):
    with sealed(tmp_path / "x.h5") as file:
        file["a"] = np.arange(3)
    assert is_sealed(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["a"][0] = 7
    assert not is_sealed(tmp_path / "x.h5")
    check_seal(tmp_path / "x.h5")


def test_a_damaged_backbone_is_named_with_its_rule(tmp_path):
    path = tmp_path / "backbone.pt"
    torch.save({"a": torch.zeros(100)}, path)
    seal(path)
    assert torch.equal(read_content(path)["a"], torch.zeros(100))
    data = path.read_bytes()
    path.write_bytes(data.replace(bytes(64), bytes(63) + b"\x01", 1))
    with pytest.raises(InputError, match=r"not those that were written.*the rule 'pretrain'"):
        read_content(path)


def test_words_of_the_miniature_are_another_programs(tmp_path):
    assert not is_sealed(write_miniature(tmp_path)["words"])
