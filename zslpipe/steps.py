"""What the sub-commands of the workflow do: one a rule, each a call. Nothing is imported before it is needed."""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any


def _compute(options: argparse.Namespace) -> Any:
    """Return the Compute of ``--compute`` (JSON, the configuration's section) and ``--threads``."""
    from zslpipe.devices import Compute

    given = json.loads(options.compute)
    for name in ("extract_threads", "image_threads"):  # the workflow's; a job is told by --threads
        given.pop(name, None)
    return Compute(**{**given, "threads": options.threads})


def _source(options: argparse.Namespace, spec: dict[str, Any]) -> Any:
    """Return what a run reads: ``--features``, or images for the network of ``--trunk``."""
    from zslpipe.sources import open_source

    return open_source(spec, options.index, options.features, image_folder(options), options.trunk, _compute(options))


def image_folder(options: argparse.Namespace) -> Path:
    """Return the folder of a dataset's images: ``--images`` under ``--data-root``, or the drawn ones beside the
    index.
    """
    return options.data_root / options.images if options.images else options.index.parent / "images"


def write_index(options: argparse.Namespace) -> None:
    """Let the dataset's adapter write index.h5."""
    settings = json.loads(options.settings)
    adapter = importlib.import_module(f"zslpipe.datasets.{settings['adapter']}")
    adapter.write(settings["source"], options.output, options.data_root)


def write_words(options: argparse.Namespace) -> None:
    """Write the attributes' word vectors."""
    from zslpipe.words import write_words as write

    write(options.index, json.loads(options.settings), options.output, options.data_root)


def pretrain(options: argparse.Namespace) -> None:
    """Train the demo's backbone on its auxiliary classes."""
    from zslpipe.devices import device_of
    from zslpipe.pretraining import pretrain as run

    run(options.images, options.output, str(device_of(_compute(options))))


def extract(options: argparse.Namespace) -> None:
    """Fill the feature cache of one extractor."""
    from zslpipe.index import read_index

    _extract(options, read_index(options.index))


def extract_irrelevant(options: argparse.Namespace) -> None:
    """Fill a feature file with the task-irrelevant images."""
    from zslpipe.irrelevant import read_irrelevant_images

    _extract(options, read_irrelevant_images(options.index))


def _extract(options: argparse.Namespace, index: Any) -> None:
    """Fill a feature file with the images of ``index``."""
    from zslpipe.extract import extract_features

    extract_features(
        json.loads(options.settings),
        index,
        image_folder(options),
        options.weights,
        options.output,
        _compute(options),
    )


def store(options: argparse.Namespace) -> None:
    """Put pooled features that a dataset's own file holds into the cache."""
    from zslpipe.datasets.xlsa17 import write_pooled

    write_pooled(json.loads(options.settings)["source"], options.index, options.output, options.data_root)


def train(options: argparse.Namespace) -> None:
    """Train and score one run."""
    from zslpipe.running import run_method

    spec = json.loads(options.spec)
    run_method(spec, options.seed, _source(options, spec), options.words, options.output, _compute(options))


def attend(options: argparse.Namespace) -> None:
    """Write where a trained method looks."""
    from zslpipe.attending import attend as run
    from zslpipe.running import read_spec

    source = _source(options, read_spec(options.weights))
    run(options.weights, source, options.words, options.seed, options.output, options.count)


def evaluate(options: argparse.Namespace) -> None:
    """Write metrics.json of a score matrix."""
    from zslpipe.evaluation import write_metrics

    write_metrics(options.scores, options.output)


def make_tables(options: argparse.Namespace) -> None:
    """Write the tables of all results."""
    from zslpipe.tables import write_tables

    write_tables(options.metrics, options.output)


def draw_losses(options: argparse.Namespace) -> None:
    """Draw the loss curves of one method."""
    from zslpipe.loss_figures import loss_curves

    loss_curves(options.histories, options.output)


def draw_curves(options: argparse.Namespace) -> None:
    """Draw the seen/unseen curves of one dataset."""
    from zslpipe.curve_figures import seen_unseen_curves

    seen_unseen_curves(options.metrics, options.output)


