"""The model card of an exported run (Mitchell et al., FAT* 2019): what it was trained on and how,
what it reached, how it is used, what may stand against using it.
"""

from collections.abc import Mapping
from typing import Any

from zslpipe.names import text_name

NAMES = {  # of metrics.json
    "T1": "T1 (unseen images among unseen classes)",
    "U": "U (unseen images among all classes)",
    "S": "S (seen images among all classes)",
    "H": "H (harmonic mean of U and S)",
    "AUSUC": "AUSUC",
}
LICENCE = (
    "The weights inherit the licences of the data they were trained on and of the backbone they "
    "start from; check both before you pass them on or use them for anything but research."
)


def model_card(described: Mapping[str, Any]) -> str:
    """Return the card, Markdown, of what config.json says."""
    run, told = described["run"], described["told"]
    title = f"# {run['method']} ({run['variant']}) on {run['dataset']}, seed {run['seed']}"
    sections = {
        "Trained on": _table(_data(described)),
        "Network": _table(_network(run)),
        "Settings": _table(described["settings"]),
        "Reached": _reached(told["metrics"], run),
        "Probabilities": _probabilities(described["probabilities"]),
        "Use": _use(described),
        "Versions": _table(told["metrics"].get("versions") or described["exported_by"]),
        "Licence": LICENCE,
    }
    parts = [title]
    for heading, text in sections.items():
        parts.append(f"## {heading}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _data(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run was trained on."""
    run, seen = described["run"], described["seen"]
    vectors = described["told"].get("semantics", run["semantics"])  # earlier exports do not tell
    return {
        "dataset": run["dataset"],
        "split": described["told"]["protocol"],
        "classes": f"{sum(seen)} seen, {len(seen) - sum(seen)} unseen",
        "class vectors": f"{vectors} ({run['normalisation']})",
        "word vectors": described["told"]["words"] or "none",
        "images": "cropped to boxes" if described["boxed"] else "whole",
    }


def _network(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a picture goes through first."""
    section = run["trunk"] or run["cache"]
    return {
        "backbone": section["backbone"],
        "weights": section.get("weights", "trained on the way"),
        "layer": section.get("layer") or "last map",
        "size": f"{section['size']} px",
        "read as": _read_as(run["input"], section.get("pooled", "")),
        "trained with the method": "yes" if run["trunk"] else "no",
    }


def _read_as(kind: str, pooled: str) -> str:
    """Return the kind of a run's inputs; of pooled ones what they are where that is no mean."""
    return f"pooled ({pooled.replace('_', ' ')})" if kind == "pooled" and pooled else kind


def _reached(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return the figures of this seed in words."""
    chosen = metrics.get("selection", "as configured")  # a run that is not evaluated tells less
    if run["selection"] == "validation":
        chosen = f"chosen by {run['criterion']} on the validation classes"
    found = {NAMES[name]: f"{100 * metrics[name]:.1f} %" for name in NAMES if name in metrics}
    figures = _table(found) if found else "Not evaluated."
    return f"{figures}\n\nSelection: {chosen}; figures of this one seed on the test images."


def _probabilities(how: Mapping[str, Any]) -> str:
    """Return how scores become probabilities."""
    told = "Not calibrated: a softmax of the scores as they are."
    if how["temperature"] is not None:
        told = f"A softmax at temperature {how['temperature']:.4g}, the likeliest on the validation"
        told += " classes."
    if how["rebalancing"] != "none":
        told += f" {how['told']}."
    return told


def _use(described: Mapping[str, Any]) -> str:
    """Return how it is used, and for what it is not good."""
    return (
        '    import zslpipe\n    zslpipe.load("this folder").predict(["a.jpg"], top=5)\n\n'
        "or `zslpipe predict FOLDER a.jpg`. It answers with one of its classes whatever a picture "
        f"shows. Classes nobody trained on are described by {_describes(described)}, where the "
        "method knows classes by their vectors alone."
    )


def _describes(described: Mapping[str, Any]) -> str:
    """Return what describes a class that nobody trained on, and what reads that."""
    if text_name(described["run"]["semantics"]) is None:
        return f"its {len(described['attributes'])} attributes (`--classes`)"
    settings = described.get("texts", {}).get("settings", {})
    if settings.get("encoder") == "demo":  # its pair stays with the results
        return "texts (`--classes`) where the results lie, not by this folder"
    files = " and ".join(filter(None, map(settings.get, ("encoder", "weights"))))
    return f"texts (`--classes`), encoded by {files or 'its encoder'} under `--data-root`"


def _table(rows: Mapping[str, Any]) -> str:
    """Return names and values as a Markdown table."""
    lines = ["| | |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace('|', '/')} |" for name, value in rows.items()]
    return "\n".join(lines)
