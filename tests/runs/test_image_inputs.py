"""Images as inputs: views by definition, whatever the number of workers and wherever an epoch
starts; broken files.
"""

import os
import pickle
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from tests.made_up.deaf_readers import begun_deaf
from tests.made_up.miniature import miniature_index
from zslpipe.features.images import ImageFiles, normalise, read_image
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError
from zslpipe.networks.imagenet import DEVIATION, MEAN
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.training.contract import Inputs

torch.set_num_threads(1)
CPU = torch.device("cpu")
SIZE, SHORTER = 28, 32  # 28 x 512 / 448
NORMALISATION = tuple(torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
SIDES = [(32, 40), (45, 32), (32, 32), (64, 96), (50, 41), (20, 70), (32, 33)]  # height and width
MODES = ["RGB", "RGB", "RGB", "RGB", "L", "RGBA", "P"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder of pictures 0.png, 1.png... of SIDES and MODES."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for number, (sides, mode) in enumerate(zip(SIDES, MODES, strict=True)):
        pixels = Image.fromarray(generator.integers(0, 256, (*sides, 3), dtype=np.uint8))
        pixels.convert(mode).save(folder / f"{number}.png")
    return folder


def index_of(paths: list[str], boxes: list[list[int]] | None = None) -> Index:
    whole = miniature_index(np.random.default_rng(0))
    return replace(whole, paths=tuple(paths), boxes=None if boxes is None else np.array(boxes))


def inputs_of(
    folder: Path, workers: int = 0, index: Index | None = None, device: torch.device = CPU
) -> ImageInputs:
    index = index or index_of([f"{number}.png" for number in range(len(SIDES))])
    return ImageInputs(folder, index, SIZE, *NORMALISATION, device, workers)


def epoch() -> list[Tensor]:
    """Return batches that take images several times, in no order, the last one short."""
    return list(torch.tensor([3, 0, 6, 1, 1, 5, 2, 4, 0, 3, 6]).split(3))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normalised(pixels: Tensor) -> Tensor:
    """Return (3, h, w) bytes as normalised float64, by definition."""
    mean, deviation = (
        torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, DEVIATION)
    )
    return (pixels.double() / 255 - mean) / deviation


def plain_view(
    path: Path, above: float, left: float, mirror: float, box: list[int] | None = None
) -> Tensor:
    """Return the training view of one image, step by step: resize, crop, flip, normalise."""
    image = read_image(path, box)
    height, width = image.shape[1:]
    scale = SHORTER / min(height, width)
    image = functional.resize(image, [int(height * scale), int(width * scale)], antialias=True)
    top, start = int(above * (image.shape[1] - SIZE + 1)), int(left * (image.shape[2] - SIZE + 1))
    crop = image[:, top : top + SIZE, start : start + SIZE]
    return normalised(crop.flip(2) if mirror < 0.5 else crop)


def assert_views(found: Tensor, expected: list[Tensor]) -> None:
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=0, atol=1e-6)


def test_they_are_inputs_of_a_method(folder):
    inputs = inputs_of(folder)
    assert isinstance(inputs, Inputs)
    assert inputs.shape == (3, SIZE, SIZE)
    taken = inputs.take(torch.tensor([2, 4]))
    assert taken.shape == (2, 3, SIZE, SIZE)
    assert taken.dtype == torch.float32
    assert taken.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("number", [0, 1, 2])  # the shorter side is SHORTER: nothing is resized
def test_a_training_view_is_the_files_pixels_at_the_drawn_place(folder, number):
    above, left, mirror = torch.rand(1, 3, generator=seeded(number))[0].tolist()
    (found,) = inputs_of(folder).stream([torch.tensor([number])], seeded(number))
    pixels = np.array(Image.open(folder / f"{number}.png"))
    top, start = int(above * (pixels.shape[0] - 27)), int(left * (pixels.shape[1] - 27))
    crop = torch.from_numpy(pixels[top : top + SIZE, start : start + SIZE]).permute(2, 0, 1)
    assert_views(found, [normalised(crop.flip(2) if mirror < 0.5 else crop)])


