"""What the sub-commands for people do: look at data, compare results, see how far a study is,
archive features.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    INPUT_FOLDER,
    OUTPUT_FILE,
    image_folder,
    image_options,
)
from zslpipe.machine.errors import InputError

if TYPE_CHECKING:
    from zslpipe.formats.index import Index


@click.command("inspect")
@click.argument("index", required=False, type=ANY_PATH)
@image_options
@click.option(
    "--output", type=OUTPUT_FILE, help="Picture of ten images to draw (.png), the page beside it."
)
@click.option("--splits", type=INPUT_FILE, help="Look at this att_splits.mat instead of a dataset.")
def inspect_data(
    index: Path | None,
    images: Path | None,
    data_root: Path,
    output: Path | None,
    splits: Path | None,
) -> None:
    """Show one page about a dataset or a split file.

    INDEX is an index.h5, or the name of a dataset under results/.
    """
    from zslpipe.datasets.inspection import inspect_splits
    from zslpipe.formats.index import read_index

    if splits is not None:
        click.echo(inspect_splits(splits))
        return
    if index is None:
        raise InputError("inspect: name a dataset (or its index.h5), or give --splits FILE.mat")
    path = _index_path(index)
    dataset, folder = read_index(path), image_folder(data_root, images, path)
    if images is not None and not folder.is_dir():
        counted = f"--images counts from --data-root ({data_root})"
        raise InputError(f"inspect: no image folder {folder}; {counted}")
    if output is None:
        _show_page(dataset, folder)
    else:
        _draw_page(dataset, folder, output)


def _index_path(named: Path) -> Path:
    """Return the index.h5 that is named: itself, its folder, or its dataset under results/."""
    if named.suffix == ".h5" or named.is_file():
        return named
    return (named if named.is_dir() else Path("results") / named) / "index.h5"


def _show_page(dataset: "Index", folder: Path) -> None:
    """Write the page to the terminal, with the images looked at where their folder exists."""
    from zslpipe.datasets.inspection import inspect_dataset

    found = folder.is_dir()
    click.echo(inspect_dataset(dataset, folder if found else None))
    if sys.stdout.isatty() and dataset.has_images:
        needed = "--output FILE.png" if found else "--images FOLDER --output FILE.png"
        click.echo(f"\nten of its pictures: the same command with {needed}")


def _draw_page(dataset: "Index", folder: Path, output: Path) -> None:
    """Write the page as text and, beside it, the picture ``output``."""
    from zslpipe.datasets.inspection import inspect_dataset, sample_picture
    from zslpipe.machine.files import written_whole

    if not folder.is_dir():
        drawn = "inspect: --output draws pictures, and there is no folder"
        raise InputError(f"{drawn} {folder}; give --images FOLDER")
    if output.suffix not in (".png", ".svg"):
        raise InputError(f"inspect: --output {output} names no picture; end it in .png or .svg")
    page = inspect_dataset(dataset, folder)
    with written_whole(output.with_suffix(".txt")) as temporary:
        temporary.write_text(page + "\n", encoding="utf8")
    sample_picture(dataset, folder, output)


@click.command("compare")
@click.argument("first", type=INPUT_FOLDER)
@click.argument("second", type=INPUT_FOLDER)
def compare_results(first: Path, second: Path) -> None:
    """Compare two results: mean, spread, difference.

    FIRST and SECOND are folders of a run with seed*/metrics.json, such as
    results/{dataset}/runs/{method}/{variant}.
    """
    from zslpipe.scores.comparison import compare, metrics_of

    click.echo(compare(metrics_of(first), metrics_of(second)))


@click.command("pack")
@click.argument("source", type=INPUT_FILE)
@click.argument("target", type=ANY_PATH)
def pack_features(source: Path, target: Path) -> None:
    """Archive a feature file as zarr.

    SOURCE is a complete feature file (.h5), TARGET the archive to write (.zarr).
    """
    from zslpipe.features.archive import pack

    pack(source, target)


@click.command("unpack")
@click.argument("source", type=INPUT_FOLDER)
@click.argument("target", type=OUTPUT_FILE)
def unpack_features(source: Path, target: Path) -> None:
    """Make the feature file of an archive again.

    SOURCE is an archive that pack wrote (.zarr), TARGET the feature file to write (.h5).
    """
    from zslpipe.features.archive import unpack

    unpack(source, target)


@click.command("rehash")
@click.argument("features", type=INPUT_FILE)
@click.option(
    "--index",
    type=INPUT_FILE,
    help="The dataset's index.h5; without it the one in the folder above the features' own.",
)
@image_options
def rehash_images(features: Path, index: Path | None, images: Path | None, data_root: Path) -> None:
    """Check that images are those the features were computed from.

    Reads every image file; the workflow itself watches sizes and times of modification. FEATURES is
    a complete feature file (.h5).
    """
    from zslpipe.features.rehash import rehash
    from zslpipe.formats.features import FeatureFile
    from zslpipe.formats.index import read_index

    FeatureFile(features)  # told first where it is another file
    path = index or features.parent.parent / "index.h5"
    folder = image_folder(data_root, images, path)
    if not folder.is_dir():
        raise InputError(f"rehash: no image folder {folder}; give --images and --data-root")
    click.echo(rehash(features, read_index(path), folder))


@click.command("status")
@click.argument("results", required=False, type=ANY_PATH, default=Path("results"))
@click.option(
    "--watch", "watched", is_flag=True, help="Show it again and again until the run is over."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    help="Seconds between two looks, with --watch.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_status(results: Path, watched: bool, every: float, as_json: bool) -> None:
    """Show what is done, running, queued and failed, and how long it will take.

    RESULTS is the folder of results, by default results. Reads its files and Snakemake's log alone;
    no job is asked. Time left: mean times of jobs of the same rule, in this run or earlier ones.
    """
    from zslpipe.machine.overview import overview
    from zslpipe.machine.status import states
    from zslpipe.machine.watching import view, watch

    if watched and as_json:
        raise InputError("status: --watch is for people, --json for programs; give one")
    if watched:
        watch(results, every, click.echo)
    elif as_json:
        found, run = states(results), overview(results)
        told = {"jobs": found.jobs, "runs": found.runs, "counts": found.counts}
        whole = {"snakemake": run.as_json() if run else None, **told}
        click.echo(json.dumps(whole, indent=1))
    else:
        click.echo(view(results))


@click.command("verify")
@click.argument("results", required=False, type=INPUT_FOLDER, default=Path("results"))
def verify_results(results: Path) -> None:
    """Look for damage in all files of a study.

    RESULTS is the folder of results, by default results. Every byte that has a checksum is read; a
    line for each damaged file says which job to run again.
    """
    from zslpipe.formats.verification import verify

    found = verify(results)
    for line in (*found.damaged, *found.unread):
        click.echo(" ".join(line.split()))
    told = f"{found.files} files, {found.size / 1e9:.2f} GB, {found.seconds:.1f} s"
    if found.without_seal:
        told += f"; {found.without_seal} have no seal (an earlier version or another program wrote"
        told += " them): they can be read, their bytes were not compared"
    if found.damaged:
        raise InputError(f"{len(found.damaged)} damaged of {told}")
    if found.unread:
        raise InputError(
            f"{len(found.unread)} could not be looked at, no damage in the rest: {told}"
        )
    click.echo(f"no damage: {told}")
