"""Seals: a line behind the last byte of a file, with the checksum of the bytes that were written.

HDF5 files and the zip files that torch writes end where their own tables say: a line behind their
end is seen by no reader of either. A program that changes such an HDF5 file in place (h5py) cuts
the line off; the file is then read as one that somebody else wrote, which has no seal and is not
checked. Measured: a check takes 0.1 s a GB on one core where the file is in the page cache.

JSON, which other programs read whole, has its checksum in a last field: of what it says, not of how
it is set out.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.checksums import crc32

MARK = b"\nzslpipe-seal "
# Bytes at the end of a file among which a seal is looked for (ours: a seal takes about 100).
REACH = 1024
# Bytes read at once (ours: a file's checksum takes the memory of one block).
AT_ONCE = 1 << 20
# A zip file's first bytes (PKWARE's APPNOTE, 4.3.7).
ZIP = b"PK\x03\x04"
# Field of a JSON object.
CHECKSUM = "crc32"
# Who writes which files of weights, by their names; the others are those of runs.
WRITERS = {"backbone.pt": "the rule 'pretrain'", "pair.pt": "the rule 'pretrain_pair'"}


def seal(path: Path, without: Iterable[tuple[int, int]] = ()) -> None:
    """Write the seal of a finished file; ``without``: (offset, bytes) of parts that have checksums
    of their own.
    """
    left_out = sorted(without)
    told = {"crc32": _checksum(path, path.stat().st_size, left_out), "without": left_out}
    with path.open("ab") as file:
        file.write(MARK + json.dumps(told).encode() + b"\n")


def is_sealed(path: Path) -> bool:
    """Return whether a file has a seal, whatever it says."""
    return _parts(path) is not None


def check_seal(path: Path) -> None:
    """Raise ValueError where a file has a seal and its bytes are not those that were sealed."""
    found = _parts(path)
    if found is None:
        return
    size, line = found
    try:
        told = json.loads(line)
        sealed, left_out = (
            int(told["crc32"]),
            [(int(at), int(count)) for at, count in told["without"]],
        )
    except (ValueError, TypeError, KeyError):
        raise ValueError("its seal is cut off or damaged") from None
    checksum = _checksum(path, size, left_out)
    if not line.endswith(b"\n") or checksum != sealed:
        raise ValueError(
            f"its bytes are not those that were written: CRC-32 {checksum:08x}, sealed {sealed:08x}"
        )


def sealed_json(content: Mapping[str, Any]) -> str:
    """Return an object as the text of a JSON file whose last field is its checksum; ValueError
    where a number is not finite.
    """
    told = json.loads(json.dumps(content, allow_nan=False))
    return json.dumps({**told, CHECKSUM: _json_checksum(told)}, indent=1) + "\n"


def read_sealed_json(path: Path) -> Any:
    """Return what a JSON file holds, without its checksum; ValueError where it has one and says
    something else than what was sealed.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(found, dict) and CHECKSUM in found:
        sealed, checksum = found.pop(CHECKSUM), _json_checksum(found)
        if sealed != checksum:
            raise ValueError(
                f"what it says is not what was written: CRC-32 {checksum}, sealed {sealed}"
            )
    return found


def _json_checksum(content: Mapping[str, Any]) -> str:
    """Return the CRC-32 of an object, eight digits, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{crc32(text.encode()):08x}"


def check_zip(path: Path) -> None:
    """Raise ValueError where a zip file, as torch writes weights, has other bytes than it has
    checksums of. Passes what is no zip file, and what torch was told to write without checksums
    (``set_crc32_options``: all are 0).
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins_so = file.read(len(ZIP)) == ZIP
        if begins_so:  # what a zip file holds stands at its end
            raise ValueError("cut off: it begins as a zip file and does not end as one")
        return
    try:
        with zipfile.ZipFile(path) as file:
            has_checksums = any(part.CRC for part in file.infolist())
            damaged = file.testzip() if has_checksums else None
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(str(error)) from None
    if damaged is not None:
        raise ValueError(f"{damaged} in it is damaged: not what was written (CRC-32)")


def writer_of(path: Path) -> str:
    """Return who writes a file of weights here, as messages call it."""
    return WRITERS.get(path.name, "training the run")


def _parts(path: Path) -> tuple[int, bytes] | None:
    """Return the size of a file without its seal and what the seal says, None without a seal."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - REACH))
        end = file.read()
    place = end.rfind(MARK)
    return None if place < 0 else (size - len(end) + place, end[place + len(MARK) :])


def _checksum(path: Path, size: int, without: Iterable[tuple[int, int]]) -> int:
    """Return the CRC-32 of the first ``size`` bytes of a file, ``without`` some parts."""
    checksum = 0
    with path.open("rb") as file:
        for start, end in _kept(size, without):
            file.seek(start)
            while start < end:
                data = file.read(min(AT_ONCE, end - start))
                if not data:
                    raise ValueError("its seal is damaged: it names bytes beyond the file's end")
                checksum, start = crc32(data, checksum), start + len(data)
    return checksum


def _kept(size: int, without: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what lies between the parts ``without`` of ``size`` bytes."""
    start = 0
    for offset, count in without:
        yield start, offset
        start = offset + count
    yield start, size