def test_training_views_follow_the_definition(folder):
    draws = torch.rand(11, 3, generator=seeded()).tolist()
    found = list(inputs_of(folder).stream(epoch(), seeded()))
    assert [len(batch) for batch in found] == [3, 3, 3, 2]
    rows = torch.cat(epoch()).tolist()
    expected = [
        plain_view(folder / f"{row}.png", *draw) for row, draw in zip(rows, draws, strict=True)
    ]
    assert_views(torch.cat(found), expected)
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in found)


def test_a_box_is_cut_out_before_a_view_is_drawn(folder):
    box = [30, 10, 80, 50]
    inputs = inputs_of(folder, index=index_of(["3.png"], [box]))
    (found,) = inputs.stream([torch.tensor([0])], seeded(5))
    draws = torch.rand(1, 3, generator=seeded(5))[0].tolist()
    assert_views(found, [plain_view(folder / "3.png", *draws, box)])


@pytest.mark.slow
def test_crops_reach_every_place_and_every_second_image_is_mirrored(tmp_path):
    """A picture that tells its place: red is the row, green the column."""
    rows, columns = np.meshgrid(np.arange(SHORTER), np.arange(SHORTER + 1), indexing="ij")
    pixels = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    inputs = inputs_of(tmp_path, index=index_of(["0.png"]))
    (found,) = inputs.stream([torch.zeros(3000, dtype=torch.long)], seeded())
    corners = (
        found[:, :, 0, 0] * NORMALISATION[1][0, :, 0, 0] + NORMALISATION[0][0, :, 0, 0]
    ) * 255
    right = (found[:, 1, 0, -1] * DEVIATION[1] + MEAN[1]) * 255
    mirrored = corners[:, 1] > right
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)
    tops = corners[:, 0].round().long()
    lefts = torch.where(mirrored, right, corners[:, 1]).round().long()
    for offsets, places in ((tops, 5), (lefts, 6)):
        torch.testing.assert_close(
            offsets.bincount() / 3000, torch.full((places,), 1 / places), rtol=0, atol=0.03
        )
    assert (
        abs(
            torch.corrcoef(torch.stack([tops.double(), lefts.double(), mirrored.double()])).triu(1)
        ).max()
        < 0.06
    )


def test_the_test_view_is_the_square_that_extraction_reads(folder):
    inputs = inputs_of(folder)
    files = ImageFiles(folder, inputs.squares.paths, None, SIZE)
    batches = epoch()
    for rows, found in zip(batches, inputs.stream(batches), strict=True):
        expected = normalise(torch.stack([files[row][0] for row in rows.tolist()]), *NORMALISATION)
        assert torch.equal(found, expected)
        assert torch.equal(inputs.take(rows), expected)


@pytest.mark.parametrize("augmented", [True, False])
def test_the_number_of_workers_changes_nothing(folder, augmented):

    def read(workers: int) -> list[Tensor]:
        generator = seeded() if augmented else None
        return list(inputs_of(folder, workers).stream(epoch(), generator))

    alone, one, two = read(0), read(1), read(2)
    for batch, *others in zip(alone, one, two, strict=True):
        assert all(torch.equal(batch, other) for other in others)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, 3, 4])
def test_an_epoch_goes_on_where_it_was_interrupted(folder, workers, start):
    inputs = inputs_of(folder, workers)
    whole, rest = (list(inputs.stream(epoch(), seeded(), first)) for first in (0, start))
    assert len(rest) == 4 - start
    assert all(torch.equal(batch, again) for batch, again in zip(whole[start:], rest, strict=True))


