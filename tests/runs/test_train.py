"""One run from files to files: weights, history and scores, the model read back, its maps."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from tests.made_up.miniature import ATTRIBUTES, CLASSES, GRID, SEEN, TEST_IMAGES, write_miniature
from tests.made_up.specification import SPEC
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import read_index
from zslpipe.formats.scores import read_scores
from zslpipe.formats.words import read_words
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.methods import eszsl
from zslpipe.runs.attention import attend, pick_images
from zslpipe.runs.cached_inputs import CachedInputs
from zslpipe.runs.models import RunInputs, configured
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.problems import classes_of
from zslpipe.runs.train import prepare_run, run_method, what_is_read
from zslpipe.runs.weights import load_model

CPU = Compute(device="cpu", threads=1, checkpoint_seconds=1e6)
SPECS = {
    "eszsl": SPEC
    | {
        "method": "eszsl",
        "input": "pooled",
        "words": None,
        "settings": {"feature_regulariser": 0.1},
    },
    "dazle": SPEC
    | {
        "method": "dazle",
        "input": "regions",
        "words": "words",
        "settings": {"epochs": 3, "lr": 0.01, "batch_size": 8},
    },
}
SELECTING = SPECS["dazle"] | {
    "selection": "validation",
    "choose": {"calibration_weight": [0.0, 0.1]},
    "variant": "chosen",
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp("miniature"))


def run(spec: dict, paths: dict[str, Path], output: Path, seed: int = 0) -> Path:
    words = paths["words"] if spec["words"] else None
    run_inputs = open_run_inputs(
        spec, paths["index"], paths["features"], paths["index"].parent, None, CPU
    )
    run_method(spec, seed, run_inputs, words, output, CPU)
    return output


@pytest.fixture(scope="module")
def runs(paths, tmp_path_factory):
    """Return the output folder of each method's run."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: run(spec, paths, folder / name / "seed0") for name, spec in SPECS.items()}


@pytest.mark.parametrize("name", SPECS)
def test_a_run_writes_weights_history_and_scores(runs, name):
    assert sorted(path.name for path in runs[name].iterdir()) == [
        "history.csv",
        "scores.h5",
        "weights.pt",
    ]


@pytest.mark.parametrize("name", SPECS)
def test_scores_have_a_column_for_every_class(runs, paths, name):
    index, matrix = read_index(paths["index"]), read_scores(runs[name] / "scores.h5")
    assert matrix.classes == index.class_names
    assert matrix.seen.tolist() == SEEN.tolist()
    for split in ("trainval", "test_seen", "test_unseen"):
        assert matrix.images[split].tolist() == index.splits[split].tolist()
        assert matrix.labels[split].tolist() == index.labels[index.splits[split]].tolist()
        assert matrix.scores[split].shape == (len(index.splits[split]), CLASSES)
        assert matrix.scores[split].dtype == np.float32
    found = (
        matrix.dataset,
        matrix.method,
        matrix.variant,
        matrix.seed,
        matrix.extractor,
        matrix.semantics,
        matrix.selection,
    )
    selection = {"eszsl": "as configured", "dazle": "last epoch"}[name]
    assert found == ("miniature", name, "default", 0, "miniature", "att (unit)", selection)
    assert matrix.words == {"eszsl": "", "dazle": "made up"}[name]
    stored = {"backbone": "stored", "width": 12, "class_vectors": ATTRIBUTES}
    by_method = {"eszsl": {"input": "pooled"}, "dazle": {"input": "regions", "grid": GRID}}
    assert matrix.reads == stored | by_method[name]


IMAGENET = {"backbone": "resnet101", "weights": "IMAGENET1K_V1", "size": 448}


