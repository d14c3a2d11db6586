"""``localization.json``: how often maps look where the attribute is
(:mod:`zslpipe.maps.localization` counts it).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError

LIMITS = {"tenth": 0.1, "fifth": 0.2}  # of the object's size (ours)
POINTS = ("", "random_", "centre_", "best_")
MEASURES = tuple(f"{point}{limit}" for point in POINTS for limit in LIMITS)
IDENTITY = ("dataset", "method", "variant", "seed", "kind")


def read_localization(path: Path) -> Mapping[str, Any]:
    """Read localization.json; InputError where it is absent, not JSON, or lacks what it has to say,
    as one of another version may.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the rule 'localize' writes it") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable localization.json ({error}); delete it and run again"
        ) from None
    absent = [
        name
        for name in (*IDENTITY, "shares")
        if not isinstance(content, dict) or name not in content
    ]
    if not absent:
        needed = ("images", "of", "name", "pairs", *MEASURES)
        absent = sorted(
            {name for share in content["shares"] for name in needed if name not in share}
        )
    if absent:
        raise InputError(
            f"{path}: not a localization.json, it lacks {', '.join(absent)}; delete it and run again"
        )
    return content
