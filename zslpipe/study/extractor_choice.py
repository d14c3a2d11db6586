"""Which extractor a row of the table reads: the one it names, or the dataset's first that fits, or
its only one, where that is a transformer.
"""

from collections.abc import Mapping
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.study.method_sections import Row
from zslpipe.study.networks import has_patches

# Cells a side of a ResNet's last map at 224 pixels: what pooled features are the mean over.
POOLED_GRID = 7


def extractor_of(config: Mapping[str, Any], dataset: str, row: Row) -> str:
    """Return the extractor of a row: the one named, or the dataset's first that fits its input.

    Features fit by their grid (pooled ones are the mean over the 7x7 grid and are never extracted a
    second time), images by their size. The only extractor of a dataset is meant for all that
    read features where its patches leave no choice of a grid. Raises InputError where none fits.
    """
    extractors = config["extractors"]
    offered = config["datasets"][dataset]["extractors"]
    named, kind = row.section.extractor, row.input
    if named:
        _check_named(named, extractors[named], row)
        return str(named)
    wanted = row.source.inputs[kind]
    for name in offered:
        if _fits(extractors[name], wanted, kind):
            return str(name)
    only = offered[0]
    if len(offered) == 1 and kind != "images" and has_patches(extractors[only]["backbone"]):
        _check_named(only, extractors[only], row)
        return str(only)
    grid = wanted.get("grid", POOLED_GRID)
    lacking = f"images of {wanted['size']} px" if kind == "images" else f"a {grid}x{grid} grid"
    raise InputError(
        f"{row.where}: dataset {dataset!r} has no extractor with {lacking} among: "
        f"{', '.join(offered)}; name one with 'extractor'"
    )


def _check_named(name: str, extractor: Mapping[str, Any], row: Row) -> None:
    """Raise InputError where a row needs more than the extractor that it names has: images where
    features are stored, regions where one vector stands for the whole image.
    """
    if row.input != "pooled" and extractor["backbone"] == "stored":
        raise InputError(
            f"{row.where}.extractor: {name!r} holds pooled features only, "
            f"the method takes {row.input}"
        )
    has_regions = row.input == "regions" or row.source.has_maps
    if row.input != "pooled" and has_regions and extractor["grid"] == 1:
        raise InputError(
            f"{row.where}.extractor: {name!r} has one vector for the whole image (grid 1), "
            f"{row.source.name} needs regions; name an extractor of a convolutional layer"
        )


def _fits(extractor: Mapping[str, Any], wanted: Mapping[str, int], kind: str) -> bool:
    """Return whether an extractor is a method's default for a kind of input with the arguments
    ``wanted``.
    """
    if extractor["backbone"] == "stored":
        return kind == "pooled"
    if kind == "images":
        return bool(extractor["size"] == wanted["size"])
    return bool(extractor["grid"] == wanted.get("grid", POOLED_GRID))
