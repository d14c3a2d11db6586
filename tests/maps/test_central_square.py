import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.made_up.parts import cell_peaks, localized, made_up_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.body_parts import body_parts, present_attributes
from zslpipe.maps.central_square import image_sizes, places_in_square
from zslpipe.maps.localization import object_sizes


def test_larger_images_give_the_same_places_and_sizes():
    index = made_up_index()
    sizes = index.boxes[:, 2:] - index.boxes[:, :2]
    for factor in (3, 0.5):
        assert np.allclose(
            places_in_square(index.part_locations, sizes * factor),
            places_in_square(index.part_locations, sizes),
            equal_nan=True,
        )
        assert np.allclose(
            object_sizes(index.part_locations, sizes * factor),
            object_sizes(index.part_locations, sizes),
            equal_nan=True,
        )


def test_left_and_right_are_one_part():
    parts = body_parts(made_up_index())
    assert parts.names == ("beak", "eye", "tail")
    assert parts.members.tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    bare = dataclasses.replace(made_up_index(), part_names=())
    assert body_parts(bare).names == () and body_parts(bare).members.shape == (0, 0)


def test_attributes_at_least_as_strong_as_on_average_are_present():
    index = dataclasses.replace(
        made_up_index(), semantics={"att": np.array([[1, 0.5], [1, 0], [0, 0.5], [2, 1]])}
    )
    index = dataclasses.replace(index, attribute_names=("x", "y"))
    assert present_attributes(index).tolist() == [
        [True, True],
        [True, False],
        [False, True],
        [True, True],
    ]


def test_sizes_come_from_files_where_there_is_no_box(tmp_path):
    index = dataclasses.replace(made_up_index(), boxes=None)
    for number, path in enumerate(index.paths):
        Image.new("L", (30 + number, 70)).save(tmp_path / path)
    rows = np.array([5, 2])
    assert image_sizes(index, rows, tmp_path).tolist() == [[35, 70], [32, 70]]
    boxed = dataclasses.replace(
        index, boxes=np.array([[9, 9, 39 + number, 79] for number in range(len(index.paths))])
    )
    peaks = cell_peaks(np.random.default_rng(0), 36, 5)
    assert localized(tmp_path, index, peaks) == localized(tmp_path, boxed, peaks)
    (tmp_path / "5.png").unlink()
    (tmp_path / "2.png").write_bytes(b"no image")
    with pytest.raises(
        InputError,
        match=r"2 images missing or not readable, first 5\.png, 2\.png; the right folder",
    ):
        image_sizes(index, rows, tmp_path)
