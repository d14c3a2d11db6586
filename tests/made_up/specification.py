"""A run as a job is told of it, on the miniature dataset; a test adds the method, what it reads and
its settings.
"""

from typing import Any

SPEC: dict[str, Any] = {
    "dataset": "miniature",
    "variant": "default",
    "trunk": None,
    "extractor": "miniature",
    "semantics": "att",
    "normalisation": "unit",
    "precision": "float32",
    "selection": "last",
    "criterion": "H",
    "choose": {},
    "track": "none",
}
