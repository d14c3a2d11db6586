"""Why a job failed, left where the end of the run finds it: a file for each output that was not
made, ``results/.failed/{hash}.json`` with ``output``, ``message`` and ``time`` (unix).
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path("results/.failed")
# The number of a job's attempt within a run of the workflow, 1 at first; the Snakefile sets it.
ATTEMPT = "ZSLPIPE_ATTEMPT"


def record_failure(arguments: Sequence[str], message: str, refused: bool = False) -> None:
    """Leave ``message`` for the command whose ``arguments`` name an ``--output`` under results/ of
    the working folder; for any other nothing. Never raises: it is the last thing a job does.
    """
    output = _output(arguments)
    if not output:
        return
    told = {"output": output, "message": message, "time": time.time(), "refused": refused}
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        _note(output).write_text(json.dumps(told), encoding="utf-8")
    except OSError:  # a full disk may be what the message is about
        return


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


def _output(arguments: Sequence[str]) -> str:
    """Return the ``--output`` under results/ that a command's arguments name, "" without one."""
    given = list(arguments)
    if "--output" not in given[:-1]:
        return ""
    output = given[given.index("--output") + 1]
    return output if output.startswith(f"{FOLDER.parts[0]}/") else ""


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
