"""Do attribute maps look where the attribute is? ``attention.h5`` and the annotated parts to
``localization.json`` (:mod:`zslpipe.formats.localization`).

Counted are pairs of a test image and an attribute that its class has (at least as strong as on
average over classes) and of whose parts one is annotated inside the square that the network sees. A
pair is a hit where the map's highest value lies nearer to the nearest of these parts than a tenth,
or a fifth, of the object's size: the longer side of the box around all annotated parts of the
image, so images with fewer than two parts are not counted. Distances are those of pixels. All
choices here are ours.

A method with part maps instead has each map assigned the body part that it lies within a fifth of
most often on training images; counted are pairs of a test image and a map.

Beside each share stand two chances: of a peak in a cell drawn evenly (the exact expectation over
all cells of the map), and of a peak in the centre of the square; and the best that the map's grid
allows: the centre of a coarse cell may lie further from a part than a tenth of the object.

Groups are those of the attributes; a part's pairs are those whose attribute is about it and in
whose image it is annotated (a hit is as above: an attribute of belly and breast may hit either).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.attention import Peaks, read_peaks
from zslpipe.formats.index import Index, read_index
from zslpipe.formats.localization import (
    IDENTITY,
    LIMITS,
    MEASURES,
    POINTS,
    write_localization,
)
from zslpipe.machine.errors import InputError
from zslpipe.maps.body_parts import BodyParts, body_parts, present_attributes
from zslpipe.maps.central_square import central_squares, image_sizes, places_in_square

BLOCK = 256  # images at a time: 312 peaks of an image to 15 parts are some 20 MB of distances


@dataclass(frozen=True, eq=False)
class Annotated:
    """Where the parts of n images lie: ``places`` (n, part, 2) as fractions of the square, NaN
    where absent or outside; ``sizes`` (n,) of the objects in sides of the square, NaN where
    unknown.
    """

    places: np.ndarray
    sizes: np.ndarray

    def part_of(self, rows: slice) -> "Annotated":
        """Return the same of some of the images."""
        return Annotated(self.places[rows], self.sizes[rows])


@dataclass(frozen=True, eq=False)
class Sought:
    """What m maps should point at: ``related`` (m, part) bool, ``counted`` (n, m) bool, a group's
    name a map.
    """

    related: np.ndarray
    counted: np.ndarray
    groups: tuple[str, ...]


def localize(attention: Path, index: Path, image_root: Path, output: Path) -> None:
    """Write ``localization.json``; of image files only the headers are read, for their sizes.

    Raises InputError for an absent or damaged file, a dataset without annotated parts, an
    attention.h5 that does not belong to the index, and missing images.
    """
    peaks, contents = read_peaks(attention), read_index(index)
    _check(peaks, contents, attention, index)
    parts = body_parts(contents)
    annotated = annotate(contents, peaks.images, image_root)
    whose = (*peaks.identity, peaks.seed, peaks.kind)
    result: dict[str, Any] = dict(zip(IDENTITY, whose, strict=True))
    if peaks.kind == "attributes":
        has = present_attributes(contents)[contents.labels[peaks.images]]
        sought = seek(annotated, contents.attribute_parts, has, contents.attribute_groups)
    else:
        trained = annotate(contents, peaks.train_images, image_root)
        chosen = assign(peaks.train_peaks, trained, parts)
        named: dict[int | None, str] = {None: "", **dict(enumerate(parts.names))}
        result["assigned"] = [named[number] for number in chosen]
        sought = _seek_parts(annotated, chosen, parts)
    seen = contents.seen[contents.labels[peaks.images]]
    cells = centres_of_cells(peaks.shape, peaks.centres)
    measured = measure(peaks.peaks, cells, annotated, sought)
    result["shares"] = shares(measured, annotated, sought, parts, seen)
    write_localization(output, result)


def _seek_parts(annotated: Annotated, chosen: Sequence[int | None], parts: BodyParts) -> Sought:
    """Return what part maps are held to: map k to body part ``chosen[k]``, to nothing where that is
    None.
    """
    nothing = np.zeros(parts.members.shape[1], bool)
    members: dict[int | None, np.ndarray] = {None: nothing, **dict(enumerate(parts.members))}
    related = np.array([members[number] for number in chosen])
    has = np.ones((len(annotated.sizes), len(chosen)), bool)
    return seek(annotated, related, has, ("",) * len(chosen))


def _check(peaks: Peaks, index: Index, attention: Path, index_path: Path) -> None:
    """Raise InputError unless the index has parts and attention.h5 belongs to it."""
    if index.part_locations is None or np.isnan(index.part_locations).all():
        raise InputError(
            f"{index_path}: dataset {index.dataset!r} has no annotated parts to localise against"
        )
    if peaks.kind == "attributes" and not index.attribute_parts.any():
        raise InputError(
            f"{index_path}: no attribute of dataset {index.dataset!r} is about an annotated part"
        )
    tests = np.concatenate([index.splits["test_seen"], index.splits["test_unseen"]])
    fits = peaks.identity[0] == index.dataset and np.array_equal(peaks.images, tests)
    fits &= peaks.kind == "parts" or peaks.peaks.shape[1] == len(index.attribute_names)
    fits &= bool(np.isin(peaks.train_images, index.splits["trainval"]).all())
    if not fits:
        maps = f"{peaks.peaks.shape[1]} maps of {len(peaks.images)} test images"
        raise InputError(
            f"{attention}: does not belong to {index_path}: it has dataset {peaks.identity[0]!r}, "
            f"{maps}; run the scoring again"
        )


def annotate(index: Index, rows: np.ndarray, image_root: Path) -> Annotated:
    """Return where the parts of the images ``rows`` lie in their squares; InputError for missing
    images.
    """
    if index.part_locations is None:
        raise InputError(f"dataset {index.dataset!r} has no annotated parts")
    locations = index.part_locations[rows].astype(np.float64)
    sizes = image_sizes(index, rows, image_root)
    return Annotated(places_in_square(locations, sizes), object_sizes(locations, sizes))


def object_sizes(locations: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (n,) longer sides of the boxes around the annotated parts, in sides of the images'
    central squares.

    ``locations`` (n, part, 2), fractions of the images, NaN = absent; ``sizes`` (n, 2) in pixels.
    NaN where fewer than two places are annotated. Parts outside the square count here: they are
    parts of the object.
    """
    absent = np.isnan(locations)
    low = np.where(absent, np.inf, locations).min(axis=1, initial=np.inf)
    high = np.where(absent, -np.inf, locations).max(axis=1, initial=-np.inf)
    longer = ((high - low) * sizes).max(axis=1) / central_squares(sizes)[1][:, 0]
    known: np.ndarray = np.where(longer > 0, longer, np.nan)
    return known


