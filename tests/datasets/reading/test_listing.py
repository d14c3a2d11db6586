"""Which files of a folder are pictures, and what is said of the others."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zslpipe.datasets.adapters import folder
from zslpipe.datasets.irrelevant_images import write_irrelevant_images
from zslpipe.datasets.reading.listing import list_pictures
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import read_index

ODD = ("a/4.jfif", "a/5.jpe", "a/6", "a/7.jpg?w=300", "b/8.avif", "b/9.JPG.bak")


def picture(path: Path, seed: int, format: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of usual and odd names, files that are none, hidden ones, and links."""
    root = tmp_path / "pictures"
    for number, name in enumerate(("a/1.png", "a/2.JPEG", "b/deep/3.webp")):
        picture(root / name, number)
    for number, name in enumerate(ODD):
        picture(root / name, 10 + number, "AVIF" if name.endswith("avif") else "JPEG")
    picture(root / "beside.png", 20)
    picture(root / "a/._1.png", 21)
    picture(root / "__MACOSX/a/1.png", 22)
    picture(root / ".ipynb_checkpoints/a.png", 23)
    (root / "a/Thumbs.db").write_bytes(b"x")
    (root / "a/notes.txt").write_text("seen in May")
    (root / "b/table.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (root / "b/film.mpg").write_bytes(b"\x00\x00\x01\xb3" + bytes(100))
    picture(tmp_path / "elsewhere/10.png", 24)
    (root / "b/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "b/11.png").symlink_to(tmp_path / "gone.png")
    return root


EXPECTED = ("a/1.png", "a/2.JPEG", *ODD[:4], *ODD[4:], "b/deep/3.webp", "b/linked/10.png")


def test_pictures_are_found_by_suffix_or_by_their_first_bytes(pictures):
    found = list_pictures(pictures, range(1, 9))
    assert found.paths == tuple(sorted(EXPECTED))
    assert found.notes == (
        "6 pictures without a usual suffix taken: a/4.jfif, a/5.jpe, a/6, a/7.jpg?w=300, "
        "b/8.avif, ...",
        "3 files passed over, no pictures of a format that is read: a/notes.txt, b/film.mpg, "
        "b/table.h5",
        "1 pictures passed over that lie beside or below the folders looked into: beside.png",
        "1 links, folders or pipes passed over that cannot be read: b/11.png",
    )


def test_in_a_plain_folder_nothing_lies_beside(pictures):
    assert set(list_pictures(pictures).paths) == {*EXPECTED, "beside.png"}
    below = list_pictures(pictures, range(1))
    assert below.paths == ("beside.png",)
    assert "10 pictures passed over that lie beside or below" in " ".join(below.notes)


def test_nothing_is_said_where_nothing_is_odd(tmp_path):
    picture(tmp_path / "a/1.png", 0)
    assert list_pictures(tmp_path).notes == ()


def test_the_index_of_ones_own_folder_takes_and_notes_them(pictures, tmp_path):
    (tmp_path / "attributes.csv").write_text("class,size,shape\na,1,2\nb,2,1\nc,3,3\nd,1,3\n")
    (tmp_path / "unseen.txt").write_text("d\n")
    for number, name in enumerate(("c/1.png", "c/2.png", "d/1.png")):
        picture(pictures / name, 30 + number)
    settings = {
        "images": "pictures",
        "attributes": "attributes.csv",
        "unseen_classes": "unseen.txt",
    }
    folder.write(settings, tmp_path / "results/mine/index.h5", tmp_path)
    index = read_index(tmp_path / "results/mine/index.h5")
    assert set(index.paths) == {*EXPECTED, "c/1.png", "c/2.png", "d/1.png"}
    assert index.class_names == ("a", "b", "c", "d")
    told = " | ".join(index.notes)
    for said in ("6 pictures without a usual suffix", "beside.png", "b/11.png", "a/notes.txt"):
        assert said in told
    assert "__MACOSX" not in told and "._1" not in told


def test_task_irrelevant_images_leave_hidden_files_out(pictures, tmp_path, caplog):
    caplog.set_level("INFO")
    write_irrelevant_images({"images": "pictures"}, tmp_path / "list.h5", tmp_path)
    listed = read_irrelevant_images(tmp_path / "list.h5").paths
    assert set(listed) == {*EXPECTED, "beside.png"}
    assert "3 files passed over, no pictures of a format that is read: a/notes.txt" in caplog.text


def test_voc_images_leave_hidden_files_out(tmp_path):
    root = tmp_path / "voc"
    for number, name in enumerate(("1.jpg", "._1.jpg", "2", "deep/3.jpg")):
        picture(root / "JPEGImages" / name, number)
        stem = Path(name).stem
        (root / "Annotations").mkdir(exist_ok=True)
        text = "<annotation><object><name>dog</name></object></annotation>"
        (root / f"Annotations/{stem}.xml").write_text(text)
    shutil.copy(root / "JPEGImages/1.jpg", root / "1.jpg")
    write_irrelevant_images({"images": "voc", "layout": "voc"}, tmp_path / "list.h5", tmp_path)
    paths = read_irrelevant_images(tmp_path / "list.h5").paths
    assert paths == ("JPEGImages/1.jpg", "JPEGImages/2")
