"""The command line: one sub-command a rule of the workflow, and a few for people. No logic, and no
import before it is needed.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from zslpipe.commands import datasets, features, people, reports, runs, scores
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import EXIT_CODE, InterruptedTraining

logger = logging.getLogger("zslpipe")


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; return 0, or 1 after one clear line where the input is wrong."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        options.command(options)
    except InputError as error:
        logger.error("error: %s", error)
        return 1
    except KeyboardInterrupt:
        logger.error("interrupted: what is done is kept, the same command continues it")
        return 130
    except InterruptedTraining as interruption:
        logger.error("%s", interruption)
        return EXIT_CODE
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all sub-commands."""
    parser = argparse.ArgumentParser(
        prog="zslpipe", description="Generalized zero-shot recognition, step by step."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, text, options) in STEPS.items():
        _add(commands, function, name, text, options)
    _add_commands_for_people(commands)
    return parser


# The workflow's steps: name -> function, help, options (``_add`` reads them).
STEPS = {
    "index": (
        datasets.write_index,
        "read a dataset's files into index.h5",
        "settings! data-root output!",
    ),
    "words": (
        datasets.write_words,
        "one word vector an attribute",
        "index! settings! data-root output!",
    ),
    "pretrain": (
        features.pretrain,
        "train the demo's own backbone",
        "images! output! compute threads",
    ),
    "extract": (
        features.extract,
        "images to the feature cache",
        "index! images settings! weights? data-root output! compute threads",
    ),
    "store": (
        features.store,
        "a dataset's own pooled features to the cache",
        "index! settings! data-root output!",
    ),
    "train": (
        runs.train,
        "train one method from one seed and score it",
        "spec! seed index! features images data-root trunk words output! compute threads",
    ),
    "attend": (
        runs.attend,
        "where a trained method looks",
        "weights! seed index! features images data-root trunk words output! count compute threads",
    ),
    "localize": (
        scores.localize,
        "how often attention falls on the annotated part",
        "attention! index! images data-root output!",
    ),
    "validate": (
        runs.validate,
        "train one method on the validation problem and score it",
        "weights! seed index! features images data-root trunk words output! compute threads",
    ),
    "list-irrelevant": (
        datasets.list_irrelevant,
        "list task-irrelevant images",
        "settings! data-root output!",
    ),
    "extract-irrelevant": (
        features.extract_irrelevant,
        "task-irrelevant images to the feature cache",
        "index! images settings! weights? data-root output! compute threads",
    ),
    "score-irrelevant": (
        runs.score_irrelevant,
        "score task-irrelevant images by a trained method",
        "weights! seed index! irrelevant! features images data-root trunk words output! compute threads",
    ),
    "ensemble": (
        scores.ensemble,
        "average the softmax outputs of score matrices",
        "name! kind! output! matrices+",
    ),
    "rebalance": (
        scores.rebalance,
        "rebalance seen against unseen scores",
        "kind! scores! validation irrelevant settings output!",
    ),
    "evaluate": (scores.evaluate, "score matrix to figures of merit", "scores! output!"),
    "tables": (reports.make_tables, "all results as csv, md and tex", "output! metrics+"),
    "localization-tables": (
        reports.make_localization_tables,
        "all localisations as csv, md and tex",
        "output! localizations+",
    ),
    "losses": (reports.draw_losses, "loss curves of a method's seeds", "output! histories+"),
    "curves": (
        reports.draw_curves,
        "seen/unseen curves of a dataset's methods",
        "output! metrics+",
    ),
    "confusion": (
        reports.draw_confusion,
        "where the images of an unseen class go",
        "output! matrices+",
    ),
    "maps": (
        reports.draw_maps,
        "attention maps over images",
        "attention! index! images data-root output!",
    ),
    "parts": (
        reports.draw_parts,
        "maps of body parts over images",
        "attention! index! images data-root output!",
    ),
    "predictions": (
        reports.draw_predictions,
        "predictions before and after R",
        "scores! rebalanced! index! images data-root output!",
    ),
    "grad-cam": (
        runs.grad_cam,
        "where a crafted network looks, with an attribute and without",
        "weights! seed index! images data-root trunk features output! count compute threads",
    ),
    "grad-cam-figure": (
        reports.draw_grad_cam,
        "Grad-CAM maps over images",
        "gradcam! index! images data-root output!",
    ),
    "channels": (
        reports.draw_channels,
        "groups of channels over images",
        "attention! index! images data-root output!",
    ),
}


def _add_commands_for_people(commands: Any) -> None:
    """Add the sub-commands that no rule needs but people do."""
    text = "one page about a dataset, or about a bare split file"
    inspect = _add(commands, people.inspect_data, "inspect", text, "images data-root output")
    inspect.add_argument(
        "index", nargs="?", type=Path, help="index.h5 or a dataset's name under results/"
    )
    inspect.add_argument("--splits", type=Path, help="an att_splits.mat to look at instead")
    compare = _add(
        commands, people.compare_results, "compare", "two results: mean, spread, difference", ""
    )
    compare.add_argument("first", type=Path, help="folder with seed*/metrics.json")
    compare.add_argument("second", type=Path)
    for name, function, text in (
        ("pack", people.pack_features, "a feature file as a zarr archive"),
        ("unpack", people.unpack_features, "a zarr archive as the feature file it was"),
    ):
        archive = _add(commands, function, name, text, "")
        archive.add_argument("source", type=Path)
        archive.add_argument("target", type=Path)
    status = _add(
        commands, people.show_status, "status", "what is done, what is running and how far", ""
    )
    status.add_argument("results", nargs="?", type=Path, default=Path("results"))


PATHS = (
    *(
        "index",
        "output",
        "images",
        "features",
        "words",
        "weights",
        "trunk",
        "scores",
        "attention",
        "data-root",
    ),
    *("validation", "irrelevant", "rebalanced", "gradcam"),
)
NUMBERS = {"seed": 0, "threads": 2, "count": 6}


def _add(commands: Any, function: Any, name: str, text: str, names: str) -> argparse.ArgumentParser:
    """Add a sub-command with the options ``names`` and return its parser.

    Behind a name ``!`` says that it must be given, ``?`` that its value may be left out, ``+`` that
    it is no option but one file or more.
    """
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=function)
    for option in names.split():
        plain = option.rstrip("!?+")
        if option.endswith("+"):
            command.add_argument(plain, nargs="+", type=Path)
        elif option.endswith("?"):
            command.add_argument(f"--{plain}", nargs="?", type=Path)
        elif plain in NUMBERS:
            command.add_argument(f"--{plain}", type=int, default=NUMBERS[plain])
        elif plain in PATHS:
            default = Path("data") if plain == "data-root" else None
            command.add_argument(
                f"--{plain}", type=Path, required=option.endswith("!"), default=default
            )
        else:
            command.add_argument(f"--{plain}", required=option.endswith("!"), default="{}")
    return command