def seek(
    annotated: Annotated, related: np.ndarray, has: np.ndarray, groups: tuple[str, ...]
) -> Sought:
    """Return what is sought where ``has`` (n, m) says that the image has it: counted are the pairs
    with a part of ``related`` (m, part) in the square and an object of known size.
    """
    visible = ~np.isnan(annotated.places).any(axis=2)
    counted = has & (visible @ related.T) & ~np.isnan(annotated.sizes)[:, None]
    return Sought(related, counted, groups)


def near(points: np.ndarray, annotated: Annotated, limit: float) -> np.ndarray:
    """Return (n, m, part) bool: which of the (n or 1, m, 2) points are nearer to which part than
    ``limit`` times the object's size; False where the part or the size is unknown.
    """
    distances = np.linalg.norm(points[:, :, None] - annotated.places[:, None], axis=3)
    nearer: np.ndarray = distances < limit * annotated.sizes[:, None, None]
    return nearer


def assign(peaks: np.ndarray, annotated: Annotated, parts: BodyParts) -> list[int | None]:
    """Return, for each of m maps, the body part that its ``peaks`` (n, m, 2) are within a fifth of
    in most images (the first of equals), None where there is no such image.
    """
    hits = near(peaks, annotated, LIMITS["fifth"]) @ parts.members.T
    counts = hits.sum(axis=0)  # (m, body part)
    chosen: list[int | None] = []
    for row in counts:
        chosen.append(int(row.argmax()) if row.any() else None)
    return chosen


