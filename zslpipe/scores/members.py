"""The members of an ensemble: score matrices read, compared, and brought to the same images."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.scores import SPLITS, IrrelevantScores, ScoreMatrix, read_scores
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)


def read_members(members: Sequence[Path], experts: bool) -> list[ScoreMatrix]:
    """Return the members, in their order; none has training images where one has none."""
    check_count(members)
    if experts and len(members) != 2:
        told = f"{len(members)} given: that of the seen classes, then that of the unseen ones"
        raise InputError(f"experts are two members, {told}")
    matrices = [read_scores(path) for path in members]
    if all(len(matrix.labels["trainval"]) for matrix in matrices):
        return matrices
    return [_restricted(matrix, "trainval", np.empty(0, np.int64)) for matrix in matrices]


def _restricted(matrix: ScoreMatrix, split: str, rows: np.ndarray) -> ScoreMatrix:
    """Return a matrix with these rows of a split alone."""
    changed: dict[str, Any] = {}
    for name in ("scores", "labels", "images"):
        parts = dict(getattr(matrix, name))
        changed[name] = {**parts, split: parts[split][rows]}
    return replace(matrix, **changed)


def held_out_in_all(members: Sequence[Path], matrices: Sequence[ScoreMatrix]) -> list[ScoreMatrix]:
    """Return members with the seen test images that all of them have, in the first one's order."""
    held = [matrix.images["test_seen"] for matrix in matrices]
    if all(np.array_equal(images, held[0]) for images in held):
        return list(matrices)
    common = held[0]
    for images in held:
        common = common[np.isin(common, images)]
    if not len(common):
        told = "no training image that was held out in all of them, so nothing measures S"
        raise InputError(f"{', '.join(map(str, members))}: {told}; hold out the same images")
    counts = " and ".join(str(len(images)) for images in held)
    logger.info("%d held-out images are common to all members (of %s)", len(common), counts)
    found = []
    for matrix, images in zip(matrices, held, strict=True):
        places = {image: row for row, image in enumerate(images.tolist())}
        rows = np.array([places[image] for image in common.tolist()])
        found.append(_restricted(matrix, "test_seen", rows))
    return found


def check_count(members: Sequence[Path]) -> None:
    """Raise InputError for fewer than two members."""
    if len(members) < 2:
        raise InputError(f"an ensemble needs two members or more, {len(members)} given")


def check_same(
    path: Path,
    member: ScoreMatrix | IrrelevantScores,
    first_path: Path,
    first: ScoreMatrix | IrrelevantScores,
    names: Sequence[str],
) -> None:
    """Raise InputError where a member and the first differ in one of these fields."""
    for name in names:
        found, expected = getattr(member, name), getattr(first, name)
        if found != expected:
            told = f"{name} {found!r}, not {expected!r}"
            if name == "classes":
                told = "other classes, or in another order,"
            agree = "members of an ensemble have to agree in it"
            raise InputError(f"{path}: {told} as in {first_path}; {agree}"[:300])


def same_images(matrix: ScoreMatrix, first: ScoreMatrix) -> bool:
    """Return whether two score matrices have the same seen classes, images and labels."""
    same = np.array_equal(matrix.seen, first.seen)
    for split in SPLITS:
        same &= np.array_equal(matrix.images[split], first.images[split])
        same &= np.array_equal(matrix.labels[split], first.labels[split])
    return same
