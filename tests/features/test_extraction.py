"""Images to the feature file: the network's values, kills, worker processes, broken images, and
what is refused.
"""

import os
import platform
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from tests.made_up.deaf_readers import begun_deaf
from tests.made_up.miniature import miniature_index
from tests.made_up.places import SCRIPT
from zslpipe.features import extraction, extraction_progress
from zslpipe.features.extractor import Extractor
from zslpipe.features.images import normalise, read_image, square
from zslpipe.formats import features
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import Index, images_hash
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import InterruptedExtraction
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.imagenet import DEVIATION, MEAN
from zslpipe.provenance import file_hash

torch.set_num_threads(1)
CPU = torch.device("cpu")
BLOCK, IMAGES = 4, 11  # three blocks, the last one short


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", BLOCK)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Return a folder of eleven pictures of several sizes, and the weights of the demo network
    beside them.
    """
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = generator.integers(0, 256, (130 + number, 150, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    torch.manual_seed(0)
    torch.save(DemoNetwork(classes=3).state_dict(), folder / "weights.pt")
    return folder


def index_of(paths: list[str]) -> Index:
    whole = miniature_index(np.random.default_rng(0))
    return replace(whole, paths=tuple(paths))


def extractor_of(folder: Path) -> Extractor:
    return Extractor(
        "small",
        "demo",
        str(folder / "weights.pt"),
        size=112,
        grid=7,
        features_version=1,
        batch_size=3,
    )


def run(
    folder: Path, output: Path, paths: list[str] | None = None, extractor: Extractor | None = None
) -> None:
    paths = [f"{number}.png" for number in range(IMAGES)] if paths is None else paths
    extraction.extract(
        index_of(paths), folder, extractor or extractor_of(folder), output, CPU, workers=0
    )


@pytest.fixture(scope="module")
def complete(images, tmp_path_factory) -> Path:
    """Return the feature file of an extraction that nothing interrupted."""
    output = tmp_path_factory.mktemp("complete") / "small.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BLOCK", BLOCK)
        run(images, output)
    return output


def test_features_are_the_networks_map_of_each_image(images, complete):
    """The plain way, image by image: read, resize, crop, network, map cell by cell."""
    network = DemoNetwork(classes=3).eval()
    network.load_state_dict(torch.load(images / "weights.pt", weights_only=True))
    stored = FeatureFile(complete)
    assert stored.regions.shape == (IMAGES, 49, 192)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    for number in (0, 4, 10):
        batch = normalise(square(112)(read_image(images / f"{number}.png"))[None], mean, deviation)
        with torch.inference_mode():
            maps = network.features(batch)[0]
        rows = np.stack([maps[:, cell // 7, cell % 7].numpy() for cell in range(49)])
        np.testing.assert_allclose(stored.regions[number], rows, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(stored.pooled[number], rows.mean(0), rtol=1e-4, atol=1e-6)


def test_pooled_is_the_mean_over_regions(complete):
    stored = FeatureFile(complete)
    np.testing.assert_allclose(
        stored.pooled, stored.regions[:].astype(np.float64).mean(1), rtol=0, atol=2e-5
    )
    assert np.abs(stored.pooled).max() > 0.05


def test_an_extraction_leaves_nothing_but_its_file(complete):
    assert [path.name for path in complete.parent.iterdir()] == ["small.h5"]


def test_the_file_says_what_it_was_made_from(complete):
    with h5py.File(complete) as file:
        found = {
            name: file.attrs[name]
            for name in ("extractor", "backbone", "weights", "size", "grid", "dataset")
        }
        assert len(file["checksums"]) == 3
        assert file.attrs["mean"].tolist() == np.float32(MEAN).tolist()
        assert file.attrs["deviation"].tolist() == np.float32(DEVIATION).tolist()
        assert (
            file.attrs["dtype"] == "float32"
        )  # what a CPU computes in, whatever the extractor says
        assert file.attrs["images_hash"] == images_hash(
            index_of([f"{number}.png" for number in range(IMAGES)])
        )
        assert file.attrs["pillow"] == PIL.__version__
        assert "timm" not in file.attrs
        # Odd kernels of stride 2, padded evenly: the first cell looks at the first pixel.
        centres = [file.attrs[name] for name in ("cell_first", "cell_step")]
        assert centres == [0.5 / 112, 16 / 112]
    expected = {
        "extractor": "small",
        "backbone": "demo",
        "weights": "weights.pt",
        "size": 112,
        "grid": 7,
    }
    assert found == expected | {"dataset": "miniature"}


def test_worker_processes_give_the_same_bytes(images, complete, tmp_path):
    index = index_of([f"{number}.png" for number in range(IMAGES)])
    extraction.extract(index, images, extractor_of(images), tmp_path / "small.h5", CPU, workers=2)
    assert (tmp_path / "small.h5").read_bytes() == complete.read_bytes()


def killed(images: Path, output: Path, blocks: int) -> None:
    """Extract in another process that is killed as soon as ``blocks`` blocks are written."""
    command = [sys.executable, __file__, str(images), str(output), str(blocks)]
    assert subprocess.run(command, env=SCRIPT, check=False).returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_and_run_again_it_ends_with_the_same_bytes(images, complete, tmp_path, monkeypatch):
    output = tmp_path / "small.h5"
    killed(images, output, blocks=2)
    assert not output.exists()
    journal = tmp_path / ".small.work" / "journal"
    assert [line.split()[0] for line in journal.read_text().splitlines()[1:]] == ["0", "1"]
    written = []
    write = BlockWriter.write

    def counted(self, block, arrays):
        written.append(block)
        write(self, block, arrays)

    monkeypatch.setattr(BlockWriter, "write", counted)
    run(images, output)
    assert written == [2]
    assert output.read_bytes() == complete.read_bytes()


@pytest.mark.parametrize("storage", ["hdf5", "zarr"])
def test_features_lie_where_compute_says(images, complete, tmp_path, storage):
    index = index_of([f"{number}.png" for number in range(IMAGES)])
    settings = {"name": "small", "backbone": "demo", "size": 112, "grid": 7, "batch_size": 3}
    extraction.extract_features(
        {**settings, "features_version": 1},
        index,
        images,
        images / "weights.pt",
        tmp_path / "small.h5",
        Compute(device="cpu", threads=1),
        storage=storage,
    )
    assert (tmp_path / "small.zarr").is_dir() == (storage == "zarr")
    found, expected = FeatureFile(tmp_path / "small.h5"), FeatureFile(complete)
    assert found.contents == expected.contents
    assert np.array_equal(found.regions, expected.regions)


def test_two_outputs_of_one_extractor_share_nothing(images, complete, tmp_path, monkeypatch):
    """The images of a dataset and task-irrelevant ones, side by side: each ends as if it were
    alone.
    """
    map_all, begun = extraction._run, []

    def interleaved(*arguments):
        if not begun:
            begun.append(True)
            run(images, tmp_path / "small.irrelevant.h5", ["5.png", "2.png", "9.png"])
        return map_all(*arguments)

    monkeypatch.setattr(extraction, "_run", interleaved)
    run(images, tmp_path / "small.h5")
    assert (tmp_path / "small.h5").read_bytes() == complete.read_bytes()
    other, whole = FeatureFile(tmp_path / "small.irrelevant.h5"), FeatureFile(complete)
    np.testing.assert_allclose(other.pooled, whole.pooled[[5, 2, 9]], rtol=1e-4, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.h5", "small.irrelevant.h5"]


@pytest.mark.slow
def test_a_second_writer_of_one_output_says_who_holds_it(images, complete, tmp_path):
    command = [sys.executable, __file__, str(images), str(tmp_path / "small.h5"), "stopped"]
    with subprocess.Popen(command, env=SCRIPT, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"one block\n"
        try:
            with pytest.raises(InputError) as caught:
                run(images, tmp_path / "small.h5")
        finally:
            first.kill()
    assert f"process {first.pid} on {platform.node()} writes here" in str(caught.value)
    run(images, tmp_path / "small.h5")  # the lock ended with its process
    assert (tmp_path / "small.h5").read_bytes() == complete.read_bytes()


@pytest.mark.slow
def test_blocks_survive_an_index_written_again_with_the_same_images(
    images, complete, tmp_path, monkeypatch
):
    killed(images, tmp_path / "small.h5", blocks=2)
    written, whole = [], index_of([f"{number}.png" for number in range(IMAGES)])
    monkeypatch.setattr(
        BlockWriter, "finish", lambda self, output: written.extend(sorted(self.done))
    )
    monkeypatch.setattr(extraction, "_run", lambda *_: [])
    renamed = replace(whole, class_names=tuple(f"other {name}" for name in whole.class_names))
    extraction.extract(renamed, images, extractor_of(images), tmp_path / "small.h5", CPU, workers=0)
    assert written == [0, 1]
    turned = replace(whole, paths=whole.paths[::-1])
    extraction.extract(turned, images, extractor_of(images), tmp_path / "small.h5", CPU, workers=0)
    assert written == [0, 1]  # none of the second's


def test_the_weights_hash_is_of_the_weights_and_not_of_the_file(images, tmp_path):
    hashes = []
    state = torch.load(images / "weights.pt", weights_only=True)
    for name, content in (
        ("beside.pt", {"state_dict": state, "epoch": 3}),
        ("other.pt", {**state}),
    ):
        if name == "other.pt":
            content["features.0.weight"] = content["features.0.weight"] * 2
        torch.save(content, tmp_path / name)
        extractor = replace(extractor_of(images), weights=str(tmp_path / name))
        run(images, tmp_path / "x.h5", ["0.png"], extractor)
        hashes.append(str(FeatureFile(tmp_path / "x.h5").attributes["weights_hash"]))
    run(images, tmp_path / "x.h5", ["0.png"])
    first = str(FeatureFile(tmp_path / "x.h5").attributes["weights_hash"])
    stamped = FeatureFile(tmp_path / "x.h5").attributes["weights_file"]
    assert stamped == file_hash(images / "weights.pt")
    assert first == hashes[0] != hashes[1]


def test_told_to_stop_it_keeps_its_blocks_and_says_so(images, complete, tmp_path, monkeypatch):
    output, writes = tmp_path / "small.h5", BlockWriter.write

    def told_after_the_first(self, block, arrays):
        writes(self, block, arrays)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(BlockWriter, "write", told_after_the_first)
    monkeypatch.setattr(extraction, "WAITING_BLOCKS", 0)
    try:
        with pytest.raises(InterruptedExtraction) as caught:
            run(images, output)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN  # sent again, it spoils nothing
    finally:
        signal.signal(signal.SIGTERM, before)
    assert str(caught.value) == (
        "extraction small: told to stop; 1 of 3 blocks are written and the same command goes on "
        "from there"
    )
    assert not output.exists()
    monkeypatch.setattr(BlockWriter, "write", writes)
    run(images, output)
    assert output.read_bytes() == complete.read_bytes()


def test_progress_is_told_while_a_block_is_under_way(images, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        extraction_progress, "write_progress", lambda folder, state: told.append(dict(state))
    )
    run(images, tmp_path / "small.h5")
    assert told == [{"what": "extraction small", "step": 3, "steps": IMAGES}]
    monkeypatch.setattr(extraction_progress, "REPORT_SECONDS", 0.0)
    run(images, tmp_path / "small.h5")
    # Batches of three do not cross blocks of four.
    assert [state["step"] for state in told[1:]] == [3, 4, 7, 8, 11]


def broken_folder(images: Path, folder: Path) -> list[str]:
    """Make a folder of twelve paths of which four cannot be read; return the paths."""
    for number in range(IMAGES):
        (folder / f"{number}.png").write_bytes((images / f"{number}.png").read_bytes())
    picture = Image.open(folder / "3.png").convert("RGB")
    picture.save(folder / "cut.jpg", quality=95)
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:6000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    return [
        *(f"{number}.png" for number in range(8)),
        "cut.jpg",
        "empty.png",
        "missing.png",
        "text.jpg",
    ]


def test_a_folder_that_is_not_there_is_told_once_and_not_by_each_image(images, tmp_path):
    extractor = extractor_of(images)
    with pytest.raises(InputError, match=r"nowhere: no such folder of images; give another"):
        run(tmp_path / "nowhere", tmp_path / "x.h5", extractor=extractor)
    assert list(tmp_path.iterdir()) == []


def test_all_broken_images_are_named_and_no_file_appears(images, tmp_path):
    folder, output = tmp_path / "images", tmp_path / "features" / "small.h5"
    folder.mkdir()
    paths = broken_folder(images, folder)
    with pytest.raises(InputError) as caught:
        run(folder, output, paths, extractor_of(images))
    text = str(caught.value)
    assert text.startswith("4 of 12 images")
    assert "\n" not in text
    assert [name for name in paths if name in text] == [
        "cut.jpg",
        "empty.png",
        "missing.png",
        "text.jpg",
    ]
    assert not output.exists()
    # What was good is kept: with the four files mended only their block is left to do.
    for name in paths[8:]:
        (folder / name).write_bytes((images / "9.png").read_bytes())
    assert len((output.parent / ".small.work" / "journal").read_text().splitlines()) == 3
    run(folder, output, paths, extractor_of(images))
    assert FeatureFile(output).regions.shape == (12, 49, 192)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grid": 14},
            "extractor 'small': demo at 112 px has a 7x7 map, the configuration says 14x14",
        ),
        (
            {"backbone": "resnet18", "weights": "random", "layer": "flatten"},
            "extractor 'small': resnet18 at 112 px has a 1x1 map (one vector for the whole image), "
            "the configuration says 7x7; change its size, grid or layer",
        ),
        (
            {"backbone": "resnet110"},
            "no torchvision network 'resnet110'; did you mean 'resnet101'?",
        ),
        ({"layer": "featurs"}, "backbone 'demo' has no layer 'featurs'; did you mean 'features'?"),
        ({"weights": "none.pt"}, "weights file none.pt does not exist"),
        (
            {"backbone": "resnet18", "weights": "IMAGENET1K_V9"},
            "weights 'IMAGENET1K_V9' of resnet18",
        ),
    ],
)
def test_a_wrong_extractor_is_refused_in_one_line(images, tmp_path, change, message):
    with pytest.raises(InputError) as caught:
        run(images, tmp_path / "x.h5", extractor=replace(extractor_of(images), **change))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_features_that_float16_cannot_hold_are_refused(images, tmp_path):
    state = torch.load(images / "weights.pt", weights_only=True)
    state["features.5.body.4.weight"] *= 1e7
    torch.save(state, tmp_path / "large.pt")
    threads = threading.active_count()
    with pytest.raises(InputError, match="too large for float16"):
        run(
            images,
            tmp_path / "x.h5",
            extractor=replace(extractor_of(images), weights=str(tmp_path / "large.pt")),
        )
    assert threading.active_count() == threads


def test_a_full_disk_ends_the_extraction(images, tmp_path, monkeypatch):
    def full(self, block, arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlockWriter, "write", full)
    with pytest.raises(OSError, match="No space left"):
        run(images, tmp_path / "x.h5")


def run_and_die(images: Path, output: Path, blocks: str) -> None:
    """Extract with small blocks and kill this process after the given number of them, or stop after
    one.
    """
    features.BLOCK = BLOCK
    write, written = BlockWriter.write, []

    def last(self, block, arrays):
        write(self, block, arrays)
        written.append(block)
        if blocks == "stopped":
            sys.stdout.write("one block\n")
            sys.stdout.flush()
            signal.pause()
        if len(written) == int(blocks):
            os.kill(os.getpid(), signal.SIGKILL)

    BlockWriter.write = last
    run(images, output)


def test_readers_begin_with_sigterm_blocked(images, tmp_path, monkeypatch):
    with begun_deaf(monkeypatch):
        run(images, tmp_path / "x.h5")


if __name__ == "__main__":
    run_and_die(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
