"""A configuration is checked without Snakemake."""

from pathlib import Path

import pytest
import yaml

from tests.made_up.configuration import GIVEN
from zslpipe.machine.errors import InputError
from zslpipe.study.check import check, main


def test_what_is_in_order_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GIVEN), encoding="utf8")
    *notes, last = check(path)
    assert len(notes) == 1 and "eszsl publishes no settings for CUB" in notes[0]
    assert last == f"{path}: in order, 5 rows x 1 seeds"
    assert main([str(path)]) == 0
    path.write_text(yaml.safe_dump(GIVEN | {"seeds": [3, 5]}), encoding="utf8")
    *_, last = check(path)
    counted = "5 rows x 2 seeds (2 from one: no seed decides anything there)"  # eszsl's
    assert last == f"{path}: in order, {counted}"


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "methods: [dazel]\n", "a: 1\n---\nb: 1\n", ""])
def test_what_is_not_is_one_line(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError):
        check(path)
    assert main([str(path)]) == 1
    [record] = caplog.records
    assert record.getMessage().startswith("error: ") and "\n" not in record.getMessage()
