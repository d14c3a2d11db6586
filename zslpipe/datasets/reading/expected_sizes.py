"""How a dataset that is read compares with the published sizes."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from zslpipe.formats.index import PROPOSED_SPLIT, STANDARD_SPLIT, Index
from zslpipe.formats.published_sizes import EXPECTED, STANDARD, ExpectedSizes, is_split
from zslpipe.machine.errors import InputError, nearest

logger = logging.getLogger(__name__)


# Whose split a file holds: of Xian et al. 2018, "proposed" with a fifth of each seen class's images
# set aside for testing, or "standard", the older one, without any.
Protocol = Literal["proposed", "standard"]


SPLIT_NAMES = {"proposed": PROPOSED_SPLIT, "standard": STANDARD_SPLIT}


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


def name_of_split(
    protocol: Protocol, file: str, found: Mapping[str, int], known_as: str | None
) -> str:
    """Return the name of a file's split as an index has it: the proposed or the standard one where
    its sizes are published for the dataset ``known_as``, for any where it is None.
    """
    name = SPLIT_NAMES[protocol]
    if known_as is None and is_split(name, found):
        return name
    if known_as is not None:
        expected = expected_sizes(known_as, protocol)
        divided = ("trainval", "test_seen", "test_unseen", "seen", "unseen")
        if all(found[name] == getattr(expected, name) for name in divided):
            return name
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
