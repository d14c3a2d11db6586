"""Runs: training, and what a trained model writes besides its scores."""

import logging
from pathlib import Path
from typing import Any

import click

from zslpipe.commands.inputs import (
    INPUT_FILE,
    OUTPUT_FILE,
    OUTPUT_FOLDER,
    cached_weights,
    compute_of,
    compute_options,
    count_option,
    image_folder,
    output_option,
    run_inputs,
    run_option,
    run_options,
    seed_option,
    trained_option,
    words_option,
)
from zslpipe.commands.specification import check_spec, spec_option

logger = logging.getLogger(__name__)
# What a training leaves, in the folder of its seed.
LEFT = ("weights.pt", "history.csv", "scores.h5")


@click.command("train")
@spec_option
@seed_option
@run_options
@words_option
@output_option(
    OUTPUT_FOLDER, help="Folder of the seed: weights.pt, history.csv, scores.h5, metrics.json."
)
@compute_options
def train(
    spec: dict[str, Any],
    seed: int,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    texts: Path | None,
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Train one method from one seed, score and evaluate it.

    All that it reads is looked at first. A training that is cut off goes on from its last
    checkpoint with the same command; what it has made already of the same settings, code and inputs
    is only evaluated.
    """
    from zslpipe.formats.kept import TRAINED, is_kept, write_record
    from zslpipe.runs.made_of import made_of
    from zslpipe.runs.readiness import check_inputs
    from zslpipe.runs.train import run_method
    from zslpipe.scores.evaluation import write_metrics

    check_spec(spec)
    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    check_inputs(spec, index, words, features, folder, trunk, texts)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root, texts)
    record, made = output / TRAINED, [output / name for name in LEFT]
    stamp = made_of(spec, seed, inputs, words, output, chosen, folder, "zslpipe.runs.train")

    def finish() -> None:
        write_record(record, stamp, made)
        write_metrics(output / "scores.h5", output / "metrics.json")

    if is_kept(record, stamp, made):
        logger.info("%s: trained already, of the same settings, code and inputs", output)
        write_metrics(output / "scores.h5", output / "metrics.json")
    else:
        run_method(spec, seed, inputs, words, output, chosen, finish)


@click.command("attend")
@trained_option
@run_option
@seed_option
@run_options
@words_option
@output_option(OUTPUT_FILE, help="attention.h5 to write.")
@count_option
@compute_options
def attend(
    weights: Path,
    asked: dict[str, Any] | None,
    seed: int,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    texts: Path | None,
    words: Path | None,
    output: Path,
    count: int,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write where a trained method looks.

    The peaks of its attention maps in all test images, and the whole maps of --count of them. Maps
    of the same weights, code and inputs that lie there already stay.
    """
    from zslpipe.formats.kept import made_once
    from zslpipe.machine.progress import reported
    from zslpipe.runs.attention import attend as run
    from zslpipe.runs.made_of import looked_at
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root, texts)
    stamp = looked_at(weights, inputs, words, folder, "zslpipe.runs.attention", [seed, count])

    def make() -> None:
        with reported(output, "attention maps"):
            run(weights, inputs, words, seed, output, count)

    made_once(output, stamp, make)


@click.command("validate")
@trained_option
@run_option
@seed_option
@run_options
@words_option
@output_option(OUTPUT_FILE, help="validation.h5 to write.")
@compute_options
def validate(
    weights: Path,
    asked: dict[str, Any] | None,
    seed: int,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    texts: Path | None,
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Train once more on the validation problem.

    With the settings of a trained run, as if the validation classes were the unseen ones; a
    rebalancing is chosen on these scores. All that it reads is looked at first; scores of the same
    settings, code and inputs that lie there already stay.
    """
    from zslpipe.formats.kept import made_once
    from zslpipe.runs.made_of import made_of
    from zslpipe.runs.readiness import check_inputs
    from zslpipe.runs.rebalancing_inputs import write_validation_scores
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    check_inputs(spec, index, words, features, folder, trunk, texts)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root, texts)
    made_by = "zslpipe.runs.rebalancing_inputs"
    stamp = made_of(spec, seed, inputs, words, output, chosen, folder, made_by, [weights])
    given = (weights, inputs, words, seed, output, chosen)
    made_once(output, stamp, lambda: write_validation_scores(*given))


@click.command("score-irrelevant")
@trained_option
@run_option
@seed_option
@click.option(
    "--irrelevant",
    type=INPUT_FILE,
    required=True,
    help="List of task-irrelevant images, of the command list-irrelevant.",
)
@run_options
@words_option
@output_option(OUTPUT_FILE, help="irrelevant.h5 to write.")
@compute_options
def score_irrelevant(
    weights: Path,
    asked: dict[str, Any] | None,
    seed: int,
    irrelevant: Path,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    texts: Path | None,
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Score task-irrelevant images by a trained method.

    Scores of the same weights, code and inputs that lie there already stay.
    """
    from zslpipe.formats.image_list import read_irrelevant_images
    from zslpipe.formats.kept import made_once
    from zslpipe.machine.files import check_not_of_the_future
    from zslpipe.machine.progress import reported
    from zslpipe.provenance import file_hash
    from zslpipe.runs.made_of import looked_at
    from zslpipe.runs.opening import open_index, open_run_inputs
    from zslpipe.runs.rebalancing_inputs import write_irrelevant_scores
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    open_index(index, spec)
    network = trunk or cached_weights(spec, data_root, index)
    check_not_of_the_future((weights, index, features, trunk, irrelevant, texts))
    listed = (irrelevant, features, folder, network, chosen, read_irrelevant_images)
    inputs = open_run_inputs(spec, *listed)
    made_by = "zslpipe.runs.rebalancing_inputs"
    read = [file_hash(path) for path in (index, texts) if path is not None]
    stamp = looked_at(weights, inputs, words, folder, made_by, [seed, *read])

    def make() -> None:
        with reported(output, "scores of task-irrelevant images"):
            write_irrelevant_scores(weights, index, inputs, words, seed, output, texts)

    made_once(output, stamp, make)


@click.command("grad-cam")
@trained_option
@run_option
@seed_option
@run_options
@click.option(
    "--without",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Attribute to take away, by name; may be given again; default two of each image's class.",
)
@output_option(OUTPUT_FILE, help="gradcam.h5 to write.")
@count_option
@compute_options
def grad_cam(
    weights: Path,
    asked: dict[str, Any] | None,
    seed: int,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    texts: Path | None,
    without: tuple[str, ...],
    output: Path,
    count: int,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write where a crafted network looks (Grad-CAM).

    For --count images, with an attribute in the classifier's rule and without it. Maps of the same
    weights, code and inputs that lie there already stay.
    """
    from zslpipe.formats.kept import made_once
    from zslpipe.machine.progress import reported
    from zslpipe.runs.gradcam import write_grad_cam
    from zslpipe.runs.made_of import looked_at
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root, texts)
    told: list[str | int] = [seed, count, *without]
    stamp = looked_at(weights, inputs, None, folder, "zslpipe.runs.gradcam", told)

    def make() -> None:
        with reported(output, "Grad-CAM"):
            write_grad_cam(weights, inputs, seed, output, count, without)

    made_once(output, stamp, make)
