"""Rows of an earlier feature file that need no computing: those of images whose contents are known.

Equal bytes with an extraction from nothing need more than equal images: what a network computes may
differ in its last bits with the size of the batch. So only whole batches of the full size are
taken, of images that were computed in such; a batch with one unknown image is computed whole. For
the same reason all that is stamped has to be equal, the versions of the libraries too: a file that
says one version holds no row of another.
"""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.features.images import ImageFiles
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import counted

logger = logging.getLogger(__name__)


def kept_aside(output: Path) -> Path:
    """Return where the workflow keeps the earlier file while ``output`` is made again: a second
    name (hard link) of the same bytes.
    """
    return output.with_name(f".{output.name.removesuffix('.h5')}.before")


class EarlierFile:
    """The rows of a complete feature file by the digest of their images' contents.

    Left out are rows of batches smaller than ``batch_size`` and of damaged blocks.
    """

    def __init__(self, file: FeatureFile, batch_size: int):
        self.file = file
        self.intact = cache(self._is_intact)
        self.rows: dict[int, int] = {}
        if file.digests is None:
            return
        digests = file.digests[:].tolist()
        for rows in batches(len(digests), batch_size):
            if len(rows) == batch_size:
                self.rows.update((digests[row], row) for row in rows)

    def _is_intact(self, block: int) -> bool:
        """Return whether a block's bytes have the checksum that was written with them."""
        try:
            for name in self.file.rows:
                self.file.check_rows(name, np.array([block * features.BLOCK]))
        except InputError:
            return False
        return True

    def holds(self, digests: Iterable[int]) -> bool:
        """Return whether images of all these digests are known."""
        rows = [self.rows.get(digest) for digest in digests]
        return all(row is not None and self.intact(row // features.BLOCK) for row in rows)

    def take(self, digests: Sequence[int]) -> dict[str, np.ndarray]:
        """Return the rows of known images by the name of their dataset."""
        rows = [self.rows[digest] for digest in digests]
        regions, pooled = self.file.maps(pooled=False), self.file.maps(pooled=True)
        return {
            "regions": regions[rows],
            "pooled": pooled[rows],
            "contents": np.array(digests, np.uint64),
        }


def batches(images: int, size: int) -> list[list[int]]:
    """Return the numbers of all images in batches of ``size`` that cross no block."""
    every = range(features.count_blocks(images))
    return list(itertools.chain(*(block_batches(block, images, size) for block in every)))


def rows_of(listed: Iterable[int], images: int) -> list[int]:
    """Return the numbers of the images of the ``listed`` blocks."""
    ranges = [range(block * features.BLOCK, (block + 1) * features.BLOCK) for block in listed]
    return [row for row in itertools.chain(*ranges) if row < images]


def block_batches(block: int, images: int, size: int) -> list[list[int]]:
    """Return the numbers of a block's images in batches of ``size``, the last one shorter."""
    end = min((block + 1) * features.BLOCK, images)
    starts = range(block * features.BLOCK, end, size)
    return [list(range(start, min(start + size, end))) for start in starts]


def open_earlier(output: Path, attributes: Mapping[str, Any]) -> EarlierFile | None:
    """Return the earlier file that lies at ``output`` or is kept aside for it, None where there is
    none whose stamps are ``attributes`` but for the list of images.
    """
    for path in (kept_aside(output), output):
        if not path.is_file():
            continue
        try:
            file = FeatureFile(path, features.store_beside(output))
        except InputError as error:
            logger.info("nothing is taken from the earlier features: %s", error)
            continue
        other = _differing(file.attributes, attributes)
        if not other and file.digests is not None and file.checksums.size:
            return EarlierFile(file, int(attributes["batch_size"]))
        logger.info("nothing is taken from the earlier features: other %s", ", ".join(other))
        # Nobody else asks for what is kept aside: its room on the disk is needed now.
        kept_aside(output).unlink(missing_ok=True)
    return None


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the stamps in which two feature files differ, apart from which images they hold."""
    names = (found.keys() | wanted.keys()) - {"images_hash", "complete"}
    return sorted(name for name in names if str(found.get(name)) != str(wanted.get(name)))


def digests_now(images: ImageFiles, rows: Sequence[int], workers: int) -> list[int]:
    """Return the digests of images as their files are now, read by ``workers`` threads."""
    with ThreadPoolExecutor(max(1, workers), "digests") as threads:
        found = threads.map(images.digest, rows)
        return list(counted(found, "comparing images", "images", len(rows)))


@dataclass(frozen=True)
class Part:
    """A batch of images, by their numbers; ``digests`` where an earlier file holds all of them."""

    rows: list[int]
    digests: list[int]


@dataclass(frozen=True)
class Work:
    """The batches of each block that is to be written, and the earlier file that holds some."""

    parts: dict[int, list[Part]]
    earlier: EarlierFile | None


def plan(
    images: ImageFiles, missing: Sequence[int], size: int, earlier: EarlierFile | None, workers: int
) -> Work:
    """Return the batches of ``size`` of the ``missing`` blocks, those marked that are known."""
    parts = {}
    for block in missing:
        parts[block] = [Part(rows, []) for rows in block_batches(block, len(images), size)]
    if earlier is None:
        return Work(parts, None)
    taken = 0
    for listed in parts.values():
        full = [part for part in listed if len(part.rows) == size]
        rows = [row for part in full for row in part.rows]
        digests = digests_now(images, rows, workers)
        for number, part in enumerate(full):
            found = digests[number * size : (number + 1) * size]
            if earlier.holds(found):
                part.digests.extend(found)
                taken += size
    logger.info("%d of %d images are taken from the earlier features", taken, len(images))
    return Work(parts, earlier)


def drop_changed(writer: BlockWriter, images: ImageFiles, workers: int) -> None:
    """Make an extraction that is resumed forget the blocks whose images have changed since."""
    for block in sorted(writer.done):
        if digests_now(images, rows_of([block], len(images)), workers) != writer.contents(block):
            writer.drop(block)
            logger.info("block %d is computed again: its images have changed since", block)
