"""Files, folders and globs that somebody names as pictures."""

from pathlib import Path

import pytest
from PIL import Image

from zslpipe.machine.errors import InputError
from zslpipe.runs.given_pictures import listed_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "a.JPG", "deep/c.png", ".hidden.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    Image.new("RGB", (8, 8)).save(tmp_path / "without_ending", "PNG")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def named(paths: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in paths]


def test_a_folder_gives_pictures_at_any_depth_broken_ones_too(folder, caplog):
    caplog.set_level("INFO")
    found = listed_pictures([folder])
    expected = ["a.JPG", "b.png", "cut.png", "deep/c.png", "without_ending"]
    assert named(found, folder) == expected
    assert "1 files that are no pictures left out" in caplog.text


def test_files_stay_as_given_and_each_is_listed_once(folder):
    given = [folder / "notes.txt", folder / "absent.png", folder / "b.png", str(folder / "b.png")]
    assert named(listed_pictures(given), folder) == ["notes.txt", "absent.png", "b.png"]


def test_a_glob_is_looked_up_and_a_file_of_its_name_comes_first(folder, monkeypatch):
    assert named(listed_pictures([f"{folder}/*.png"]), folder) == ["b.png", "cut.png"]
    assert named(listed_pictures([f"{folder}/**/c.png"]), folder) == ["deep/c.png"]
    assert named(listed_pictures([f"{folder}/de*"]), folder) == ["deep/c.png"]
    monkeypatch.chdir(folder)
    assert listed_pictures(["[ab].*"]) == [Path("a.JPG"), Path("b.png")]
    (folder / "[ab].*").touch()
    assert listed_pictures(["[ab].*"]) == [Path("[ab].*")]


def test_nothing_found_is_refused(folder):
    with pytest.raises(InputError, match=r"\*.gif: no file fits"):
        listed_pictures([f"{folder}/*.gif"])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no picture among 0 files"):
        listed_pictures([folder / "empty"])
    with pytest.raises(InputError, match="no images: name files, folders or globs"):
        listed_pictures([])
