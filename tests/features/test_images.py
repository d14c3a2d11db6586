"""Images from files: every mode becomes RGB, what is cut off is refused, squares and normalisation
by definition.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from zslpipe.features.images import normalise, read_image, square
from zslpipe.networks.imagenet import DEVIATION, MEAN

torch.set_num_threads(1)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert(mode)
    name = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    picture.save(name)
    found = read_image(name)
    assert found.shape == (3, 20, 30)
    assert found.dtype == torch.uint8
    if mode == "L":
        assert np.array_equal(found.numpy(), np.broadcast_to(np.array(picture), (3, 20, 30)))
    if mode == "RGBA":
        assert np.array_equal(found.numpy(), pixels.transpose(2, 0, 1))
    if mode == "P":
        assert np.array_equal(found.permute(1, 2, 0).numpy(), np.array(picture.convert("RGB")))


def test_a_truncated_jpeg_is_refused_and_a_whole_one_is_not(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (130, 150, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.jpg", quality=90)
    data = (tmp_path / "x.jpg").read_bytes()
    assert read_image(tmp_path / "x.jpg").shape == (3, 130, 150)
    for kept in (len(data) // 2, len(data) - 200):
        (tmp_path / "cut.jpg").write_bytes(data[:kept])
        with pytest.raises(OSError, match="truncated"):
            read_image(tmp_path / "cut.jpg")


def test_a_box_is_cut_out_before_anything_else(tmp_path):
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", [5, 2, 25, 12])
    assert np.array_equal(found.permute(1, 2, 0).numpy(), pixels[2:12, 5:25])


def test_the_square_is_the_middle_of_the_image_with_its_shorter_side_at_the_size():
    image = torch.zeros(3, 40, 100, dtype=torch.uint8)
    image[:, :, 30:70] = 200  # the middle 40 columns are the central square
    found = square(20)(image)
    assert found.shape == (3, 20, 20)
    assert (found[:, :, 1:-1] == 200).all()


@pytest.mark.parametrize(
    ("means", "deviations"), [(MEAN, DEVIATION), ((0.5, 0.4, 0.3), (0.5, 0.25, 1.0))]
)
def test_normalised_pixels_have_the_channels_means_removed_and_deviations_divided_out(
    means, deviations
):
    images = torch.randint(
        256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    before = images.clone()
    found = normalise(
        images, *(torch.tensor(values).view(1, 3, 1, 1) for values in (means, deviations))
    )
    for channel, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
        expected = (images[:, channel].double() / 255 - mean) / deviation
        torch.testing.assert_close(found[:, channel].double(), expected, rtol=0, atol=1e-6)
    assert torch.equal(images, before)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
