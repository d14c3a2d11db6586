"""What several commands share: their options, declared once, and what these options become."""

import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.weight_names import weights_path

if TYPE_CHECKING:
    from zslpipe.machine.devices import Compute
    from zslpipe.machine.ranges import Extraction
    from zslpipe.runs.models import RunInputs

Function = TypeVar("Function", bound=Callable[..., Any])

INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
INPUT_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
OUTPUT_FILE = click.Path(dir_okay=False, path_type=Path)
OUTPUT_FOLDER = click.Path(file_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)

# As the ranges of a configuration (machine.ranges Seed and Threads, which cost their import).
LARGEST_SEED, MOST_THREADS = 2**32 - 1, 1024
# Of --compute what an extraction alone reads (machine.ranges Extraction).
OF_EXTRACTIONS = ("extract_tasks", "extract_alignment", "storage")
# Characters of a wrong value that a message repeats (ours: a line of a terminal holds them).
SHOWN = 60


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object as an option's value, with the keys that it has to hold."""

    name = "JSON"

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Return the object that ``value`` says; a usage error where it says none."""
        read = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
        expected = "expected a JSON object in single quotes, such as '{\"key\": 1}'"
        try:
            given = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"read {read!r}: {error}; {expected}", param, ctx)
        if not isinstance(given, dict):
            self.fail(f"read {read!r}: no object; {expected}", param, ctx)
        missing = [key for key in self.keys if key not in given]
        if missing:
            needed = f"expected the keys {', '.join(self.keys)}"
            self.fail(f"read {read!r}: without {', '.join(missing)}; {needed}", param, ctx)
        return given


class JsonList(click.ParamType[list[str]]):
    """A JSON list of texts as an option's value."""

    name = "JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the list that ``value`` says; a usage error where it says none."""
        try:
            given = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"read {value[:SHOWN]!r}: {error}; expected a JSON list", param, ctx)
        if not isinstance(given, list):
            self.fail(f"read {value[:SHOWN]!r}: no list; expected a JSON list", param, ctx)
        return [str(text) for text in given]


index_option = click.option(
    "--index", type=INPUT_FILE, required=True, help="The dataset's index.h5, of the command index."
)
data_root_option = click.option(
    "--data-root", type=ANY_PATH, default=Path("data"), help="Folder that paths of data count from."
)
images_option = click.option(
    "--images",
    type=ANY_PATH,
    help="Folder of images, counted from --data-root; without it the folder 'images' beside the "
    "index.",
)
features_option = click.option(
    "--features", type=INPUT_FILE, help="Feature file, for a method that reads features."
)
trunk_option = click.option(
    "--trunk",
    type=INPUT_FILE,
    help="File of weights to start from, for a method that trains a network from images; without "
    "it weights of the library.",
)
texts_option = click.option(
    "--texts",
    type=INPUT_FILE,
    help="File of the command encode-texts, for a run whose class vectors are made of texts.",
)
words_option = click.option(
    "--words", type=INPUT_FILE, help="words.h5, for a method that reads word vectors."
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=0, help="Seed of the run."
)
count_option = click.option(
    "--count", type=click.IntRange(min=1), default=6, help="How many images."
)
attention_option = click.option(
    "--attention", type=INPUT_FILE, required=True, help="attention.h5, of the command attend."
)
run_option = click.option(
    "--run",
    "asked",
    type=JsonObject("seed"),
    help="The run as it is configured now, as JSON: a file of another one is refused. The workflow "
    "gives it; without it any file will do.",
)
runs_option = click.option(
    "--runs",
    "asked",
    type=JsonList(),
    help="Hashes of the runs as they are configured now, one of each file in their order, as a "
    "JSON list: files of others are refused.",
)
indices_option = click.option(
    "--indices",
    type=JsonObject(),
    help="What the index of each dataset is made of as configured now, as JSON: another one is "
    "refused.",
)
trained_option = click.option(
    "--weights", type=INPUT_FILE, required=True, help="weights.pt of the trained run."
)
_compute_option = click.option(
    "--compute",
    type=JsonObject(),
    default="{}",
    help="Where to compute: the section compute of the configuration, as JSON.",
)
_threads_option = click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), default=2, help="Threads of this job."
)


def output_option(kind: "click.Path[Path]", *, help: str) -> Callable[[Function], Function]:
    """Return the option ``--output``."""
    return click.option("--output", type=kind, required=True, help=help)


