"""Boxes and parts marked on stored pixels, of pictures that are turned to be shown."""

import numpy as np
import pytest
from PIL import Image

from tests.made_up import lookalike
from zslpipe.datasets.adapters import xlsa17
from zslpipe.datasets.reading import turned
from zslpipe.datasets.reading.image_files import measure_images
from zslpipe.formats.index import read_index
from zslpipe.pictures import open_picture

ORIENTATION = 0x0112
WIDTH, HEIGHT = 12, 8


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_box_and_a_place_keep_the_pixels_they_were_on(tmp_path, turn, ending):
    """One red pixel is looked for in the picture as shown; the box is a blue area."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[1:4, 2:9] = 0, 0, 255
    pixels[2, 3] = 255, 0, 0
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    Image.fromarray(pixels).save(tmp_path / f"x.{ending}", exif=exif)
    picture = open_picture(tmp_path / f"x.{ending}")
    sizes, turns = measure_images(tmp_path, [f"x.{ending}"], "dataset")
    assert (sizes.tolist(), turns.tolist()) == ([list(picture.size)], [turn])
    assert turned.stored_sizes(sizes, turns).tolist() == [[WIDTH, HEIGHT]]
    box = turned.turn_boxes(np.array([[2, 1, 9, 4]]), sizes, turns)[0]
    blue_or_red = np.asarray(picture.crop(tuple(box.tolist()))).reshape(-1, 3).sum(1)
    assert (blue_or_red == 255).all() and len(blue_or_red) == 3 * 7
    # The middle of the red pixel, as fractions of the stored picture and of the stored box.
    places = np.array([[[3.5 / WIDTH, 2.5 / HEIGHT], [np.nan, np.nan]]])
    found = turned.turn_places(places, turns)[0]
    x, y = (found[0] * picture.size).astype(int)
    assert picture.getpixel((int(x), int(y))) == (255, 0, 0)
    assert np.isnan(found[1]).all()
    inside = turned.turn_places(np.array([[[1.5 / 7, 1.5 / 3]]]), turns)[0, 0]
    crop = open_picture(tmp_path / f"x.{ending}", box)
    x, y = (inside * crop.size).astype(int)
    assert crop.getpixel((int(x), int(y))) == (255, 0, 0)


def test_an_index_holds_boxes_and_parts_of_pictures_as_shown(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "aPY")
    output = tmp_path / "results/apy/index.h5"
    xlsa17.write(settings, output, tmp_path)
    paths = read_index(output).paths
    settings |= {"boxes": lookalike.write_boxes(tmp_path, paths), "parts": "parts.csv"}
    lookalike.write_parts(tmp_path / "parts.csv", paths)
    xlsa17.write(settings, output, tmp_path)
    plain = read_index(output)
    root = tmp_path / str(settings["images"])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with Image.open(root / paths[0]) as image:
        width, height = image.size
        image.save(root / paths[0], exif=exif, quality=95)
    xlsa17.write(settings, output, tmp_path)
    index = read_index(output)
    left, top, right, bottom = plain.boxes[0].tolist()
    # Turned clockwise by a quarter: what was at the bottom is at the left.
    assert index.boxes[0].tolist() == [height - bottom, left, height - top, right]
    x, y = plain.part_locations[0, 0]
    np.testing.assert_allclose(index.part_locations[0, 0], [1 - y, x], atol=1e-6)
    assert np.array_equal(index.boxes[1:], plain.boxes[1:])
    said = "1 images turned as their EXIF orientation says, with their boxes and parts"
    assert said in index.notes and said not in plain.notes
    assert width > 0