def test_draws_of_epochs_differ_and_no_other_random_numbers_are_touched(folder):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    inputs, generator = inputs_of(folder, 1), seeded()
    first, second = (torch.cat(list(inputs.stream(epoch(), generator))) for _ in range(2))
    assert (first != second).flatten(1).any(1).sum() >= 9  # a view can come twice
    torch.cat([*inputs.stream(epoch()), inputs.take(torch.tensor([0]))])
    assert torch.equal(torch.get_rng_state(), state)
    drawn = seeded()
    torch.rand(22, 3, generator=drawn)
    assert torch.equal(generator.get_state(), drawn.get_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_of_a_batch_are_named_in_one_line(folder, tmp_path, workers):
    (tmp_path / "whole.png").write_bytes((folder / "3.png").read_bytes())
    (tmp_path / "cut.png").write_bytes((folder / "3.png").read_bytes()[:2000])
    (tmp_path / "words.png").write_text("no image")
    inputs = inputs_of(
        tmp_path, workers, index_of(["whole.png", "cut.png", "gone.png", "words.png"])
    )
    batches = [torch.tensor([0, 0]), torch.tensor([1, 0, 3, 2])]
    for generator in (None, seeded()):
        stream = inputs.stream(batches, generator)
        assert next(stream).shape == (2, 3, SIZE, SIZE)
        with pytest.raises(InputError) as caught:
            next(stream)
        text = str(caught.value)
        assert text.startswith(
            f"3 of 4 images of a batch cannot be read under {tmp_path}: cut.png ("
        )
        assert "words.png (" in text
        assert "gone.png (" in text
        assert text.endswith("; put whole files there and run again")
        assert "\n" not in text
    with pytest.raises(InputError, match=r"^1 of 2 .* gone\.png \("):
        inputs.take(torch.tensor([2, 0]))


def test_not_more_than_five_broken_files_are_named(tmp_path):
    inputs = inputs_of(tmp_path, 0, index_of([f"{number}.png" for number in range(8)]))
    with pytest.raises(InputError, match=r"^8 of 8 ") as caught:
        inputs.take(torch.arange(8))
    assert [number for number in range(8) if f"{number}.png (" in str(caught.value)] == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_no_worker_outlives_its_stream(folder):
    before = {child.pid for child in psutil.Process().children()}
    stream = inputs_of(folder, 2).stream(epoch(), seeded())
    next(stream)
    workers = [child for child in psutil.Process().children() if child.pid not in before]
    assert len(workers) == 2
    stream.close()
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_there_are_not_more_workers_than_batches(folder):
    before = {child.pid for child in psutil.Process().children()}
    stream = inputs_of(folder, 2).stream(epoch()[:1], seeded())
    next(stream)
    assert len([child for child in psutil.Process().children() if child.pid not in before]) == 1
    stream.close()


def test_a_strangers_sigterm_leaves_workers_at_work_and_the_parents_ends_them(folder):
    before = {child.pid for child in psutil.Process().children()}
    stream = inputs_of(folder, 2).stream(epoch() * 5, seeded())
    found = [next(stream), next(stream)]  # one of each worker: both are at work
    workers = [child for child in psutil.Process().children() if child.pid not in before]
    subprocess.run(["kill", "-TERM", *(str(worker.pid) for worker in workers)], check=True)
    found += list(stream)
    expected = list(inputs_of(folder).stream(epoch() * 5, seeded()))
    assert all(torch.equal(batch, other) for batch, other in zip(found, expected, strict=True))
    stream = inputs_of(folder, 1).stream(epoch() * 50)
    next(stream)
    worker = next(child for child in psutil.Process().children() if child.pid not in before)
    os.kill(worker.pid, signal.SIGTERM)
    assert psutil.wait_procs([worker], timeout=20)[1] == []


def test_they_can_be_sent_to_processes_that_start_afresh(folder):
    inputs = inputs_of(folder)
    sent = pickle.loads(pickle.dumps(inputs))
    assert torch.equal(sent.take(torch.arange(7)), inputs.take(torch.arange(7)))
    (first,), (second,) = (one.stream([torch.arange(7)], seeded()) for one in (inputs, sent))
    assert torch.equal(first, second)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_views(folder):
    for generator in (None, seeded()):
        state = None if generator is None else generator.get_state()
        gpu = list(inputs_of(folder, 2, device=torch.device("cuda")).stream(epoch(), generator))
        if generator is not None:
            generator.set_state(state)
        for batch, expected in zip(gpu, inputs_of(folder).stream(epoch(), generator), strict=True):
            torch.testing.assert_close(batch.cpu(), expected, rtol=0, atol=1e-6)


def test_readers_begin_with_sigterm_blocked(folder, monkeypatch):
    """Of a scheduler, which sends it to them too: it is their parent's to say when they end."""
    with begun_deaf(monkeypatch):
        list(inputs_of(folder).stream(epoch()))
