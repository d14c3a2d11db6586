"""What a dataset begins with: its index, its word vectors, its task-irrelevant images."""

import argparse
import importlib
import json


def write_index(options: argparse.Namespace) -> None:
    """Let the dataset's adapter write index.h5."""
    settings = json.loads(options.settings)
    adapter = importlib.import_module(f"zslpipe.datasets.adapters.{settings['adapter']}")
    adapter.write(settings["source"], options.output, options.data_root)


def write_words(options: argparse.Namespace) -> None:
    """Write the attributes' word vectors."""
    from zslpipe.datasets.words import write_words as write

    write(options.index, json.loads(options.settings), options.output, options.data_root)


def list_irrelevant(options: argparse.Namespace) -> None:
    """List task-irrelevant images."""
    from zslpipe.datasets.irrelevant_images import write_irrelevant_images

    write_irrelevant_images(json.loads(options.settings), options.output, options.data_root)
