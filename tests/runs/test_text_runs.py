"""Runs on class vectors that are made of texts: trained, opened, exported, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import zslpipe
from tests.made_up.encoders import write_sentence_encoder
from tests.made_up.pictured import CPU, METHODS, train, write_pictured
from tests.made_up.specification import SPEC
from zslpipe.commands.cli import main
from zslpipe.formats.index import read_index
from zslpipe.formats.metrics import read_metrics
from zslpipe.formats.scores import read_scores
from zslpipe.formats.texts import ClassTexts, write_class_texts
from zslpipe.machine.errors import InputError
from zslpipe.networks.demo_pair import TextTower
from zslpipe.runs.gradcam import write_grad_cam
from zslpipe.runs.models import RunInputs
from zslpipe.runs.opening import open_run_inputs
from zslpipe.runs.readiness import check_inputs

torch.set_num_threads(1)

TOLD = "text/prompts: tiny, library 1.0, 8 texts (unit)"
ON_TEXTS = SPEC | {"method": "eszsl", "extractor": "small", "semantics": "text/prompts"}
ON_TEXTS |= METHODS["eszsl"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with two files of texts: "same" has the vectors of its attributes."""
    folder = write_pictured(tmp_path_factory.mktemp("pictured"))
    (folder / "texts").mkdir()
    own = read_index(folder / "index.h5").semantics["att"]
    write_texts(folder, "same", own)
    write_texts(folder, "prompts", np.random.default_rng(3).normal(size=(len(own), 7)))
    return folder


def write_texts(folder: Path, name: str, vectors: np.ndarray) -> None:
    index = read_index(folder / "index.h5")
    texts = {one: (f"a {one}",) for one in index.class_names}
    source = "tiny, library 1.0, 8 texts"
    found = ClassTexts(index.dataset, texts, vectors, source, {}, {})
    write_class_texts(folder / "texts" / f"{name}.h5", found)


def test_the_same_vectors_give_the_same_scores(dataset: Path) -> None:
    of_texts = train(dataset, "eszsl", semantics="text/same", variant="same")
    plain = train(dataset, "eszsl", variant="plain")
    found, expected = (read_scores(seed / "scores.h5") for seed in (of_texts, plain))
    for split, scores in expected.scores.items():
        assert np.allclose(found.scores[split], scores, atol=1e-5)
    assert expected.semantics == "att (unit)"
    assert found.semantics == "text/same: tiny, library 1.0, 8 texts (unit)"
    assert found.reads == expected.reads


@pytest.mark.parametrize("method", ["eszsl", "crafting", "mlis", "sgma"])
def test_methods_take_vectors_of_any_length(dataset: Path, tmp_path: Path, method: str) -> None:
    seed = train(dataset, method, True, semantics="text/prompts")
    matrix = read_scores(seed / "scores.h5")
    assert matrix.reads["class_vectors"] == 7 and matrix.semantics == TOLD
    assert read_scores(seed / "validation.h5").semantics == TOLD
    images = sorted((dataset / "images").iterdir())[:3]
    before = zslpipe.load(seed, device="cpu")
    assert main(["export", str(seed), str(tmp_path / "exported")]) == 0
    after = zslpipe.load(tmp_path / "exported", device="cpu")
    pd.testing.assert_frame_equal(after.predict(images), before.predict(images))
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf8")
    assert TOLD in card and "attributes (`--classes`)" not in card


@pytest.mark.parametrize("texts", ["prompts", "same"])
def test_new_classes_are_not_told_by_attributes(dataset: Path, texts: str) -> None:
    """Not even where a text's vector is as long as there are attributes."""
    seed = train(dataset, "eszsl", semantics=f"text/{texts}", variant=texts)
    names = read_index(dataset / "index.h5").attribute_names
    image = dataset / "images" / "0.png"
    table = pd.DataFrame([[1.0, 0.0, 0.5, 0.2, 0.1]], index=["newcomer"], columns=names)
    with pytest.raises(InputError, match=rf"knows classes by the texts '{texts}', which a table"):
        zslpipe.load(seed, device="cpu").predict(image, classes=table)


def test_new_classes_are_told_by_texts(dataset: Path, tmp_path: Path) -> None:
    """Encoded as the run's own: an own class's text under a new name scores as that class does."""
    write_sentence_encoder(tmp_path / "tiny")
    settings = {"encoder": "sentence-transformers:tiny", "templates": ["a {class}", "{class}!"]}
    given = ["--index", str(dataset / "index.h5"), "--data-root", str(tmp_path), "--threads", "1"]
    given += ["--compute", '{"device": "cpu"}', "--settings", json.dumps(settings)]
    output = dataset / "texts" / "encoded.h5"
    assert main(["encode-texts", *given, "--output", str(output)]) == 0
    image, new = dataset / "images" / "0.png", tmp_path / "new.csv"
    rows = ("newcomer;a class 2", "Newcomer;class 2!", "other;something else, quite")
    new.write_text("\n".join(["class;text", *rows]), encoding="utf8")
    for normalisation in ("unit", "minmax"):
        semantics = {"semantics": "text/encoded", "normalisation": normalisation}
        seed = train(dataset, "eszsl", variant=normalisation, **semantics)
        asked = ["predict", str(seed), str(image), "--classes", str(new), "--top", "10"]
        asked += ["--data-root", str(tmp_path), "--device", "cpu", "--format", "json"]
        for folder in (seed, tmp_path / normalisation):
            asked[1] = str(folder)
            assert main([*asked, "--output", str(tmp_path / "found.json")]) == 0
            found = json.loads((tmp_path / "found.json").read_text(encoding="utf8"))
            (classes,) = [one["classes"] for one in found["images"]]
            likely = {one["class"]: one["probability"] for one in classes}
            assert len(likely) == 8 + 2
            assert likely["newcomer"] == pytest.approx(likely["class 2"], rel=1e-4)
            assert likely["other"] != pytest.approx(likely["class 2"], rel=1e-4)
            if folder == seed:
                assert main(["export", str(seed), str(tmp_path / normalisation)]) == 0
                card = (tmp_path / normalisation / "README.md").read_text(encoding="utf8")
                told = "described by texts (`--classes`), encoded by sentence-transformers:tiny"
                assert f"{told} under `--data-root`, where the method" in card
    write_sentence_encoder(tmp_path / "tiny", seed=1)
    predictor = zslpipe.load(seed, device="cpu")
    with pytest.raises(InputError, match="are not those that encoded the run's texts"):
        predictor.with_texts({"newcomer": ["a"]}, tmp_path)
    with pytest.raises(InputError, match="'Class_2' is the run's class 'class 2'; leave it out"):
        predictor.with_texts({"Class_2": ["a"]}, tmp_path)
    plain = zslpipe.load(train(dataset, "eszsl", variant="att"), device="cpu")
    with pytest.raises(InputError, match="knows classes by 'att'; describe new ones by that"):
        plain.with_texts({"newcomer": ["a"]}, tmp_path)


