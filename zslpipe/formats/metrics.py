"""``metrics.json``: the figures of merit of one score matrix (:mod:`zslpipe.scores.evaluation` says
which).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError

METRICS = ("T1", "U", "S", "H", "AUSUC")
IDENTITY = (
    "dataset",
    "method",
    "variant",
    "extractor",
    "semantics",
    "words",
    "selection",
    "rebalancing",
    "protocol",
)


def read_metrics(path: Path) -> Mapping[str, Any]:
    """Read metrics.json; InputError where it is absent, not JSON, or does not say what it belongs
    to.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the evaluation of a scores.h5 writes it") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable metrics.json ({error}); delete it and run again"
        ) from None
    absent = [
        name for name in (*IDENTITY, "seed") if not isinstance(metrics, dict) or name not in metrics
    ]
    if absent:
        raise InputError(
            f"{path}: not a metrics.json, it lacks {', '.join(absent)}; delete it and run again"
        )
    return metrics
