"""Attributes that nobody trained on: their scores by DAZLE's equations, and who refuses them."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import zslpipe
from tests.made_up.miniature import CLASSES, SEEN
from tests.made_up.pictured import METHODS, train, write_pictured
from zslpipe.commands.cli import main
from zslpipe.datasets.words import write_words
from zslpipe.formats.index import Index
from zslpipe.formats.words import read_word_settings, read_words
from zslpipe.machine.errors import InputError
from zslpipe.runs.prediction import Predictor

torch.set_num_threads(1)
WIDTH = 6
FIXED = METHODS["dazle"]["settings"] | {"refine_word_vectors": False}


def write_vectors(path: Path, seed: int = 3) -> None:
    """A GloVe file with the words of the miniature's attributes and three more."""
    generator, lines = np.random.default_rng(seed), []
    for word in ("attribute", "0", "1", "2", "3", "4", "glow", "soft", "unused"):
        lines.append(
            " ".join([word, *(f"{number:.4f}" for number in generator.normal(size=WIDTH))])
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its words are of a GloVe file in the folder data beside results."""
    folder = write_pictured(tmp_path_factory.mktemp("pictured"))
    data = folder.parents[1] / "data"
    data.mkdir()
    write_vectors(data / "small.txt")
    settings = {"kind": "glove", "file": "small.txt"}
    write_words(folder / "index.h5", settings, folder / "words" / "made_up.h5", data)
    return folder


@pytest.fixture(scope="module")
def data(dataset: Path) -> Path:
    return dataset.parents[1] / "data"


@pytest.fixture(scope="module")
def fixed(dataset: Path) -> Path:
    """DAZLE whose word vectors stay as they are."""
    return train(dataset, "dazle", settings=FIXED, variant="fixed")


@pytest.fixture(scope="module")
def refined(dataset: Path) -> Path:
    return train(dataset, "dazle")


def vectors_of(data: Path) -> dict[str, np.ndarray]:
    lines = (data / "small.txt").read_text("utf8").splitlines()
    return {line.split()[0]: np.array(line.split()[1:], float) for line in lines}


def opened(folder: Path, data: Path, **given: object) -> Predictor:
    return zslpipe.load(folder, data, "cpu", **given)


def table_of(index: Index, glow: list[float], own: dict[str, float] | None = None) -> pd.DataFrame:
    """Two new classes with the new attribute "soft glow", and rows of the dataset's own classes."""
    vectors = index.semantics["att"][[2, 0]] * 0.8 + 0.05
    table = pd.DataFrame(vectors, ["newcomer", "stranger"], list(index.attribute_names))
    for name in own or {}:
        table.loc[name] = 0.0
    table["soft_glow"] = [*glow, *(own or {}).values()]
    return table


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def expected_scores(predictor, image, words, classes):
    """DAZLE's eq. 2 to 7 and 13 of one picture, in loops."""
    state = {name: tensor.numpy() for name, tensor in predictor.trained.state.items()}
    regions = next(predictor.pictures.stream([image])).inputs[0].double().numpy()
    found = []
    for word in words:
        seen, e, gate = [], [], []
        for region in regions:
            region = unit(region)
            seen.append(np.exp(word @ state["W_alpha"] @ region))
            e.append(word @ state["W_e"] @ region)
            gate.append(word @ state["W_beta"] @ region)
        alpha = np.array(seen) / sum(seen)
        found.append((alpha @ np.array(e)) / (1 + np.exp(-(alpha @ np.array(gate)))))
    margins = [*np.where(SEEN, -1.0, 1.0), 1.0, 1.0]
    scores = []
    for vector, margin in zip(classes, margins, strict=True):
        scores.append(unit(vector) @ np.array(found) + margin)
    return np.array(scores)


def words_of(predictor: Predictor, data: Path) -> np.ndarray:
    """The run's trained word vectors and that of "soft glow", unit length each."""
    known = vectors_of(data)
    new = unit(np.mean([known["soft"], known["glow"]], axis=0))
    return np.vstack([predictor.trained.state["word_vectors"].numpy(), new])


@pytest.mark.parametrize("own", [{}, {"class 3": 0.9, "Class_5": 0.2}])
@pytest.mark.parametrize("run", ["fixed", "refined"])
def test_a_new_attribute_is_scored_by_its_word_vector(
    request, dataset, index, images, data, own, run
):
    predictor = opened(request.getfixturevalue(run), data)
    table = table_of(index, [0.7, 0.0], own)
    whole = np.hstack([index.semantics["att"], np.zeros((CLASSES, 1))])
    for name, value in own.items():
        whole[int(name[-1]), -1] = value
    classes = np.vstack([whole, table.loc[["newcomer", "stranger"]].to_numpy()])
    expected = expected_scores(predictor, images[4], words_of(predictor, data), classes)
    wider = predictor.with_classes(table)
    np.testing.assert_allclose(wider.scores(images[4:5])[0], expected, rtol=1e-3, atol=1e-4)
    found = predictor.predict(images[4], top=99, classes=table)
    powers = np.exp(expected) / np.exp(expected).sum()
    named = dict(zip([*index.class_names, "newcomer", "stranger"], powers, strict=True))
    for row in found.to_dict("records"):
        assert row["probability"] == pytest.approx(named[row["class"]], rel=1e-3)
    without = expected_scores(predictor, images[4], words_of(predictor, data)[:-1], classes[:, :-1])
    assert abs(without[8] - expected[8]) > 1e-3  # it counts


def test_a_new_attribute_of_no_class_changes_nothing(fixed, index, images, data):
    predictor, table = opened(fixed, data), table_of(index, [0.0, 0.0])
    found = predictor.predict(images[:5], top=99, classes=table)
    plain = predictor.predict(images[:5], top=99, classes=table.drop(columns="soft_glow"))
    pd.testing.assert_frame_equal(
        found.drop(columns="attributes"), plain.drop(columns="attributes"), rtol=1e-5
    )


def test_a_page_shows_where_the_run_looks_for_a_new_attribute(fixed, index, images, data, tmp_path):
    """It is almost all of one new class and nothing of the other, so it decides between them."""
    table, output = table_of(index, [40.0, 0.0]), tmp_path / "page.html"
    found = opened(fixed, data).predict(images[0], 1, table, "new", attributes=1)
    assert [name for name, _ in found["attributes"][0]] == ["soft_glow"]
    csv = tmp_path / "new.csv"
    table.to_csv(csv, index_label="class")
    options = ["--device", "cpu", "--threads", "1", "--data-root", str(data)]
    options += ["--classes", str(csv), "--new", "--top", "1", "--attributes", "1"]
    page = ["--format", "html", "--output", str(output)]
    assert main(["predict", str(fixed), str(images[0]), *options, *page]) == 0
    assert "where it looks for soft_glow<" in output.read_text("utf8")


def test_the_log_says_what_is_new_and_what_the_runs_classes_have_of_it(
    fixed, refined, index, images, data, caplog
):
    caplog.set_level(logging.INFO)
    opened(fixed, data).predict(images[0], classes=table_of(index, [0.5, 0.1], {"class 3": 0.9}))
    assert "attributes that the run does not know, by their words: soft_glow" in caplog.text
    assert "new attribute 'soft_glow': the mean of soft, glow" in caplog.text
    assert "own classes (class 3) are read for new attributes alone" in caplog.text
    assert "new attributes are 0 for 7 classes of the run, which no row describes" in caplog.text
    assert "new attributes have values of 0 to 0.9, those of the dataset" in caplog.text
    assert "refined" not in caplog.text
    opened(refined, data).predict(images[0], classes=table_of(index, [0.5, 0.1]))
    assert "dazle/default seed 0 refined its word vectors in training (mean cosine" in caplog.text


def test_ranges_of_new_attributes_are_those_of_all_classes(dataset, index, images, data):
    seed = train(dataset, "dazle", settings=FIXED, normalisation="minmax", variant="minmax")
    predictor, table = opened(seed, data), table_of(index, [4.0, 1.0], {"class 3": 2.0})
    low, high = index.semantics["att"].min(0), index.semantics["att"].max(0)
    own = np.hstack([index.semantics["att"], np.zeros((CLASSES, 1))])
    own[3, -1] = 2.0
    whole = np.vstack([own, table.loc[["newcomer", "stranger"]].to_numpy()])
    whole = (whole - np.append(low, 0.0)) / (np.append(high, 4.0) - np.append(low, 0.0))
    expected = expected_scores(predictor, images[4], words_of(predictor, data), whole)
    found = predictor.with_classes(table).scores(images[4:5])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "changed", "said"),
    [
        ("eszsl", {}, "does not know: soft_glow; it knows attribute 0, .* reads no word vectors"),
        ("crafting", {}, "crafting reads no word vectors, so it takes no new one; a method can"),
        ("rsan", {}, "rsan has learned 'P' for each attribute of its training"),
        ("dazle", {"attributes_used": 3}, "scores no attribute by its words, so it takes no new"),
    ],
)
def test_methods_that_learned_each_attribute_are_refused_by_name(
    dataset, index, images, data, method, changed, said
):
    settings = METHODS[method]["settings"] | changed
    words = "made_up" if method in ("dazle", "rsan") else None
    seed = train(dataset, method, settings=settings, variant="refused", words=words)
    table = table_of(index, [0.5, 0.1])
    if changed:  # whose choice of attributes two more classes must not change
        table.iloc[:, :-1] = index.semantics["att"].mean(0)
    with pytest.raises(InputError, match=said):
        opened(seed, data).predict(images[0], classes=table)


