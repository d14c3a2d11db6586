"""Image files of a dataset: stored paths made relative, files checked, object boxes and part
locations read.
"""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from zslpipe.datasets.reading.spreadsheets import decimal_mark, read_spreadsheet
from zslpipe.datasets.reading.text_files import check_folder, read_lines
from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import counted
from zslpipe.names import KnownNames, same_form
from zslpipe.pictures import FAULTS, fault, measure

logger = logging.getLogger(__name__)

# Folders after which the stored paths of the field's files are the dataset's own: CUB and SUN, AWA2
# and aPY, FLO, aPY.
ANCHORS = ("images", "JPEGImages", "jpg", "ayahoo_test_images")
SHOWN = 5  # files named in an error before the count
PART_COLUMNS = ("image", "part", "x", "y", "visible")  # of a part file, x and y in pixels


def relative_paths(
    stored: Sequence[str], anchors: Sequence[str], root: Path | None, where: str
) -> tuple[str, ...]:
    """Return stored paths from their anchor on, relative to the image folder.

    Stored paths begin with somebody's own folders: what lies behind the last folder that is an
    anchor is kept, with ``//`` and backslashes made ``/``. Where the file is not there but is with
    the anchor before it (a folder that holds ``JPEGImages/``), that is kept. Raises InputError
    where no path holds an anchor that was asked for.
    """
    found = [_behind_anchor(path, anchors) for path in stored]
    met = {anchor for anchor, _ in found if anchor}
    asked = anchors != ANCHORS
    if not met and (asked or any(map(_is_absolute, stored))):
        fault = f"no stored image path has a folder {' or '.join(anchors)}, first {stored[0]}"
        raise InputError(f"{where}: {fault}; set 'anchor'")
    if root is None:
        return tuple(path for _, path in found)
    inside = {anchor for anchor in met if (root / anchor).is_dir()}
    paths = []
    for anchor, path in found:
        with_anchor = anchor in inside and not (root / path).is_file()
        paths.append(f"{anchor}/{path}" if with_anchor else path)
    return tuple(paths)


def _is_absolute(path: str) -> bool:
    """Return whether a path is one from the root of a drive, on this system or on Windows."""
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


def _behind_anchor(stored: str, anchors: Sequence[str]) -> tuple[str, str]:
    """Return the last anchor among a path's folders ("" if none) and what lies behind it."""
    everything = PurePosixPath(stored.replace("\\", "/")).parts
    parts = [part for part in everything if part not in ("/", ".")]
    positions = [position for position, part in enumerate(parts[:-1]) if part in anchors]
    if not positions:
        return "", "/".join(parts)
    return parts[positions[-1]], "/".join(parts[positions[-1] + 1 :])


def check_images(root: Path, paths: Sequence[str], where: str) -> np.ndarray:
    """Return the (image, 2) width and height in pixels of the pictures as shown, from the files'
    headers alone; InputError as :func:`measure_images`.
    """
    return measure_images(root, paths, where)[0]


