"""A list of task-irrelevant images. Layout::

    attrs    source (how the images are called), settings (JSON: how they were chosen), complete
    paths    (image,)    relative to the folder of images

It reads back as an index without classes or splits, which is all that an extraction or a scoring
asks for.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.formats.hdf5 import attribute, read_stamped, stamped, texts, write_texts
from zslpipe.formats.index import SPLITS, Index


def write_image_list(
    output: Path, source: str, settings: Mapping[str, Any], paths: Sequence[str]
) -> None:
    """Write the list of ``paths`` of the images that are called ``source``, whole or not at all;
    ``settings`` says how they were chosen.
    """
    with stamped(output) as file:
        file.attrs["source"] = source
        file.attrs["settings"] = json.dumps(settings, sort_keys=True)
        write_texts(file, "paths", paths)


def read_irrelevant_images(path: Path) -> Index:
    """Return the list as an index of images without classes and splits; its ``dataset`` is the
    source's name.

    Raises InputError where the file is absent, damaged or no such list.
    """
    return read_stamped(path, _read, "list of images", "listing the task-irrelevant images")


def _read(file: h5py.File) -> Index:
    """Read an open list; raises KeyError where a part is missing."""
    source, paths = str(attribute(file, "source")), texts(file, "paths")
    nothing = np.empty(0, np.int64)
    return Index(
        dataset=source,
        adapter="irrelevant",
        paths=paths,
        labels=np.full(len(paths), -1),
        class_names=(),
        seen=np.empty(0, bool),
        validation=np.empty(0, bool),
        splits=dict.fromkeys(SPLITS, nothing),
        semantics={},
        attribute_names=(),
        attribute_groups=(),
        attribute_parts=np.empty((0, 0), bool),
    )
