"""Images become the feature cache."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslpipe.commands.inputs import (
    INPUT_FILE,
    INPUT_FOLDER,
    OUTPUT_FILE,
    check_index,
    compute_of,
    compute_options,
    data_root_option,
    extraction_of,
    extractor_of,
    image_folder,
    image_options,
    index_option,
    indices_option,
    output_option,
    settings_option,
)
from zslpipe.machine.errors import InputError

if TYPE_CHECKING:
    from zslpipe.formats.index import Index


class WeightsFile(click.ParamType["Path | None"]):
    """A file of weights, or nothing: the workflow writes the option's value where there is one."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | None:
        """Return the path of a file that exists, None for a value left out."""
        return None if value == "" else INPUT_FILE.convert(value, param, ctx)


# What extract_features reads of an extractor, save weights, for which --weights may stand.
_extractor_option = settings_option(
    *("name", "backbone", "size", "grid"),
    help="The extractor: its name and its section of the configuration, as JSON.",
)
_weights_option = click.option(
    "--weights",
    is_flag=False,
    flag_value="",
    type=WeightsFile(),
    help="File of the network's weights; without a value those that the settings name in the "
    "library.",
)
_features_option = output_option(OUTPUT_FILE, help="Feature file (.h5) to write.")


@click.command("pretrain")
@click.option(
    "--images", type=INPUT_FOLDER, required=True, help="Folder with a folder of pictures a class."
)
@output_option(OUTPUT_FILE, help="File of weights (.pt) to write.")
@compute_options
def pretrain(images: Path, output: Path, compute: dict[str, Any], threads: int) -> None:
    """Train the demo's own backbone.

    It learns from classes that the demo dataset does not have.
    """
    from zslpipe.features.demo_backbone import pretrain as run
    from zslpipe.machine.devices import device_of

    run(images, output, str(device_of(compute_of(compute, threads))))


@click.command("pretrain-pair")
@click.option(
    "--images", type=INPUT_FOLDER, required=True, help="Folder with a folder of pictures a class."
)
@click.option(
    "--captions", type=INPUT_FILE, required=True, help="CSV image,text: what each picture shows."
)
@click.option("--backbone", type=INPUT_FILE, required=True, help="The demo's backbone (.pt).")
@output_option(OUTPUT_FILE, help="File of both towers (.pt) to write.")
@compute_options
def pretrain_pair(
    images: Path,
    captions: Path,
    backbone: Path,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Train the demo's image-text pair, its stand-in for CLIP.

    It learns from pictures of classes that the demo dataset does not have, and their captions.
    """
    from zslpipe.features.demo_pair import pretrain_pair as run
    from zslpipe.machine.devices import device_of

    run(images, captions, backbone, output, str(device_of(compute_of(compute, threads))))


@click.command("extract")
@index_option
@indices_option
@image_options
@_extractor_option
@_weights_option
@_features_option
@compute_options
def extract(
    index: Path,
    indices: dict[str, Any] | None,
    images: Path | None,
    data_root: Path,
    settings: dict[str, Any],
    weights: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Send a dataset's images through a network.

    Writes the feature cache of one extractor. An extraction that is cut off goes on where it was.
    """
    from zslpipe.formats.index import read_index

    if _launched(compute, threads, output):
        return
    check_index(index, indices)
    chosen, file = _chosen(settings, weights, compute)
    listed, folder = read_index(index), image_folder(data_root, images, index)
    _extract(chosen, listed, folder, file, output, compute, threads)


@click.command("extract-irrelevant")
@click.option(
    "--index",
    type=INPUT_FILE,
    required=True,
    help="List of task-irrelevant images, of the command list-irrelevant.",
)
@image_options
@_extractor_option
@_weights_option
@_features_option
@compute_options
def extract_irrelevant(
    index: Path,
    images: Path | None,
    data_root: Path,
    settings: dict[str, Any],
    weights: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Send task-irrelevant images through a network.

    Like extract, for the images of a list instead of an index.
    """
    from zslpipe.formats.image_list import read_irrelevant_images

    if _launched(compute, threads, output):
        return
    chosen, file = _chosen(settings, weights, compute)
    listed, folder = read_irrelevant_images(index), image_folder(data_root, images, index)
    _extract(chosen, listed, folder, file, output, compute, threads)


def _launched(compute: Mapping[str, Any], threads: int, output: Path) -> bool:
    """Return whether this command has been run as several ranks, where ``extract_tasks`` asks for
    that and it is none of them itself.
    """
    from zslpipe.machine.ranks import launch, own_rank

    tasks = extraction_of(compute).extract_tasks
    if tasks == 1 or own_rank(os.environ) is not None:
        return False
    device = str(compute.get("device", "auto"))
    if device.startswith("cuda:"):
        raise InputError(
            f"--compute: device {device!r} names one GPU for {tasks} tasks, of which "
            "each takes one; write cuda, or extract_tasks: 1"
        )
    command = [sys.executable, "-m", "zslpipe", *sys.argv[1:]]
    launch(command, tasks, threads, output, with_gpu=device != "cpu")
    return True


def _extract(
    chosen: Mapping[str, Any],
    listed: "Index",
    folder: Path,
    weights: Path | None,
    output: Path,
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Extract as the rank that this process is, or alone; of several ranks the first tells."""
    from zslpipe.features.extraction import extract_features
    from zslpipe.machine.ranks import ALONE, own_rank

    rank = own_rank(os.environ) or ALONE
    if rank.number:
        logging.getLogger("zslpipe").setLevel(logging.WARNING)
    where = compute_of(compute, rank.threads(threads))
    given = extraction_of(compute)
    laid_out = given.extract_alignment, given.storage
    extract_features(chosen, listed, folder, weights, output, where, rank, *laid_out)


def _chosen(
    settings: Mapping[str, Any], weights: Path | None, compute: Mapping[str, Any]
) -> tuple[dict[str, Any], Path | None]:
    """Return an extractor's settings, with how it computes and in which version, and its file of
    weights where there is one; the workflow gives with ``--compute`` what is no input of its rule.

    Raises InputError where nothing names the network's weights or the version.
    """
    chosen = {**settings, **extractor_of(compute, str(settings["name"]))}
    named = chosen.pop("weights_file", None)
    file = weights or (Path(named) if named else None)
    if file is None and "weights" not in settings:
        raise InputError("no weights: give a file with --weights, or the key weights in --settings")
    if "features_version" not in chosen:
        raise InputError(
            "no features_version: give it in --settings, or in --compute as the workflow does "
            f"(extractors, {settings['name']})"
        )
    return chosen, file


@click.command("store")
@index_option
@indices_option
@settings_option(
    "source", help="The dataset's settings with its own feature file (source), as JSON."
)
@data_root_option
@_features_option
def store(
    index: Path,
    indices: dict[str, Any] | None,
    settings: dict[str, Any],
    data_root: Path,
    output: Path,
) -> None:
    """Take over the features of a dataset's own file.

    For datasets that come with pooled features (the field's res101.mat) and without images.
    """
    from zslpipe.datasets.adapters.xlsa17 import write_pooled

    check_index(index, indices)
    write_pooled(settings["source"], index, output, data_root)
