"""Images to the feature cache: a reader, a mapper and a writer that overlap.

Worker processes decode (reader), the device computes (mapper: inference mode, channels-last, batch
norms folded, autocast on a GPU), a thread writes blocks of 256 images (writer). Memory does not
grow with the dataset: a block is the unit of work. A killed extraction continues at its first
missing block, and one over images of which an earlier feature file knows some takes their rows from
there (:mod:`zslpipe.features.earlier`); either ends with the same bytes.
"""

import collections
import itertools
import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import torch
import torchvision
from pydantic import PositiveInt
from tqdm import tqdm

from zslpipe.features.earlier import (
    EarlierFile,
    Work,
    blocks,
    drop_changed,
    kept_aside,
    open_earlier,
    plan,
)
from zslpipe.features.images import ImageFiles
from zslpipe.features.mapper import Mapped, batch_loader, block_arrays, known, map_batch
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import Storage
from zslpipe.formats.hdf5 import centre_attributes
from zslpipe.formats.index import Index, images_hash
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.interruption import (
    InterruptedExtraction,
    StopRequest,
    stop_requests,
)
from zslpipe.machine.progress import REPORT_SECONDS, ProgressLines, write_progress
from zslpipe.networks.backbones import Trunk, build_trunk, folded, state_hash
from zslpipe.networks.receptive_fields import cell_centres
from zslpipe.provenance import file_hash
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)

# Bounds the memory between mapper and writer (ours): two blocks wait while one is written.
WAITING_BLOCKS = 2


@dataclass(frozen=True)
class Extractor:
    """A named extractor of the configuration; ``weights`` is a name or the path of a file,
    ``features_version`` is raised by hand when the features themselves change, ``dtype`` is the
    GPU's autocast type (a CPU computes in float32).
    """

    name: str
    backbone: str
    weights: str
    size: PositiveInt
    grid: PositiveInt
    features_version: PositiveInt
    layer: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    batch_size: PositiveInt = 32


