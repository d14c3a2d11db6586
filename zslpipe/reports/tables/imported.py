"""Rows of a table that are made of somebody else's scores."""

import json

import pandas as pd


def imported_files(results: pd.DataFrame) -> list[str]:
    """Return one line for each row that is made of somebody else's scores: from which file."""
    lines = []
    for row in results.to_dict("records"):
        reads = json.loads(row["reads"])
        if "imported" in str(reads.get("input", "")).split(" + "):
            # of an ensemble, members that are trained here have no file
            files = [name for name in str(reads["file"]).split(" + ") if name != "none"]
            who = f"{row['dataset']}, {row['method']}, {row['variant']}"
            lines.append(f"{who}: from {', '.join(files)}")
    return list(dict.fromkeys(lines))
