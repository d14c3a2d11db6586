"""What is made of score matrices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    OUTPUT_FILE,
    JsonObject,
    check_index,
    index_option,
    indices_option,
    output_option,
    run_option,
    runs_option,
    seed_option,
)
from zslpipe.machine.errors import InputError

_metrics_option = click.option(
    "--metrics", type=OUTPUT_FILE, help="metrics.json to write of it; without it none is."
)
scores_option = click.option(
    "--scores", type=INPUT_FILE, required=True, help="scores.h5, of the command train."
)


@click.command("import-scores")
@click.option("--name", required=True, help="Name of the method in tables and figures.")
@click.option(
    "--kind",
    type=click.Choice(["scores", "validation", "irrelevant"]),
    default="scores",
    help="What the file holds: scores of a dataset's images, of its validation problem, or of "
    "task-irrelevant images.",
)
@click.option(
    "--unit",
    default="",
    help="What a score is: logits (also cosines and other compatibilities), log-probabilities or "
    "probabilities; without it the file says so.",
)
@index_option
@indices_option
@click.option(
    "--irrelevant",
    "irrelevant_images",
    type=INPUT_FILE,
    help="List of the task-irrelevant images, for --kind irrelevant.",
)
@seed_option
@click.option("--called", default="", help="What tables call the file; without it its name.")
@click.option(
    "--told",
    type=JsonObject(),
    default="{}",
    help="JSON: what the tables say of the method's extractor, semantics, words and selection.",
)
@click.option(
    "--run",
    "asked",
    type=JsonObject("seed"),
    help="The run as it is configured now, as JSON, which the result will say it is of. The "
    "workflow gives it.",
)
@output_option(OUTPUT_FILE, help="Score matrix (.h5) to write.")
@_metrics_option
@click.argument("scores", type=ANY_PATH)
def import_scores(
    name: str,
    kind: str,
    unit: str,
    index: Path,
    indices: dict[str, Any] | None,
    irrelevant_images: Path | None,
    seed: int,
    called: str,
    told: dict[str, Any],
    asked: dict[str, Any] | None,
    output: Path,
    metrics: Path | None,
    scores: Path,
) -> None:
    """Make a score matrix of somebody else's scores.

    SCORES is an .npz, HDF5 or CSV file with scores, images and classes (docs/importing-scores.md).
    The result is a score matrix like any other.
    """
    from zslpipe.datasets import imported_scores as importing
    from zslpipe.settings import parse_settings

    check_index(index, indices)
    given = {**told, "name": name, "unit": unit, "file": called or scores.name}
    method = parse_settings(importing.Method, given, "--told")
    run = asked or {}
    if kind == "irrelevant":
        if irrelevant_images is None:
            raise InputError("import-scores: --kind irrelevant needs --irrelevant LIST.h5")
        images = irrelevant_images
        importing.import_irrelevant(scores, index, images, method, seed, output, run)
    elif kind == "validation":
        importing.import_validation(scores, index, method, seed, output, run)
    else:
        importing.import_scores(scores, index, method, seed, output, run)
    _evaluate_to(metrics, output)


@click.command("ensemble")
@click.option("--name", required=True, help="Name of the ensemble in tables and figures.")
@click.option(
    "--kind",
    type=click.Choice(["scores", "validation", "irrelevant"]),
    required=True,
    help="What the files hold: scores of a dataset's images, of its validation problem, or of "
    "task-irrelevant images.",
)
@click.option(
    "--validation",
    type=INPUT_FILE,
    multiple=True,
    help="validation.h5 of each file, in their order: each softmax is taken at the temperature "
    "likeliest there. Without it scores go through a softmax as they are.",
)
@click.option(
    "--experts",
    is_flag=True,
    help="Join two matrices instead: the first says which seen class, the second which unseen one.",
)
@runs_option
@output_option(OUTPUT_FILE, help="Score matrix (.h5) to write.")
@_metrics_option
@click.option(
    "--also",
    type=click.Choice(["validation", "irrelevant"]),
    multiple=True,
    help="Average this file beside each of MATRICES as well, to one beside --output.",
)
@click.argument("matrices", nargs=-1, required=True, type=INPUT_FILE)
def ensemble(
    name: str,
    kind: str,
    validation: tuple[Path, ...],
    experts: bool,
    asked: list[str] | None,
    output: Path,
    metrics: Path | None,
    also: tuple[str, ...],
    matrices: tuple[Path, ...],
) -> None:
    """Average the softmax outputs of score matrices.

    MATRICES are files of the same dataset and seed, two or more. The result is a score matrix
    like any other.
    """
    from zslpipe.formats.identity import check_hashes

    check_hashes(matrices, asked)
    _average(kind, matrices, validation, output, name, experts)
    for further in also:
        beside = [path.with_name(f"{further}.h5") for path in matrices]
        check_hashes(beside, asked)
        _average(further, beside, validation, output.with_name(f"{further}.h5"), name, experts)
    _evaluate_to(metrics, output)


def _average(
    kind: str,
    matrices: Sequence[Path],
    validation: Sequence[Path],
    output: Path,
    name: str,
    experts: bool,
) -> None:
    """Write the ensemble of files of a kind; of task-irrelevant images experts join none."""
    from zslpipe.scores import ensembles

    if kind == "irrelevant":
        if experts:
            raise InputError("ensemble: --experts joins no scores of task-irrelevant images")
        ensembles.ensemble_irrelevant(matrices, validation, output, name, "default")
    elif kind == "validation":
        ensembles.ensemble_validation(matrices, validation, output, name, "default", experts)
    else:
        ensembles.ensemble(matrices, validation, output, name, "default", experts)


def _evaluate_to(metrics: Path | None, scores: Path) -> None:
    """Evaluate a score matrix that was just written, where that is asked for."""
    from zslpipe.scores.evaluation import write_metrics

    if metrics is not None:
        write_metrics(scores, metrics)


@click.command("rebalance")
@click.option("--kind", required=True, help="Kind of rebalancing, as the configuration names it.")
@scores_option
@run_option
@click.option("--validation", type=INPUT_FILE, help="validation.h5, for kinds that choose on it.")
@click.option("--irrelevant", type=INPUT_FILE, help="irrelevant.h5, for kinds that learn from it.")
@click.option(
    "--settings", type=JsonObject(), default="{}", help="The kind's own settings, as JSON."
)
@output_option(OUTPUT_FILE, help="Score matrix (.h5) to write.")
def rebalance(
    kind: str,
    scores: Path,
    asked: dict[str, Any] | None,
    validation: Path | None,
    irrelevant: Path | None,
    settings: dict[str, Any],
    output: Path,
) -> None:
    """Rebalance seen against unseen scores."""
    from zslpipe.formats.identity import check_run_file
    from zslpipe.scores.rebalancing import rebalance as run

    for path in filter(None, (scores, validation, irrelevant)):
        check_run_file(path, asked)
    run(kind, scores, output, validation, irrelevant, settings)


@click.command("evaluate")
@scores_option
@run_option
@output_option(OUTPUT_FILE, help="metrics.json to write.")
def evaluate(scores: Path, asked: dict[str, Any] | None, output: Path) -> None:
    """Compute the figures of merit of a score matrix."""
    from zslpipe.formats.identity import check_run_file
    from zslpipe.scores.evaluation import write_metrics

    check_run_file(scores, asked)
    write_metrics(scores, output)


@click.command("best-on-test")
@click.option("--metrics", type=INPUT_FILE, required=True, help="metrics.json of a tracked run.")
@click.option("--history", type=INPUT_FILE, required=True, help="history.csv of the same run.")
@output_option(OUTPUT_FILE, help="best_on_test.json to write.")
def best_on_test(metrics: Path, history: Path, output: Path) -> None:
    """Take a run's best epoch on the test images.

    For comparison with public code that reports it. The run has to be trained with `track: test`.
    """
    from zslpipe.scores.best_epoch import write_best_epoch

    write_best_epoch(metrics, history, output)
