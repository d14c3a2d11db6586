"""Tables and figures of the papers, where their studies have been run."""

from typing import Any

from zslpipe.formats.figures import SCREEN
from zslpipe.reports.page.given import Given
from zslpipe.reports.page.pictures import file_data


def studies(given: Given) -> list[dict[str, Any]]:
    """Return the studies by name, each with the text of its table and its figure, where it has
    one.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(given.studies.glob("*")):
        study = {"name": path.stem, "text": "", "pictures": []}
        if path.suffix == ".md":
            found.setdefault(path.stem, study)["text"] = path.read_text(encoding="utf-8")
        elif path.suffix == f".{SCREEN}":
            found.setdefault(path.stem, study)["pictures"].append(file_data(path))
    return list(found.values())
