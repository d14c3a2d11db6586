"""MATLAB files that are damaged or something else: one clear line; mistakes of ours are none."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.made_up import lookalike
from tests.made_up.damage import FEATURES, HTML, SPLITS, content, message_of
from zslpipe.datasets.adapters import xlsa17
from zslpipe.datasets.inspection import inspect_splits
from zslpipe.datasets.reading import matfile
from zslpipe.machine.errors import InputError


def half_hdf5(root: Path) -> None:
    path = root / FEATURES
    path.unlink()
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((5000, 8))
        file["labels"] = np.ones((1, 5000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def hdf5(**variables: object) -> Callable[[Path], None]:
    """Return what makes the feature file one of version 7.3: functions write its variables."""

    def apply(root: Path) -> None:
        path = root / FEATURES
        path.unlink()
        with h5py.File(path, "w") as file:
            file["labels"] = np.ones((1, 96))
            for name, write in variables.items():
                write(file, name)

    return apply


def of_floats(file: h5py.File, name: str) -> None:
    file[name] = np.full((4, 96), 70.5)
    file[name].attrs["MATLAB_class"] = np.bytes_("char")


def beyond_memory(file: h5py.File, name: str) -> None:
    file.create_dataset(name, shape=(1 << 40, 1 << 15), chunks=(1 << 10, 1 << 10), dtype="f4")


# What is broken: how, and what the line has to say.
UNREADABLE = {
    "split file cut in half": (
        content(SPLITS, lambda old: old[: len(old) // 2]),
        "not a readable .mat file",
    ),
    "feature file cut in half": (
        content(FEATURES, lambda old: old[: len(old) // 2]),
        "not a readable|no variable",
    ),
    "text called .mat": (
        content(SPLITS, lambda _: b"trainval_loc 1 2 3\n" * 50),
        "not a readable .mat file",
    ),
    "web page called .mat": (
        content(FEATURES, lambda _: HTML * 20),
        "not a readable .mat file",
    ),
    "empty .mat": (content(SPLITS, lambda _: b""), "not a readable .mat file"),
    "zeros called .mat": (
        content(SPLITS, lambda old: bytes(len(old))),
        "not a readable|no variable",
    ),
    "noise called .mat": (
        content(SPLITS, lambda _: np.random.default_rng(0).bytes(4000)),
        "not a readable",
    ),
    "HDF5 cut in half": (half_hdf5, "res101.mat: not a readable .mat file"),
    "HDF5 with a struct": (
        hdf5(image_files=h5py.File.create_group),
        "a group where an array is expected",
    ),
    "HDF5 with text of fractions": (
        hdf5(image_files=of_floats),
        "text whose numbers are no characters",
    ),
    "HDF5 larger than any memory": (
        hdf5(image_files=beyond_memory),
        "not a readable .mat file",
    ),
    "version 7.3 that is no HDF5": (
        content(FEATURES, lambda old: old[:124] + b"\x00\x02IM" + old[128:]),
        "not a readable .mat file",
    ),
    "picture called .mat": (
        content(FEATURES, lambda _: b"\xff\xd8\xff\xe0\0" + bytes(500)),
        "not a readable",
    ),
    "header of the other byte order": (
        content(SPLITS, lambda old: old[:124] + old[124:128][::-1] + old[128:]),
        "not a readable|no variable",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_files_are_refused_in_one_line(tmp_path, case):
    breaks, expected = UNREADABLE[case]
    settings = lookalike.write_xlsa17(tmp_path)
    breaks(tmp_path)
    output = tmp_path / "results/mine/index.h5"
    text = message_of(lambda: xlsa17.write(settings, output, tmp_path))
    assert re.search(expected, text), text
    assert not output.exists()


def test_a_mistake_of_ours_is_not_taken_for_a_damaged_file(tmp_path, monkeypatch):
    settings = lookalike.write_xlsa17(tmp_path, images=False)

    def mistaken(*arguments: object) -> None:
        raise AttributeError("a name that does not exist")

    monkeypatch.setattr(matfile, "check_structure", mistaken)
    with pytest.raises(AttributeError, match="a name that does not exist"):
        xlsa17.write(settings, tmp_path / "results/mine/index.h5", tmp_path)


def test_any_damage_to_a_split_file_is_read_or_refused(tmp_path):
    """Cut off at 60 places and with bytes changed at 200: usable, or one line."""
    lookalike.write_xlsa17(tmp_path, images=False)
    whole, damaged = (tmp_path / SPLITS).read_bytes(), tmp_path / "damaged.mat"
    random = np.random.default_rng(0)
    variants = [whole[: int(cut)] for cut in np.linspace(0, len(whole) - 1, 60)]
    for place in random.integers(0, len(whole), 200):
        variants.append(
            whole[:place]
            + bytes([whole[place] ^ int(random.integers(1, 256))])
            + whole[place + 1 :]
        )
    refused = 0
    for variant in variants:
        damaged.write_bytes(variant)
        try:
            assert inspect_splits(damaged).startswith(str(damaged))
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 60
