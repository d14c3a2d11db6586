"""What lies there already and is made of the same is not trained again; whatever differs is."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.made_up.miniature import write_miniature
from tests.made_up.specification import SPEC
from tests.made_up.writings import writing
from zslpipe.commands.cli import main
from zslpipe.formats.image_list import write_image_list
from zslpipe.formats.index import read_index, write_index
from zslpipe.machine.devices import Compute
from zslpipe.provenance import canonical, code_hash
from zslpipe.runs import made_of
from zslpipe.scores import evaluation

RUN = SPEC | {
    "method": "eszsl",
    "input": "pooled",
    "words": None,
    "settings": {"feature_regulariser": 0.1},
}
MADE = ("weights.pt", "history.csv", "scores.h5")


@pytest.fixture
def paths(tmp_path) -> dict[str, Path]:
    return write_miniature(tmp_path)


def train(paths: dict[str, Path], spec=RUN, seed=0, further=()) -> int:
    """Train into the folder ``run`` beside the index; return the exit code."""
    given = [*further, *[f"--{name}={paths[name]}" for name in ("index", "features")]]
    output = str(paths["index"].with_name("run"))
    command = ["train", "--spec", canonical(spec), f"--seed={seed}", *given, "--output", output]
    return main([*command, "--threads", "1", "--compute", '{"device": "cpu"}'])


def written(paths: dict[str, Path]) -> list[tuple[int, int]]:
    """Return what tells whether files were written again."""
    return [writing(paths["index"].with_name("run") / name) for name in MADE]


def test_a_training_leaves_its_figures_and_a_record(paths):
    assert train(paths) == 0
    folder = paths["index"].with_name("run")
    assert {path.name for path in folder.iterdir()} == {*MADE, "metrics.json", ".trained.json"}
    figures = json.loads((folder / "metrics.json").read_text())
    assert 0 <= figures["H"] <= 1
    record = json.loads((folder / ".trained.json").read_text())
    assert set(record["files"]) == set(MADE)
    assert record["tables"] == {"history.csv": (folder / "history.csv").read_bytes().decode()}


def test_what_is_there_is_only_evaluated(paths):
    train(paths)
    folder, before = paths["index"].with_name("run"), written(paths)
    figures = (folder / "metrics.json").read_bytes()
    (folder / "metrics.json").unlink()
    for path in (paths["index"], paths["features"]):
        os.utime(path)
    assert train(paths) == 0
    assert written(paths) == before
    assert (folder / "metrics.json").read_bytes() == figures


@pytest.mark.parametrize("name", ["weights.pt", "scores.h5"])
@pytest.mark.parametrize("fault", ["gone", "flipped"])
def test_a_file_that_is_gone_or_damaged_is_made_again(paths, name, fault):
    train(paths)
    path = paths["index"].with_name("run") / name
    content, before = path.read_bytes(), written(paths)
    if fault == "gone":
        path.rename(path.with_name("elsewhere"))
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert train(paths) == 0
    assert not set(written(paths)) & set(before)
    assert path.read_bytes() == content or name == "weights.pt"


@pytest.mark.parametrize("fault", ["gone", "flipped"])
def test_a_history_that_is_gone_or_damaged_is_written_again(paths, fault):
    train(paths)
    folder, before = paths["index"].with_name("run"), written(paths)
    path = folder / "history.csv"
    content = path.read_bytes()
    path.unlink() if fault == "gone" else path.write_bytes(b"x" + content[1:])
    assert train(paths) == 0
    assert path.read_bytes() == content
    assert (written(paths)[0], written(paths)[2]) == (before[0], before[2])  # nothing trained


def test_a_damaged_record_of_a_history_brings_nothing_back(paths):
    train(paths)
    folder, before = paths["index"].with_name("run"), written(paths)
    record = json.loads((folder / ".trained.json").read_text())
    record["tables"]["history.csv"] = "epoch\r\n1\r\n"
    (folder / ".trained.json").write_text(json.dumps(record))
    assert train(paths) == 0
    assert written(paths) == before  # the history is as it was: nobody needs the record's
    (folder / "history.csv").unlink()
    assert train(paths) == 0
    assert not set(written(paths)) & set(before)


@pytest.mark.parametrize(
    ("spec", "seed"), [(RUN | {"settings": {"feature_regulariser": 1.0}}, 0), (RUN, 1)]
)
def test_another_setting_or_seed_trains(paths, spec, seed):
    train(paths)
    before = written(paths)
    assert train(paths, spec, seed) == 0
    assert not set(written(paths)) & set(before)


def test_a_refused_input_leaves_all_as_it_is(paths):
    train(paths)
    before, content = written(paths), paths["features"].read_bytes()
    paths["features"].write_bytes(content[: len(content) // 2])
    assert train(paths) == 1
    assert written(paths) == before
    paths["features"].write_bytes(content)
    assert train(paths) == 0
    assert written(paths) == before


def test_other_code_of_the_validation_scores_makes_them_again(paths, monkeypatch):
    train(paths)
    folder = paths["index"].with_name("run")
    given = [f"--{name}={paths[name]}" for name in ("index", "features")]
    command = ["validate", "--weights", str(folder / "weights.pt"), "--seed=0", *given]
    command += ["--output", str(folder / "validation.h5"), "--threads", "1"]
    command += ["--compute", '{"device": "cpu"}']

    def made() -> tuple[int, int]:
        assert main(command) == 0
        return writing(folder / "validation.h5")

    first = made()
    assert made() == first
    edited = {"zslpipe.runs.rebalancing_inputs": "edited"}
    monkeypatch.setattr(made_of, "code_hash", lambda entry: edited.get(entry, code_hash(entry)))
    assert made() != first


LOOKING = SPEC | {
    "method": "dazle",
    "input": "regions",
    "words": "made up",
    "settings": {"epochs": 1, "lr": 0.01},
}
# A command, the file that it writes, an option that is told otherwise.
ASKED = {
    "attend": ("attention.h5", "--count=3"),
    "score-irrelevant": ("irrelevant.h5", "--seed=1"),
}


@pytest.mark.parametrize("command", ASKED)
def test_what_a_trained_model_was_asked_stays_while_all_is_the_same(paths, command, monkeypatch):
    name, other = ASKED[command]
    words = f"--words={paths['words']}"
    assert train(paths, LOOKING, further=[words]) == 0
    folder = paths["index"].with_name("run")
    given = [words, *[f"--{kind}={paths[kind]}" for kind in ("index", "features")]]
    if command == "score-irrelevant":
        listed = paths["index"].with_name("list.h5")
        write_image_list(listed, "others", {}, read_index(paths["index"]).paths)
        given.append(f"--irrelevant={listed}")
    start = [command, f"--weights={folder / 'weights.pt'}", f"--output={folder / name}", *given]

    def made(*further: str) -> tuple[int, int]:
        assert main([*start, "--compute", '{"device": "cpu"}', *further]) == 0
        return writing(folder / name)

    first, content = made(), (folder / name).read_bytes()
    for path in (paths["index"], paths["features"], folder / "weights.pt"):
        os.utime(path)
    assert made() == first
    (folder / name).write_bytes(content[:-1])
    second = made()
    assert (folder / name).read_bytes() == content
    third = made(other)
    assert len({first, second, third}) == 3
    assert made(other) == third
    write_index(read_index(paths["index"]), paths["index"], {"images": "others"})
    fourth = made(other)
    assert fourth != third
    with monkeypatch.context() as edited:
        edited.setattr(made_of, "code_hash", lambda *entries: f"edited {entries}")
        assert made(other) != fourth


# Code by which attention of SGMA is computed.
LOOKED_BY = ("methods.sgma", "runs.attention", "runs.opening")


def test_what_a_file_is_made_of_counts_each_thing(tmp_path, monkeypatch):
    """Weights, code, inputs, word vectors, images and what else a job is told."""
    image, weights, words = (tmp_path / name for name in ("a.png", "weights.pt", "words.h5"))
    for path in (image, weights, words):
        path.write_bytes(b"bytes")
    index = SimpleNamespace(paths=("a.png",))
    spec = {"input": "images", "method": "rsan"}
    monkeypatch.setattr(made_of, "read_spec", lambda _: spec)

    def stamp(identity="x", made_by="zslpipe.runs.attention", told=(0, 6)) -> str:
        inputs = SimpleNamespace(index=index, identity=identity)
        return made_of.looked_at(weights, inputs, words, tmp_path, made_by, told)

    found = [stamp(), stamp("y"), stamp(told=(1, 6)), stamp(made_by="zslpipe.runs.gradcam")]
    for path in (weights, words):
        path.write_bytes(b"others")
        found.append(stamp())
    os.utime(image, (1, 1))
    found.append(stamp())
    spec["method"] = "sgma"
    found.append(stamp())
    assert len(set(found)) == len(found)
    hashed: list[str] = []
    monkeypatch.setattr(made_of, "code_hash", lambda *entries: hashed.extend(entries))
    stamp()
    assert set(hashed) == {f"zslpipe.{part}" for part in LOOKED_BY}
    spec["input"] = "regions"
    without_images = stamp()
    os.utime(image, (2, 2))
    assert stamp() == without_images


def test_images_and_further_files_are_part_of_what_a_training_is_made_of(tmp_path):
    image, further = tmp_path / "a.png", tmp_path / "weights.pt"
    image.write_bytes(b"picture")
    further.write_bytes(b"weights")
    index = SimpleNamespace(paths=("a.png",))
    inputs = SimpleNamespace(index=index, device=torch.device("cpu"), identity="x")

    def stamp(kind: str, *files: Path) -> str:
        given = (RUN | {"input": kind}, 0, inputs, None, tmp_path / "run", Compute("cpu"))
        return made_of.made_of(*given, tmp_path, "zslpipe.runs.train", files)

    first = {kind: stamp(kind, further) for kind in ("images", "pooled")}
    assert first == {kind: stamp(kind, further) for kind in first}
    os.utime(image, (1, 1))
    assert stamp("images", further) != first["images"]
    assert stamp("pooled", further) == first["pooled"]  # images that it does not read
    assert stamp("pooled") != first["pooled"]
    further.write_bytes(b"others")
    assert stamp("pooled", further) != first["pooled"]


def test_a_training_whose_evaluation_dies_is_not_lost(paths, monkeypatch, caplog):
    folder = paths["index"].with_name("run")
    with monkeypatch.context() as dying:
        dying.setattr(evaluation, "write_metrics", dies)
        assert train(paths) == 1
    for name in MADE:  # as Snakemake does with what a failed job has written
        (folder / name).unlink()
    caplog.set_level("INFO")
    assert train(paths) == 0
    assert "trained before and not scored to the end: only scored now" in caplog.messages
    assert all((folder / name).is_file() for name in (*MADE, "metrics.json"))
    assert not folder.with_name(".run.work").exists()


def dies(*_: object) -> None:
    """Fail as an evaluation that finds no room on its disk."""
    raise OSError(28, "No space left on device")
