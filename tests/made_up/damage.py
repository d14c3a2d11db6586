"""Ways to break a user's files, and what the refusal of a broken file has to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from zslpipe.machine.errors import InputError

SPLITS, FEATURES = "CUB/att_splits.mat", "CUB/res101.mat"
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"


def change(name: str, **values: object) -> Callable[[Path], None]:
    """Return what replaces variables of a .mat file: a value, a function of the old one, or None to
    leave it out.
    """

    def apply(root: Path) -> None:
        held = {
            key: value
            for key, value in scipy.io.loadmat(root / name).items()
            if not key.startswith("__")
        }
        for key, value in values.items():
            held[key] = value(held[key]) if callable(value) else value
        scipy.io.savemat(
            root / name, {key: value for key, value in held.items() if value is not None}
        )

    return apply


def content(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what replaces a file's bytes."""

    def apply(root: Path) -> None:
        path = root / name
        old = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)  # image files are links to one file
        path.write_bytes(edit(old))

    return apply


def put(place: object, value: object) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that copies an array (numbers as float64) with ``value`` at ``place``."""

    def apply(array: np.ndarray) -> np.ndarray:
        copy = array.copy() if array.dtype == object else array.astype(float)
        copy[place] = value
        return copy

    return apply


def nothing(root: Path) -> None:
    """Leave the files as they are: the settings are what is wrong."""


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert 20 < len(text) < 600
    return text