def test_the_source_of_words_is_found_or_named(dataset, fixed, index, images, data, tmp_path):
    table = table_of(index, [0.5, 0.1])
    with pytest.raises(InputError, match=r"small.txt, their source, is not there; name it by --w"):
        opened(fixed, tmp_path).predict(images[0], classes=table)
    expected = opened(fixed, data).predict(images[0], classes=table)
    shutil.copy2(data / "small.txt", tmp_path / "elsewhere.txt")
    given = opened(fixed, tmp_path, word_vectors=tmp_path / "elsewhere.txt")
    pd.testing.assert_frame_equal(given.predict(images[0], classes=table), expected)
    write_vectors(tmp_path / "other.txt", seed=4)
    other = opened(fixed, tmp_path, word_vectors=tmp_path / "other.txt")
    with pytest.raises(InputError, match=r"other.txt gives 'attribute 0' another vector than"):
        other.predict(images[0], classes=table)
    with pytest.raises(InputError, match=r"no known word in 1 attributes: wholly unknown"):
        unknown = table.rename(columns={"soft_glow": "wholly unknown"})
        opened(fixed, data).predict(images[0], classes=unknown)


def test_an_exported_run_takes_them_too(fixed, index, images, data, tmp_path):
    table = table_of(index, [0.5, 0.1])
    expected = opened(fixed, data).predict(images[:3], classes=table)
    assert main(["export", str(fixed), str(tmp_path / "exported")]) == 0
    found = opened(tmp_path / "exported", data).predict(images[:3], classes=table)
    pd.testing.assert_frame_equal(found, expected)


