"""``texts/{name}.h5``: class vectors made of texts, with every text that they are made of. Layout::

vectors          (class, e)   float32, unit length
classes/name     (class,)     those of index.h5, in their order
classes/count    (class,)     number of texts
texts/text       (text,)      in full, those of a class together
texts/class      (text,)      class number
attrs            dataset; source (encoder, library and number of texts, as tables tell it);
                 encoder (JSON: what was loaded, with a hash of its weights); settings (JSON:
                 the section of the configuration, complete)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslpipe.formats.hdf5 import array, attribute, read_hdf5, sealed, texts, write_texts
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.names import text_name

WRITER = "the rule 'texts'"


@dataclass(frozen=True, eq=False)
class ClassTexts:
    """The texts of all classes of a dataset and ``vectors`` (class, e) float32 made of them.

    ``texts`` by class name, in the index's order; ``source`` in the words of a table; ``encoder``
    what was loaded; ``settings`` the section of the configuration.
    """

    dataset: str
    texts: Mapping[str, tuple[str, ...]]
    vectors: np.ndarray
    source: str
    encoder: Mapping[str, str]
    settings: Mapping[str, Any]


def write_class_texts(output: Path, found: ClassTexts) -> None:
    """Write the file, whole or not at all; same texts and vectors, same bytes."""
    counts = [len(of_class) for of_class in found.texts.values()]
    with sealed(output, "latest") as file:
        file["vectors"] = found.vectors.astype(np.float32)
        write_texts(file, "classes/name", tuple(found.texts))
        file["classes/count"] = np.array(counts, np.int32)
        write_texts(file, "texts/text", [text for one in found.texts.values() for text in one])
        file["texts/class"] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        file.attrs["dataset"], file.attrs["source"] = found.dataset, found.source
        file.attrs["encoder"] = json.dumps(found.encoder, sort_keys=True)
        file.attrs["settings"] = json.dumps(found.settings, sort_keys=True)


def read_class_texts(path: Path) -> ClassTexts:
    """Read the file; raises InputError where it is absent, cut off, or lacks a part."""
    return read_hdf5(path, _read, "texts.h5", WRITER)


def _read(file: h5py.File) -> ClassTexts:
    """Read an open file; raises KeyError where a part is missing, ValueError where parts
    disagree.
    """
    names, vectors = texts(file, "classes/name"), array(file, "vectors")
    of_class, every = array(file, "texts/class"), texts(file, "texts/text")
    if vectors.ndim != 2 or len(vectors) != len(names) or len(of_class) != len(every):
        raise ValueError("vectors, classes and texts disagree")
    found: dict[str, list[str]] = {name: [] for name in names}
    for number, text in zip(of_class.tolist(), every, strict=True):
        found[names[number]].append(text)
    return ClassTexts(
        dataset=str(attribute(file, "dataset")),
        texts={name: tuple(one) for name, one in found.items()},
        vectors=vectors,
        source=str(attribute(file, "source")),
        encoder=json.loads(attribute(file, "encoder")),
        settings=json.loads(attribute(file, "settings")),
    )


def with_texts(index: Index, kind: str, path: Path | None) -> Index:
    """Return an index that has class vectors of a ``kind``: where they are made of texts, those of
    the file ``path``; else the index as it is. The one place where texts become class vectors.

    Raises InputError where no file is given, or one of other classes.
    """
    if text_name(kind) is None or path is None:
        return index
    found = read_class_texts(path)
    if tuple(found.texts) != index.class_names:
        sides = f"{len(found.texts)} classes of {found.dataset!r}, asked {len(index.class_names)}"
        fault = f"texts of other classes than the index has ({sides} of {index.dataset!r})"
        raise InputError(f"{path}: {fault}; delete it and run again: {WRITER} makes it again")
    vectors = np.asarray(found.vectors, np.float64)
    return replace(
        index,
        semantics={**index.semantics, kind: vectors},
        sources={**index.sources, kind: found.source},
    )
