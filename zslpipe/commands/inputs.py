"""Options that several commands share: how to compute, what a run reads, where images lie."""

import argparse
import json
from pathlib import Path
from typing import Any


def compute_of(options: argparse.Namespace) -> Any:
    """Return the Compute of ``--compute`` (JSON, the configuration's section) and ``--threads``."""
    from zslpipe.machine.devices import Compute

    given = json.loads(options.compute)
    # The workflow's threads (a job is told by --threads), and how extractors compute.
    for name in ("extract_threads", "image_threads", "extractors"):
        given.pop(name, None)
    return Compute(**{**given, "threads": options.threads})


def run_inputs(options: argparse.Namespace, spec: dict[str, Any]) -> Any:
    """Return what a run reads: ``--features``, or images for the network of ``--trunk``."""
    from zslpipe.runs.opening import open_source

    return open_source(
        spec,
        options.index,
        options.features,
        image_folder(options),
        options.trunk,
        compute_of(options),
    )


def image_folder(options: argparse.Namespace) -> Path:
    """Return the folder of a dataset's images: ``--images`` under ``--data-root``, or the drawn
    ones beside the index.
    """
    return options.data_root / options.images if options.images else options.index.parent / "images"
