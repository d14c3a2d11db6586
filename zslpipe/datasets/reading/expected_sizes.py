"""Published sizes of the field's datasets, and how a dataset that is read compares with them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError, nearest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExpectedSizes:
    """Published sizes of a dataset under the proposed split (Xian et al. 2018, tables 1 and 2)."""

    images: int
    trainval: int
    test_seen: int
    test_unseen: int
    seen: int
    unseen: int
    attributes: int
    validation: int


EXPECTED = {
    "CUB": ExpectedSizes(11788, 7057, 1764, 2967, 150, 50, 312, 50),
    "SUN": ExpectedSizes(14340, 10320, 2580, 1440, 645, 72, 102, 65),
    "AWA1": ExpectedSizes(30475, 19832, 4958, 5685, 40, 10, 85, 13),
    "AWA2": ExpectedSizes(37322, 23527, 5882, 7913, 40, 10, 85, 13),
    "aPY": ExpectedSizes(15339, 5932, 1483, 7924, 20, 12, 64, 5),
    "FLO": ExpectedSizes(8189, 5631, 1403, 1155, 82, 20, 1024, 20),
}


def expected_sizes(known_as: str) -> ExpectedSizes:
    """Return the published sizes of a known dataset; raises InputError for an unknown name."""
    if known_as not in EXPECTED:
        raise InputError(f"known_as {known_as!r}: {nearest(known_as, EXPECTED)}")
    return EXPECTED[known_as]


def compare_with_expected(known_as: str, found: Mapping[str, int]) -> tuple[str, ...]:
    """Warn, with both numbers, of each size that deviates from the published one; return the
    warnings.
    """
    expected = expected_sizes(known_as)
    notes = []
    for name, value in found.items():
        if value != getattr(expected, name):
            notes.append(f"{known_as}: {name} is {value}, {getattr(expected, name)} expected")
            logger.warning(notes[-1])
    return tuple(notes)


def index_sizes(index: Index) -> dict[str, int]:
    """Return a dataset's sizes under the names of ``ExpectedSizes``."""
    return {
        "images": len(index.paths),
        "trainval": len(index.splits["trainval"]),
        "test_seen": len(index.splits["test_seen"]),
        "test_unseen": len(index.splits["test_unseen"]),
        "seen": int(index.seen.sum()),
        "unseen": int((~index.seen).sum()),
        "attributes": len(index.attribute_names),
        "validation": int(index.validation.sum()),
    }
