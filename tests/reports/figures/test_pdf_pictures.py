"""Pictures of a pdf become JPEG of the same pixels, whatever matplotlib has made of them: three
colour channels, a palette, grey, with transparency or without.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import StreamObject

from zslpipe.reports.figures.pdf_pictures import compress_pictures

SIDE = 40
RANDOM = np.random.default_rng(0)
# Of matplotlib's ways to write one: more than 256 colours, few, two (a bit a pixel; pypdf, which
# made these JPEG before, reads them wrong), transparency.
PICTURES = {
    "colours": RANDOM.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
    "palette": RANDOM.integers(0, 5, (SIDE, SIDE, 3), np.uint8) * 50,
    "two colours": RANDOM.integers(0, 2, (SIDE, SIDE, 1), np.uint8).repeat(3, 2) * 200,
    "transparent": RANDOM.integers(0, 256, (SIDE, SIDE, 4), np.uint8),
}


def written(path: Path, picture: np.ndarray) -> None:
    """Write a pdf with a picture as it is, a line over it."""
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1])
    figure.figimage(picture, resize=False)
    figure.savefig(path, dpi=72, metadata={"CreationDate": None})


def parts(path: Path) -> tuple[bytes, list]:
    """Return a page's own drawing and its pictures."""
    page = PdfReader(path).pages[0]
    return page.get_contents().get_data(), list(page.images)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_becomes_the_jpeg_of_its_pixels(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pdf"
    written(path, PICTURES[name])
    drawn, (picture,) = parts(path)
    pixels = Image.fromarray(PICTURES[name])
    if name == "transparent":  # matplotlib multiplies by the alpha channel, and rounds
        pixels = picture.image
    expected = BytesIO()
    pixels.convert("RGB").save(expected, "JPEG", quality=80)
    compress_pictures(path, 80)
    again, (picture,) = parts(path)
    assert again == drawn
    stream = picture.indirect_reference.get_object()
    assert StreamObject.get_data(stream) == expected.getvalue()
    assert picture.image.mode == "RGB"
    assert picture.image.size == (SIDE, SIDE)
    assert "/SMask" not in stream


def test_a_page_without_pictures_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    figure = Figure()
    figure.subplots().plot([0, 1], "o")  # markers are parts of their own, and no pictures
    figure.savefig(path)
    drawn, _ = parts(path)
    compress_pictures(path, 80)
    assert parts(path) == (drawn, [])
