"""Batches of image files, and what a block writes of them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from zslpipe.features.images import ImageFiles
from zslpipe.features.mapper import Mapped, batch_loader, block_arrays
from zslpipe.machine.errors import InputError

CPU = torch.device("cpu")


def mapped(regions: torch.Tensor) -> Mapped:
    return Mapped(regions.half(), regions.mean(1), np.arange(len(regions), dtype=np.uint64))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_the_files_squares_in_the_order_asked_for_and_lie_as_decoded(tmp_path, workers):
    generator = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(5)]
    for name in names:
        pixels = generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    names[3] = "missing.png"
    images = ImageFiles(tmp_path, names, None, 16)
    asked = [[4, 0], [3, 1, 2]]
    for rows, (pixels, texts, digests) in zip(
        asked, batch_loader(images, asked, workers, CPU), strict=True
    ):
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        for place, row in enumerate(rows):
            square, text, digest = images.read(row)
            assert torch.equal(pixels[place], square)
            assert (texts[place], int(digests[place], 16)) == (text, digest)
            assert bool(text) == (row == 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 66000.0, -66000.0])
def test_one_value_that_float16_cannot_hold_is_refused_wherever_it_stands(value):
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 4, 5, generator=generator)
    arrays = block_arrays([mapped(first), mapped(second)], "some")
    assert np.array_equal(arrays["regions"], torch.cat([first, second]).half().numpy())
    for place in ((0, 0, 0), (1, 2, 3), (2, 3, 4)):
        wrong = second.clone()
        wrong[place] = value
        with pytest.raises(InputError, match="'some' gives features that are NaN or too large"):
            block_arrays([mapped(first), mapped(wrong)], "some")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_describes_a_whole_image_and_is_no_number_is_refused(value):
    """A head's: of regions that are all right."""
    regions = torch.zeros(2, 4, 5).half()
    for place in ((0, 0), (1, 2)):
        pooled = torch.full((2, 3), 1e6)  # held in float32
        batch = Mapped(regions, pooled, np.zeros(2, np.uint64))
        assert np.array_equal(block_arrays([batch], "some")["pooled"], pooled.numpy())
        pooled[place] = value
        with pytest.raises(InputError, match="'some' gives features that are NaN or too large"):
            block_arrays([batch], "some")
