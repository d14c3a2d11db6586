"""What is made of score matrices and of attention maps."""

import argparse
import json

from zslpipe.commands.inputs import image_folder


def evaluate(options: argparse.Namespace) -> None:
    """Write metrics.json of a score matrix."""
    from zslpipe.scores.evaluation import write_metrics

    write_metrics(options.scores, options.output)


def localize(options: argparse.Namespace) -> None:
    """Measure how often attention falls on the annotated part."""
    from zslpipe.maps.localization import localize as run

    run(options.attention, options.index, image_folder(options), options.output)


def ensemble(options: argparse.Namespace) -> None:
    """Average the softmax outputs of several score matrices."""
    from zslpipe.scores.ensembles import ensemble as run
    from zslpipe.scores.ensembles import ensemble_irrelevant

    average = ensemble_irrelevant if options.kind == "irrelevant" else run
    average(options.matrices, options.output, options.name, "default")


def rebalance(options: argparse.Namespace) -> None:
    """Rebalance seen against unseen scores."""
    from zslpipe.scores.rebalancing import rebalance as run

    settings = json.loads(options.settings)
    run(
        options.kind,
        options.scores,
        options.output,
        options.validation,
        options.irrelevant,
        settings,
    )
