"""How many images, classes and attributes a configured dataset has, as well as is known when the
workflow is planned: its index.h5 may not be there yet. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zslpipe.study.paths import PATHS

# Of the demo (datasets.adapters.demo draws 40 classes by 34 attributes; a test holds it in step).
DEMO_CLASSES, DEMO_ATTRIBUTES = 40, 34


@dataclass(frozen=True)
class Counts:
    """Numbers of a dataset's images, classes and attributes."""

    images: int
    classes: int
    attributes: int


# Ours, of a dataset that nothing is known of before its index is there: larger than all of the
# field's but DeepFashion.
UNKNOWN = Counts(images=50_000, classes=1000, attributes=1000)


def counts_of(dataset: str, entry: Mapping[str, Any]) -> Counts:
    """Return the counts of a dataset's section: its index's where that is there, else what its
    settings or published sizes say, else UNKNOWN.
    """
    index = Path(PATHS.index.format(dataset=dataset))
    if index.is_file():
        found = _of_index(index, index.stat().st_mtime_ns)
        if found is not None:
            return found
    source = entry["source"]
    if entry["adapter"] == "demo":
        return Counts(DEMO_CLASSES * source["images_per_class"], DEMO_CLASSES, DEMO_ATTRIBUTES)
    names = (source.get("known_as"), entry.get("settings_of"), dataset)
    known = [_published(str(name)) for name in names]
    return next(filter(None, known), UNKNOWN)


@cache
def _of_index(path: Path, modified: int) -> Counts | None:
    """Return the counts that an index.h5 has, as of its time of modification; None where it cannot
    be read: whose job that is says why.
    """
    import h5py  # a tenth of a second, which a study without an index need not wait for

    try:
        with h5py.File(path, "r") as file:
            names = ("images/label", "classes/name", "attributes/name")
            return Counts(*(file[name].shape[0] for name in names))
    except (OSError, KeyError):
        return None


def _published(name: str) -> Counts | None:
    """Return the published counts of one of the field's datasets, None for another name."""
    from zslpipe.formats.extents import published_extent  # h5py, a tenth of a second to import

    found = published_extent(name)
    return None if found is None else Counts(found.images, found.classes, found.attributes)
