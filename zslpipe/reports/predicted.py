"""Predictions as people and programs read them: text, CSV, JSON. What is written comes from a table
with the columns image, rank, class, probability, seen, attributes and problem.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def as_text(table: pd.DataFrame) -> str:
    """Return a paragraph a picture: its path, then a line a class with the attributes that did most
    for it.
    """
    paragraphs = []
    for image, rows in table.groupby("image", sort=False):
        lines = [str(image)]
        width = max(len(str(name)) for name in rows["class"])
        for row in rows.to_dict("records"):
            lines.append(_line(row, width))
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


def _line(row: Mapping[str, Any], width: int) -> str:
    """Return a class of a picture in one line."""
    if row["problem"]:
        return f"     cannot be read: {row['problem']}"
    kind = "seen" if row["seen"] else "unseen"
    by = told_attributes(row["attributes"])
    line = f"  {row['rank']:>2}  {row['class']!s:<{width}}  {100 * row['probability']:5.1f} %"
    return f"{line}  {kind:<6}  {by}".rstrip()


def told_attributes(pairs: Sequence[tuple[str, float]]) -> str:
    """Return attributes and what they did in words."""
    return "; ".join(f"{name} {share:+.3g}" for name, share in pairs)


def as_csv(table: pd.DataFrame) -> str:
    """Return a line a class of a picture, attributes in words, below a header."""
    told = [told_attributes(pairs) for pairs in table["attributes"]]
    csv: str = table.assign(attributes=told).to_csv(index=False)
    return csv.rstrip("\n")


def as_json(table: pd.DataFrame, run: str, notes: Sequence[str]) -> str:
    """Return ``{"run", "notes", "images": [{"image", "problem", "classes": [...]}]}``."""
    images = []
    for image, rows in table.groupby("image", sort=False):
        classes = [_as_plain(row) for row in rows.to_dict("records") if not row["problem"]]
        images.append({"image": image, "problem": rows["problem"].iloc[0], "classes": classes})
    told = {"run": run, "notes": list(notes), "images": images}
    return json.dumps(told, indent=1, ensure_ascii=False)


def _as_plain(row: Mapping[str, Any]) -> dict[str, object]:
    """Return a class of a picture as JSON holds it."""
    plain = {name: row[name] for name in ("rank", "class", "probability", "seen")}
    return plain | {"attributes": dict(row["attributes"])}
