"""The command line: one sub-command a rule of the workflow, and a few for people. No logic, and no import before it is
needed.
"""

import argparse
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

from zslpipe.errors import InputError

logger = logging.getLogger("zslpipe")


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; return 0, or 1 after one clear line where the input is wrong."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        options.command(options)
    except InputError as error:
        logger.error("error: %s", error)
        return 1
    except KeyboardInterrupt:
        logger.error("interrupted: what is done is kept, the same command continues it")
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all sub-commands."""
    parser = argparse.ArgumentParser(prog="zslpipe", description="Generalized zero-shot recognition, step by step.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, text, options) in _steps().items():
        _add(commands, function, name, text, options)
    _add_commands_for_people(commands)
    return parser


def _steps() -> dict[str, tuple[Any, str, str]]:
    """Return the workflow's steps: name -> function, help and options (``_add`` reads them)."""
    return {
        "index": (write_index, "read a dataset's files into index.h5", "settings! data-root output!"),
        "words": (write_words, "one word vector an attribute", "index! settings! data-root output!"),
        "pretrain": (pretrain, "train the demo's own backbone", "images! output! compute threads"),
        "extract": (
            extract,
            "images to the feature cache",
            "index! images settings! weights? data-root output! compute threads",
        ),
        "store": (store, "a dataset's own pooled features to the cache", "index! settings! data-root output!"),
        "train": (
            train,
            "train one method from one seed and score it",
            "spec! seed index! features! words output! compute threads",
        ),
        "attend": (
            attend,
            "attention maps of some test images",
            "weights! index! features! words output! count compute threads",
        ),
        "evaluate": (evaluate, "score matrix to figures of merit", "scores! output!"),
        "tables": (make_tables, "all results as csv, md and tex", "output! metrics+"),
        "losses": (draw_losses, "loss curves of a method's seeds", "output! histories+"),
        "curves": (draw_curves, "seen/unseen curves of a dataset's methods", "output! metrics+"),
        "maps": (draw_attention, "attention maps over images", "attention! index! images data-root output!"),
    }


def _add_commands_for_people(commands: Any) -> None:
    """Add the sub-commands that no rule needs but people do."""
    text = "one page about a dataset, or about a bare split file"
    inspect = _add(commands, inspect_data, "inspect", text, "images data-root output")
    inspect.add_argument("index", nargs="?", type=Path, help="index.h5 or a dataset's name under results/")
    inspect.add_argument("--splits", type=Path, help="an att_splits.mat to look at instead")
    compare = _add(commands, compare_results, "compare", "two results: mean, spread, difference", "")
    compare.add_argument("first", type=Path, help="folder with seed*/metrics.json")
    compare.add_argument("second", type=Path)
    for name, function, text in (
        ("pack", pack_features, "a feature file as a zarr archive"),
        ("unpack", unpack_features, "a zarr archive as the feature file it was"),
    ):
        archive = _add(commands, function, name, text, "")
        archive.add_argument("source", type=Path)
        archive.add_argument("target", type=Path)
    status = _add(commands, show_status, "status", "what is done, what is running and how far", "")
    status.add_argument("results", nargs="?", type=Path, default=Path("results"))


PATHS = ("index", "output", "images", "features", "words", "weights", "scores", "attention", "data-root")
NUMBERS = {"seed": 0, "threads": 2, "count": 6}


def _add(commands: Any, function: Any, name: str, text: str, names: str) -> argparse.ArgumentParser:
    """Add a sub-command with the options ``names`` and return its parser.

    Behind a name ``!`` says that it must be given, ``?`` that its value may be left out, ``+`` that it is no option but
    one file or more.
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
            command.add_argument(f"--{plain}", type=Path, required=option.endswith("!"), default=default)
        else:
            command.add_argument(f"--{plain}", required=option.endswith("!"), default="{}")
    return command


def _compute(options: argparse.Namespace) -> Any:
    """Return the Compute of ``--compute`` (JSON, the configuration's section) and ``--threads``."""
    from zslpipe.devices import Compute

    given = json.loads(options.compute)
    given.pop("extract_threads", None)
    return Compute(**{**given, "threads": options.threads})


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
    from zslpipe.extract import extract_features

    extract_features(
        json.loads(options.settings),
        options.index,
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
    run_method(spec, options.seed, options.index, options.features, options.words, options.output, _compute(options))


def attend(options: argparse.Namespace) -> None:
    """Write attention maps of some unseen test images."""
    from zslpipe.attending import attend as run

    run(
        options.weights,
        options.index,
        options.features,
        options.words,
        options.output,
        options.count,
        _compute(options),
    )


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


def draw_attention(options: argparse.Namespace) -> None:
    """Draw attention maps over their images."""
    from zslpipe.attention_figures import attention_maps

    attention_maps(options.attention, options.index, image_folder(options), options.output)


def inspect_data(options: argparse.Namespace) -> None:
    """Show one page about a dataset or a split file."""
    from zslpipe.index import read_index
    from zslpipe.inspection import inspect_dataset, inspect_splits, sample_picture

    if options.splits is not None:
        sys.stdout.write(inspect_splits(options.splits) + "\n")
        return
    if options.index is None:
        raise InputError("inspect: name a dataset (or its index.h5), or give --splits FILE.mat")
    path = options.index if options.index.suffix == ".h5" else Path("results") / options.index / "index.h5"
    options.index = path
    index, images = read_index(path), image_folder(options)
    if options.images is not None and not images.is_dir():
        raise InputError(f"inspect: no image folder {images}; --images counts from --data-root ({options.data_root})")
    page = inspect_dataset(index, images if images.is_dir() else None)
    if options.output is None:
        sys.stdout.write(page + "\n")
        if sys.stdout.isatty() and index.has_images:
            needed = "--output FILE.png" if images.is_dir() else "--images FOLDER --output FILE.png"
            sys.stdout.write(f"\nten of its pictures: the same command with {needed}\n")
        return
    if not images.is_dir():
        raise InputError(f"inspect: --output draws pictures, and there is no folder {images}; give --images FOLDER")
    options.output.with_suffix(".txt").write_text(page + "\n", encoding="utf8")
    sample_picture(index, images, options.output)


def compare_results(options: argparse.Namespace) -> None:
    """Compare two results over their seeds."""
    from zslpipe.compare import compare, metrics_of

    sys.stdout.write(compare(metrics_of(options.first), metrics_of(options.second)) + "\n")


def show_status(options: argparse.Namespace) -> None:
    """Show what is done and what is running."""
    from zslpipe.status import status

    sys.stdout.write(status(options.results) + "\n")


def pack_features(options: argparse.Namespace) -> None:
    """Archive a feature file."""
    from zslpipe.archive import pack

    pack(options.source, options.target)


def unpack_features(options: argparse.Namespace) -> None:
    """Restore a feature file from its archive."""
    from zslpipe.archive import unpack

    unpack(options.source, options.target)
