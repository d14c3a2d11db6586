"""Runs: training, and what a trained model writes besides its scores."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import click

from zslpipe.commands.inputs import (
    INPUT_FILE,
    OUTPUT_FILE,
    OUTPUT_FOLDER,
    JsonObject,
    cached_weights,
    compute_of,
    compute_options,
    count_option,
    image_folder,
    module_named,
    output_option,
    run_inputs,
    run_option,
    run_options,
    seed_option,
    trained_option,
    words_option,
)


@dataclass(frozen=True)
class Spec:
    """What run_method reads of a run (study.config.Run)."""

    dataset: str
    method: str
    variant: str
    input: Literal["regions", "pooled", "images"]
    extractor: str
    trunk: Mapping[str, Any] | None
    semantics: str
    normalisation: Literal["none", "unit", "minmax"]
    precision: Literal["float32", "bfloat16"]
    selection: Literal["last", "validation"]
    criterion: Literal["T1", "H"]
    choose: Mapping[str, tuple[Any, ...]]
    track: Literal["none", "test"]
    settings: Mapping[str, Any]
    words: str | None = None
    # What features and index have to say of themselves; by hand any will do.
    cache: Mapping[str, Any] | None = None
    index: Mapping[str, str] | None = None


SPEC = tuple(field.name for field in fields(Spec) if field.default is MISSING)


spec_option = click.option(
    "--spec",
    type=JsonObject(*SPEC),
    required=True,
    help="The run: method, variant and all of their settings, as JSON.",
)


@click.command("check-inputs")
@spec_option
@run_options
@words_option
@output_option(OUTPUT_FILE, help="File to write, empty, where nothing is wrong.")
def check_inputs(
    spec: dict[str, Any],
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    words: Path | None,
    output: Path,
) -> None:
    """Look at all that a training is about to read."""
    from zslpipe.runs.readiness import check_inputs as check

    folder = image_folder(data_root, images, index)
    check(spec, index, words, features, folder, trunk)
    output.touch()


@click.command("train")
@spec_option
@seed_option
@run_options
@words_option
@output_option(OUTPUT_FOLDER, help="Folder of the seed: weights.pt, history.csv, scores.h5.")
@compute_options
def train(
    spec: dict[str, Any],
    seed: int,
    index: Path,
    features: Path | None,
    images: Path | None,
    data_root: Path,
    trunk: Path | None,
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Train one method from one seed and score it.

    A training that is cut off goes on from its last checkpoint with the same command.
    """
    from zslpipe.runs.train import run_method

    check_spec(spec)
    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root)
    run_method(spec, seed, inputs, words, output, chosen)


def check_spec(spec: Mapping[str, Any]) -> None:
    """Raise InputError, in one line, for a key of ``--spec`` that is unknown or of the wrong type,
    an unknown method, and values to try that are none of the method's.
    """
    from zslpipe.settings import parse_settings

    checked = parse_settings(Spec, spec, "--spec", called="key")
    method = module_named("zslpipe.methods", checked.method, "--spec: method")
    parse_settings(method.Config, checked.settings, "--spec", ("settings",))
    for key, values in checked.choose.items():
        for value in values:
            parse_settings(method.Config, {key: value}, "--spec", ("choose",))


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
    words: Path | None,
    output: Path,
    count: int,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write where a trained method looks.

    The peaks of its attention maps in all test images, and the whole maps of --count of them.
    """
    from zslpipe.machine.progress import reported
    from zslpipe.runs.attention import attend as run
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root)
    with reported(output, "attention maps"):
        run(weights, inputs, words, seed, output, count)


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
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Train once more on the validation problem.

    With the settings of a trained run, as if the validation classes were the unseen ones; a
    rebalancing is chosen on these scores.
    """
    from zslpipe.runs.rebalancing_inputs import write_validation_scores
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root)
    write_validation_scores(weights, inputs, words, seed, output, chosen)


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
    words: Path | None,
    output: Path,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Score task-irrelevant images by a trained method."""
    from zslpipe.formats.image_list import read_irrelevant_images
    from zslpipe.machine.progress import reported
    from zslpipe.runs.opening import open_index, open_run_inputs
    from zslpipe.runs.rebalancing_inputs import write_irrelevant_scores
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    open_index(index, spec)
    network = trunk or cached_weights(spec, data_root, index)
    listed = (irrelevant, features, folder, network, chosen, read_irrelevant_images)
    inputs = open_run_inputs(spec, *listed)
    with reported(output, "scores of task-irrelevant images"):
        write_irrelevant_scores(weights, index, inputs, words, seed, output)


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
    without: tuple[str, ...],
    output: Path,
    count: int,
    compute: dict[str, Any],
    threads: int,
) -> None:
    """Write where a crafted network looks (Grad-CAM).

    For --count images, with an attribute in the classifier's rule and without it.
    """
    from zslpipe.machine.progress import reported
    from zslpipe.runs.gradcam import write_grad_cam
    from zslpipe.runs.weights import read_asked_spec

    chosen, folder = compute_of(compute, threads), image_folder(data_root, images, index)
    spec = read_asked_spec(weights, asked)
    inputs = run_inputs(spec, index, features, folder, trunk, chosen, data_root)
    with reported(output, "Grad-CAM"):
        write_grad_cam(weights, inputs, seed, output, count, without)
