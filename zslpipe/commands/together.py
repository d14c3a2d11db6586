"""What jobs of the workflow make together: rebalancings of a run, evaluations, localisations and
figures of a dataset.
"""

import json
from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    INPUT_FILE,
    OUTPUT_FILE,
    OUTPUT_FOLDER,
    JsonObject,
    image_folder,
    image_options,
    index_option,
    output_option,
    run_option,
    runs_option,
)
from zslpipe.commands.scores import scores_option


@click.command("rebalance-run")
@click.option(
    "--kinds",
    type=JsonObject(),
    required=True,
    help="Kinds of rebalancing and the settings of each, as JSON.",
)
@scores_option
@run_option
@click.option("--validation", type=INPUT_FILE, help="validation.h5, for kinds that choose on it.")
@click.option("--irrelevant", type=INPUT_FILE, help="irrelevant.h5, for kinds that learn from it.")
@output_option(OUTPUT_FOLDER, help="Folder of the seed: each kind gets a folder in it.")
def rebalance_run(
    kinds: dict[str, Any],
    scores: Path,
    asked: dict[str, Any] | None,
    validation: Path | None,
    irrelevant: Path | None,
    output: Path,
) -> None:
    """Rebalance a run in several ways, and evaluate each.

    Scores that a kind has made already of the same scores, with the same settings, stay.
    """
    from zslpipe.formats.identity import check_run_file
    from zslpipe.machine.files import check_not_of_the_future
    from zslpipe.scores.rebalancings import rebalance_run as run

    check_not_of_the_future((scores, validation, irrelevant))
    for path in filter(None, (scores, validation, irrelevant)):
        check_run_file(path, asked)
    run(kinds, scores, output, validation, irrelevant)


@click.command("reevaluate")
@runs_option
@output_option(OUTPUT_FILE, help="File to write: the hash of each metrics.json.")
@click.argument("matrices", nargs=-1, required=True, type=INPUT_FILE)
def reevaluate(asked: list[str] | None, output: Path, matrices: tuple[Path, ...]) -> None:
    """Evaluate again what other code has evaluated.

    MATRICES are files scores.h5; the metrics.json beside each is written again where it is missing,
    from other code or older.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.scores.reevaluation import reevaluate as run

    check_hashes(matrices, asked)
    run(matrices, output)


@click.command("localize-runs")
@runs_option
@index_option
@image_options
@click.argument("attentions", nargs=-1, required=True, type=INPUT_FILE)
def localize_runs(
    asked: list[str] | None,
    index: Path,
    images: Path | None,
    data_root: Path,
    attentions: tuple[Path, ...],
) -> None:
    """Measure how often the attention of runs meets the right part.

    Counts the peaks of maps that lie on the annotated part that the attribute is about. ATTENTIONS
    are files attention.h5 of a dataset; each gets a localization.json beside it.
    """
    from zslpipe.formats.identity import check_hashes
    from zslpipe.maps.localization import localize

    check_hashes(attentions, asked)
    folder = image_folder(data_root, images, index)
    for path in attentions:
        localize(path, index, folder, path.with_name("localization.json"))


@click.command("figures")
@click.option(
    "--figures",
    "told",
    required=True,
    help="Figures to draw, as JSON: a list of [kind, path without ending, files, hashes of the "
    "files' runs].",
)
@index_option
@image_options
def draw_figures(told: str, index: Path, images: Path | None, data_root: Path) -> None:
    """Draw the figures of a dataset's runs."""
    from zslpipe.formats.identity import check_hashes
    from zslpipe.reports.figures.runs import draw

    folder = image_folder(data_root, images, index)
    for kind, stem, files, hashes in json.loads(told):
        paths = [Path(path) for path in files]
        check_hashes(paths, hashes or None)
        draw(kind, paths, index, folder, Path(stem))
