"""What was asked for against what a file says of itself: both sides and the cheap remedy."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.formats.test_scores import irrelevant, matrix
from tests.made_up.miniature import miniature_index, write_miniature
from tests.made_up.specification import SPEC
from zslpipe.commands.cli import main
from zslpipe.commands.inputs import cached_weights
from zslpipe.formats.features import write_pooled_features
from zslpipe.formats.identity import (
    check_features,
    check_hashes,
    check_images,
    check_index_source,
    check_run_file,
    differences,
    run_hash,
)
from zslpipe.formats.index import images_hash, read_index, write_index
from zslpipe.formats.scores import write_irrelevant, write_scores
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.methods import eszsl
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.provenance import file_hash, settings_hash
from zslpipe.runs.image_inputs import network_hash
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.weights import save_weights
from zslpipe.scores.evaluation import write_metrics

CPU = Compute(device="cpu")
RUN = {"method": "rsan", "settings": {"lr": 0.01, "layers": [2, 3]}, "seed": 3}
CACHE = {"name": "small", "backbone": "demo", "size": 112, "grid": 7, "features_version": 1}
STAMPS = {
    "extractor": "small",
    "backbone": "demo",
    "weights": "backbone.pt",
    "weights_hash": "abc",
    "weights_file": "0123",
    "size": np.int64(112),
    "grid": np.int64(7),
    "layer": "last map",
    "dtype": "float32",
    "features_version": np.int64(1),
    "dataset": "miniature",
}


@pytest.fixture(scope="module")
def index():
    return miniature_index(np.random.default_rng(0))


def line(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_differences_name_both_sides_however_deep():
    found = {"method": "rsan", "settings": {"lr": 0.1, "layers": [2, 3], "more": 1}, "seed": 3}
    assert differences(RUN, found) == [
        "settings.lr: asked 0.01, it says 0.1",
        "settings.more: asked nothing, it says 1",
    ]
    assert differences(RUN, {**RUN, "seed": 4}) == ["seed: asked 3, it says 4"]
    assert differences({"a": None}, {}) == ["a: asked None, it says nothing"]
    assert differences({"a": {"b": 1}}, {"a": None}) == ["a: asked {'b': 1}, it says None"]
    assert differences(RUN, json.loads(json.dumps(RUN))) == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": "large"}, "extractor: asked 'large', it says 'small'"),
        ({"backbone": "resnet101", "weights": "w.pt"}, "backbone: asked 'resnet101', it says 'de"),
        ({"backbone": "demo", "weights": "x/other.pt"}, "weights: asked 'other.pt', it says 'back"),
        ({"size": 224}, "size: asked 224, it says 112"),
        ({"grid": 14}, "grid: asked 14, it says 7"),
        ({"layer": "layer3"}, "layer: asked 'layer3', it says 'last map'"),
        ({"features_version": 2}, "features_version: asked 2, it says 1"),
        ({"backbone": "stored"}, "backbone: asked 'stored', it says 'demo'"),
    ],
)
def test_features_of_another_extractor_are_refused(tmp_path, index, asked, told):
    check_features(tmp_path, STAMPS, index, CACHE, "0123")
    said = line(check_features, tmp_path, STAMPS, index, CACHE | asked, "0123")
    assert told in said
    assert "the rule 'extract'" in said


def test_features_of_other_weights_or_another_dataset_are_refused(tmp_path, index):
    told = line(check_features, tmp_path, STAMPS, index, CACHE, "4567")
    assert "weights_file: asked '4567', it says '0123'" in told
    check_features(tmp_path, STAMPS, index, CACHE, "")  # the file of weights is gone
    check_features(tmp_path, STAMPS | {"weights_file": ""}, index, CACHE, "4567")
    other = replace(index, dataset="other")
    told = line(check_features, tmp_path, STAMPS, other, CACHE, "")
    assert "dataset: asked 'other', it says 'miniature'" in told


def test_features_of_other_programs_say_what_they_say(tmp_path, index):
    check_features(tmp_path, {"images_hash": "x"}, index, CACHE, "0123")
    check_features(tmp_path, STAMPS, index, None, "")
    of_mat = {"extractor": "own", "weights": "from res101.mat", "dataset": "miniature"}
    check_features(tmp_path, of_mat, index, {"name": "own", "backbone": "stored"}, "")
    assert "weights: asked 'w.pt', it says 'from res101.mat'" in line(
        check_features, tmp_path, of_mat, index, CACHE | {"name": "own", "weights": "w.pt"}, ""
    )


def test_a_message_about_images_blames_no_side_that_it_does_not_know(tmp_path, index):
    own = {"images_hash": images_hash(index), "dataset": "miniature"}
    check_images(tmp_path, own, index, False)
    foreign = own | {"images_hash": "0" * 16, "dataset": "other"}
    known = line(check_images, tmp_path, foreign, index, True)
    assert f"asked {images_hash(index)}, {len(index.paths)} images of 'miniature'" in known
    assert "it says 0000000000000000 of 'other'; the index is the configuration's" in known
    assert "delete it and run again: the rule 'extract'" in known
    unknown = line(check_images, tmp_path, foreign, index, False)
    assert "make the index again first, it takes seconds; the features only if" in unknown
    assert "delete" not in unknown
    told = line(check_images, tmp_path, {"dataset": "miniature"}, index, True)
    assert f"write its attribute images_hash = '{images_hash(index)}'" in told


def test_a_foreign_index_is_refused_before_its_features_are_blamed(tmp_path, index):
    paths = write_miniature(tmp_path)
    write_index(index, paths["index"], {"images": "a"})
    asked = {"dataset": "miniature", "adapter": "none", "made_of": settings_hash({"images": "b"})}
    spec = SPEC | {"method": "eszsl", "input": "pooled", "index": asked, "cache": None}
    opened = (paths["index"], paths["features"], tmp_path, None, CPU)
    told = line(open_run_inputs, spec, *opened)
    assert told.startswith(f"{paths['index']}: not what was asked: made_of: asked '")
    assert "the rule 'index'" in told and "features stay" in told
    asked["made_of"] = settings_hash({"images": "a"})
    open_run_inputs(spec, *opened)
    told = line(open_run_inputs, spec | {"index": asked | {"dataset": "other"}}, *opened)
    assert "dataset: asked 'other', it says 'miniature'" in told
    # Of an index that does not say what it is made of the rest counts.
    write_index(index, paths["index"])
    open_run_inputs(spec | {"index": asked | {"made_of": "else"}}, *opened)


def test_a_run_opens_the_features_of_its_extractor_alone(tmp_path):
    paths = write_miniature(tmp_path)
    (tmp_path / "w.pt").write_bytes(b"weights")
    cache = {"name": "miniature", "backbone": "demo", "features_version": 1}
    spec = SPEC | {"method": "eszsl", "input": "pooled", "cache": cache}
    open_run_inputs(spec, paths["index"], paths["features"], tmp_path, tmp_path / "w.pt", CPU)
    spec["cache"] = cache | {"name": "other"}
    opened = (paths["index"], paths["features"], tmp_path, None, CPU)
    assert "extractor: asked 'other', it says 'miniature'" in line(open_run_inputs, spec, *opened)
    index = read_index(paths["index"])
    stamps = {"images_hash": images_hash(index), "weights_file": file_hash(tmp_path / "w.pt")}
    write_pooled_features(tmp_path / "y.h5", np.ones((len(index.paths), 2)), stamps)
    opened = (paths["index"], tmp_path / "y.h5", tmp_path, tmp_path / "w.pt", CPU)
    open_run_inputs(spec, *opened)
    (tmp_path / "w.pt").write_bytes(b"others")
    spec["cache"] = {"name": "y", "backbone": "demo", "features_version": 1}
    state = DemoNetwork(classes=3).state_dict()
    torch.save(state, tmp_path / "w.pt")
    told = line(open_run_inputs, spec, *opened)
    assert "weights_file: asked" in told
    stamps["weights_hash"] = network_hash(spec["cache"], tmp_path / "w.pt")
    write_pooled_features(tmp_path / "y.h5", np.ones((len(index.paths), 2)), stamps)
    open_run_inputs(spec, *opened)  # the same network in another file
    torch.save({name: value + 1 for name, value in state.items()}, tmp_path / "w.pt")
    assert "weights_file: asked" in line(open_run_inputs, spec, *opened)


def test_score_matrices_of_another_run_are_refused(tmp_path):
    path = tmp_path / "scores.h5"
    write_scores(path, matrix(run=RUN))
    check_run_file(path, None)
    check_run_file(path, RUN)
    check_run_file(path, RUN | {"settings": {"lr": 0.01, "layers": (2, 3)}})
    told = line(check_run_file, path, RUN | {"seed": 4})
    assert told.startswith(f"{path}: not what was asked: seed: asked 4, it says 3; delete it")
    assert "training the run makes it again, the features stay" in told
    write_irrelevant(tmp_path / "irrelevant.h5", replace(irrelevant(), run=RUN))
    told = line(check_run_file, tmp_path / "irrelevant.h5", RUN | {"method": "sgma"})
    assert "method: asked 'sgma', it says 'rsan'" in told and "'score_irrelevant'" in told


def test_a_foreign_score_matrix_is_for_commands_typed_by_hand(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix())
    check_run_file(tmp_path / "scores.h5", None)
    told = line(check_run_file, tmp_path / "scores.h5", RUN)
    assert "does not say of which run it is" in told and "by hand leave out --run" in told


def test_many_files_are_told_by_hashes(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix(run=RUN))
    write_metrics(tmp_path / "scores.h5", tmp_path / "m.json")
    paths = [tmp_path / "scores.h5", tmp_path / "m.json"]
    check_hashes(paths, None)
    check_hashes(paths, [run_hash(RUN)] * 2)
    for position, path in enumerate(paths):
        asked = [run_hash(RUN)] * 2
        asked[position] = "0" * 16
        told = line(check_hashes, paths, asked)
        assert told.startswith(f"{path}: of another configuration: asked run {'0' * 16}, it says")
        assert run_hash(RUN) in told
    assert "names 1 runs of 2 files" in line(check_hashes, paths, ["x"])


def test_an_index_says_what_it_is_made_of(tmp_path, index):
    write_index(index, tmp_path / "index.h5", {"b": 1, "a": 2})
    read = read_index(tmp_path / "index.h5")
    assert read.made_of == settings_hash({"a": 2, "b": 1})
    check_index_source(tmp_path, read, None)


def test_every_command_that_reads_a_run_compares_it(tmp_path, caplog):
    """Given the run asked for, each refuses before it looks at anything else."""
    other = json.dumps(RUN | {"seed": 9})
    files = {}
    for name in ("scores", "attention", "gradcam"):
        files[name] = tmp_path / f"{name}.h5"
        write_scores(files[name], matrix(run=RUN))
    files["index"] = write_miniature(tmp_path)["index"]
    one = {name: str(path) for name, path in files.items()}
    output = ["--output", str(tmp_path / "out")]
    looked = ["--index", one["index"], "--run", other, *output]
    commands = [
        ["evaluate", "--scores", one["scores"], "--run", other, *output],
        ["rebalance", "--kind", "oracle", "--scores", one["scores"], "--run", other, *output],
        ["rebalance-run", "--kinds", "{}", "--scores", one["scores"], "--run", other, *output],
        ["grad-cam-figure", "--gradcam", one["gradcam"], *looked],
        ["maps", "--attention", one["attention"], *looked],
        *([name, "--attention", one["attention"], *looked] for name in ("parts", "channels")),
    ]
    for command in commands:
        caplog.clear()
        assert main(command) == 1, command
        assert "seed: asked 9, it says 3" in caplog.text, command
    hashes = json.dumps(["0" * 16, "0" * 16])
    two = [one["scores"], one["scores"]]
    predictions = ["--scores", one["scores"], "--rebalanced", one["scores"]]
    drawn = json.dumps([["maps", f"{tmp_path}/maps", [one["attention"]], ["0" * 16]]])
    for command in [
        ["ensemble", "--name", "e", "--kind", "scores", "--runs", hashes, *output, *two],
        ["confusion", "--runs", hashes, *output, *two],
        ["reevaluate", "--runs", hashes, *output, *two],
        ["localize-runs", "--runs", hashes, "--index", one["index"], *[one["attention"]] * 2],
        ["figures", "--figures", drawn, "--index", one["index"]],
        ["predictions", *predictions, "--index", one["index"], "--runs", hashes, *output],
    ]:
        caplog.clear()
        assert main(command) == 1, command
        assert "of another configuration" in caplog.text, command


def test_tables_and_curves_compare_metrics(tmp_path, caplog):
    write_scores(tmp_path / "scores.h5", matrix(run=RUN))
    metrics = str(tmp_path / "metrics.json")
    assert main(["evaluate", "--scores", f"{tmp_path}/scores.h5", "--output", metrics]) == 0
    for name in ("tables", "curves"):
        caplog.clear()
        assert main([name, "--runs", '["x"]', "--output", f"{tmp_path}/out", metrics]) == 1
        assert "of another configuration: asked run x" in caplog.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["attend", "validate", "score-irrelevant", "grad-cam"])
def test_weights_of_another_run_are_refused(tmp_path, caplog, command):
    save_weights(torch.nn.Linear(2, 1), eszsl.Config(), RUN, (2,), tmp_path / "weights.pt")
    index = str(write_miniature(tmp_path)["index"])
    arguments = [
        "--weights",
        f"{tmp_path}/weights.pt",
        "--index",
        index,
        "--output",
        f"{tmp_path}/o",
    ]
    if command == "score-irrelevant":
        arguments += ["--irrelevant", index]
    assert main([command, *arguments, "--run", json.dumps(RUN | {"method": "sgma"})]) == 1
    assert "weights.pt: not what was asked: method: asked 'sgma', it says 'rsan'" in caplog.text


@pytest.mark.parametrize("command", ["extract", "store", "words"])
def test_jobs_on_a_foreign_index_stop_before_they_begin(tmp_path, caplog, command, index):
    folder = tmp_path / "miniature"
    folder.mkdir()
    write_index(index, folder / "index.h5", {"images": "a"})
    settings = {
        "name": "x",
        "backbone": "demo",
        "size": 8,
        "grid": 1,
        "source": {},
        "kind": "random",
    }
    asked = {"dataset": "miniature", "adapter": "none", "made_of": "else"}
    arguments = ["--index", f"{folder}/index.h5", "--settings", json.dumps(settings)]
    arguments += ["--output", f"{tmp_path}/out.h5", "--indices", json.dumps({"miniature": asked})]
    assert main([command, *arguments]) == 1
    assert "index.h5: not what was asked: made_of: asked 'else'" in caplog.text
    caplog.clear()
    other = json.dumps({"another": asked})
    main([command, *arguments[:-1], other])
    assert "not what was asked" not in caplog.text


def test_a_rebalancing_compares_all_that_it_reads(tmp_path, caplog):
    write_scores(tmp_path / "scores.h5", matrix(run=RUN))
    write_scores(tmp_path / "validation.h5", matrix(run=RUN | {"seed": 9}))
    write_irrelevant(tmp_path / "irrelevant.h5", replace(irrelevant(), run=RUN | {"seed": 8}))
    for name, seed in (("validation", 9), ("irrelevant", 8)):
        caplog.clear()
        command = ["rebalance", "--kind", "cosmo", "--scores", f"{tmp_path}/scores.h5"]
        command += [f"--{name}", f"{tmp_path}/{name}.h5", "--output", f"{tmp_path}/out.h5"]
        assert main([*command, "--run", json.dumps(RUN)]) == 1
        assert f"{name}.h5: not what was asked: seed: asked 3, it says {seed}" in caplog.text


def test_task_irrelevant_scores_are_of_the_runs_own_index(tmp_path, caplog, index):
    write_index(index, tmp_path / "index.h5", {"images": "a"})
    asked = {"dataset": "miniature", "adapter": "none", "made_of": "else"}
    spec = SPEC | {"method": "eszsl", "input": "pooled", "index": asked, "seed": 0}
    save_weights(torch.nn.Linear(2, 1), eszsl.Config(), spec, (2,), tmp_path / "weights.pt")
    command = ["score-irrelevant", "--weights", f"{tmp_path}/weights.pt", "--output", "o.h5"]
    arguments = ["--index", f"{tmp_path}/index.h5", "--irrelevant", f"{tmp_path}/index.h5"]
    assert main([*command, *arguments]) == 1
    assert "index.h5: not what was asked: made_of: asked 'else'" in caplog.text


def test_the_weights_that_features_were_computed_by_are_found(tmp_path):
    index = tmp_path / "results" / "demo" / "index.h5"
    spec = {"cache": CACHE}
    assert cached_weights(spec, tmp_path, index) is None
    (tmp_path / "results" / "demo").mkdir(parents=True)
    for path in (index.parent / "backbone.pt", tmp_path / "w.pt"):
        path.write_bytes(b"weights")
    assert cached_weights(spec, tmp_path, index) == index.parent / "backbone.pt"
    assert cached_weights({"cache": CACHE | {"weights": "w.pt"}}, tmp_path, index).name == "w.pt"
    assert cached_weights({"cache": CACHE | {"weights": "v.pt"}}, tmp_path, index) is None
    folder = {"cache": CACHE | {"weights": "hf:models/vit"}}
    assert cached_weights(folder, tmp_path, index) is None
    (tmp_path / "models" / "vit").mkdir(parents=True)
    in_folder = tmp_path / "models" / "vit" / "model.safetensors"
    in_folder.write_bytes(b"weights")
    assert cached_weights(folder, tmp_path, index) == in_folder
    assert cached_weights({"cache": {"backbone": "stored"}}, tmp_path, index) is None
    assert cached_weights({}, tmp_path, index) is None


def test_a_training_compares_the_weights_of_its_features(tmp_path, caplog):
    paths = write_miniature(tmp_path)
    index = read_index(paths["index"])
    stamps = {"images_hash": images_hash(index), "weights_file": "0123"}
    write_pooled_features(tmp_path / "y.h5", np.ones((len(index.paths), 2)), stamps)
    torch.save(DemoNetwork(classes=3).state_dict(), tmp_path / "w.pt")
    cache = {"name": "y", "backbone": "demo", "weights": "w.pt", "features_version": 1}
    settings = {"feature_regulariser": 1.0, "class_regulariser": 1.0}
    spec = SPEC | {"method": "eszsl", "input": "pooled", "cache": cache, "settings": settings}
    command = ["train", "--spec", json.dumps(spec), "--index", str(paths["index"])]
    command += ["--features", f"{tmp_path}/y.h5", "--data-root", str(tmp_path)]
    assert main([*command, "--output", f"{tmp_path}/seed0", "--compute", '{"device": "cpu"}']) == 1
    asked = file_hash(tmp_path / "w.pt")
    assert f"weights_file: asked '{asked}', it says '0123'" in caplog.text


@pytest.mark.parametrize("says", [True, False])
def test_a_run_reads_no_features_of_other_images(tmp_path, says):
    paths = write_miniature(tmp_path)
    index = read_index(paths["index"])
    write_index(replace(index, paths=index.paths[::-1]), paths["index"], {} if says else None)
    made_of = read_index(paths["index"]).made_of
    spec = SPEC | {"method": "eszsl", "input": "pooled"}
    spec["index"] = {"dataset": "miniature", "adapter": "none", "made_of": made_of}
    opened = (paths["index"], paths["features"], tmp_path, None, CPU)
    told = line(open_run_inputs, spec, *opened)
    assert f"{paths['features']}: made from other images than the index lists" in told
    # Of an index without a stamp it is not known whether it is the configuration's.
    assert ("the index is the configuration's" in told) == says
    assert ("make the index again first" in told) != says
