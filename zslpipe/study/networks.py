"""Whether there is the network of an extractor, and the weights of a library that it names: what a
job would find out after the jobs before it have run. Imports no torch.

``torchvision_networks.csv`` lists torchvision's classifiers with the names of their weights and the
width of their last map (a test holds it in step); timm's 1,300 are known to timm alone, of them the
kinds that have no map.
"""

import csv
from collections.abc import Mapping
from functools import cache
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import WEIGHT_FILES, is_weights_file
from zslpipe.provenance import PACKAGE

TABLE = PACKAGE / "study" / "torchvision_networks.csv"
# Beginnings of the names, in torchvision and in timm, of networks whose last layers have tokens.
TOKENS = (
    *("vit_", "deit", "beit", "eva", "flexivit", "cait_"),
    *("mixer_", "gmlp", "resmlp"),
)


@cache
def _weights() -> Mapping[str, list[str]]:
    """Return torchvision's networks with the names of their weights."""
    with TABLE.open(encoding="utf8", newline="") as file:
        return {row["backbone"]: row["weights"].split() for row in csv.DictReader(file)}


# Widths of the maps of the demo's networks (networks.demo_network and demo_pair; a test holds them
# in step).
DEMO_WIDTHS = {"demo": 192, "demo_pair": 64}


@cache
def _widths() -> Mapping[str, str]:
    """Return the widths of the last maps of torchvision's networks, "" for those without one."""
    with TABLE.open(encoding="utf8", newline="") as file:
        return {row["backbone"]: row["width"] for row in csv.DictReader(file)}


def map_width(extractor: Mapping[str, Any]) -> int | None:
    """Return d of an extractor's features; None where only its network can tell: of a layer that
    is named, of timm's networks, of features that came with a dataset.
    """
    if extractor["backbone"] in DEMO_WIDTHS:
        return DEMO_WIDTHS[extractor["backbone"]]
    width = "" if "layer" in extractor else _widths().get(extractor["backbone"], "")
    return int(width) if width else None


def check_network(extractor: Mapping[str, Any], where: str) -> None:
    """Raise InputError, which begins with ``where``, for an extractor's network that torchvision
    does not have, weights that no library has of it, and a network of tokens without a ``layer``.
    """
    backbone, weights = extractor["backbone"], extractor.get("weights", "random")
    if backbone == "stored":
        return
    is_file = is_weights_file(weights) or weights == "random"
    offered = _offered(backbone, where)
    if not is_file and weights not in offered:
        known = f"a file ({', '.join(WEIGHT_FILES)}), random"
        named = f", nor one of {', '.join(offered)}" if offered else ""
        raise InputError(f"{where}.weights: {weights!r} of {backbone}: neither {known}{named}")
    if backbone.removeprefix("timm/").startswith(TOKENS) and "layer" not in extractor:
        raise InputError(
            f"{where}.backbone: {backbone!r} has tokens and no map, and only maps are read; name a "
            "'layer' with a map, or take a network that has one: convolutions, or swin"
        )


def _offered(backbone: str, where: str) -> list[str]:
    """Return the names of a network's weights; InputError where torchvision has no such network."""
    if backbone in DEMO_WIDTHS:
        return []
    if backbone.startswith("timm/"):
        return ["pretrained"]
    if backbone not in _weights():
        near = nearest(backbone, [*_weights(), *DEMO_WIDTHS, "stored"])
        advice = f"{near} (timm networks are written timm/NAME)"
        raise InputError(f"{where}.backbone: no torchvision network {backbone!r}; {advice}")
    return _weights()[backbone]