def test_new_texts_of_the_demo_s_pair(dataset: Path, tmp_path: Path) -> None:
    """The pair lies above the run's folder, and knows few words."""
    pair = dataset / "pair.pt"
    tower = TextTower(("a", "class", *"01234567"))
    torch.save({"text": tower.state_dict(), "vocabulary": list(tower.number)}, pair)
    settings = {"encoder": "demo", "templates": ["a {class}"]}
    given = ["--index", str(dataset / "index.h5"), "--settings", json.dumps(settings)]
    given += ["--pair", str(pair), "--threads", "1", "--compute", '{"device": "cpu"}']
    output = dataset / "texts" / "demo.h5"
    assert main(["encode-texts", *given, "--output", str(output)]) == 0
    seed = train(dataset, "eszsl", semantics="text/demo", variant="demo")
    predictor = zslpipe.load(seed, device="cpu")
    wider = predictor.with_texts({"newcomer": ["a 3 class"]}, tmp_path, pair)
    assert wider.classes.names[-1] == "newcomer"
    with pytest.raises(InputError, match="new classes: 1 have vectors of zeros: newcomer; give"):
        predictor.with_texts({"other": ["a"], "newcomer": ["quite unknown"]}, tmp_path, pair)
    with pytest.raises(InputError, match=r"pair encoded its texts; predict by the run's folder"):
        predictor.with_texts({"newcomer": ["a"]}, tmp_path)


def test_no_attribute_is_told_where_there_is_none(dataset: Path) -> None:
    """A vector as long as there are attributes is a text's all the same."""
    image = dataset / "images" / "0.png"
    for semantics, told in (("text/same", False), ("att", True)):
        seed = train(dataset, "eszsl", semantics=semantics, variant=semantics[-4:])
        found = zslpipe.load(seed, device="cpu").predict(image)
        assert any(found["attributes"]) == told
    seed = train(dataset, "crafting", semantics="text/same")
    with pytest.raises(InputError, match="rules are of texts and have no attributes"):
        write_grad_cam(seed / "weights.pt", inputs_of(dataset), 0, dataset / "gradcam.h5", count=1)


def inputs_of(dataset: Path) -> RunInputs:
    spec = ON_TEXTS | {"semantics": "text/same"}
    files = (dataset / "index.h5", dataset / "features" / "small.h5", dataset / "images", None, CPU)
    return open_run_inputs(spec, *files, texts=dataset / "texts" / "same.h5")


def test_other_texts_are_another_input(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "miniature"
    shutil.copytree(dataset, copy)
    files = (copy / "index.h5", copy / "features" / "small.h5", copy / "images", None, CPU)
    texts = copy / "texts" / "prompts.h5"
    first = open_run_inputs(ON_TEXTS, *files, texts=texts).identity
    assert open_run_inputs(ON_TEXTS, *files, texts=texts).identity == first
    write_texts(copy, "prompts", np.random.default_rng(4).normal(size=(8, 7)))
    assert open_run_inputs(ON_TEXTS, *files, texts=texts).identity != first


def test_a_run_without_its_texts_does_not_begin(dataset: Path) -> None:
    given = (dataset / "index.h5", None, dataset / "features" / "small.h5", dataset, None)
    with pytest.raises(InputError, match="give their file, of the command encode-texts, with"):
        check_inputs(ON_TEXTS, *given)
    check_inputs(ON_TEXTS, *given, dataset / "texts" / "prompts.h5")


def test_the_commands_read_and_evaluate(dataset: Path, tmp_path: Path) -> None:
    read = ["--index", str(dataset / "index.h5"), "--texts", str(dataset / "texts" / "prompts.h5")]
    read += ["--features", str(dataset / "features" / "small.h5"), "--threads", "1"]
    read += ["--compute", '{"device": "cpu"}']
    seed = tmp_path / "seed0"
    assert main(["train", "--spec", json.dumps(ON_TEXTS), *read, "--output", str(seed)]) == 0
    assert read_metrics(seed / "metrics.json")["semantics"] == TOLD
    weights = ["--weights", str(seed / "weights.pt")]
    assert main(["validate", *weights, *read, "--output", str(seed / "validation.h5")]) == 0
    assert read_scores(seed / "validation.h5").semantics == TOLD