def test_what_is_read_of_an_extraction_and_of_images(runs, paths):
    index = read_index(paths["index"])
    classes = classes_of(index, "att", "unit", None)
    file = SimpleNamespace(attributes=IMAGENET | {"weights": "net.pt", "size": np.int64(224)})
    inputs = CachedInputs(FeatureFile(paths["features"]), False, torch.device("cpu"))
    cached = RunInputs(index, inputs, torch.device("cpu"), "", features=file)
    found = what_is_read(cached, {"input": "regions", "trunk": None}, classes)
    expected = {"input": "regions", "backbone": "resnet101", "weights": "net.pt", "size": 224}
    expected |= {"grid": GRID, "width": 12, "class_vectors": ATTRIBUTES}
    assert found == expected and json.loads(json.dumps(found)) == expected
    images = RunInputs(index, None, torch.device("cpu"), "", trunk=torch.nn.Identity())
    trunk = {"grid": 14, **IMAGENET, "weights": "weights/resnet101.pth"}
    found = what_is_read(images, {"input": "images", "trunk": trunk}, classes)
    expected = {"input": "images", "backbone": "resnet101", "weights": "resnet101.pth"}
    assert found == expected | {"size": 448, "class_vectors": ATTRIBUTES}


def test_features_that_follow_the_class_vectors_are_recognised(runs):
    """The features are a linear map of the class vectors: ESZSL gets most images of unseen classes
    right.
    """
    matrix = read_scores(runs["eszsl"] / "scores.h5")
    unseen = np.flatnonzero(~SEEN)
    predicted = unseen[matrix.scores["test_unseen"][:, unseen].argmax(1)]
    assert (predicted == matrix.labels["test_unseen"]).mean() == 1.0
    seen = np.flatnonzero(SEEN)
    predicted = seen[matrix.scores["test_seen"][:, seen].argmax(1)]
    assert (predicted == matrix.labels["test_seen"]).mean() > 0.6


@pytest.mark.parametrize("name", SPECS)
def test_the_model_read_back_gives_the_same_scores(runs, paths, name):
    index = read_index(paths["index"])
    words, _ = read_words(paths["words"])
    module, model, spec = load_model(runs[name] / "weights.pt", index, words)
    assert spec == SPECS[name] | {"seed": 0}
    assert module.__name__ == f"zslpipe.methods.{name}"
    inputs = CachedInputs(FeatureFile(paths["features"]), name == "eszsl", torch.device("cpu"))
    matrix = read_scores(runs[name] / "scores.h5")
    for split, images in matrix.images.items():
        with torch.inference_mode():
            scores = model.scores(inputs.take(torch.from_numpy(images)))
        assert np.array_equal(scores.numpy(), matrix.scores[split])


def test_the_history_has_a_row_for_each_epoch(runs):
    with (runs["dazle"] / "history.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == [
            "phase",
            "stage",
            "epoch",
            "step",
            "loss",
            "cross_entropy",
            "calibration",
            "waiting",
            "seconds",
        ]
        rows = list(reader)
    epochs = [(row["phase"], row["epoch"], row["step"]) for row in rows]
    assert epochs == [("train", str(epoch), "7") for epoch in (1, 2, 3)]  # 60 images by 8
    for row in rows:
        assert 0.0 <= float(row["waiting"]) <= 1.0
        assert float(row["loss"]) == pytest.approx(
            float(row["cross_entropy"]) + float(row["calibration"])
        )
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    only = "phase,stage,epoch,step,loss,waiting,seconds\n"
    assert (runs["eszsl"] / "history.csv").read_text() == only


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(runs, paths, tmp_path):
    expected = read_scores(runs["dazle"] / "scores.h5").scores["test_unseen"]
    same = read_scores(run(SPECS["dazle"], paths, tmp_path / "a") / "scores.h5").scores[
        "test_unseen"
    ]
    other = read_scores(run(SPECS["dazle"], paths, tmp_path / "b", seed=1) / "scores.h5").scores[
        "test_unseen"
    ]
    assert np.array_equal(same, expected)
    assert not np.array_equal(other, expected)


