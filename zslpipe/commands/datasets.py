"""What a dataset begins with: its index, its word vectors, its task-irrelevant images."""

from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    INPUT_FILE,
    OUTPUT_FILE,
    check_index,
    compute_of,
    compute_options,
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


_pair_option = click.option(
    "--pair",
    type=INPUT_FILE,
    help="File of the demo's image-text pair, for the encoder demo.",
)


@click.command("encode-texts")
@index_option
@indices_option
@settings_option("encoder", help="The section of the texts, under texts, as JSON.")
@data_root_option
@_pair_option
@output_option(OUTPUT_FILE, help="File of class vectors (.h5) to write; its name is the texts'.")
@compute_options
def encode_texts(
    index: Path,
    indices: dict[str, Any] | None,
    settings: dict[str, Any],
    data_root: Path,
    pair: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write class vectors that a text encoder makes of texts.

    A class's vector is the mean of its texts', each of unit length, at unit length again. The file
    holds every text in full.
    """
    from zslpipe.datasets.texts import Settings, texts_of_classes
    from zslpipe.features.text_encoding import located, write_encoded_classes
    from zslpipe.formats.index import read_index
    from zslpipe.settings import parse_settings

    check_index(index, indices)
    listed, where = read_index(index), f"texts {output.stem!r}"
    chosen = parse_settings(Settings, settings, where)
    texts = texts_of_classes(listed, chosen, data_root, where)
    encoder, weights = located(chosen.encoder, chosen.weights, data_root, pair)
    computed = compute_of(compute, threads)
    write_encoded_classes(listed.dataset, texts, settings, encoder, weights, output, computed)


@click.command("encode-words")
@index_option
@indices_option
@settings_option("kind", "encoder", help="The section of the words, of kind text, as JSON.")
@data_root_option
@_pair_option
@output_option(OUTPUT_FILE, help="words.h5 to write.")
@compute_options
def encode_words(
    index: Path,
    indices: dict[str, Any] | None,
    settings: dict[str, Any],
    data_root: Path,
    pair: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write one word vector an attribute, by a text encoder.

    The vector is that of the attribute's words as one phrase, put into the template.
    """
    from zslpipe.datasets.words import encoded_settings, phrases_of
    from zslpipe.features.text_encoding import located, write_encoded_words
    from zslpipe.formats.index import read_index

    check_index(index, indices)
    where = f"words {output.stem!r}"
    chosen, encoder = encoded_settings(settings, where)
    phrases, report = phrases_of(read_index(index).attribute_names, chosen, data_root, where)
    found = located(encoder, chosen.weights, data_root, pair)
    computed = compute_of(compute, threads)
    write_encoded_words(phrases, report, settings, chosen.source, *found, output, computed)


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
