"""What a careful person looks at first: a dataset on one terminal page, ten of its pictures, a bare
split file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.split_files import GENERATIONS, read_split_file
from zslpipe.formats.index import SPLITS, Index
from zslpipe.formats.published_sizes import EXPECTED
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.machine.glyphs import glyphs_told
from zslpipe.pictures import load_picture

WIDTH = 100  # ours: columns of the page
PICTURES = 10


def inspect_dataset(index: Index, image_root: Path | None = None) -> str:
    """Return one page on a dataset: counts, splits, class vectors, attribute groups, classes, what
    was corrected.

    ``image_root`` is the image folder; None where it is not to be looked at. Raises InputError
    where image files are missing.
    """
    images = "no image folder: pooled features only"
    if image_root is not None:
        images = _files(index, image_root)
    elif index.has_images:
        images = "images not looked at (give --images FOLDER)"
    lines = [f"{index.dataset} (adapter {index.adapter})", ""]
    lines += _count_lines(index, images)
    lines += ["split         images  classes  smallest class  largest class"]
    lines += [_split_line(index, name) for name in SPLITS]
    lines += ["", "class vectors     dimensions     lowest    highest  unit length"]
    lines += [_vector_line(kind, vectors) for kind, vectors in index.semantics.items()]
    lines += ["", *_attribute_lines(index), *_part_lines(index), *_class_lines(index)]
    lines += _note_lines(index)
    return "\n".join(lines)


def _count_lines(index: Index, images: str) -> list[str]:
    """Return the numbers of images, with what is said of their files, classes and attributes."""
    kinds = f"{index.seen.sum()} seen ({index.validation.sum()} of them for validation)"
    unseen = int((~index.seen).sum())
    return [
        f"images      {len(index.paths)}; {images}",
        f"classes     {len(index.class_names)}: {kinds}, {unseen} unseen",
        f"attributes  {len(index.attribute_names)}",
        "",
    ]


def _note_lines(index: Index) -> list[str]:
    """Return what was corrected or decided while the dataset was read."""
    if not index.notes:
        return ["nothing had to be corrected while reading"]
    notes = [f"  {note}" for note in index.notes]
    return ["corrected or decided while reading", *notes]


def _files(index: Index, image_root: Path) -> str:
    """Return in words that all image files exist; raises InputError with the first five missing and
    the count.
    """
    missing = [path for path in dict.fromkeys(index.paths) if not (image_root / path).is_file()]
    if missing:
        named = ", ".join(missing[:5])
        fault = f"{len(missing)} image files are missing in {image_root}"
        raise InputError(f"dataset {index.dataset!r}: {fault}: {named}")
    boxed = ", cropped to their boxes" if index.boxes is not None else ""
    return f"all files present in {image_root}{boxed}"


def _split_line(index: Index, name: str) -> str:
    """Return a split's number of images and classes and its classes' extreme sizes."""
    sizes = np.unique(index.labels[index.splits[name]], return_counts=True)[1]
    low, high = (sizes.min(), sizes.max()) if len(sizes) else (0, 0)
    return f"{name:<12}{len(index.splits[name]):>8}{len(sizes):>9}{low:>16}{high:>15}"


def _vector_line(kind: str, vectors: np.ndarray) -> str:
    """Return the shape and range of one kind of class vectors."""
    unit = np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    shape = f"{kind:<18}{vectors.shape[1]:>10}"
    return f"{shape}{vectors.min():>11.3f}{vectors.max():>11.3f}  {'yes' if unit else 'no'}"


def _attribute_lines(index: Index) -> list[str]:
    """Return the attribute groups with their sizes and parts, or the first attributes where there
    are no groups.
    """
    groups = Counter(group for group in index.attribute_groups if group)
    if not groups:
        return ["attributes", *_columns(index.attribute_names, 40), ""]
    told = []
    for group, count in groups.items():
        related = index.attribute_parts[index.attribute_groups.index(group)]
        parts = [index.part_names[number] for number in np.flatnonzero(related)]
        told.append(f"{group} {count}" + (f" ({' + '.join(parts)})" if parts else ""))
    heading = f"attribute groups ({len(groups)}), with their annotated parts"
    return [heading, *_columns(told, len(told)), ""]


def _part_lines(index: Index) -> list[str]:
    """Return the annotated parts with the share of images in which they are visible; nothing where
    there are none.
    """
    if index.part_locations is None:
        return []
    visible = np.isfinite(index.part_locations[..., 0]).mean(axis=0)
    shown = zip(index.part_names, visible, strict=True)
    shares = [f"{name} {100 * share:.0f} %" for name, share in shown]
    return ["parts, and the share of images that show them", *_columns(shares, len(shares)), ""]


def _class_lines(index: Index) -> list[str]:
    """Return all classes with their numbers of images, by kind."""
    counts = np.bincount(index.labels, minlength=len(index.class_names))
    kinds = {
        "seen": index.seen & ~index.validation,
        "validation": index.validation,
        "unseen": ~index.seen,
    }
    lines = []
    for kind, mask in kinds.items():
        named = [f"{index.class_names[number]} {counts[number]}" for number in np.flatnonzero(mask)]
        heading = f"{kind} classes ({len(named)}), with their images"
        lines += [heading, *_columns(named, len(named)), ""]
    return lines


def _columns(words: Sequence[str], most: int) -> list[str]:
    """Return words in columns that fill the page's width, at most ``most`` of them."""
    shown = list(words[:most])
    widest = max(map(len, shown), default=0) + 2
    across = max(1, (WIDTH - 2) // widest)
    rows = [shown[start : start + across] for start in range(0, len(shown), across)]
    lines = []
    for row in rows:
        padded = "".join(word.ljust(widest) for word in row)
        lines.append("  " + padded.rstrip())
    if len(words) > most:
        lines.append(f"  and {len(words) - most} more")
    return lines


def sample_picture(index: Index, image_root: Path, output: Path, seed: int = 0) -> None:
    """Write ten random pictures of a dataset with class and split as one figure, png or svg by the
    name of ``output``.

    Boxes are cropped as at reading. Raises InputError for a picture that cannot be read.
    """
    # Imports in a second: only where a picture is drawn.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(index.paths))[:PICTURES])
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(2, PICTURES // 2).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, row in zip(places, rows.tolist(), strict=False):
        axes.imshow(_pixels(index, image_root, row))
        name = index.class_names[index.labels[row]]
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        # No formula begins at a dollar of a name.
        axes.set_title(f"{shown}\n{_split_of(index, row)}", fontsize=8, parse_math=False)
    with written_whole(output) as temporary, glyphs_told(output):
        figure.savefig(temporary, format=output.suffix[1:], dpi=120)


def _pixels(index: Index, image_root: Path, row: int) -> np.ndarray:
    """Return one image as (height, width, 3) uint8, cropped to its box."""
    box = None if index.boxes is None else index.boxes[row]
    return np.asarray(load_picture(image_root, index.paths[row], box))


def _split_of(index: Index, row: int) -> str:
    """Return the name of the split that holds an image, or "in no split"."""
    return next((name for name in SPLITS[:3] if row in index.splits[name]), "in no split")


def inspect_splits(path: Path) -> str:
    """Return one page on a bare split file: generation, counts, overlaps, class vectors.

    Raises InputError, in one line, where the file cannot be used.
    """
    found = read_split_file(path)
    numbers = found.numbers
    total = sum(len(numbers[name]) for name in SPLITS[:3])
    largest = 1 + max(int(rows.max()) for rows in numbers.values())
    unnamed = "" if any(found.class_names) else " (the file names none)"
    lines = [
        f"{path}",
        f"generation    {found.generation}: {GENERATIONS[found.generation]}",
        f"looks like    {_known_sizes(numbers)}",
        f"images        {total} in trainval, test_seen and test_unseen; largest number {largest}",
        f"classes       {len(found.class_names)}{unnamed}",
    ]
    lines += [f"{name:<14}{len(numbers[name]):>6}" for name in SPLITS if name in numbers]
    lines += ["overlaps      none among trainval, test_seen and test_unseen"]
    lines += [f"corrected     {note}" for note in found.notes]
    lines += [_semantics_line(kind, vectors) for kind, vectors in found.semantics.items()]
    return "\n".join(lines)


def _semantics_line(kind: str, vectors: np.ndarray) -> str:
    """Return what is in one kind of class vectors; -1 is a missing value only among strengths that
    count from 0.
    """
    missing = int((vectors == -1).sum()) if kind == "original_att" else 0
    told = f", {missing} missing values (-1)" if missing else ""
    return f"{kind:<14}{vectors.shape[0]} classes x {vectors.shape[1]}{told}"


def _known_sizes(numbers: Mapping[str, np.ndarray]) -> str:
    """Return the datasets whose published split sizes these are."""
    found = tuple(len(numbers[split]) for split in SPLITS[:3])
    names = []
    for name, sizes in EXPECTED.items():
        if found == (sizes.trainval, sizes.test_seen, sizes.test_unseen):
            names.append(name)
    return f"{' or '.join(names)} by its sizes" if names else "no dataset of published sizes"
