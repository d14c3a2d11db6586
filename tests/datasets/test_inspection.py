"""The page on a dataset, the picture of ten images, and the page on a bare split file."""

import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from zslpipe.commands.cli import main
from zslpipe.datasets.inspection import inspect_dataset, inspect_splits, sample_picture
from zslpipe.formats.index import Index, write_index
from zslpipe.machine.errors import InputError


def small(boxes: np.ndarray | None = None) -> Index:
    rows = {
        "trainval": [0, 1, 2],
        "test_seen": [3],
        "test_unseen": [4, 5],
        "train": [0, 1],
        "val": [2],
    }
    paths = tuple(f"{row}.png" for row in range(6))
    return Index(
        dataset="small",
        adapter="test",
        paths=paths,
        labels=np.array([0, 0, 1, 0, 2, 2]),
        class_names=("ant", "bee", "cat"),
        seen=np.array([True, True, False]),
        validation=np.array([False, True, False]),
        splits={name: np.array(numbers) for name, numbers in rows.items()},
        semantics={"att": np.eye(3), "other": 2 * np.eye(3)},
        attribute_names=("has_wing_shape::long", "has_wing_shape::short", "big"),
        attribute_groups=("wing shape", "wing shape", ""),
        attribute_parts=np.array([[True], [True], [False]]),
        part_names=("left wing",),
        part_locations=np.where(np.arange(6)[:, None, None] < 3, 0.5, np.nan) * np.ones((6, 1, 2)),
        boxes=boxes,
        notes=("a thing was corrected",),
    )


def images(root: Path) -> Path:
    for row in range(6):
        Image.new("RGB", (12, 10), (row * 40, 0, 0)).save(root / f"{row}.png")
    return root


def test_page_tells_counts_splits_classes_groups_and_corrections(tmp_path):
    page = inspect_dataset(small(), images(tmp_path))
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "classes 3: 2 seen (1 of them for validation), 1 unseen" in lines
    assert "trainval 3 2 1 2" in lines
    assert "test_unseen 2 1 2 2" in lines
    assert "att 3 0.000 1.000 yes" in lines
    assert "other 3 0.000 2.000 no" in lines
    assert "wing shape 2 (left wing)" in lines
    assert "left wing 50 %" in lines
    assert lines[lines.index("seen classes (1), with their images") + 1] == "ant 3"
    assert lines[lines.index("validation classes (1), with their images") + 1] == "bee 1"
    assert lines[lines.index("unseen classes (1), with their images") + 1] == "cat 2"
    assert lines[-1] == "a thing was corrected"
    assert max(map(len, page.splitlines())) <= 120


def test_page_names_missing_images(tmp_path):
    images(tmp_path)
    (tmp_path / "4.png").unlink()
    with pytest.raises(InputError, match=r"1 image files are missing in .*: 4.png"):
        inspect_dataset(small(), tmp_path)


def test_page_without_a_folder_says_whether_there_are_images():
    assert "images      6; images not looked at (give --images FOLDER)" in inspect_dataset(small())
    page = inspect_dataset(replace(small(), has_images=False))
    assert "images      6; no image folder: pooled features only" in page


def test_the_command_refuses_an_absent_folder_and_tells_of_pictures_on_a_terminal(
    tmp_path, capsys, caplog, monkeypatch
):
    write_index(small(), tmp_path / "index.h5")
    images(tmp_path)
    command = ["inspect", str(tmp_path / "index.h5"), "--data-root", str(tmp_path.parent)]
    assert main([*command, "--images", "absent"]) == 1
    assert (
        f"no image folder {tmp_path.parent / 'absent'}; --images counts from --data-root"
        in caplog.text
    )
    assert main([*command, "--output", str(tmp_path / "ten.png")]) == 1
    assert "give --images FOLDER" in caplog.text and not (tmp_path / "ten.png").exists()
    assert main([*command, "--images", tmp_path.name]) == 0
    told = capsys.readouterr().out
    assert f"all files present in {tmp_path}" in told and "--output" not in told
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "images not looked at" in told and told.endswith(
        "with --images FOLDER --output FILE.png\n"
    )


@pytest.mark.slow
def test_picture_shows_the_images_cropped_to_their_boxes(tmp_path):
    sample_picture(
        small(np.tile([0, 0, 6, 5], (6, 1))), images(tmp_path), tmp_path / "out/sample.png"
    )
    with Image.open(tmp_path / "out/sample.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    shown = {tuple(color) for color in np.unique(pixels, axis=0).tolist()}
    assert {(row * 40, 0, 0) for row in range(6)} <= shown
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["sample.png"]


def test_picture_of_a_broken_image_is_refused(tmp_path):
    (images(tmp_path) / "2.png").write_text("<html>")
    with pytest.raises(InputError, match=r"2.png: not a readable image"):
        sample_picture(small(), tmp_path, tmp_path / "sample.png")


def test_a_file_without_splits_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(InputError, match="no variable 'trainval_loc'"):
        inspect_splits(tmp_path / "a.mat")


def test_nothing_here_imports_torch():
    import subprocess

    modules = ["inspection", "words", "adapters.xlsa17", "adapters.deepfashion", "adapters.folder"]
    names = ", ".join(f"zslpipe.datasets.{module}" for module in modules)
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
