"""Tables and pictures of studies: what the papers show, and curves of one's own."""

from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    JsonObject,
    output_option,
    runs_option,
)

_layout_option = click.option(
    "--layout",
    type=JsonObject("name", "kind", "rows"),
    required=True,
    help="What the study says of its rows and columns, as JSON; the workflow gives it.",
)
_stem_option = output_option(ANY_PATH, help="What to write, without ending.")


@click.command("study-table")
@_layout_option
@runs_option
@_stem_option
@click.argument("metrics", nargs=-1, type=INPUT_FILE)
def make_study_table(
    layout: dict[str, Any], asked: list[str] | None, output: Path, metrics: tuple[Path, ...]
) -> None:
    """Write a study's rows as csv, md and tex.

    METRICS are the files metrics.json of its runs.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.tables.studies import write_study_table

    check_hashes(metrics, asked)
    write_study_table(layout, metrics, output)


@click.command("study-plot")
@_layout_option
@runs_option
@_stem_option
@click.argument("files", nargs=-1, required=True, type=INPUT_FILE)
def draw_study(
    layout: dict[str, Any], asked: list[str] | None, output: Path, files: tuple[Path, ...]
) -> None:
    """Draw a study: curves of sweeps, bars, entropies.

    FILES are the files metrics.json of its runs; for entropies scores.h5 and irrelevant.h5.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.bars import study_bars
    from zslpipe.reports.figures.entropies import entropy_histograms
    from zslpipe.reports.figures.sweeps import sweep_curves

    check_hashes(files, asked)
    draw = {"curves": sweep_curves, "bars": study_bars, "entropies": entropy_histograms}
    draw[layout["kind"]](layout, files, output)


@click.command("study-sizes")
@_layout_option
@_stem_option
@click.argument("indices", nargs=-1, required=True, type=INPUT_FILE)
def make_sizes(layout: dict[str, Any], output: Path, indices: tuple[Path, ...]) -> None:
    """Write the sizes of datasets as csv, md and tex.

    INDICES are their files index.h5.
    """
    from zslpipe.reports.tables.sizes import write_sizes

    write_sizes(layout, indices, output)
