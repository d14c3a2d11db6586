"""``words.h5``: one vector an attribute, and where they come from. Layout::

vectors       (attribute, dimension)   float32
attributes    (attribute,)             names
attrs         source, report (JSON: attribute -> its words, those used, those missing)
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.formats.hdf5 import array, attribute, new_hdf5, read_hdf5, write_texts


def write_words_file(
    output: Path, vectors: np.ndarray, names: Sequence[str], source: str, report: Mapping[str, Any]
) -> None:
    """Write ``words.h5``, whole or not at all.

    Format "latest" because older ones hold no attribute above 64 KiB, and DeepFashion's report is
    larger.
    """
    with new_hdf5(output, libver="latest") as file:
        file["vectors"] = vectors
        write_texts(file, "attributes", names)
        file.attrs["source"] = source
        file.attrs["report"] = json.dumps(report)


def read_words(path: Path | None) -> tuple[np.ndarray | None, str]:
    """Return the word vectors (a, v) of ``words.h5`` and the name of their source; (None, "") for a
    method that reads none.

    Raises InputError where the file is absent, cut off, or lacks a part.
    """
    if path is None:
        return None, ""
    return read_hdf5(path, _read, "words.h5", "the rule 'words'")


def _read(file: h5py.File) -> tuple[np.ndarray, str]:
    """Read an open file; raises KeyError where a part is missing."""
    return array(file, "vectors"), str(attribute(file, "source"))
