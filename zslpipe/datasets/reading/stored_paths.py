"""Stored image paths as they are spelt on the disk that they are looked for on."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from zslpipe.names import KnownNames


def on_disk(root: Path | None, paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return paths below ``root``, and a note where some are spelt otherwise there, such as in
    Unicode's other form; a path that fits no file, or several, stays as it is.
    """
    if root is None:
        return tuple(paths), ()
    listed: dict[Path, KnownNames] = {}
    found = tuple(_on_disk(root, path, listed) for path in paths)
    renamed = [both for both in zip(paths, found, strict=True) if both[0] != both[1]]
    if not renamed:
        return found, ()
    first = " as ".join(renamed[0])
    return found, (f"{len(renamed)} stored image paths are spelt otherwise: {first}",)


def _on_disk(root: Path, path: str, listed: dict[Path, KnownNames]) -> str:
    """Return one path as its folders and file are spelt; ``listed`` holds what was looked into."""
    if (root / path).is_file():
        return path
    place = root
    for part in PurePosixPath(path).parts:
        if not place.is_dir():
            return path
        if place not in listed:
            listed[place] = KnownNames(sorted(entry.name for entry in place.iterdir()))
        number = listed[place].one(part)
        if number is None:
            return path
        place = place / listed[place].names[number]
    return place.relative_to(root).as_posix() if place.is_file() else path