def draw_maps(options: argparse.Namespace) -> None:
    """Draw attention maps over their images."""
    from zslpipe.attention_figures import attention_maps

    attention_maps(options.attention, options.index, image_folder(options), options.output)


def localize(options: argparse.Namespace) -> None:
    """Measure how often attention falls on the annotated part."""
    from zslpipe.localization import localize as run

    run(options.attention, options.index, image_folder(options), options.output)


def make_localization_tables(options: argparse.Namespace) -> None:
    """Write the tables of all localisations."""
    from zslpipe.localization_tables import write_localization_tables

    write_localization_tables(options.localizations, options.output)


def draw_parts(options: argparse.Namespace) -> None:
    """Draw maps of body parts over images."""
    from zslpipe.part_figures import part_maps

    part_maps(options.attention, options.index, image_folder(options), options.output)


def draw_channels(options: argparse.Namespace) -> None:
    """Draw groups of channels and the maps learnt from them."""
    from zslpipe.channel_figures import channel_maps

    channel_maps(options.attention, options.index, image_folder(options), options.output)


def draw_confusion(options: argparse.Namespace) -> None:
    """Draw where the images of an unseen class go."""
    from zslpipe.confusion_figures import confusions

    confusions(options.matrices, options.output)


def validate(options: argparse.Namespace) -> None:
    """Train a method's settings on the validation problem and score it."""
    from zslpipe.rebalancing_scores import write_validation_scores
    from zslpipe.running import read_spec

    source = _source(options, read_spec(options.weights))
    write_validation_scores(options.weights, source, options.words, options.seed, options.output, _compute(options))


def list_irrelevant(options: argparse.Namespace) -> None:
    """List task-irrelevant images."""
    from zslpipe.irrelevant import write_irrelevant_images

    write_irrelevant_images(json.loads(options.settings), options.output, options.data_root)


def score_irrelevant(options: argparse.Namespace) -> None:
    """Score task-irrelevant images by a trained method."""
    from zslpipe.irrelevant import read_irrelevant_images
    from zslpipe.rebalancing_scores import write_irrelevant_scores
    from zslpipe.running import read_spec
    from zslpipe.sources import open_source

    images, spec = image_folder(options), read_spec(options.weights)
    listed = (options.irrelevant, options.features, images, options.trunk)
    source = open_source(spec, *listed, _compute(options), read_irrelevant_images)
    write_irrelevant_scores(options.weights, options.index, source, options.words, options.seed, options.output)


def ensemble(options: argparse.Namespace) -> None:
    """Average the softmax outputs of several score matrices."""
    from zslpipe.ensemble import ensemble as run
    from zslpipe.ensemble import ensemble_irrelevant

    average = ensemble_irrelevant if options.kind == "irrelevant" else run
    average(options.matrices, options.output, options.name, "default")


def rebalance(options: argparse.Namespace) -> None:
    """Rebalance seen against unseen scores."""
    from zslpipe.rebalance import rebalance as run

    settings = json.loads(options.settings)
    run(options.kind, options.scores, options.output, options.validation, options.irrelevant, settings)


def draw_predictions(options: argparse.Namespace) -> None:
    """Draw predictions before and after R."""
    from zslpipe.prediction_figures import predictions

    predictions(options.scores, options.rebalanced, options.index, image_folder(options), options.output)


def grad_cam(options: argparse.Namespace) -> None:
    """Write where a crafted network looks, with an attribute and without."""
    from zslpipe.gradcam import write_grad_cam
    from zslpipe.running import read_spec

    source = _source(options, read_spec(options.weights))
    write_grad_cam(options.weights, source, options.seed, options.output, options.count)


def draw_grad_cam(options: argparse.Namespace) -> None:
    """Draw Grad-CAM maps over images."""
    from zslpipe.gradcam_figures import grad_cam_maps

    grad_cam_maps(options.gradcam, options.index, image_folder(options), options.output)
