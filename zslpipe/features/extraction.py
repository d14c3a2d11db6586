"""Images to the feature cache: a reader, a mapper and a writer that overlap.

Worker processes decode (reader), the device computes (mapper: inference mode, channels-last, batch
norms folded, autocast on a GPU), a thread writes blocks of 256 images (writer). Memory does not
grow with the dataset: a block is the unit of work. A killed extraction continues at its first
missing block, one over images of which an earlier feature file knows some takes their rows from
there (:mod:`zslpipe.features.earlier`), and several ranks do a part each
(:mod:`zslpipe.features.ranks`): all end with the same bytes.
"""

import collections
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zslpipe.features.earlier import (
    EarlierFile,
    Work,
    drop_changed,
    kept_aside,
    open_earlier,
    plan,
    rows_of,
)
from zslpipe.features.extraction_progress import ExtractionProgress
from zslpipe.features.extractor import Extractor, feature_stamps, widths
from zslpipe.features.images import ImageFiles
from zslpipe.features.mapper import Mapped, batch_loader, block_arrays, known, map_batch
from zslpipe.features.ranks import Team, share
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import count_blocks
from zslpipe.formats.index import Index
from zslpipe.formats.slabs import PAGE
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.interruption import (
    InterruptedExtraction,
    StopRequest,
    started,
    stop_requests,
)
from zslpipe.machine.ranges import Storage
from zslpipe.machine.ranks import ALONE, Rank
from zslpipe.networks.backbones import Trunk, build_trunk, folded
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)

# Bounds the memory between mapper and writer (ours): two blocks wait while one is written.
WAITING_BLOCKS = 2


@dataclass(frozen=True)
class Job:
    """The computing part of an extraction, the same for all ranks."""

    trunk: Trunk
    images: ImageFiles
    extractor: Extractor
    device: torch.device
    workers: int


