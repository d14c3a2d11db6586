"""Why a job failed, left where the end of the run finds it: a file for each output that was not
made, ``results/.failed/{hash}.json`` with ``output``, ``message`` and ``time`` (unix).
"""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path("results/.failed")


def record_failure(arguments: Sequence[str], message: str) -> None:
    """Leave ``message`` for the command whose ``arguments`` name an ``--output`` under results/ of
    the working folder; for any other nothing. Never raises: it is the last thing a job does.
    """
    given = list(arguments)
    if "--output" not in given[:-1]:
        return
    output = given[given.index("--output") + 1]
    if not output.startswith(f"{FOLDER.parts[0]}/"):
        return
    note = FOLDER / f"{hashlib.sha256(output.encode()).hexdigest()[:16]}.json"
    told = {"output": output, "message": message, "time": time.time()}
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(told), encoding="utf-8")
    except OSError:  # a full disk may be what the message is about
        return


def failures_since(moment: float, folder: Path = FOLDER) -> dict[str, str]:
    """Return output -> message of what failed here after ``moment`` (unix time)."""
    found = {}
    for note in sorted(folder.glob("*.json")):
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if told["time"] >= moment:
            found[str(told["output"])] = str(told["message"])
    return found
