"""The page of all results."""

from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    OUTPUT_FILE,
    JsonObject,
    data_root_option,
    image_folder,
    output_option,
)


@click.command("report")
@click.option(
    "--configuration", type=JsonObject(), required=True, help="The study as configured, as JSON."
)
@click.option(
    "--images",
    "folders",
    type=JsonObject(),
    required=True,
    help="Dataset to its folder of images under --data-root, as JSON; an empty one is the folder "
    "'images' beside the index. Of other datasets no picture is shown.",
)
@data_root_option
@click.option(
    "--benchmarks", type=ANY_PATH, required=True, help="Folder of what Snakemake measured of jobs."
)
@click.option("--studies", type=ANY_PATH, required=True, help="Folder of studies that were run.")
@output_option(OUTPUT_FILE, help="The page to write.")
@click.argument("files", nargs=-1, required=True, type=INPUT_FILE)
def write_report(
    configuration: dict[str, Any],
    folders: dict[str, Any],
    data_root: Path,
    benchmarks: Path,
    studies: Path,
    output: Path,
    files: tuple[Path, ...],
) -> None:
    """Write the page of all results.

    FILES are what it shows: main.csv, metrics.json, history.csv, attention.h5 ... of runs, index.h5
    of the datasets, figures.
    """
    from zslpipe.reports.page.given import Given, sorted_files
    from zslpipe.reports.page.page import write_page

    found = sorted_files(files)
    images = {}
    for index in found["index.h5"]:
        name = index.parent.name
        if name in folders:
            images[name] = image_folder(data_root, folders[name] or None, index)
    given = Given(found, images, configuration, benchmarks, studies)
    write_page(given, output)
