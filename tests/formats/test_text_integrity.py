"""A flipped byte in a JSON file or a history is refused in one line that names the file, or changes
nothing that it says.
"""

import json
import zlib
from pathlib import Path

import pytest

from zslpipe.formats import localization, metrics
from zslpipe.formats.history import read_history, write_history
from zslpipe.formats.kept import TRAINED, write_record
from zslpipe.formats.localization import read_localization, write_localization
from zslpipe.formats.metrics import read_metrics, write_metrics_file
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import sealed_json

IDENTITY = dict.fromkeys(metrics.IDENTITY, "größe") | {"seed": 0}
FIGURES = IDENTITY | {"H": 0.1 + 0.2, "curve": {"U": [0.0, 1e-12], "S": [1.0, 0.5]}}
SHARE = dict.fromkeys(localization.SHARE, 0.25)
LOCATED = dict.fromkeys(localization.IDENTITY, "x") | {"shares": [SHARE]}
KINDS = {
    "metrics.json": (write_metrics_file, read_metrics, FIGURES),
    "localization.json": (write_localization, read_localization, LOCATED),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_byte_of_json_is_refused_or_changes_nothing(tmp_path: Path, name: str) -> None:
    write, read, content = KINDS[name]
    path = tmp_path / name
    write(path, content)
    assert read(path) == content
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = read(path)
            # What changes the name of the checksum's field adds another one.
            assert {field: found[field] for field in content} == content
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: not a readable {name} (")
            assert "delete it" in str(error) and "\n" not in str(error)
    assert refused > 0.8 * len(whole)  # the others lie in what sets the text out


def test_the_checksum_is_of_what_is_said_however_it_is_set_out(tmp_path: Path) -> None:
    text = sealed_json({"b": [1.5, "ü"], "a": None})
    told = json.loads(text)
    plain = json.dumps({"a": None, "b": [1.5, "ü"]}, separators=(",", ":"))
    assert list(told) == ["b", "a", "crc32"]
    assert told["crc32"] == f"{zlib.crc32(plain.encode()):08x}"


def test_files_of_earlier_versions_and_of_other_programs_have_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(FIGURES))
    assert read_metrics(path) == FIGURES


def test_a_number_written_over_is_found(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics_file(path, FIGURES)
    path.write_text(path.read_text().replace("0.30000000000000004", "0.9"))
    with pytest.raises(InputError, match="what it says is not what was written: CRC-32"):
        read_metrics(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_metrics_file(path, FIGURES | {"H": float("nan")})


def test_a_flipped_byte_of_a_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [{"phase": "train", "epoch": 1, "step": 3, "loss": 0.5, "seconds": 0.1}]
    write_history(rows, path)
    unrecorded = read_history(path)
    write_record(tmp_path / TRAINED, "made of this", [path])
    assert read_history(path) == unrecorded
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"not those that were written.*delete it") as raised:
            read_history(path)
        assert str(raised.value).startswith(f"{path}: ")
    (tmp_path / TRAINED).write_text("{")  # a record that is none tells nothing
    path.write_bytes(whole)
    assert read_history(path) == unrecorded
