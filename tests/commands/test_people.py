"""Commands for people: what they refuse in one line."""

from pathlib import Path

import pytest
from PIL import Image

from tests.made_up.miniature import write_miniature
from zslpipe.commands.cli import main
from zslpipe.formats.index import read_index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A dataset with its images beside the index."""
    path = write_miniature(tmp_path)["index"]
    for name in read_index(path).paths:
        image = path.parent / "images" / name
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(image)
    return path


def test_inspect_draws_a_picture_by_its_ending_and_the_page_beside_it(
    index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["inspect", str(index), "--output", str(tmp_path / "ten")]) == 1
    assert "ten names no picture; end it in .png or .svg" in caplog.text
    assert not (tmp_path / "ten.txt").exists()
    assert main(["inspect", str(index), "--output", str(tmp_path / "new" / "ten.png")]) == 0
    assert (tmp_path / "new" / "ten.txt").is_file() and (tmp_path / "new" / "ten.png").is_file()


def test_inspect_asks_for_a_dataset(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["inspect"]) == 1
    assert "name a dataset (or its index.h5), or give --splits FILE.mat" in caplog.text


def test_status_names_a_folder_that_is_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["status", str(tmp_path / "absent")]) == 1
    assert "absent: no such folder; status reads what a run of the workflow" in caplog.text
