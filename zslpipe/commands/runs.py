"""Runs: training, and what a trained model writes besides its scores."""

import argparse
import json

from zslpipe.commands.inputs import compute_of, image_folder, run_inputs


def train(options: argparse.Namespace) -> None:
    """Train and score one run."""
    from zslpipe.runs.train import run_method

    spec = json.loads(options.spec)
    run_method(
        spec,
        options.seed,
        run_inputs(options, spec),
        options.words,
        options.output,
        compute_of(options),
    )


def attend(options: argparse.Namespace) -> None:
    """Write where a trained method looks."""
    from zslpipe.runs.attention import attend as run
    from zslpipe.runs.weights import read_spec

    source = run_inputs(options, read_spec(options.weights))
    run(options.weights, source, options.words, options.seed, options.output, options.count)


def validate(options: argparse.Namespace) -> None:
    """Train a method's settings on the validation problem and score it."""
    from zslpipe.runs.rebalancing_inputs import write_validation_scores
    from zslpipe.runs.weights import read_spec

    source = run_inputs(options, read_spec(options.weights))
    write_validation_scores(
        options.weights, source, options.words, options.seed, options.output, compute_of(options)
    )


def score_irrelevant(options: argparse.Namespace) -> None:
    """Score task-irrelevant images by a trained method."""
    from zslpipe.formats.image_list import read_irrelevant_images
    from zslpipe.runs.opening import open_source
    from zslpipe.runs.rebalancing_inputs import write_irrelevant_scores
    from zslpipe.runs.weights import read_spec

    images, spec = image_folder(options), read_spec(options.weights)
    listed = (options.irrelevant, options.features, images, options.trunk)
    source = open_source(spec, *listed, compute_of(options), read_irrelevant_images)
    write_irrelevant_scores(
        options.weights, options.index, source, options.words, options.seed, options.output
    )


def grad_cam(options: argparse.Namespace) -> None:
    """Write where a crafted network looks, with an attribute and without."""
    from zslpipe.runs.gradcam import write_grad_cam
    from zslpipe.runs.weights import read_spec

    source = run_inputs(options, read_spec(options.weights))
    write_grad_cam(options.weights, source, options.seed, options.output, options.count)
