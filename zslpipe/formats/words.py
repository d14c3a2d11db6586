"""``words.h5``: one vector an attribute, and where they come from. Layout::

vectors       (attribute, dimension)   float32
attributes    (attribute,)             names
attrs         source, report (JSON: attribute -> its words, those used, those missing), settings
              (JSON: the section of the configuration that made it, complete; {} where absent);
              encoder (JSON: of vectors of texts, what was loaded, with a hash of its weights)
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.formats.hdf5 import array, attribute, read_hdf5, sealed, write_texts


def write_words_file(
    output: Path,
    vectors: np.ndarray,
    names: Sequence[str],
    source: str,
    report: Mapping[str, Any],
    settings: Mapping[str, Any],
    encoder: Mapping[str, str] | None = None,
) -> None:
    """Write ``words.h5``, whole or not at all; ``encoder``: what made vectors of texts.

    Format "latest" because older ones hold no attribute above 64 KiB, and DeepFashion's report is
    larger.
    """
    with sealed(output, "latest") as file:
        file["vectors"] = vectors
        write_texts(file, "attributes", names)
        file.attrs["source"] = source
        file.attrs["report"] = json.dumps(report)
        file.attrs["settings"] = json.dumps(settings, sort_keys=True)
        if encoder is not None:
            file.attrs["encoder"] = json.dumps(encoder, sort_keys=True)


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


def read_word_settings(path: Path) -> dict[str, Any]:
    """Return the settings that made ``words.h5``, {} where it does not say (an earlier version);
    InputError as :func:`read_words`.
    """
    return read_hdf5(path, _read_settings, "words.h5", "the rule 'words'")


def _read_settings(file: h5py.File) -> dict[str, Any]:
    """Read the settings of an open file."""
    return dict(json.loads(file.attrs.get("settings", "{}")))