def test_selection_never_meets_a_test_image(paths, tmp_path):
    """Other features of the test images leave choice and weights as they were; those of training
    images do not.
    """
    weights, chosen, losses = [], [], []
    for name, splits in (
        ("as it is", []),
        ("test", ["test_seen", "test_unseen"]),
        ("train", ["trainval"]),
    ):
        changed = dict(paths)
        if splits:
            changed["features"] = with_noise(paths, splits, tmp_path / f"{name}.h5")
        output = run(SELECTING, changed, tmp_path / name / "seed0")
        state = torch.load(output / "weights.pt", weights_only=True)["state"]
        weights.append(torch.cat([tensor.double().flatten() for tensor in state.values()]))
        chosen.append(dict(read_scores(output / "scores.h5").chosen))
        with (output / "history.csv").open(newline="") as file:
            losses.append([row["validation_loss"] for row in csv.DictReader(file)])
    assert torch.equal(weights[0], weights[1])
    assert chosen[0] == chosen[1]
    assert losses[0] == losses[1] != losses[2]
    assert len(weights[2]) != len(weights[0]) or not torch.equal(weights[2], weights[0])
    matrix = read_scores(tmp_path / "as it is" / "seed0" / "scores.h5")
    assert matrix.selection == "validation classes"
    assert set(matrix.chosen) == {"calibration_weight", "epochs", "validation_H"}
    with (tmp_path / "as it is" / "seed0" / "history.csv").open(newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert phases == ["validation"] * 6 + ["train"] * matrix.chosen["epochs"]
    assert [loss != "" for loss in losses[0]] == [phase == "validation" for phase in phases]


def with_noise(paths: dict[str, Path], splits: list[str], path: Path) -> Path:
    """Return a copy of the feature file in which the images of some splits have other features."""
    path.write_bytes(paths["features"].read_bytes())
    index = read_index(paths["index"])
    rows = np.sort(np.concatenate([index.splits[split] for split in splits]))
    with h5py.File(path, "r+") as file:
        for name in ("regions", "pooled"):
            values = file[name][()]
            values[rows] = np.random.default_rng(1).normal(size=values[rows].shape)
            file[name][()] = values
        del file["checksums"]  # as another program would write them
    return path


def test_attention_maps_of_some_unseen_images(runs, paths, tmp_path):
    output = tmp_path / "attention.h5"
    run_inputs = open_run_inputs(
        SPECS["dazle"], paths["index"], paths["features"], paths["index"].parent, None, CPU
    )
    attend(runs["dazle"] / "weights.pt", run_inputs, paths["words"], 0, output, 3)
    index, words = read_index(paths["index"]), read_words(paths["words"])[0]
    with h5py.File(output) as file:
        maps, images = file["maps"][()], file["images"][()]
        assert maps.dtype == np.float16
        assert file.attrs["complete"]
        assert [file.attrs[name] for name in ("dataset", "method", "variant")] == [
            "miniature",
            "dazle",
            "default",
        ]
        assert file["labels"][()].tolist() == index.labels[images].tolist()
        predicted, scores = file["predicted"][()], file["scores"][()]
        tested, found = file["test/images"][()], file["test/peaks"][()]
        assert (file.attrs["kind"], file.attrs["seed"]) == ("attributes", 0)
        assert (file.attrs["cell_first"], file.attrs["cell_step"]) == (0.0625, 0.5)
    assert maps.shape == (3, ATTRIBUTES, GRID, GRID)
    assert set(images) <= set(index.splits["test_unseen"])
    _, model, _ = load_model(runs["dazle"] / "weights.pt", index, words)
    batch = CachedInputs(FeatureFile(paths["features"]), False, torch.device("cpu")).take(
        torch.from_numpy(images)
    )
    with torch.inference_mode():
        np.testing.assert_allclose(maps, model.attention(batch).numpy(), rtol=0, atol=1e-3)
        assert predicted.tolist() == model.scores(batch).argmax(1).tolist()
        np.testing.assert_allclose(scores, model.attribute_scores(batch).numpy(), rtol=0, atol=1e-6)
    assert scores.shape == (3, ATTRIBUTES) and scores.dtype == np.float32
    assert tested.tolist() == [*index.splits["test_seen"], *index.splits["test_unseen"]]
    with torch.inference_mode():
        everything = model.attention(run_inputs.inputs.take(torch.from_numpy(tested))).numpy()
    for image, attribute in np.ndindex(*everything.shape[:2]):
        row, column = np.unravel_index(everything[image, attribute].argmax(), (GRID, GRID))
        expected = [0.0625 + 0.5 * column, 0.0625 + 0.5 * row]  # as the feature file says
        assert found[image, attribute].tolist() == expected


def test_pictured_images_are_of_different_classes_as_long_as_there_are(paths):
    index = read_index(paths["index"])
    unseen = int((~SEEN).sum())
    picked = pick_images(index, unseen)
    assert len(set(index.labels[picked])) == unseen
    everything = pick_images(index, 100)
    assert sorted(everything) == sorted(index.splits["test_unseen"])
    for turn in range(TEST_IMAGES):
        assert len(set(index.labels[everything[turn * unseen : (turn + 1) * unseen]])) == unseen


@pytest.mark.parametrize("kept", [0, 300])
def test_weights_that_were_cut_off_are_refused_in_one_line(runs, paths, tmp_path, kept):
    (tmp_path / "weights.pt").write_bytes((runs["dazle"] / "weights.pt").read_bytes()[:kept])
    with pytest.raises(InputError, match=r"weights\.pt: not a readable weights\.pt") as caught:
        load_model(tmp_path / "weights.pt", read_index(paths["index"]), None)
    assert "\n" not in str(caught.value)


def test_a_run_is_told_by_its_weights(runs):
    saved = torch.load(runs["dazle"] / "weights.pt", weights_only=True)
    assert json.loads(saved["run"]) == SPECS["dazle"] | {"seed": 0}
    assert saved["config"]["epochs"] == 3
    assert saved["input_shape"] == [GRID**2, 12]


def test_a_second_process_is_told_who_trains_the_same_run(paths, tmp_path):
    """The choosing's trainings lie in the run's folder: held once, by the run."""
    message = r"\.seed0\.work: process \d+ on \S+ writes here"
    with (
        held_folder(work_folder(tmp_path / "seed0")),
        pytest.raises(InputError, match=message) as caught,
    ):
        run(SPECS["eszsl"], paths, tmp_path / "seed0")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "seed0").exists()
    run(SELECTING, paths, tmp_path / "seed0")
    assert [path.name for path in tmp_path.iterdir()] == ["seed0"]


