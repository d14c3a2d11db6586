"""What the sub-commands for people do: look at data, compare results, see how far a study is,
archive features.
"""

import argparse
import sys
from pathlib import Path

from zslpipe.commands.inputs import image_folder
from zslpipe.machine.errors import InputError


def inspect_data(options: argparse.Namespace) -> None:
    """Show one page about a dataset or a split file."""
    from zslpipe.datasets.inspection import inspect_dataset, inspect_splits, sample_picture
    from zslpipe.formats.index import read_index

    if options.splits is not None:
        sys.stdout.write(inspect_splits(options.splits) + "\n")
        return
    if options.index is None:
        raise InputError("inspect: name a dataset (or its index.h5), or give --splits FILE.mat")
    path = (
        options.index
        if options.index.suffix == ".h5"
        else Path("results") / options.index / "index.h5"
    )
    options.index = path
    index, images = read_index(path), image_folder(options)
    if options.images is not None and not images.is_dir():
        raise InputError(
            f"inspect: no image folder {images}; --images counts from --data-root ({options.data_root})"
        )
    page = inspect_dataset(index, images if images.is_dir() else None)
    if options.output is None:
        sys.stdout.write(page + "\n")
        if sys.stdout.isatty() and index.has_images:
            needed = "--output FILE.png" if images.is_dir() else "--images FOLDER --output FILE.png"
            sys.stdout.write(f"\nten of its pictures: the same command with {needed}\n")
        return
    if not images.is_dir():
        raise InputError(
            f"inspect: --output draws pictures, and there is no folder {images}; give --images FOLDER"
        )
    options.output.with_suffix(".txt").write_text(page + "\n", encoding="utf8")
    sample_picture(index, images, options.output)


def compare_results(options: argparse.Namespace) -> None:
    """Compare two results over their seeds."""
    from zslpipe.scores.comparison import compare, metrics_of

    sys.stdout.write(compare(metrics_of(options.first), metrics_of(options.second)) + "\n")


def show_status(options: argparse.Namespace) -> None:
    """Show what is done and what is running."""
    from zslpipe.machine.status import status

    sys.stdout.write(status(options.results) + "\n")


def pack_features(options: argparse.Namespace) -> None:
    """Archive a feature file."""
    from zslpipe.features.archive import pack

    pack(options.source, options.target)


def unpack_features(options: argparse.Namespace) -> None:
    """Restore a feature file from its archive."""
    from zslpipe.features.archive import unpack

    unpack(options.source, options.target)