def settings_option(*keys: str, help: str) -> Callable[[Function], Function]:
    """Return the option ``--settings``: a JSON object that holds ``keys``."""
    return click.option("--settings", type=JsonObject(*keys), required=True, help=help)


def image_options(function: Function) -> Function:
    """Add the options that say where a dataset's images lie; see :func:`image_folder`."""
    return images_option(data_root_option(function))


def compute_options(function: Function) -> Function:
    """Add the options that say where and how to compute; see :func:`compute_of`."""
    return _compute_option(_threads_option(function))


def run_options(function: Function) -> Function:
    """Add the options that say what a run reads; see :func:`run_inputs`."""
    return index_option(features_option(image_options(trunk_option(texts_option(function)))))


def image_folder(data_root: Path, images: Path | None, index: Path) -> Path:
    """Return the folder of a dataset's images: ``images`` under ``data_root``, or the drawn ones
    beside the index.
    """
    return data_root / images if images else index.parent / "images"


def compute_of(compute: Mapping[str, Any], threads: int) -> "Compute":
    """Return the Compute of ``--compute`` and ``--threads``; InputError for an unknown key or a
    value of the wrong type.
    """
    from zslpipe.machine.devices import Compute
    from zslpipe.settings import parse_settings

    # The workflow's: a job is told by --threads, an extraction how its extractor computes.
    of_the_workflow = ("threads", "extract_threads", "image_threads", "extractors", *OF_EXTRACTIONS)
    given = {name: value for name, value in compute.items() if name not in of_the_workflow}
    return parse_settings(Compute, {**given, "threads": threads}, "--compute")


def extraction_of(compute: Mapping[str, Any]) -> "Extraction":
    """Return as how many processes ``--compute`` says that an extraction runs, and where its
    features lie; InputError for a value of the wrong type.
    """
    from zslpipe.machine.ranges import Extraction
    from zslpipe.settings import parse_settings

    given = {name: value for name, value in compute.items() if name in OF_EXTRACTIONS}
    return parse_settings(Extraction, given, "--compute")


def extractor_of(compute: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what ``--compute`` says of an extractor, by its name under ``extractors``; InputError
    where that is no object.
    """
    found: Any = compute
    for key in ("extractors", name):
        found = found.get(key, {})
        if not isinstance(found, Mapping):
            raise InputError(f"--compute, {key}: {found!r} is no object")
    return dict(found)


def run_inputs(
    spec: Mapping[str, Any],
    index: Path,
    features: Path | None,
    images: Path,
    trunk: Path | None,
    compute: "Compute",
    data_root: Path,
    texts: Path | None,
) -> "RunInputs":
    """Return what a run reads: ``features``, or the folder ``images`` for the network of
    ``trunk``; class vectors of ``texts`` where its are made of such. Raises InputError where a file
    is of the future.
    """
    from zslpipe.machine.files import check_not_of_the_future
    from zslpipe.runs.opening import open_run_inputs

    check_not_of_the_future((index, features, trunk, texts))
    weights = trunk or cached_weights(spec, data_root, index)
    return open_run_inputs(spec, index, features, images, weights, compute, texts=texts)


def cached_weights(spec: Mapping[str, Any], data_root: Path, index: Path) -> Path | None:
    """Return the file of weights that a run's features are computed by (the demo's lies beside the
    index), None where there is none.
    """
    from zslpipe.formats.identity import OWN_WEIGHTS

    cache = spec.get("cache") or {"backbone": "stored"}
    if cache["backbone"] == "stored":
        return None
    own = index.parent / OWN_WEIGHTS.get(cache["backbone"], "")
    path = weights_path(data_root, cache["weights"]) if "weights" in cache else own
    return path if path.is_file() else None


def check_index(index: Path, asked: Mapping[str, Any] | None) -> None:
    """Raise InputError where an index is not made of what ``--indices`` says; of a dataset that it
    does not name any will do.
    """
    from zslpipe.formats.identity import check_index_source
    from zslpipe.formats.index import read_index

    if asked is not None:
        check_index_source(index, read_index(index), asked.get(index.parent.name))


def module_named(room: str, name: str, option: str) -> ModuleType:
    """Return the module ``name`` of a room of the package; InputError, which begins with
    ``option``, names the nearest where there is none.
    """
    name = str(name)
    modules = pkgutil.iter_modules(importlib.import_module(room).__path__)
    known = [module.name for module in modules]
    if name not in known:
        raise InputError(f"{option} {name!r}; {nearest(name, known)}")
    return importlib.import_module(f"{room}.{name}")
