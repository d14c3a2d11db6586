"""Published sizes of the field's datasets, and whose split a file's sizes say that it is.

What a file is called says nothing about its split: images are left out, classes are cut. So the
name of a published split is given to what has its sizes alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zslpipe.formats.index import PROPOSED_SPLIT, STANDARD_SPLIT


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
# DAZLE, table 1, which does not say how the test images divide into seen and unseen ones; of the
# seen classes DEEPFASHION_VALIDATION are for validation.
DEEPFASHION_VALIDATION = 6
DEEPFASHION = {"seen": 36, "unseen": 10, "attributes": 1000, "trainval": 204_885, "test": 84_337}

OTHER_SIZES = "a split of other sizes than are published"


def is_split(protocol: str, sizes: Mapping[str, int]) -> bool:
    """Return whether images (``trainval``, ``test_seen``, ``test_unseen``) and classes (``seen``,
    ``unseen``) divide as some published dataset does under ``protocol``, PROPOSED_SPLIT or
    STANDARD_SPLIT. Somebody's file without training images, 0 of them, may be of any.
    """
    names = ("trainval", "test_seen", "test_unseen", "seen", "unseen")
    found = tuple(sizes[name] for name in names)
    known = set()
    for dataset, size in EXPECTED.items():
        classes = size.seen, size.unseen
        if protocol == PROPOSED_SPLIT:
            known.add((size.trainval, size.test_seen, size.test_unseen, *classes))
        elif dataset in STANDARD:
            trainval, test_unseen = STANDARD[dataset]
            known.add((trainval, 0, test_unseen, *classes))
    if not found[0]:
        known = {(0, *published[1:]) for published in known}
    return found in known or (protocol == PROPOSED_SPLIT and _is_deepfashion(sizes))


def _is_deepfashion(sizes: Mapping[str, int]) -> bool:
    """Return whether sizes are those of DeepFashion."""
    found = {name: sizes[name] for name in ("seen", "unseen", "trainval")}
    found["test"] = sizes["test_seen"] + sizes["test_unseen"]
    found["trainval"] = found["trainval"] or DEEPFASHION["trainval"]
    return all(DEEPFASHION[name] == value for name, value in found.items())


def split_of_sizes(protocol: str, sizes: Mapping[str, int]) -> str:
    """Return ``protocol``, whose split a file says it has; where that is a published one which its
    sizes (as for :func:`is_split`) are not of, OTHER_SIZES.
    """
    claims = protocol in (PROPOSED_SPLIT, STANDARD_SPLIT)
    return OTHER_SIZES if claims and not is_split(protocol, sizes) else protocol
