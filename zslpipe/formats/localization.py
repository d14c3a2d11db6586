"""``localization.json``: how often maps look where the attribute is
(:mod:`zslpipe.maps.localization` counts it). Layout::

    dataset, method, variant, seed, kind
    assigned    part maps only: the body part of each map, "" for a map that is never near any
    shares      list of {"images": "seen" | "unseen", "of": "overall" | "group" | "part", "name",
                "pairs", and, as fractions, "tenth", "fifth", and both after "random_", "centre_"
                and "best_"}
    crc32       checksum of all this (:mod:`zslpipe.machine.seals`)

What has no pair has no entry among the shares.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.files import read_complete, written_whole
from zslpipe.machine.seals import read_sealed_json, sealed_json

LIMITS = {"tenth": 0.1, "fifth": 0.2}  # of the object's size (ours)
POINTS = ("", "random_", "centre_", "best_")
MEASURES = tuple(f"{point}{limit}" for point, limit in itertools.product(POINTS, LIMITS))
IDENTITY = ("dataset", "method", "variant", "seed", "kind")
SHARE = ("images", "of", "name", "pairs", *MEASURES)  # what each of the shares says


def write_localization(output: Path, content: Mapping[str, Any]) -> None:
    """Write localization.json, whole or not at all; raises ValueError for a number that is not
    finite.
    """
    text = sealed_json(content)
    with written_whole(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_localization(path: Path) -> Mapping[str, Any]:
    """Read localization.json; InputError where it is absent, not JSON, not what was written, or
    lacks what it has to say, as one of another version may.
    """
    return read_complete(path, _read, "localization.json", "the rule 'localize_DATASET'")


def _read(path: Path) -> Mapping[str, Any]:
    """Read the file; raises KeyError where it lacks something."""
    found = read_sealed_json(path)
    content = found if isinstance(found, dict) else {}
    absent = [name for name in (*IDENTITY, "shares") if name not in content]
    for share in content.get("shares", ()):
        absent += [name for name in SHARE if name not in share]
    if absent:
        raise KeyError(f"it lacks {', '.join(dict.fromkeys(absent))}")
    return content
