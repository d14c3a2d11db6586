"""Tables and figures of a run that failed: what succeeded, marked partial, and what is missing."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.machine.files import written_whole
from zslpipe.reports.figures.confusions import confusions
from zslpipe.reports.figures.curves import seen_unseen_curves
from zslpipe.reports.tables.localization import write_localization_tables
from zslpipe.reports.tables.results import write_tables

NAME = "partial"


def write_partial_tables(given: Mapping[str, Any], output_folder: Path) -> Path:
    """Write partial.{md,csv,tex}, and the md alone where no result is there; return its path.

    ``given`` is what :meth:`zslpipe.study.partial.Partial.contents` says: ``metrics`` (files that
    are there), ``expected`` (how many there should be), ``missing`` (a line each, with its reason),
    ``localizations``, ``figures`` (png or webp), and by dataset ``curves`` (metrics.json) and
    ``confusions`` (scores.h5).
    Raises InputError as :func:`zslpipe.reports.tables.results.write_tables`.
    """
    heading, missing = _heading(given), list(given["missing"])
    if given["metrics"]:
        paths = [Path(path) for path in given["metrics"]]
        write_tables(paths, output_folder, NAME, heading, missing)
    else:
        text = "\n".join([heading, "", "Missing:", "", *[f"- {line}" for line in missing], ""])
        with written_whole(output_folder / f"{NAME}.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
    return output_folder / f"{NAME}.md"


def write_partial_report(given: Mapping[str, Any], output_folder: Path) -> None:
    """Write partial.localization.* beside the tables, partial.{dataset}.curves and .confusion in
    figures/ beside their folder, and partial.html, in which all of it stands, with the ``figures``
    that are there; ``given`` and errors as for the tables.
    """
    note = f"{_heading(given)}, see partial.md"
    if given["localizations"]:
        paths = [Path(path) for path in given["localizations"]]
        write_localization_tables(paths, output_folder, f"{NAME}.localization", note)
    figures = output_folder.with_name("figures")
    drawn = []
    for kind, draw in (("curves", seen_unseen_curves), ("confusions", confusions)):
        for dataset, files in given[kind].items():
            if files:
                stem = figures / f"{NAME}.{dataset}.{kind}"
                drawn.append(draw([Path(path) for path in files], stem, note)[0])
    text = _page(given, output_folder, [*drawn, *[Path(path) for path in given["figures"]]])
    with written_whole(output_folder / f"{NAME}.html") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _page(given: Mapping[str, Any], folder: Path, figures: Sequence[Path]) -> str:
    """Return the page of tables and figures, which needs no other file."""
    parts = [f"<!doctype html><meta charset=utf-8><title>{_heading(given)}</title>"]
    for name in (f"{NAME}.md", f"{NAME}.localization.md", f"{NAME}.localization.parts.md"):
        if (folder / name).is_file():
            parts.append(f"<pre>{html.escape((folder / name).read_text(encoding='utf-8'))}</pre>")
    for path in figures:
        picture = base64.b64encode(path.read_bytes()).decode()
        parts.append(f"<h2>{html.escape(path.stem)}</h2>")
        parts.append(f'<img alt="" width=900 src="data:image/{path.suffix[1:]};base64,{picture}">')
    return "\n".join([*parts, ""])


def _heading(given: Mapping[str, Any]) -> str:
    """Return the line that a partial table begins with."""
    return f"PARTIAL: {len(given['missing'])} of {given['expected']} results are missing"
