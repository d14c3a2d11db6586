"""Images become the feature cache."""

import argparse
import json
from typing import Any

from zslpipe.commands.inputs import compute_of, image_folder


def pretrain(options: argparse.Namespace) -> None:
    """Train the demo's backbone on its auxiliary classes."""
    from zslpipe.features.demo_backbone import pretrain as run
    from zslpipe.machine.devices import device_of

    run(options.images, options.output, str(device_of(compute_of(options))))


def extract(options: argparse.Namespace) -> None:
    """Fill the feature cache of one extractor."""
    from zslpipe.formats.index import read_index

    _extract(options, read_index(options.index))


def extract_irrelevant(options: argparse.Namespace) -> None:
    """Fill a feature file with the task-irrelevant images."""
    from zslpipe.formats.image_list import read_irrelevant_images

    _extract(options, read_irrelevant_images(options.index))


def _extract(options: argparse.Namespace, index: Any) -> None:
    """Fill a feature file with the images of ``index``."""
    from zslpipe.features.extraction import extract_features

    settings = json.loads(options.settings)
    how = json.loads(options.compute).get("extractors", {}).get(settings["name"], {})
    extract_features(
        settings | how,
        index,
        image_folder(options),
        options.weights,
        options.output,
        compute_of(options),
    )


def store(options: argparse.Namespace) -> None:
    """Put pooled features that a dataset's own file holds into the cache."""
    from zslpipe.datasets.adapters.xlsa17 import write_pooled

    write_pooled(
        json.loads(options.settings)["source"], options.index, options.output, options.data_root
    )
