"""Why a job failed, left where the end of the run finds it: a file for each output that was not
made, ``results/.failed/{hash}.json`` with ``output``, ``message`` and ``time`` (unix).
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path("results/.failed")


def record_failure(arguments: Sequence[str], message: str, code: int = 1) -> bool:
    """Leave ``message`` for the command whose ``arguments`` name an ``--output`` under results/ of
    the working folder; for any other nothing. One rank of several leaves it, and its exit ``code``,
    for their launcher: return whether that will say it. Never raises: it is the last thing a job
    does.
    """
    from zslpipe.machine.ranks import failure_note, has_launcher, own_rank  # not for each command

    given = list(arguments)
    if "--output" not in given[:-1]:
        return False
    output = given[given.index("--output") + 1]
    rank = own_rank(os.environ) if has_launcher(os.environ) else None
    if rank is not None:
        return _leave(failure_note(Path(output), rank.number), {"code": code, "message": message})
    if output.startswith(f"{FOLDER.parts[0]}/"):
        name = hashlib.sha256(output.encode()).hexdigest()[:16]
        told = {"output": output, "message": message, "time": time.time()}
        _leave(FOLDER / f"{name}.json", told)
    return False


def _leave(note: Path, told: Mapping[str, object]) -> bool:
    """Write a note; return whether it could be: a full disk may be what it is about."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(told), encoding="utf-8")
    except OSError:
        return False
    return True


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
