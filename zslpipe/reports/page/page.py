"""``results/report/index.html``: all that a run has found, in one file that loads nothing.

The same files, configuration and commit give the same bytes. The commit is that of the checkout as
the page is made: it stands on the page and decides nothing, a page is made again when what it shows
or how it is made has changed.
"""

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from zslpipe.formats.figures import SCREEN
from zslpipe.formats.index import Index
from zslpipe.machine.checkout import commit
from zslpipe.machine.files import written_whole
from zslpipe.reports.page.animal import animals
from zslpipe.reports.page.classes import class_accuracies, confused_classes
from zslpipe.reports.page.galleries import (
    attribute_galleries,
    channel_galleries,
    part_galleries,
)
from zslpipe.reports.page.given import TABLE, Given
from zslpipe.reports.page.grad_cam import grad_cam_galleries
from zslpipe.reports.page.overview import overview
from zslpipe.reports.page.pictures import file_data
from zslpipe.reports.page.results_table import results_table
from zslpipe.reports.page.studies import studies
from zslpipe.reports.page.timings import timings

# Named one by one: a change of what they say makes the page again.
TEMPLATES = (
    "page.html",
    "overview.html",
    "results.html",
    "classes.html",
    "animal.html",
    "galleries.html",
    "timings.html",
    "parts.html",
    "page.css",
    "page.js",
)
# Heading, what is to be seen, galleries of a dataset.
GALLERIES = (
    (
        "Attention",
        "Maps of attributes that the image's class has and of some that it lacks, each from its"
        " lowest value to its highest. Circle: annotated place of the attribute's part.",
        attribute_galleries,
    ),
    (
        "Parts of the body",
        "The mean map of the class's attributes about a part. Circle: its annotated place.",
        part_galleries,
    ),
    (
        "Groups of channels",
        "The groups of channels that k-means found, and the maps learnt from them.",
        channel_galleries,
    ),
    (
        "Grad-CAM",
        "Where the true class's score comes from, with all its attributes and without one. Maps of"
        " an image share one scale; change: orange more, purple less than with all attributes.",
        grad_cam_galleries,
    ),
)


def write_page(given: Given, output: Path) -> None:
    """Write the page, whole or not at all; InputError for a file that cannot be read or that does
    not belong to its dataset's index.
    """
    folder = Path(__file__).parent
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in TEMPLATES}
    environment = Environment(
        loader=DictLoader(texts),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    page = environment.get_template("page.html").render(
        commit=commit(),
        overview=overview(given),
        results=results_table(given),
        tables=_tables(given),
        ranking=_ranking(given),
        datasets=[_dataset(given, index) for index in given.indices.values()],
        timings=timings(given),
        studies=studies(given),
        table_script=_bundle("dt_bundle.js"),
        table_style=_bundle("dt_bundle.css"),
    )
    with written_whole(output) as temporary:
        temporary.write_text(page + "\n", encoding="utf-8")


def _dataset(given: Given, index: Index) -> dict[str, Any]:
    """Return what the page shows of a dataset."""
    name = index.dataset
    found: dict[str, Any] = {"name": name}
    for kind in ("curves", "calibration", "confusion"):
        own = given.figures(name, kind).get("")
        found[kind] = file_data(own) if own else None
    for kind in ("losses", "predictions"):
        figures = given.figures(name, kind)
        found[kind] = [{"name": run, **file_data(path)} for run, path in figures.items()]
    found["accuracies"] = class_accuracies(given, name)
    found["confused"] = confused_classes(given, name)
    found["animals"] = animals(given, name)
    found["galleries"] = _galleries(given, name)
    return found


def _tables(given: Given) -> list[dict[str, str]]:
    """Return the tables beside the main one, as Markdown."""
    found = []
    for path in given.files[TABLE]:
        found.append({"name": path.stem, "text": path.read_text(encoding="utf-8")})
    return found


def _ranking(given: Given) -> dict[str, Any] | None:
    """Return the figure of the ranks over datasets, where there are enough for one."""
    found = [path for path in given.files[SCREEN] if path.stem == "ranking"]
    return file_data(found[0]) if found else None


def _galleries(given: Given, dataset: str) -> list[Mapping[str, Any]]:
    """Return the galleries of a dataset whose images are there, by kind."""
    if dataset not in given.images:
        return []
    found: list[Mapping[str, Any]] = []
    for title, told, runs_of in GALLERIES:
        runs = runs_of(given, dataset)
        if runs:
            told += given.told_of_pictured
            found.append({"title": title, "told": told, "runs": runs})
    return found


def _bundle(name: str) -> str:
    """Return a file of DataTables as ``itables`` brings it, base64: it names no other file."""
    data = (files("itables") / "html" / name).read_bytes()
    return base64.b64encode(data).decode()