def test_a_checkpoint_belongs_to_the_code_that_opens_inputs(tmp_path, monkeypatch):
    asked = []

    def code(*entries, **_):
        asked.extend(entries)
        return "code"

    monkeypatch.setattr("zslpipe.runs.train.code_hash", code)
    inputs = RunInputs(None, None, torch.device("cpu"), "identity")
    prepare_run(SPECS["dazle"], 0, inputs, None, tmp_path / "seed0", CPU)
    expected = {"zslpipe.methods.dazle", "zslpipe.runs.train", "zslpipe.runs.opening"}
    assert set(asked) == expected


def test_weights_are_the_same_bytes_whoever_writes_them(paths, tmp_path, monkeypatch):
    written = []
    for process in ("one", "other"):
        name = f"weights.pt.{process}.partial"
        monkeypatch.setattr(
            "zslpipe.machine.files.temporary_name", lambda path, name=name: path.with_name(name)
        )
        run_inputs = open_run_inputs(
            SPECS["eszsl"], paths["index"], paths["features"], paths["index"].parent, None, CPU
        )
        run_method(SPECS["eszsl"], 0, run_inputs, None, tmp_path / process, CPU)
        written.append((tmp_path / process / "weights.pt").read_bytes())
    assert written[0] == written[1]


def test_settings_that_a_method_has_not_are_one_line():
    with pytest.raises(InputError, match=r"^--spec, settings: unknown setting 'feature'"):
        configured(eszsl, {"settings": {"feature": 1.0}})
    with pytest.raises(InputError, match=r"^--spec, settings\.feature_regulariser: 'x' is not"):
        configured(eszsl, {"settings": {"feature_regulariser": "x"}})
