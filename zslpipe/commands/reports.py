"""Tables and figures."""

from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    OUTPUT_FOLDER,
    attention_option,
    image_folder,
    image_options,
    index_option,
    output_option,
    run_option,
    runs_option,
)

_tables_option = output_option(OUTPUT_FOLDER, help="Folder of the tables.")
_figure_option = output_option(
    ANY_PATH, help="Figure to write, without ending: it gets .webp and .pdf."
)


@click.command("tables")
@runs_option
@_tables_option
@click.argument("metrics", nargs=-1, required=True, type=INPUT_FILE)
def make_tables(asked: list[str] | None, output: Path, metrics: tuple[Path, ...]) -> None:
    """Write all results as csv, md and tex.

    And their intervals over classes as md and tex. METRICS are the files metrics.json of the runs.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.tables.results import write_intervals, write_tables

    check_hashes(metrics, asked)
    write_tables(metrics, output)
    write_intervals(metrics, output)


@click.command("ranking")
@runs_option
@_tables_option
@click.option(
    "--figure",
    type=ANY_PATH,
    required=True,
    help="Figure to write, without ending: it gets .webp and .pdf.",
)
@click.argument("metrics", nargs=-1, required=True, type=INPUT_FILE)
def make_ranking(
    asked: list[str] | None, output: Path, figure: Path, metrics: tuple[Path, ...]
) -> None:
    """Rank results over three or more datasets.

    Tables and a figure of mean ranks, Friedman's and Nemenyi's test. METRICS are the files
    metrics.json of the runs.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.ranking import ranking_figure
    from zslpipe.reports.tables.ranking import write_ranking_tables

    check_hashes(metrics, asked)
    write_ranking_tables(metrics, output)
    ranking_figure(metrics, figure)


@click.command("localization-tables")
@_tables_option
@click.argument("localizations", nargs=-1, required=True, type=INPUT_FILE)
def make_localization_tables(output: Path, localizations: tuple[Path, ...]) -> None:
    """Write all localisations as csv, md and tex.

    LOCALIZATIONS are the files localization.json of the runs.
    """
    from zslpipe.reports.tables.localization import write_localization_tables

    write_localization_tables(localizations, output)


@click.command("losses")
@_figure_option
@click.argument("histories", nargs=-1, required=True, type=INPUT_FILE)
def draw_losses(output: Path, histories: tuple[Path, ...]) -> None:
    """Draw the loss curves of a method's seeds.

    HISTORIES are the files history.csv of the seeds.
    """
    from zslpipe.reports.figures.losses import loss_curves

    loss_curves(histories, output)


@click.command("curves")
@runs_option
@_figure_option
@click.argument("metrics", nargs=-1, required=True, type=INPUT_FILE)
def draw_curves(asked: list[str] | None, output: Path, metrics: tuple[Path, ...]) -> None:
    """Draw the seen/unseen curves of a dataset's methods.

    METRICS are the files metrics.json of the runs.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.curves import seen_unseen_curves

    check_hashes(metrics, asked)
    seen_unseen_curves(metrics, output)


@click.command("calibration")
@runs_option
@_figure_option
@click.argument("metrics", nargs=-1, required=True, type=INPUT_FILE)
def draw_calibration(asked: list[str] | None, output: Path, metrics: tuple[Path, ...]) -> None:
    """Draw H while seen classes are held back more and more.

    METRICS are the files metrics.json of a dataset's runs.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.calibration import calibration_curves

    check_hashes(metrics, asked)
    calibration_curves(metrics, output)


@click.command("confusion")
@runs_option
@click.option(
    "--class",
    "class_name",
    help="Unseen class to show; default the one of the median confusion.",
)
@_figure_option
@click.argument("matrices", nargs=-1, required=True, type=INPUT_FILE)
def draw_confusion(
    asked: list[str] | None, class_name: str | None, output: Path, matrices: tuple[Path, ...]
) -> None:
    """Draw where the images of an unseen class go.

    MATRICES are the files scores.h5 of a dataset's methods.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.confusions import confusions

    check_hashes(matrices, asked)
    confusions(matrices, output, class_name=class_name)


@click.command("maps")
@attention_option
@run_option
@index_option
@image_options
@_figure_option
def draw_maps(
    attention: Path,
    asked: dict[str, Any] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    output: Path,
) -> None:
    """Draw attention maps over images."""
    from zslpipe.formats.identity import check_run_file
    from zslpipe.reports.figures.attributes import attention_maps

    check_run_file(attention, asked)
    attention_maps(attention, index, image_folder(data_root, images, index), output)


@click.command("parts")
@attention_option
@run_option
@index_option
@image_options
@_figure_option
def draw_parts(
    attention: Path,
    asked: dict[str, Any] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    output: Path,
) -> None:
    """Draw maps of body parts over images."""
    from zslpipe.formats.identity import check_run_file
    from zslpipe.reports.figures.body_parts import part_maps

    check_run_file(attention, asked)
    part_maps(attention, index, image_folder(data_root, images, index), output)


@click.command("channels")
@attention_option
@run_option
@index_option
@image_options
@_figure_option
def draw_channels(
    attention: Path,
    asked: dict[str, Any] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    output: Path,
) -> None:
    """Draw groups of channels over images.

    And the maps that were learnt from the groups.
    """
    from zslpipe.formats.identity import check_run_file
    from zslpipe.reports.figures.channels import channel_maps

    check_run_file(attention, asked)
    channel_maps(attention, index, image_folder(data_root, images, index), output)


@click.command("predictions")
@click.option("--scores", type=INPUT_FILE, required=True, help="scores.h5 before the rebalancing.")
@click.option("--rebalanced", type=INPUT_FILE, required=True, help="scores.h5 after it.")
@runs_option
@index_option
@image_options
@_figure_option
def draw_predictions(
    scores: Path,
    rebalanced: Path,
    asked: list[str] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    output: Path,
) -> None:
    """Draw predictions before and after a rebalancing."""
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.predictions import predictions

    check_hashes([scores, rebalanced], asked)
    predictions(scores, rebalanced, index, image_folder(data_root, images, index), output)


@click.command("grad-cam-figure")
@click.option(
    "--gradcam", type=INPUT_FILE, required=True, help="gradcam.h5, of the command grad-cam."
)
@run_option
@index_option
@image_options
@_figure_option
def draw_grad_cam(
    gradcam: Path,
    asked: dict[str, Any] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    output: Path,
) -> None:
    """Draw Grad-CAM maps over images."""
    from zslpipe.formats.identity import check_run_file
    from zslpipe.reports.figures.gradcam import grad_cam_maps

    check_run_file(gradcam, asked)
    grad_cam_maps(gradcam, index, image_folder(data_root, images, index), output)
