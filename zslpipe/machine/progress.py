"""``progress.json``: how far a running job is, for ``zslpipe status``; kept beside its resumable
state.
"""

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

from zslpipe.machine.files import written_whole

# Seconds between words of how far a job is (ours): `zslpipe status` takes two minutes of silence
# for the end.
REPORT_SECONDS = 10.0


def write_progress(folder: Path, state: Mapping[str, object]) -> None:
    """Write ``state`` with time, process and host to ``folder/progress.json``, whole or not at
    all.
    """
    told = {**state, "updated": time.time(), "pid": os.getpid(), "host": platform.node()}
    with written_whole(folder / "progress.json") as temporary:
        temporary.write_text(json.dumps(told))
