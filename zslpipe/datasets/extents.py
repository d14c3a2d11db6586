"""How large a configured dataset is, before its index.h5 is there, and some of its pictures."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslpipe.datasets.adapters import demo
from zslpipe.datasets.creatures import ATTRIBUTES
from zslpipe.datasets.irrelevant_images import write_irrelevant_images
from zslpipe.formats.extents import Extent, extent_of
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import Index, read_index
from zslpipe.machine.quiet import quiet
from zslpipe.settings import parse_settings

# Pictures that a calibration decodes (ours: a second's work).
PICTURES = 64


@dataclass(frozen=True)
class Pictures:
    """A folder and paths in it of images as a dataset has them; none where it has no images."""

    root: Path
    paths: tuple[str, ...] = ()


def extent_of_source(
    dataset: str, adapter: Any, settings: Mapping[str, Any], data_root: Path
) -> Extent:
    """Return the extent of a dataset as its ``adapter`` (a module) reads it from the user's files;
    the demo's, which is drawn, as its settings say. Raises InputError as the adapter does.
    """
    if adapter is demo:
        return _drawn_extent(parse_settings(demo.Settings, settings, f"dataset {dataset!r}"))
    return extent_of(_read(dataset, adapter, settings, data_root), "counted in its files")


def _read(dataset: str, adapter: Any, settings: Mapping[str, Any], data_root: Path) -> Index:
    """Return the index that an adapter makes of a user's files; nothing is left behind."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        output = Path(folder) / dataset / "index.h5"
        output.parent.mkdir()
        adapter.write(settings, output, data_root)
        return read_index(output)


def _drawn_extent(settings: demo.Settings) -> Extent:
    """Return the extent of the demo."""
    classes = len(demo.FAMILIES) * len(demo.HABITATS)
    unseen = demo.UNSEEN_FAMILIES * demo.HELD_OUT
    validation = (len(demo.FAMILIES) - demo.UNSEEN_FAMILIES) * demo.HELD_OUT
    seen, each = classes - unseen, settings.images_per_class
    trained = min(round(demo.TRAINING_SHARE * each), each - 1)
    return Extent(
        images=classes * each,
        splits={
            "trainval": seen * trained,
            "test_seen": seen * (each - trained),
            "test_unseen": unseen * each,
            "train": (seen - validation) * trained,
            "val": validation * trained,
        },
        seen=seen,
        unseen=unseen,
        validation=validation,
        attributes=len(ATTRIBUTES),
        vectors={"att": len(ATTRIBUTES)},
        told="its settings",
    )


def count_irrelevant(settings: Mapping[str, Any], data_root: Path) -> int:
    """Return how many task-irrelevant images a set of the user's has; InputError as the job that
    lists them raises it.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        output = Path(folder) / "irrelevant.h5"
        write_irrelevant_images(settings, output, data_root)
        return len(read_irrelevant_images(output).paths)


def pictures_of_source(
    dataset: str, adapter: Any, settings: Mapping[str, Any], data_root: Path
) -> Pictures:
    """Return pictures of a dataset as its adapter reads it; InputError as the adapter raises it."""
    index = _read(dataset, adapter, settings, data_root)
    return some_pictures(data_root / str(settings.get("images", "")), index)


def some_pictures(root: Path, index: Index) -> Pictures:
    """Return every so-many-th image of an index."""
    step = max(1, len(index.paths) // PICTURES)
    return Pictures(root, tuple(index.paths[::step][:PICTURES]) if index.has_images else ())


def drawn_pictures(folder: Path) -> Pictures:
    """Draw a few pictures of the demo into a folder and return them: what is decoded where a
    dataset's own are not there yet.
    """
    settings = {"images_per_class": 2, "auxiliary_classes": 2, "auxiliary_images_per_class": 1}
    output = folder / "demo" / "index.h5"
    output.parent.mkdir(parents=True)
    demo.write(settings, output, folder)
    return some_pictures(output.parent / "images", read_index(output))
