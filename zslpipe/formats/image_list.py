"""A list of task-irrelevant images. Layout: attrs source, settings (JSON), complete; ``paths``
relative to the folder.

It reads back as an index without classes or splits, which is all that an extraction or a scoring
asks for.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.formats.index import SPLITS, Index
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole


def write_image_list(
    output: Path, source: str, settings: Mapping[str, Any], paths: Sequence[str]
) -> None:
    """Write the list of ``paths`` of the images that are called ``source``, whole or not at all;
    ``settings`` says how they were chosen.
    """
    with written_whole(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["source"] = source
        file.attrs["settings"] = json.dumps(settings, sort_keys=True)
        file.create_dataset("paths", data=list(paths), dtype=h5py.string_dtype())
        file.attrs["complete"] = True


def read_irrelevant_images(path: Path) -> Index:
    """Return the list as an index of images without classes and splits; its ``dataset`` is the
    source's name.

    Raises InputError where the file is absent, damaged or no such list.
    """
    try:
        with h5py.File(path) as file:
            if not file.attrs.get("complete", False):
                raise InputError(
                    f"{path}: not stamped complete; its writer stopped early: delete it and run again"
                )
            source, paths = str(file.attrs["source"]), tuple(file["paths"].asstr()[()])
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; listing the task-irrelevant images writes it"
        ) from None
    except (OSError, KeyError) as error:
        reason = str(error).strip("\"'")
        raise InputError(
            f"{path}: not a readable list of images ({reason}); delete it and run again"
        ) from None
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
