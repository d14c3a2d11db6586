"""Whether what a job is to make lies there already: then it is not made again.

Snakemake runs a job whenever one of its files is missing or something that it reads is newer,
whatever the bytes: metrics.json was deleted, an input was refused and put right, a checkout was
copied without times, one of several settings has changed. A record beside the files, which no rule
knows, says what they were made of and which bytes they are; tables it holds as they are, so that
for a history.csv that is gone nothing is trained again.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.files import written_whole
from zslpipe.provenance import bytes_hash, file_hash

logger = logging.getLogger(__name__)

TABLE = ".csv"
# The record of a training, in the folder of its seed.
TRAINED = ".trained.json"
# The metrics.json of a rebalancing whose job failed at another one: Snakemake takes back what a
# failed job has written, and the partial table shows these.
MADE_ALL_THE_SAME = ".metrics.json"


def made_once(output: Path, stamp: str, make: Callable[[], None]) -> None:
    """Call ``make``, which writes the file ``output``, and record it, unless the record says that
    it lies there already, of what ``stamp`` is the hash of: then it stays.

    The record of ``{name}.h5`` is ``.{name}.json`` beside it.
    """
    record = output.with_name(f".{output.stem}.json")
    if is_kept(record, stamp, [output]):
        logger.info("%s: there already, of the same settings, code and inputs", output)
        return
    make()
    write_record(record, stamp, [output])


def is_kept(record: Path, stamp: str, files: list[Path]) -> bool:
    """Return whether ``record`` says that the ``files`` were made of what ``stamp`` is
    the hash of, and they still have the bytes that they had then; a table that has not gets them
    again from the record.
    """
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        if told["made_of"] != stamp or set(told["files"]) != {path.name for path in files}:
            return False
        return all(_is_as_it_was(path, told) for path in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_as_it_was(path: Path, told: Mapping[str, Any]) -> bool:
    """Return whether a file has, now, the bytes that a record tells of."""
    hashed = told["files"][path.name]
    if path.is_file() and file_hash(path) == hashed:
        return True
    text = told["tables"].get(path.name)
    if text is None or bytes_hash(text.encode()) != hashed:
        return False
    with written_whole(path) as temporary:
        temporary.write_bytes(text.encode())
    logger.info("%s: written again as it was", path)
    return True


def check_recorded(path: Path, record: Path) -> None:
    """Raise ValueError where a record beside a file tells of other bytes than it has; a file of
    which none tells is not checked.
    """
    try:
        hashed = json.loads(record.read_text(encoding="utf-8"))["files"][path.name]
    except (OSError, ValueError, KeyError, TypeError):
        return
    found = file_hash(path)
    if found != hashed:
        told = f"SHA-256 {found}, {record.name} says {hashed}"
        raise ValueError(f"its bytes are not those that were written: {told}")


def write_record(record: Path, stamp: str, files: list[Path]) -> None:
    """Write what :func:`is_kept` reads."""
    with written_whole(record) as temporary:
        temporary.write_text(json.dumps(_told(stamp, files), indent=1) + "\n", encoding="utf-8")


def _told(stamp: str, files: list[Path]) -> dict[str, Any]:
    """Return the content of a record."""
    texts = {path.name: path.read_bytes().decode() for path in files if path.suffix == TABLE}
    hashes = {path.name: file_hash(path) for path in files}
    return {"made_of": stamp, "files": hashes, "tables": texts}