def extract_features(
    settings: Mapping[str, Any],
    index: Index,
    image_root: Path,
    weights: Path | None,
    output: Path,
    compute: Compute,
    rank: Rank = ALONE,
    alignment: int = PAGE,
    storage: Storage = "hdf5",
) -> None:
    """Fill ``output`` by the extractor ``settings`` of the configuration (with its ``name``);
    ``weights`` is a file's path, None where the settings name weights of the library.

    Raises InputError as :func:`extract` does.
    """
    named = str(weights or settings["weights"])
    extractor = parse_settings(Extractor, {**settings, "weights": named}, "--settings")
    device = device_of(compute, rank.count if rank.shares else 1)
    # On a CPU half of the cores decode and all compute: decoding is a small part of the work there.
    workers = compute.threads if device.type == "cuda" else max(1, compute.threads // 2)
    extract(index, image_root, extractor, output, device, workers, rank, alignment, storage)


def extract(
    index: Index,
    image_root: Path,
    extractor: Extractor,
    output: Path,
    device: torch.device,
    workers: int,
    rank: Rank = ALONE,
    alignment: int = PAGE,
    storage: Storage = "hdf5",
) -> None:
    """Write the region and pooled features of all images of ``index`` to ``output`` (layout:
    :mod:`zslpipe.formats.features`), or, as one of several ranks, a part of them; its parts begin
    at multiples of ``alignment`` bytes.

    Raises InputError where images are broken or missing (all of them named; nothing is written as
    complete; blocks already done are kept), where the network's map is not ``grid`` x ``grid`` at
    ``size`` px, or where another run writes the same file.
    """
    if not image_root.is_dir():
        raise InputError(f"{image_root}: no such folder of images; give another as images")
    with Team(work_folder(output), rank) as team:
        missing: list[int] = []
        if rank.number:
            missing = team.missing()
            team.begin()
        extractor = replace(extractor, dtype="float32") if device.type == "cpu" else extractor
        trunk = build_trunk(
            *(extractor.backbone, extractor.weights, extractor.layer),
            *(extractor.size, extractor.pooled),
        )
        attributes = feature_stamps(extractor, trunk, index)
        trunk = folded(trunk).to(device)
        width, whole = widths(trunk, extractor, device)
        images = ImageFiles(image_root, index.paths, index.boxes, extractor.size)
        shapes = {
            "regions": ((len(images), extractor.grid**2, width), "float16"),
            "pooled": ((len(images), whole), "float32"),
            "contents": ((len(images),), "uint64"),
        }
        job = Job(trunk, images, extractor, device, workers)
        make = partial(BlockWriter, team.folder, shapes, attributes, rank, alignment, storage)
        if rank.number:
            _run(job, make(), open_earlier(output, attributes), team, missing)
        else:
            _lead(job, make, output, attributes, team)


def _lead(
    job: Job,
    make: Callable[[], BlockWriter],
    output: Path,
    attributes: Mapping[str, Any],
    team: Team,
) -> None:
    """Begin or continue the file, do this rank's part, wait for the others and complete it."""
    with held_folder(team.folder):
        team.begin()
        writer = make()
        drop_changed(writer, job.images, job.workers)
        count = count_blocks(len(job.images))
        missing = [block for block in range(count) if block not in writer.done]
        if writer.done:
            logger.info("resuming: %d of %d blocks are done", len(writer.done), count)
        team.go(missing)
        broken = _run(job, writer, open_earlier(output, attributes), team, missing)
        if broken:
            texts = list(itertools.chain(*(broken[block] for block in sorted(broken))))
            found = f"{len(texts)} of {len(job.images)} images under {job.images.root}"
            raise InputError(f"{found} cannot be read: {'; '.join(texts)}")
        team.hush()  # a word behind the removal of the folder would make it anew
        writer.finish(output)
        kept_aside(output).unlink(missing_ok=True)


def _run(
    job: Job,
    writer: BlockWriter,
    earlier: EarlierFile | None,
    team: Team,
    missing: Sequence[int],
) -> dict[int, list[str]]:
    """Read, map and write this rank's part of the missing blocks; return the error texts of broken
    images by block, those of all ranks where it is rank 0.
    """
    own = share(missing, writer.together, team.rank)
    total, size = len(job.images), job.extractor.batch_size
    work = plan(job.images, own, size, earlier, job.workers)
    before = total - len(rows_of(missing, total))
    told = ExtractionProgress(job.extractor.name, total, before, team)
    with torch.inference_mode(), stop_requests() as request, told.bar:
        broken = _write_blocks(_map_blocks(job, work, told, request), writer, team)
        ended = all(block in writer.done or block in broken for block in own)
        if ended and team.rank.number:
            team.leave(broken)
        elif ended:
            ended = team.wait(request, told.tell)
        if request.made and not (ended and not broken):
            count = count_blocks(total)
            written = count - len(missing) + team.blocks + team.others("blocks")
            raise InterruptedExtraction(
                f"extraction {job.extractor.name}: told to stop; {written} of {count} "
                "blocks are written and the same command goes on from there"
            )
    return {**broken, **team.broken}


def _write_blocks(
    mapped: Iterator[tuple[int, dict[str, np.ndarray], list[str]]], writer: BlockWriter, team: Team
) -> dict[int, list[str]]:
    """Write what is mapped, in a thread; return the error texts of broken images by block."""
    broken: dict[int, list[str]] = {}
    waiting: collections.deque[Future[None]] = collections.deque()
    with ThreadPoolExecutor(1, "writer") as thread:
        for block, arrays, errors in mapped:
            if errors:
                broken[block] = errors
            elif not team.is_on():
                raise InputError(f"{writer.folder}: another run writes here; see which one goes on")
            else:
                waiting.append(thread.submit(writer.write, block, arrays))
            # A failed write (a full disk) is raised here, in the main thread.
            while len(waiting) > WAITING_BLOCKS:
                waiting.popleft().result()
                team.blocks += 1
        for written in waiting:
            written.result()
            team.blocks += 1
    return broken


def _map_blocks(
    job: Job, work: Work, told: ExtractionProgress, request: StopRequest
) -> Iterator[tuple[int, dict[str, np.ndarray], list[str]]]:
    """Yield (block, arrays, error texts) of each block in order, until a stop is requested; a batch
    never crosses a block, so that its bytes do not depend on resuming.
    """
    every = itertools.chain(*work.parts.values())
    unknown = [part.rows for part in every if not part.digests]
    loader = started(batch_loader(job.images, unknown, job.workers, job.device))
    dtype = getattr(torch, job.extractor.dtype)
    for block, parts in work.parts.items():
        mapped: list[Mapped] = []
        errors: list[str] = []
        for part in parts:
            if part.digests and work.earlier is not None:
                mapped.append(known(work.earlier.take(part.digests), job.device))
            else:
                pixels, texts, digests = next(loader)
                mapped.append(map_batch(job.trunk, pixels, digests, dtype, job.device))
                errors += filter(None, texts)
            told.add(len(part.rows))
            if request.made:
                return
        yield block, block_arrays(mapped, job.extractor.name), errors
