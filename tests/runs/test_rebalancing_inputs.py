"""What rebalancing learns from: scores on the validation problem and of task-irrelevant images."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.miniature import CLASSES, GRID, SEEN, VALIDATION, WIDTH, write_miniature
from tests.made_up.runs import NEEDS
from tests.made_up.specification import SPEC
from zslpipe.datasets.irrelevant_images import write_irrelevant_images
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import images_hash, read_index
from zslpipe.formats.scores import read_irrelevant, read_scores
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.rebalancing_inputs import write_irrelevant_scores, write_validation_scores
from zslpipe.runs.train import run_method
from zslpipe.runs.weights import load_model
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance

CPU = Compute(device="cpu", threads=1)
ESZSL = SPEC | {
    "method": "eszsl",
    "input": "pooled",
    "words": None,
    "selection": "validation",
    "choose": {"feature_regulariser": [0.1, 1.0]},
    "settings": {},
}
IRRELEVANT = 9


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Return the files of a run with all that a rebalancing may need."""
    folder = tmp_path_factory.mktemp("miniature")
    paths = write_miniature(folder)
    run_inputs = open_run_inputs(ESZSL, paths["index"], paths["features"], folder, None, CPU)
    run = folder / "seed0"
    run_method(ESZSL, 0, run_inputs, None, run, CPU)
    files = {name: run / f"{name}.h5" for name in ("scores", "validation", "irrelevant")}
    write_validation_scores(run / "weights.pt", run_inputs, None, 0, files["validation"], CPU)
    listed, features = irrelevant_features(folder)
    unrelated = open_run_inputs(ESZSL, listed, features, folder, None, CPU, read_irrelevant_images)
    write_irrelevant_scores(
        run / "weights.pt", paths["index"], unrelated, None, 0, files["irrelevant"]
    )
    return files | {
        "index": paths["index"],
        "weights": run / "weights.pt",
        "features": features,
        "run": run,
    }


def irrelevant_features(folder: Path) -> tuple[Path, Path]:
    """Write a list of irrelevant images and made-up features of them."""
    (folder / "things").mkdir()
    for number in range(IRRELEVANT):
        Image.new("RGB", (8, 8)).save(folder / "things" / f"thing{number}.png")
    listed = folder / "things.h5"
    write_irrelevant_images({"images": "things"}, listed, folder)
    index = read_irrelevant_images(listed)
    shapes = {
        "regions": ((IRRELEVANT, GRID**2, WIDTH), "float16"),
        "pooled": ((IRRELEVANT, WIDTH), "float32"),
    }
    writer = BlockWriter(
        folder / ".work", shapes, {"extractor": "miniature", "images_hash": images_hash(index)}
    )
    generator = np.random.default_rng(3)
    regions = generator.normal(size=(IRRELEVANT, GRID**2, WIDTH)).astype(np.float16)
    writer.write(0, {"regions": regions, "pooled": regions.astype(np.float32).mean(1)})
    writer.finish(folder / "things_features.h5")
    return listed, folder / "things_features.h5"


def test_the_validation_classes_play_the_unseen_ones(files):
    index, matrix = read_index(files["index"]), read_scores(files["validation"])
    seen = np.flatnonzero(SEEN)
    assert matrix.classes == tuple(index.class_names[number] for number in seen)
    assert matrix.seen.tolist() == (~VALIDATION[SEEN]).tolist()
    assert sorted(matrix.images["test_unseen"]) == sorted(index.splits["val"])
    everything = np.concatenate([matrix.images[split] for split in matrix.images])
    assert sorted(everything) == sorted(index.splits["trainval"])
    names = np.array(matrix.classes)
    for split, rows in matrix.images.items():
        assert names[matrix.labels[split]].tolist() == [
            index.class_names[number] for number in index.labels[rows]
        ]


def test_its_settings_are_those_chosen_for_the_run(files):
    chosen = read_scores(files["scores"]).chosen["feature_regulariser"]
    saved = torch.load(files["weights"], weights_only=True)["config"]
    assert saved["feature_regulariser"] == chosen
    assert sorted(path.name for path in files["run"].iterdir()) == [
        "history.csv",
        "irrelevant.h5",
        "scores.h5",
        "validation.h5",
        "weights.pt",
    ]


def test_a_second_process_is_told_who_trains_for_the_validation_classes(files, tmp_path):
    output = tmp_path / "validation.h5"
    with (
        held_folder(work_folder(output)),
        pytest.raises(InputError, match=r"\.validation\.work: process \d+ on \S+ writes here"),
    ):
        write_validation_scores(files["weights"], None, None, 0, output, CPU)


def test_irrelevant_scores_are_the_models(files):
    found = read_irrelevant(files["irrelevant"])
    index = read_index(files["index"])
    assert found.classes == index.class_names
    assert (found.dataset, found.method, found.variant, found.seed) == (
        "miniature",
        "eszsl",
        "default",
        0,
    )
    assert found.source == "things"
    _, model, _ = load_model(files["weights"], index, None)
    with h5py.File(files["features"]) as file, torch.inference_mode():
        expected = model.scores(torch.from_numpy(file["pooled"][()])).numpy()
    assert found.scores.shape == (IRRELEVANT, CLASSES)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_rebalancing_can_be_attached(files, tmp_path, kind):
    given = dict.fromkeys(("validation", "irrelevant"))
    given |= {name: files[name] for name in NEEDS[kind]}
    rebalance(kind, files["scores"], tmp_path / "scores.h5", **given, settings={})
    before, after = read_scores(files["scores"]), read_scores(tmp_path / "scores.h5")
    assert after.rebalancing == kind
    unseen = np.flatnonzero(~SEEN)
    for split, scores in after.scores.items():
        assert (
            scores[:, unseen].argmax(1).tolist()
            == before.scores[split][:, unseen].argmax(1).tolist()
        )
