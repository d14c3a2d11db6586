"""The table and the figures of a run that failed."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from zslpipe.commands.inputs import INPUT_FILE, OUTPUT_FOLDER, output_option
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)


@click.command("partial-tables")
@output_option(OUTPUT_FOLDER, help="Folder of the tables.")
@click.option(
    "--given", type=INPUT_FILE, required=True, help="JSON: what is there and what is missing."
)
def make_partial_tables(output: Path, given: Path) -> None:
    """Write and show what a failed run has made.

    The table of the results that are there, the missing ones with their reasons, and figures, all
    marked partial.
    """
    from zslpipe.reports.partial import write_partial_report, write_partial_tables

    contents = json.loads(given.read_text(encoding="utf-8"))
    # What jobs make is not made here: a later run would take it for theirs.
    with TemporaryDirectory() as room:
        contents |= _evaluated(contents, Path(room))
        click.echo(write_partial_tables(contents, output).read_text(encoding="utf-8"))
        contents["localizations"] += _localized(contents["waiting"], Path(room))
        contents["figures"] += _drawn(contents["waiting"], output.with_name("figures"))
        write_partial_report(contents, output)


def _evaluated(contents: Mapping[str, Any], room: Path) -> dict[str, Any]:
    """Return ``metrics`` and ``curves``, evaluated by the present code: in the folder ``room`` what
    is ``unfinished``.
    """
    from zslpipe.formats.kept import MADE_ALL_THE_SAME
    from zslpipe.scores.best_epoch import write_best_epoch
    from zslpipe.scores.reevaluation import bring_up_to_date

    there = [Path(path) for path in contents["metrics"] if path not in contents["unfinished"]]
    bring_up_to_date([one.with_name("scores.h5") for one in there if one.name == "metrics.json"])
    made = {}
    for number, path in enumerate(contents["unfinished"]):
        folder = Path(path).parent
        if Path(path).name == "metrics.json":
            made[path] = str(folder / MADE_ALL_THE_SAME)
        else:
            made[path] = str(room / f"{number}.json")
            write_best_epoch(folder / "metrics.json", folder / "history.csv", Path(made[path]))
    curves = {name: _named(paths, made) for name, paths in contents["curves"].items()}
    return {"metrics": _named(contents["metrics"], made), "curves": curves}


def _named(paths: Iterable[str], made: Mapping[str, str]) -> list[str]:
    """Return paths, those that are ``made`` elsewhere by their place there."""
    return [made.get(path, path) for path in paths]


def _localized(waiting: Iterable[Mapping[str, Any]], room: Path) -> list[str]:
    """Return the localisations, in ``room``, of the runs whose dataset's job waits for others."""
    from zslpipe.maps.localization import localize

    found: list[str] = []
    for one in waiting:
        for attention in one["attention"]:
            place = room / f"{len(found)}.localization.json"
            with _refused_files():
                localize(Path(attention), Path(one["index"]), Path(one["images"]), place)
                found.append(str(place))
    return found


def _drawn(waiting: Iterable[Mapping[str, Any]], folder: Path) -> list[str]:
    """Return the figures, partial.* in ``folder``, of the runs whose dataset's job waits for
    others.
    """
    from zslpipe.formats.figures import SCREEN
    from zslpipe.reports.figures.runs import draw

    found = []
    for one in waiting:
        for kind, stem, files in one["figures"]:
            place = folder / f"partial.{Path(stem).name}"
            paths = [Path(path) for path in files]
            with _refused_files():
                draw(kind, paths, Path(one["index"]), Path(one["images"]), place)
                found.append(f"{place}.{SCREEN}")
    return found


@contextmanager
def _refused_files() -> Iterator[None]:
    """Tell of a file that cannot be shown, maybe the one that the run failed at: all others are."""
    try:
        yield
    except InputError as error:
        logger.warning("left out: %s", error)
