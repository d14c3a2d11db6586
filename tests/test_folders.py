"""What a folder holds: links are followed, hidden and system names are no data."""

import os
from pathlib import Path

import pytest

from zslpipe.folders import is_hidden, list_files


def written(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def names(root: Path) -> list[str]:
    return [file.path for file in list_files(root).files]


@pytest.mark.parametrize(
    "name",
    [
        *("._x.jpg", ".DS_Store", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "THUMBS.DB"),
        *("desktop.ini", "Desktop.ini", "Icon\r", "$RECYCLE.BIN", "@eaDir", "lost+found"),
        *("~$names.xlsx", "System Volume Information", ".git", "__pycache__"),
        *("1.jpg~", "#1.jpg#", "found.000", "FOUND.012", "Network Trash Folder", ".\n"),
    ],
)
def test_hidden_and_system_names(tmp_path, name):
    assert is_hidden(name)
    written(tmp_path, "a/1.jpg", f"a/{name}", f"{name} 2/3.jpg", "b/2.jpg")
    (tmp_path / "c" / name).mkdir(parents=True)
    written(tmp_path, f"c/{name}/4.jpg")
    shown = [] if name.startswith((".", "~$")) else [f"{name} 2/3.jpg"]
    assert names(tmp_path) == sorted([*shown, "a/1.jpg", "b/2.jpg"])


@pytest.mark.parametrize(
    "name",
    [
        *("x.jpg", "a.b", "_x", "thumbs", "MACOSX", "-", "~x", "new folder"),
        *("found.00", "lost", "#1", "1#", "a~b"),
    ],
)
def test_other_names_are_data(name):
    assert not is_hidden(name)


def test_links_are_followed_at_any_depth_and_those_that_cannot_be_are_told(tmp_path):
    written(tmp_path / "elsewhere", "deep/1.jpg", "2.jpg")
    written(tmp_path / "root", "a/3.jpg")
    root = tmp_path / "root"
    (root / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "a/nested").symlink_to(tmp_path / "elsewhere/deep", target_is_directory=True)
    (root / "a/4.jpg").symlink_to(tmp_path / "elsewhere/2.jpg")
    (root / "a/broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (root / "a/around").symlink_to(root, target_is_directory=True)
    (root / "a/self.jpg").symlink_to(root / "a/self.jpg")
    listing = list_files(root)
    expected = ["a/3.jpg", "a/4.jpg", "a/nested/1.jpg", "b/2.jpg", "b/deep/1.jpg"]
    assert [file.path for file in listing.files] == expected
    assert listing.unread == ("a/around", "a/broken.jpg", "a/self.jpg")
    sizes = {file.path: file.size for file in listing.files}
    assert sizes["a/4.jpg"] == len("2.jpg")


def test_pipes_are_told_and_nobody_waits_for_them(tmp_path):
    written(tmp_path, "a/1.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    listing = list_files(tmp_path)
    assert [file.path for file in listing.files] == ["a/1.jpg"]
    assert listing.unread == ("a/pipe.jpg", "pipe")


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert list_files(tmp_path / "none").files == ()
    written(tmp_path, "file")
    assert list_files(tmp_path / "file").files == ()
