"""The papers' printed numbers (``published.yaml``), to stand beside ours where dataset and protocol
are the same.
"""

import functools
from pathlib import Path
from typing import Any

import yaml

from zslpipe.formats.index import PROPOSED_SPLIT

METRICS = ("T1", "U", "S", "H")


@functools.cache
def _papers() -> dict[str, Any]:
    """Return the content of published.yaml: method -> paper, semantics by dataset, rows."""
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    papers: dict[str, Any] = yaml.safe_load(text)
    return papers


def _rows(method: str, variant: str, dataset: str, protocol: str) -> list[dict[str, Any]]:
    """Return the rows of a method's variant on one dataset under one split; empty for unknown
    names.
    """
    wanted = (variant, dataset, protocol)
    rows = _papers().get(method, {}).get("rows", [])
    return [
        row
        for row in rows
        if (row["variant"], row["dataset"], row.get("protocol", PROPOSED_SPLIT)) == wanted
    ]


def published(
    method: str, variant: str, dataset: str, protocol: str, rebalancing: str = "none"
) -> dict[str, float]:
    """Return the printed T1, U, S, H in per cent; what was not printed has no key.

    The dataset's name has to be the paper's (``CUB``; not ``cub127``) and ``protocol``
    (``Index.protocol``) the paper's split, else nothing is returned. U, S and H are given only for
    the rebalancing they were printed with; T1 is the same under any.
    """
    values: dict[str, float] = {}
    for row in _rows(method, variant, dataset, protocol):
        same = row.get("rebalancing", "none") == rebalancing
        for name in METRICS:
            if name in row and (same or name == "T1"):
                values[name] = float(row[name])
    return values


def source(method: str, variant: str, dataset: str, protocol: str) -> str:
    """Return where the numbers are printed and on which class vectors, "" where there are none."""
    rows = _rows(method, variant, dataset, protocol)
    if not rows:
        return ""
    tables = sorted({str(row["table"]) for row in rows})
    semantics = _papers()[method]["semantics"].get(dataset, "the dataset's attributes")
    word = "table" if len(tables) == 1 else "tables"
    return f"{_papers()[method]['paper']}, {word} {', '.join(tables)}; class vectors: {semantics}"
