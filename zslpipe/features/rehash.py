"""Whether image files are still those that features were computed from, by their contents: what no
look at sizes and times can tell. Imports no torch.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import Index, images_hash
from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import counted
from zslpipe.pictures import read_digest

SHOWN = 5  # files named before the count
READERS = 4  # threads (ours): hashing keeps up with a disk, not with a network drive


def rehash(features: Path, index: Index, image_root: Path) -> str:
    """Return one line: that all images of ``index`` are those of the feature file.

    Reads every image's bytes. Raises InputError, in one line with counts and first names, where
    images differ or are missing, and where the file holds no digests or other images than the
    index.
    """
    file = FeatureFile(features)
    if file.digests is None:
        raise InputError(
            f"{features}: does not say what its images held (stored features, or extracted by an "
            "earlier version); extract them again"
        )
    if file.attributes.get("images_hash") != images_hash(index):
        raise InputError(
            f"{features}: computed from other images than those of the index of {index.dataset!r}; "
            "run snakemake"
        )
    found = _digests(index, image_root)
    missing = [path for path, digest in zip(index.paths, found, strict=True) if digest == 0]
    differ = []
    for path, now, then in zip(index.paths, found, file.digests[:].tolist(), strict=True):
        if now not in (0, then):
            differ.append(path)
    if not missing and not differ:
        return f"{features}: all {len(found)} images are those it was computed from"
    told = [*_told("differ", differ), *_told("are missing or unreadable", missing)]
    advice = "touch those that differ and run snakemake: it extracts them again"
    if missing:
        advice += ", and takes those that are gone out of the index; or put them back"
    raise InputError(f"{features}: of {len(found)} images {'; '.join(told)}; {advice}")


def _digests(index: Index, root: Path) -> list[int]:
    """Return the digests of the contents of an index's images as they are now, 0 where one cannot
    be read.
    """

    def digest(row: int) -> int:
        box = None if index.boxes is None else index.boxes[row].tolist()
        return read_digest(root / index.paths[row], box)

    with ThreadPoolExecutor(READERS, "digests") as threads:
        count = len(index.paths)
        found = threads.map(digest, range(count))
        return list(counted(found, "rehash", "images", count))


def _told(what: str, paths: Sequence[str]) -> list[str]:
    """Return how many ``paths`` there are and the first ones, nothing where there are none."""
    if not paths:
        return []
    more = ", ..." if len(paths) > SHOWN else ""
    return [f"{len(paths)} {what}: {', '.join(paths[:SHOWN])}{more}"]
