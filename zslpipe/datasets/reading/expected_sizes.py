"""Published sizes of the field's datasets, and how a dataset that is read compares with them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from zslpipe.formats.index import PROPOSED_SPLIT, STANDARD_SPLIT, Index
from zslpipe.machine.errors import InputError, nearest

logger = logging.getLogger(__name__)


# Whose split a file holds: of Xian et al. 2018, "proposed" with a fifth of each seen class's images
# set aside for testing, or "standard", the older one, without any.
Protocol = Literal["proposed", "standard"]


@dataclass(frozen=True)
class ExpectedSizes:
    """Published sizes of a dataset under a split (Xian et al. 2018, tables 1 and 2)."""

    images: int
    trainval: int
    test_seen: int
    test_unseen: int
    seen: int
    unseen: int
    attributes: int
    validation: int


SPLIT_NAMES = {"proposed": PROPOSED_SPLIT, "standard": STANDARD_SPLIT}
EXPECTED = {
    "CUB": ExpectedSizes(11788, 7057, 1764, 2967, 150, 50, 312, 50),
    "SUN": ExpectedSizes(14340, 10320, 2580, 1440, 645, 72, 102, 65),
    "AWA1": ExpectedSizes(30475, 19832, 4958, 5685, 40, 10, 85, 13),
    "AWA2": ExpectedSizes(37322, 23527, 5882, 7913, 40, 10, 85, 13),
    "aPY": ExpectedSizes(15339, 5932, 1483, 7924, 20, 12, 64, 5),
    "FLO": ExpectedSizes(8189, 5631, 1403, 1155, 82, 20, 1024, 20),
}
# Images of trainval and test_unseen under the standard split, which differs in nothing else.
STANDARD = {
    "CUB": (8855, 2933),
    "SUN": (12900, 1440),
    "AWA1": (24295, 6180),
    "AWA2": (30337, 6985),
    "aPY": (12695, 2644),
}


def expected_sizes(known_as: str, protocol: Protocol = "proposed") -> ExpectedSizes:
    """Return the published sizes of a known dataset under a split; raises InputError for an unknown
    name, and for one that has no standard split.
    """
    if known_as not in EXPECTED:
        raise InputError(f"known_as {known_as!r}: {nearest(known_as, EXPECTED)}")
    if protocol == "proposed":
        return EXPECTED[known_as]
    if known_as not in STANDARD:
        raise InputError(f"{known_as} has no standard split; those with one: {', '.join(STANDARD)}")
    trainval, test_unseen = STANDARD[known_as]
    divided = {"trainval": trainval, "test_seen": 0, "test_unseen": test_unseen}
    return replace(EXPECTED[known_as], **divided)


def name_of_split(protocol: Protocol, file: str, found: Mapping[str, int], known_as: str) -> str:
    """Return the name of a file's split as an index has it; one of other sizes than are published
    for the dataset is neither the proposed nor the standard one.
    """
    expected = expected_sizes(known_as, protocol)
    divided = ("trainval", "test_seen", "test_unseen", "seen", "unseen")
    if all(found[name] == getattr(expected, name) for name in divided):
        return SPLIT_NAMES[protocol]
    named = f"{STANDARD_SPLIT} of {file}" if protocol == "standard" else f"split of {file}"
    return f"{named}, not of the published sizes"


def compare_with_expected(
    known_as: str, found: Mapping[str, int], protocol: Protocol = "proposed"
) -> tuple[str, ...]:
    """Warn, with both numbers, of each size that deviates from the published one; return the
    warnings.
    """
    expected = expected_sizes(known_as, protocol)
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
