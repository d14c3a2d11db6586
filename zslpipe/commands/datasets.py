"""What a dataset begins with: its index, its word vectors, its task-irrelevant images."""

from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    OUTPUT_FILE,
    check_index,
    data_root_option,
    index_option,
    indices_option,
    module_named,
    output_option,
    settings_option,
)


@click.command("index")
@settings_option(
    *("adapter", "source"),
    help="The dataset's adapter and the adapter's own settings (source), as JSON.",
)
@data_root_option
@output_option(OUTPUT_FILE, help="index.h5 to write; its folder names the dataset.")
def write_index(settings: dict[str, Any], data_root: Path, output: Path) -> None:
    """Read a dataset's files into index.h5.

    The index holds the images' names and classes, the splits, the class vectors and, where the
    dataset has them, parts and boxes. All other commands read it and nothing else of the dataset
    but its images.
    """
    adapter = module_named("zslpipe.datasets.adapters", settings["adapter"], "--settings: adapter")
    adapter.write(settings["source"], output, data_root)


@click.command("words")
@index_option
@indices_option
@settings_option("kind", help="Where the word vectors come from, as JSON.")
@data_root_option
@output_option(OUTPUT_FILE, help="words.h5 to write.")
def write_words(
    index: Path,
    indices: dict[str, Any] | None,
    settings: dict[str, Any],
    data_root: Path,
    output: Path,
) -> None:
    """Write one word vector an attribute.

    A vector is the mean over the words of the attribute's name that the source knows.
    """
    from zslpipe.datasets.words import write_words as write

    check_index(index, indices)
    write(index, settings, output, data_root)


@click.command("list-irrelevant")
@settings_option("images", help="Folder of images and the classes to drop, as JSON.")
@data_root_option
@output_option(OUTPUT_FILE, help="List of images (.h5) to write.")
def list_irrelevant(settings: dict[str, Any], data_root: Path, output: Path) -> None:
    """List task-irrelevant images.

    These are images of none of the dataset's classes, from which a rebalancing learns.
    """
    from zslpipe.datasets.irrelevant_images import write_irrelevant_images

    write_irrelevant_images(settings, output, data_root)
