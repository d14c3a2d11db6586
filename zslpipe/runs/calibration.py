"""A small run that measures what a study's jobs take on this machine: a start, decoding and forward
pass of each extractor, a few steps of each run. The numbers are kept by the caller.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from zslpipe.features.images import ImageFiles
from zslpipe.features.mapper import map_batch
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.machine.stopwatch import Taken, now
from zslpipe.networks.backbones import described_trunk, folded
from zslpipe.runs.rehearsal import LONG_ENOUGH

# What jobs import before they begin: those that decode images (or train: an optimiser imports most
# of what torchvision does), those that compute, and all others.
COMPUTING = "zslpipe.commands.cli, zslpipe.runs.train, zslpipe.runs.opening"
STARTS = {
    "start_images": f"{COMPUTING}, zslpipe.runs.image_inputs, zslpipe.networks.backbones",
    "start_torch": COMPUTING,
    "start_numpy": "zslpipe.commands.cli, zslpipe.formats.scores, zslpipe.settings",
}
# How a command ends (zslpipe.__main__).
END = "from zslpipe.machine.interruption import end_process; end_process(0)"
# The most batches of a forward pass (ours): a second of them, on whatever machine.
MOST_BATCHES = 8


def measured_on(device: str, threads: int) -> Compute:
    """Return where a calibration computes: on a CPU with one thread, whose seconds several threads
    share; waiting for each other they would count more on a machine that is busy.
    """
    given = Compute(device=device, threads=threads)
    return given if device_of(given).type == "cuda" else Compute(device="cpu", threads=1)


def measure_starts() -> dict[str, dict[str, float]]:
    """Return what starts and ends of jobs take, by what they import."""
    found = {}
    for name, modules in STARTS.items():
        begun = now()
        subprocess.run([sys.executable, "-c", f"import {modules}; {END}"], check=True)
        found[name] = asdict(now() - begun)
    return found


def measure_extractor(
    settings: Mapping[str, Any], root: Path, pictures: Sequence[str], compute: Compute
) -> dict[str, Any]:
    """Return what an extraction takes an ``image``, seconds, and the ``width`` of its features.

    The network has random weights, which take as long as others. Raises InputError where its map is
    not as the settings say, and where a picture cannot be read.
    """
    device, size = device_of(compute), settings["size"]
    trunk = folded(described_trunk(settings, "random")).to(device)
    dtype = torch.float32 if device.type == "cpu" else getattr(torch, settings["dtype"])
    files = ImageFiles(root, tuple(pictures), None, size)
    begun = now()
    read = [files.read(row) for row in range(len(files))]
    decoding = (now() - begun).times(1 / len(read))
    faults = [text for _, text, _ in read if text]
    if faults:
        raise InputError(f"pictures to calibrate on cannot be read: {'; '.join(faults[:3])}")
    squares = [read[row % len(read)][0] for row in range(settings["batch_size"])]
    pixels, digests = torch.stack(squares), ["0"] * len(squares)

    def passed(images: int) -> Taken:
        """Return what a forward pass of so many images takes."""
        begun = now()
        with torch.inference_mode():
            mapped = map_batch(trunk, pixels[:images], digests[:images], dtype, device)
            width[:] = [mapped.regions.cpu().shape[2]]
        return now() - begun

    width: list[int] = []
    times = [passed(len(squares))]
    if times[0].worked < LONG_ENOUGH:  # the first passes warm up
        times = [passed(len(squares))]
    while len(times) < MOST_BATCHES and sum(one.worked for one in times) < LONG_ENOUGH:
        times.append(passed(len(squares)))
    # The fastest: what others do on the machine only adds to it.
    fastest = min(times, key=lambda one: one.worked).times(1 / len(squares))
    return {"image": asdict(_together(decoding, fastest, compute, device)), "width": width[0]}


def _together(decoding: Taken, forward: Taken, compute: Compute, device: torch.device) -> Taken:
    """Return what an image takes where some processes decode while the device computes."""
    core = decoding.core + forward.core
    if device.type == "cuda":
        return Taken(core, max(decoding.wall / compute.threads, forward.wall))
    return Taken(core, core / compute.threads)
