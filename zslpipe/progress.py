"""``progress.json``: how far a running job is, for ``zslpipe status``; kept beside its resumable state."""

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path


def write_progress(folder: Path, state: Mapping[str, object]) -> None:
    """Write ``state`` with time, process and host to ``folder/progress.json``, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"progress.{os.getpid()}.partial"
    temporary.write_text(json.dumps({**state, "updated": time.time(), "pid": os.getpid(), "host": platform.node()}))
    temporary.replace(folder / "progress.json")
