"""What a path under ``results/`` is: told by the patterns that rules write to, whatever the rules
are called.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from zslpipe.study.paths import PATHS, SEED

# Patterns that are no file, or whose files have the patterns of a run too.
NO_FILES = (
    *("dataset", "run", "ensemble", "ensemble_scores", "ensemble_metrics", "rates"),
    *("imported", "imported_scores", "imported_metrics"),
    *("rebalanced_ensemble", "rebalanced_ensemble_metrics"),
    *("tables", "benchmarks", "studies", "study"),
)
STEMS = ("figure", "dataset_figure", "ranking_figure")
WILDCARD = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True)
class Made:
    """A file: the name of its pattern in :class:`zslpipe.study.paths.Paths`, and its wildcards."""

    kind: str
    of: Mapping[str, str]

    @property
    def dataset(self) -> str:
        """Return the dataset, "" where it is of none."""
        return self.of.get("dataset", "")


def made(path: str) -> Made | None:
    """Return what a path is, None for a figure, a table or another small file."""
    for kind, pattern in _patterns().items():
        found = pattern.fullmatch(path)
        if found:
            return Made(kind, found.groupdict())
    return None


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Return pattern by name, the more particular ones first."""
    named = {}
    for field in fields(PATHS):
        if field.name not in (*NO_FILES, *STEMS):
            named[field.name] = getattr(PATHS, field.name)
    # features/{extractor}.h5 is the pattern of features/{extractor}.irrelevant.h5 too
    ordered = sorted(named, key=lambda name: len(WILDCARD.sub("", named[name])), reverse=True)
    return {name: re.compile(WILDCARD.sub(_group, re.escape(named[name]))) for name in ordered}


def _group(found: re.Match[str]) -> str:
    """Return a wildcard as a group of a pattern; a run is method/variant."""
    held = r"[^/]+/[^/]+" if found[1] == "run" else r"[^/]+"
    return f"(?P<{found[1]}>{held})"


def run_folder(made_of: Mapping[str, str]) -> str:
    """Return the folder of a run's seed."""
    return SEED.format(**made_of)
