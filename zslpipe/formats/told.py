"""What an HDF5 file of the chain says of itself, without reading the rest."""

import json
from pathlib import Path
from typing import Any

import h5py

from zslpipe.formats.hdf5 import attribute, identity, read_stamped

WRITER = "its rule"


def read_identity(path: Path) -> tuple[str, str, str]:
    """Return the dataset, method and variant of a stamped file; InputError as ``read_stamped``."""
    return read_stamped(path, identity, path.name, WRITER)


def read_kind(path: Path) -> str:
    """Return whether attention.h5 has maps of "attributes" or "parts"; InputError as
    ``read_stamped``.
    """
    return read_stamped(path, _kind, path.name, WRITER)


def read_run(path: Path) -> dict[str, Any]:
    """Return the run as it was configured, {} where a file does not say it; InputError as
    ``read_stamped``.
    """
    return read_stamped(path, _run, path.name, WRITER)


def _kind(file: h5py.File) -> str:
    """Read the kind of maps; raises KeyError where it is absent."""
    return str(attribute(file, "kind"))


def _run(file: h5py.File) -> dict[str, Any]:
    """Read what an open file says of its run."""
    found: dict[str, Any] = json.loads(file.attrs.get("run", "{}"))
    return found
