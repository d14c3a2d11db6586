"""Whether what a job is to make lies there already: then it is not made again.

Snakemake runs a job whenever one of its files is missing or something that it reads is newer,
whatever the bytes: metrics.json was deleted, an input was refused and put right, a checkout was
copied without times, one of several settings has changed. A record beside the files, which no rule
knows, says what they were made of and which bytes they are.
"""

import json
from pathlib import Path
from typing import Any

from zslpipe.machine.files import written_whole
from zslpipe.provenance import file_hash

# The metrics.json of a rebalancing whose job failed at another one: Snakemake takes back what a
# failed job has written, and the partial table shows these.
MADE_ALL_THE_SAME = ".metrics.json"


def is_kept(record: Path, stamp: str, files: list[Path]) -> bool:
    """Return whether ``record`` says that the ``files`` were made of what ``stamp`` is
    the hash of, and they still have the bytes that they had then.
    """
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        return bool(told == _told(stamp, files))
    except (OSError, ValueError):
        return False


def write_record(record: Path, stamp: str, files: list[Path]) -> None:
    """Write what :func:`is_kept` reads."""
    with written_whole(record) as temporary:
        temporary.write_text(json.dumps(_told(stamp, files), indent=1) + "\n", encoding="utf-8")


def _told(stamp: str, files: list[Path]) -> dict[str, Any]:
    """Return the content of a record."""
    return {"made_of": stamp, "files": {path.name: file_hash(path) for path in files}}
