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

from zslpipe.machine.files import written_whole


def write_words_file(
    output: Path, vectors: np.ndarray, names: Sequence[str], source: str, report: Mapping[str, Any]
) -> None:
    """Write ``words.h5``, whole or not at all.

    Format "latest" because older ones hold no attribute above 64 KiB, and DeepFashion's report is
    larger.
    """
    with written_whole(output) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        file["vectors"] = vectors
        file.create_dataset(
            "attributes", data=list(names), shape=(len(names),), dtype=h5py.string_dtype()
        )
        file.attrs["source"] = source
        file.attrs["report"] = json.dumps(report)


def read_words(path: Path | None) -> tuple[np.ndarray | None, str]:
    """Return the word vectors (a, v) of ``words.h5`` and the name of their source; (None, "") for a
    method that reads none.
    """
    if path is None:
        return None, ""
    with h5py.File(path) as file:
        return file["vectors"][()], str(file.attrs["source"])