def test_words_say_how_they_were_made(dataset, fixed):
    path = dataset / "words" / "made_up.h5"
    told = {"kind": "glove", "file": "small.txt", "source": None, "corrections": None}
    told |= {"encoder": None, "weights": None, "template": None}
    assert read_word_settings(path) == told | {"dimension": 300, "seed": 0}


def test_sources_without_other_words_are_refused_in_a_line(dataset, index, images, data, tmp_path):
    path = dataset / "words" / "made_up.h5"
    before = path.read_bytes()
    vectors, _ = read_words(path)
    np.save(data / "ready.npy", vectors)
    try:
        settings = {"kind": "ready", "file": "ready.npy"}
        write_words(dataset / "index.h5", settings, path, data)
        seed = train(dataset, "dazle", settings=FIXED, variant="ready")
        with pytest.raises(InputError, match=r"come from ready.npy, which holds those of its own"):
            opened(seed, data).predict(images[0], classes=table_of(index, [0.5, 0.1]))
    finally:
        path.write_bytes(before)


def test_tables_with_new_attributes_that_do_not_fit_are_refused(fixed, index, images, data):
    predictor, whole = opened(fixed, data), table_of(index, [0.5, 0.1], {"class 3": 0.9})

    def refusal(table: pd.DataFrame) -> str:
        with pytest.raises(InputError) as told:
            predictor.predict(images[0], classes=table)
        return str(told.value)

    misspelt = whole.rename(columns={"attribute 1": "soft"})
    assert "attribute 1 (unknown to the run: soft, soft_glow); add" in refusal(misspelt)
    assert "every row is a class of the run" in refusal(whole.loc[["class 3"]])
    assert "class 'newcomer', attribute 'soft_glow': 'nan' is no finite" in refusal(
        whole.assign(soft_glow=np.nan)
    )
    own = whole.drop(columns="soft_glow")
    assert "'class 3' is the run's class 'class 3'; leave it out" in refusal(own)
