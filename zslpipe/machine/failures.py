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
# The number of a job's attempt within a run of the workflow, 1 at first; the Snakefile sets it.
ATTEMPT = "ZSLPIPE_ATTEMPT"


def record_failure(
    arguments: Sequence[str], message: str, code: int = 1, refused: bool = False
) -> bool:
    """Leave ``message`` for the command whose ``arguments`` name an ``--output`` under results/ of
    the working folder; for any other nothing. One rank of several leaves it, and its exit ``code``,
    for their launcher: return whether that will say it. Never raises: it is the last thing a job
    does.
    """
    from zslpipe.machine.ranks import failure_note, has_launcher, own_rank  # not for each command

    named = _named(arguments)
    if not named:
        return False
    told = {"code": code, "message": message, "refused": refused}
    rank = own_rank(os.environ) if has_launcher(os.environ) else None
    if rank is not None:
        return _leave(failure_note(Path(named), rank.number), told)
    if _output(arguments):
        _leave(_note(named), {**told, "output": named, "time": time.time()})
    return False


def _leave(note: Path, told: Mapping[str, object]) -> bool:
    """Write a note; return whether it could be: a full disk may be what it is about."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(told), encoding="utf-8")
    except OSError:
        return False
    return True


def refused_before(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what an earlier attempt of the same run of the workflow said that refused its inputs:
    Snakemake knows no failure that trying again does not mend. "" where none did, and at a first
    attempt, which begins without a note.
    """
    output = _output(arguments)
    if not output:
        return ""
    note = _note(output)
    try:
        if environment.get(ATTEMPT, "1") == "1":
            note.unlink(missing_ok=True)
            return ""
        told = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(told["message"]) if told.get("refused") else ""


def _named(arguments: Sequence[str]) -> str:
    """Return the ``--output`` that a command's arguments name, "" without one."""
    given = list(arguments)
    return given[given.index("--output") + 1] if "--output" in given[:-1] else ""


def _output(arguments: Sequence[str]) -> str:
    """Return the ``--output`` under results/ that a command's arguments name, "" without one."""
    named = _named(arguments)
    return named if named.startswith(f"{FOLDER.parts[0]}/") else ""


def _note(output: str) -> Path:
    """Return where the note of an output lies."""
    return FOLDER / f"{hashlib.sha256(output.encode()).hexdigest()[:16]}.json"


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
