"""What an extraction takes an image, by a clock that the test moves itself."""

import pytest
import torch
from PIL import Image

from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.stopwatch import Taken
from zslpipe.runs import calibration
from zslpipe.runs.calibration import measure_extractor, measure_starts, measured_on

DEMO = {"backbone": "demo", "size": 32, "grid": 2, "batch_size": 4, "dtype": "bfloat16"}
CPU = Compute("cpu", threads=1)


@pytest.fixture
def pictures(tmp_path) -> tuple[str, ...]:
    names = ("a.png", "b.png")
    for number, name in enumerate(names):
        Image.new("RGB", (40, 40), (90 * number, 10, 10)).save(tmp_path / name)
    return names


def test_an_image_takes_its_decoding_and_its_share_of_the_fastest_pass(
    tmp_path, pictures, monkeypatch
) -> None:
    seconds = [0.0]
    passes = iter([50.0, 8.0, 6.0])  # the first warms up; LONG_ENOUGH ends it

    def map_batch(*given):
        seconds[0] += next(passes)
        return original(*given)

    def read(self, row):
        seconds[0] += 3.0
        return reads(self, row)

    original, reads = calibration.map_batch, calibration.ImageFiles.read
    monkeypatch.setattr(calibration, "map_batch", map_batch)
    monkeypatch.setattr(calibration.ImageFiles, "read", read)
    monkeypatch.setattr(calibration, "now", lambda: Taken(seconds[0], 2 * seconds[0]))
    monkeypatch.setattr(calibration, "LONG_ENOUGH", 60.0)
    monkeypatch.setattr(calibration, "MOST_BATCHES", 2)
    found = measure_extractor(DEMO, tmp_path, pictures, CPU)
    assert found["image"]["core"] == pytest.approx(3.0 + 6.0 / 4)
    assert found["image"]["wall"] == pytest.approx(found["image"]["core"])  # one thread
    assert found["width"] == 192


def test_a_card_computes_while_others_decode() -> None:
    decoding, forward = Taken(4.0, 4.0), Taken(1.0, 3.0)
    told = calibration._together(
        decoding, forward, Compute("cuda", threads=2), torch.device("cuda")
    )
    assert told == Taken(5.0, 3.0)
    told = calibration._together(
        decoding, forward, Compute("cuda", threads=1), torch.device("cuda")
    )
    assert told == Taken(5.0, 4.0)


def test_a_picture_that_cannot_be_read_is_named(tmp_path, pictures) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cannot be read: b\.png"):
        measure_extractor(DEMO, tmp_path, pictures, CPU)


def test_a_cpu_is_measured_with_one_thread() -> None:
    assert measured_on("cpu", 8) == CPU


@pytest.mark.slow
def test_a_start_takes_longer_the_more_is_imported() -> None:
    found = {name: one["core"] for name, one in measure_starts().items()}
    assert found["start_images"] > found["start_torch"] > found["start_numpy"] > 0