def extract_features(
    settings: Mapping[str, Any],
    index: Index,
    image_root: Path,
    weights: Path | None,
    output: Path,
    compute: Compute,
) -> None:
    """Fill ``output`` by the extractor ``settings`` of the configuration (with its ``name``);
    ``weights`` is a file's path, None where the settings name weights of the library.

    Raises InputError as :func:`extract` does.
    """
    named = str(weights or settings["weights"])
    extractor = parse_settings(Extractor, {**settings, "weights": named}, "--settings")
    device = device_of(compute)
    # On a CPU half of the cores decode and all compute: decoding is a small part of the work there.
    workers = compute.threads if device.type == "cuda" else max(1, compute.threads // 2)
    extract(index, image_root, extractor, output, device, workers, compute.storage)


def extract(
    index: Index,
    image_root: Path,
    extractor: Extractor,
    output: Path,
    device: torch.device,
    workers: int,
    storage: Storage = "hdf5",
) -> None:
    """Write the region and pooled features of all images of ``index`` to ``output`` (layout:
    :mod:`zslpipe.formats.features`).

    Raises InputError where images are broken or missing (all of them named; nothing is written as
    complete; blocks already done are kept), where the network's map is not ``grid`` x ``grid`` at
    ``size`` px, or where another process writes the same file.
    """
    if not image_root.is_dir():
        raise InputError(f"{image_root}: no such folder of images; give another as images")
    extractor = replace(extractor, dtype="float32") if device.type == "cpu" else extractor
    trunk = build_trunk(extractor.backbone, extractor.weights, extractor.layer)
    attributes = _attributes(extractor, trunk, index)
    trunk = folded(trunk).to(device)
    width = _map_width(trunk, extractor, device)
    images = ImageFiles(image_root, index.paths, index.boxes, extractor.size)
    shapes = {
        "regions": ((len(images), extractor.grid**2, width), "float16"),
        "pooled": ((len(images), width), "float32"),
        "contents": ((len(images),), "uint64"),
    }
    with held_folder(work_folder(output)):
        writer = BlockWriter(work_folder(output), shapes, attributes, storage)
        drop_changed(writer, images, workers)
        earlier = open_earlier(output, attributes)
        with torch.inference_mode():
            broken = _run(trunk, images, extractor, writer, earlier, device, workers)
        if broken:
            found = f"{len(broken)} of {len(images)} images under {image_root} cannot be read"
            raise InputError(f"{found}: {'; '.join(broken)}")
        writer.finish(output)
        kept_aside(output).unlink(missing_ok=True)


def _attributes(extractor: Extractor, trunk: Trunk, index: Index) -> dict[str, Any]:
    """Return the provenance that is stamped on the feature file, from a trunk before folding;
    blocks of another stamp are not continued.
    """
    of_timm, weights = extractor.backbone.startswith("timm/"), Path(extractor.weights)
    centres = cell_centres(trunk, extractor.size)
    return {
        "extractor": extractor.name,
        "backbone": extractor.backbone,
        "weights": weights.name,
        "weights_hash": state_hash(trunk),
        "weights_file": file_hash(weights) if weights.is_file() else "",
        "mean": trunk.mean.flatten().numpy(),
        "deviation": trunk.deviation.flatten().numpy(),
        "size": extractor.size,
        "grid": extractor.grid,
        "layer": extractor.layer or "last map",
        "dtype": extractor.dtype,
        "batch_size": extractor.batch_size,
        "images_hash": images_hash(index),
        "dataset": index.dataset,
        "features_version": extractor.features_version,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pillow": PIL.__version__,
        **({"timm": version("timm")} if of_timm else {}),
        **(centre_attributes(centres) if centres else {}),
    }


def _map_width(trunk: Trunk, extractor: Extractor, device: torch.device) -> int:
    """Return d; raises InputError where the map is not grid x grid."""
    with torch.inference_mode():
        shape = trunk(torch.zeros(1, 3, extractor.size, extractor.size, device=device)).shape
    grid = extractor.grid
    if len(shape) != 4 or shape[2:] != (grid, grid):
        found = "x".join(map(str, shape[2:])) or "no"
        network = f"{extractor.backbone} at {extractor.size} px"
        vector = " (one vector for the whole image)" if shape[2:] == (1, 1) else ""
        raise InputError(
            f"extractor {extractor.name!r}: {network} has a {found} map{vector}, the configuration "
            f"says {grid}x{grid}; change its size, grid or layer"
        )
    return int(shape[1])


def _run(
    trunk: Trunk,
    images: ImageFiles,
    extractor: Extractor,
    writer: BlockWriter,
    earlier: EarlierFile | None,
    device: torch.device,
    workers: int,
) -> list[str]:
    """Read, map and write the missing blocks; return the error texts of broken images."""
    count = blocks(len(images))
    missing = [block for block in range(count) if block not in writer.done]
    if writer.done:
        logger.info("resuming: %d of %d blocks are done", len(writer.done), count)
    work = plan(images, missing, extractor.batch_size, earlier, workers)
    broken: list[str] = []
    waiting: collections.deque[Future[None]] = collections.deque()
    with stop_requests() as request:
        mapped = _map_blocks(trunk, images, extractor, work, device, workers, writer, request)
        with ThreadPoolExecutor(1, "writer") as thread:
            for block, arrays, errors in mapped:
                broken.extend(errors)
                if not errors:
                    waiting.append(thread.submit(writer.write, block, arrays))
                # A failed write (a full disk) is raised here, in the main thread.
                while len(waiting) > WAITING_BLOCKS:
                    waiting.popleft().result()
            for written in waiting:
                written.result()
        if request.made and len(writer.done) < count:
            raise InterruptedExtraction(
                f"extraction {extractor.name}: told to stop; {len(writer.done)} of {count} blocks "
                "are written and the same command goes on from there"
            )
    return broken


def _map_blocks(
    trunk: Trunk,
    images: ImageFiles,
    extractor: Extractor,
    work: Work,
    device: torch.device,
    workers: int,
    writer: BlockWriter,
    request: StopRequest,
) -> Iterator[tuple[int, dict[str, np.ndarray], list[str]]]:
    """Yield (block, arrays, error texts) of each block in order, until a stop is requested; a batch
    never crosses a block, so that its bytes do not depend on resuming.
    """
    every = list(itertools.chain(*work.parts.values()))
    unknown = [part.rows for part in every if not part.digests]
    loader = iter(batch_loader(images, unknown, workers, device))
    dtype = getattr(torch, extractor.dtype)
    total = len(images)
    done = before = total - sum(len(part.rows) for part in every)
    told, reported = f"extraction {extractor.name}", float("-inf")
    lines = ProgressLines(told, "images", total, before)
    with tqdm(
        total=total,
        unit="image",
        desc=extractor.name,
        initial=before,
        mininterval=1.0,
        disable=None,
    ) as bar:
        for block, parts in work.parts.items():
            mapped: list[Mapped] = []
            errors: list[str] = []
            for part in parts:
                if part.digests and work.earlier is not None:
                    mapped.append(known(work.earlier.take(part.digests), device))
                else:
                    pixels, texts, digests = next(loader)
                    mapped.append(map_batch(trunk, pixels, digests, dtype, device))
                    errors += filter(None, texts)
                bar.update(len(part.rows))
                done += len(part.rows)  # the bar counts nothing where it is not shown
                lines.tell(done)
                if time.monotonic() - reported >= REPORT_SECONDS:
                    write_progress(writer.folder, {"what": told, "step": done, "steps": total})
                    reported = time.monotonic()
                if request.made:
                    return
            yield block, block_arrays(mapped, extractor.name), errors
