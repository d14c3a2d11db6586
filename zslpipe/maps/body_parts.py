"""Body parts as a reader names them, and which attributes a class has."""

from dataclasses import dataclass

import numpy as np

from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError

SIDES = ("left ", "right ")  # an image from the side shows one eye, one wing: no parts of their own


@dataclass(frozen=True, eq=False)
class BodyParts:
    """Body parts as a reader names them: ``members`` (body part, part) says which annotated parts
    each one is.
    """

    names: tuple[str, ...]
    members: np.ndarray


def body_parts(index: Index) -> BodyParts:
    """Return the index's parts with left and right made one ("left eye" and "right eye" are "eye"),
    in its order.
    """
    plain = [name.removeprefix(SIDES[0]).removeprefix(SIDES[1]) for name in index.part_names]
    names = tuple(dict.fromkeys(plain))
    members = np.zeros((len(names), len(plain)), bool)
    for part, name in enumerate(plain):
        members[names.index(name), part] = True
    return BodyParts(names, members)


def attribute_strengths(index: Index) -> np.ndarray:
    """Return (class, attribute) strengths: the class vectors ``att``, or the first kind with a
    column an attribute.

    Raises InputError where there is none: nobody knows which attributes a class has.
    """
    for kind in ("att", *sorted(index.semantics)):
        if kind in index.semantics and index.semantics[kind].shape[1] == len(index.attribute_names):
            return np.asarray(index.semantics[kind], np.float64)
    raise InputError(
        f"dataset {index.dataset!r}: no class vectors with one column an attribute; nobody knows "
        "which attributes a class has"
    )


def present_attributes(index: Index) -> np.ndarray:
    """Return (class, attribute) bool: whether the attribute is at least as strong in the class as
    on average over classes (ours). InputError as ``attribute_strengths``.
    """
    strengths = attribute_strengths(index)
    present: np.ndarray = strengths >= strengths.mean(axis=0)
    return present