def measure_images(root: Path, paths: Sequence[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the (image, 2) width and height in pixels of the pictures as shown, and how EXIF says
    that each lies (image,), 1 as stored, else turned to be shown: from the files' headers alone.

    Raises InputError with the first five names and the count where files are missing, or, with the
    reasons, are no images.
    """
    check_folder(root, where)
    found: dict[str, tuple[tuple[int, int], int]] = {}
    missing, unreadable = [], []
    different = dict.fromkeys(paths)
    for path in counted(different, "looking at images", "images", len(different)):
        try:
            found[path] = measure(root / path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            missing.append(path)
        except FAULTS as error:
            unreadable.append(f"{path} ({fault(error, root / path)})")
    for wrong, what in ((missing, "are missing"), (unreadable, "are no images that can be read")):
        if wrong:
            total = len(set(paths))
            named = ", ".join(wrong[:SHOWN])
            raise InputError(
                f"{where}: {len(wrong)} of {total} image files under {root} {what}: {named}"
            )
    sizes = [found[path][0] for path in paths]
    turns = [found[path][1] for path in paths]
    return np.array(sizes, np.int64), np.array(turns, np.int64)


def read_boxes(files: Sequence[Path], paths: Sequence[str], sizes: np.ndarray | None) -> np.ndarray:
    """Return (image, 4) int boxes: left, top, right, bottom in pixels, cut at the image's borders.

    ``files`` are aPY's lists in the order of the dataset's rows: file, class, left, top, right,
    bottom, attributes. Raises InputError where rows do not follow ``paths``, or a box is empty.
    """
    rows = []
    for file in files:
        for number, line in enumerate(read_lines(file), 1):
            rows.append((file, number, line.split()))
    if len(rows) != len(paths):
        lists = f"{files[0]} and {len(files) - 1} more"
        raise InputError(f"{lists}: {len(rows)} boxes for {len(paths)} images")
    boxes = np.zeros((len(paths), 4), np.int64)
    for image, (file, number, words) in enumerate(rows):
        if same_form(PurePosixPath(words[0]).stem) != same_form(PurePosixPath(paths[image]).stem):
            fault = f"box of {words[0]}, but image {image + 1} is {paths[image]}"
            raise InputError(f"{file}, line {number}: {fault}")
        try:
            boxes[image] = [round(float(word)) for word in words[2:6]]
        except ValueError:
            fault = f"four numbers expected after the class: {' '.join(words[:6])}"
            raise InputError(f"{file}, line {number}: {fault}") from None
    boxes[:, :2] = np.maximum(boxes[:, :2], 0)
    if sizes is not None:
        boxes[:, 2:] = np.minimum(boxes[:, 2:], sizes)
    empty = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
    if len(empty):
        file, number, words = rows[empty[0]]
        fault = f"{len(empty)} boxes hold no pixel, first {' '.join(words[:6])}"
        raise InputError(f"{file}, line {number}: {fault}")
    return boxes


def read_parts(
    file: Path, paths: Sequence[str], sizes: np.ndarray, boxes: np.ndarray | None
) -> tuple[tuple[str, ...], np.ndarray, tuple[str, ...]]:
    """Return part names, (image, part, 2) locations and notes from a CSV: image,part,x,y,visible in
    image pixels.

    Locations are fractions of the image, or of its box; NaN where not visible, not given, or
    outside. Raises InputError for other columns, values that are no numbers, or a file that names
    none of the images.
    """
    rows = _part_rows(file)
    names = tuple(dict.fromkeys(row[1] for row in rows))
    known = KnownNames(paths)
    named = dict.fromkeys(row[0] for row in rows)
    image_rows = {image: known.one(image) for image in named}
    part_columns = {name: column for column, name in enumerate(names)}
    locations = np.full((len(paths), len(names), 2), np.nan)
    foreign = {image for image, row in image_rows.items() if row is None}
    for image, part, x, y, visible in rows:
        if visible and image not in foreign:
            locations[image_rows[image], part_columns[part]] = x, y
    if len(foreign) == len(image_rows):
        raise InputError(f"{file}: none of its images is in the dataset, first {rows[0][0]}")
    corner = np.zeros_like(sizes) if boxes is None else boxes[:, :2]
    extent = sizes if boxes is None else boxes[:, 2:] - boxes[:, :2]
    locations = (locations - corner[:, None]) / extent[:, None]
    outside = ((locations < 0) | (locations > 1)).any(axis=2)
    locations[outside] = np.nan
    counts = {
        "images without part locations": len(set(paths)) - len(image_rows) + len(foreign),
        "images of the part file that are not in the dataset": len(foreign),
        "parts outside": int(outside.sum()),
    }
    notes = [f"{file.name}: {count} {what}" for what, count in counts.items() if count]
    return names, locations, tuple(notes)


def _part_rows(file: Path) -> list[tuple[str, str, float, float, bool]]:
    """Return the rows of a part file; raises InputError, naming the line, where one is not as it
    has to be.
    """
    table = read_spreadsheet(file, PART_COLUMNS)
    mark = decimal_mark([cell for row in table.rows for cell in row.cells[2:4]], str(file))
    rows = []
    for row in table.rows:
        try:
            stored, part, x, y, visible = row.cells
            _, image = _behind_anchor(stored, ())
            across, down = (float(cell.replace(mark, ".")) for cell in (x, y))
            rows.append((image, part, across, down, bool(int(visible))))
        except ValueError:
            fault = f"{','.join(PART_COLUMNS)} expected, found {','.join(row.cells)[:80]}"
            raise InputError(f"{file}, line {row.line}: {fault}") from None
    if not rows:
        raise InputError(f"{file}: no rows")
    return rows