def measure(
    peaks: np.ndarray, cells: np.ndarray, annotated: Annotated, sought: Sought
) -> dict[str, np.ndarray]:
    """Return (n, m) arrays by the names of MEASURES: whether the peak hits, the share of the map's
    cells that would, whether the square's centre does, and whether any cell would; ``cells`` (r,
    2): where the maps' cells look.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, len(peaks), BLOCK)]
    found: dict[str, np.ndarray] = {}
    for name, limit in LIMITS.items():
        pieces = [
            _measure_block(peaks[rows], cells, annotated.part_of(rows), sought.related, limit)
            for rows in blocks
        ]
        for point, values in zip(POINTS, zip(*pieces, strict=True), strict=True):
            found[f"{point}{name}"] = np.concatenate(values)
    return found


def _measure_block(
    peaks: np.ndarray,
    cells: np.ndarray,
    annotated: Annotated,
    related: np.ndarray,
    limit: float,
) -> tuple[np.ndarray, ...]:
    """Return ``measure`` of some images at one limit, in the order of POINTS, each (n, m)."""
    hits = (near(peaks, annotated, limit) & related).any(axis=2)
    # Many attributes, few sets of parts.
    sets, which = np.unique(related, axis=0, return_inverse=True)
    targets = sets.T.astype(np.float32)
    hitting = near(cells[None], annotated, limit).astype(np.float32) @ targets > 0
    centre = near(np.full((1, 1, 2), 0.5), annotated, limit).astype(np.float32) @ targets > 0
    which = which.reshape(-1)  # of one shape in all versions of numpy
    random = hitting.mean(axis=1)[:, which]
    return hits, random, centre[:, 0][:, which], random > 0


def centres_of_cells(shape: tuple[int, int], centres: CellCentres) -> np.ndarray:
    """Return x, y (height * width, 2) of where the cells of a map of ``shape`` (height, width)
    look, row by row, as fractions of the square.
    """
    rows, columns = np.indices(shape).reshape(2, -1)
    return centres.of(np.stack([columns, rows], axis=1))


def shares(
    measured: Mapping[str, np.ndarray],
    annotated: Annotated,
    sought: Sought,
    parts: BodyParts,
    seen: np.ndarray,
) -> list[dict[str, Any]]:
    """Return the entries of localization.json for ``seen`` (n,) and other images; what has no pair
    has none.
    """
    entries = []
    for kind, name, pairs in _groupings(annotated, sought, parts):
        for images, rows in (("seen", seen), ("unseen", ~seen)):
            counted = pairs & rows[:, None]
            if counted.any():
                values = {measure: float(measured[measure][counted].mean()) for measure in MEASURES}
                entry: dict[str, Any] = {"images": images, "of": kind, "name": name}
                entries.append(entry | {"pairs": int(counted.sum())} | values)
    return entries


def _groupings(
    annotated: Annotated, sought: Sought, parts: BodyParts
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (of what, name, (n, m) pairs) of everything that is told apart: overall, groups, body
    parts.
    """
    yield "overall", "", sought.counted
    groups = np.array(sought.groups)
    for group in dict.fromkeys(sought.groups):
        if group:
            yield "group", group, sought.counted & (groups == group)
    visible = ~np.isnan(annotated.places).any(axis=2)
    for name, members in zip(parts.names, parts.members, strict=True):
        yield "part", name, sought.counted & (visible @ (sought.related & members).T)
