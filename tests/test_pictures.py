"""Pictures are opened in one way, and what cannot be opened is said in one line."""

import numpy as np
import pytest
from PIL import Image

from tests.made_up.places import PACKAGE
from zslpipe.machine.errors import InputError
from zslpipe.pictures import FAULTS, fault, load_picture, open_picture, picture_size


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    Image.fromarray(pixels).resize((200, 150)).save(tmp_path / "whole.jpg", quality=95)
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.jpg").write_text("<html>")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    (tmp_path / "pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid x")
    (tmp_path / "half.tif").write_bytes(b"II*\0\x08\0\0\0" + bytes(50))
    (tmp_path / "other.jpg").write_bytes(b"made up")
    return tmp_path


def test_pixels_and_box_are_the_files(folder):
    pixels = np.asarray(Image.open(folder / "whole.png"))
    assert np.array_equal(np.asarray(open_picture(folder / "whole.png")), pixels)
    cropped = open_picture(folder / "whole.png", np.array([5, 2, 25, 12]))
    assert np.array_equal(np.asarray(cropped), pixels[2:12, 5:25])
    assert picture_size(folder / "whole.png") == (30, 20)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.png", r"absent\.png: no such image; is .* the dataset's image folder\?"),
        ("cut.jpg", r"cut\.jpg: not a readable image \(image file is truncated"),
        ("page.jpg", r"page\.jpg: not a readable image \(a web page or XML, perhaps saved"),
        ("empty.png", r"empty\.png: not a readable image \(the file is empty\)"),
        ("phone.jpg", r"phone\.jpg: not a readable image \(a HEIC picture\)"),
        ("pointer.jpg", r"pointer\.jpg: not a readable image \(a pointer of git-lfs"),
        ("half.tif", r"half\.tif: not a readable image \(a TIFF whose pixels are of a kind"),
        ("other.jpg", r"other\.jpg: not a readable image \(no image that Pillow knows\)"),
        (".", r"not a readable image \(Is a directory\)"),
    ],
)
def test_what_cannot_be_opened_is_one_line(folder, name, message):
    with pytest.raises(InputError, match=message) as caught:
        load_picture(folder, name)
    assert "\n" not in str(caught.value)
    with pytest.raises(FAULTS):
        open_picture(folder / name)


def test_a_picture_larger_than_pillow_opens_is_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="600 pixels, more than the 200 that are opened"):
        load_picture(folder, "whole.png")


def test_the_size_needs_the_header_alone(folder):
    assert picture_size(folder / "cut.jpg") == (200, 150)
    with pytest.raises(FAULTS):
        picture_size(folder / "page.jpg")


def test_a_fault_does_not_name_the_file_again(folder):
    with pytest.raises(FAULTS) as caught:
        open_picture(folder / "absent.png")
    assert fault(caught.value, folder / "absent.png") == "No such file or directory"


def test_one_module_opens_pictures():
    """But for the demo's training, whose hash decides whether its backbone is trained again."""
    openers = [path for path in PACKAGE.rglob("*.py") if "Image.open(" in path.read_text("utf8")]
    assert sorted(openers) == [PACKAGE / "features" / "demo_training.py", PACKAGE / "pictures.py"]
