"""Rebalanced results and ensembles on pictures: the dataset's own pictures get the scores that the
result's scores.h5 holds.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.made_up.miniature import CLASSES, SEEN
from tests.made_up.pictured import METHODS, train, write_pictured
from zslpipe.commands.cli import main
from zslpipe.formats.index import Index
from zslpipe.formats.scores import (
    SPLITS,
    IrrelevantScores,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.machine.errors import InputError
from zslpipe.runs.export import read_exported
from zslpipe.runs.prediction import Predictor, open_predictor
from zslpipe.scores.ensembles import ensemble, ensemble_irrelevant, ensemble_validation
from zslpipe.scores.gating import likeliest_temperature
from zslpipe.scores.rebalancing import rebalance

torch.set_num_threads(1)
SETTINGS = {
    "calibrated_stacking": {},
    "cosmo": {"top": 1, "gate_temperature": 2.0},
    "discriminator": {"reading": "logits", "mixup": [0.6], "smoothing": [2.0]},
    "confident": {},  # the discriminator's other reading
}
MEMBERS = ("eszsl/default", "dazle/default")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three methods with all that a rebalancing reads."""
    folder = write_pictured(tmp_path_factory.mktemp("pictured"))
    for method in ("eszsl", "dazle", "crafting"):
        write_rest(train(folder, method, validated=True), len(folder.name))
    return folder


def write_rest(seed: Path, number: int) -> None:
    """Write irrelevant.h5 of a run, and its validation.h5 as one that knows its classes: chance
    there would leave every rebalancing unused.
    """
    matrix, validation = read_scores(seed / "scores.h5"), read_scores(seed / "validation.h5")
    generator, scores = np.random.default_rng(number), {}
    spread = float(matrix.scores["trainval"].std())
    for split, labels in validation.labels.items():
        shape = (len(labels), len(validation.classes))
        drawn = generator.normal(size=shape) * spread + 2 * spread * validation.seen
        drawn[np.arange(len(labels)), labels] += 2 * spread
        scores[split] = drawn.astype(np.float32)
    write_scores(seed / "validation.h5", replace(validation, scores=scores))
    unrelated = generator.normal(size=(30, CLASSES)) * spread + matrix.scores["trainval"].mean(0)
    told = {name: getattr(matrix, name) for name in ("dataset", "method", "variant", "seed")}
    irrelevant = IrrelevantScores(
        **told, source="bags", classes=matrix.classes, scores=unrelated.astype(np.float32),
        unit="logits", run=matrix.run,
    )  # fmt: skip
    write_irrelevant(seed / "irrelevant.h5", irrelevant)


def opened(folder: Path) -> Predictor:
    return open_predictor(folder, device="cpu", threads=1)


def rebalanced(seed: Path, name: str) -> Path:
    """The folder of a rebalancing of a run or an ensemble."""
    kind = "discriminator" if name == "confident" else name
    folder = seed / name
    files = [seed / f"{file}.h5" for file in ("validation", "irrelevant")]
    rebalance(kind, seed / "scores.h5", folder / "scores.h5", *files, SETTINGS[name])
    return folder


def seed_of(dataset: Path, run: str) -> Path:
    return dataset / "runs" / run / "seed0"


def united(dataset: Path, name: str, experts: bool = False, kind: str = "", heated: bool = True):
    """Write an ensemble with all its files; return its folder."""
    members = [seed_of(dataset, member) for member in MEMBERS]
    folder = seed_of(dataset, f"{name}/default")
    heats = [member / "validation.h5" for member in members] if heated else []
    who = (heats, name, "default")
    for file, make in (("scores", ensemble), ("validation", ensemble_validation)):
        if kind and file == "validation":
            continue
        files = [member / kind / f"{file}.h5" for member in members]
        make(files, who[0], folder / kind / f"{file}.h5", *who[1:], experts)
    if not experts and not kind:
        files = [member / "irrelevant.h5" for member in members]
        ensemble_irrelevant(files, who[0], folder / "irrelevant.h5", *who[1:])
    return folder / kind


def check_scores(folder: Path, images: list[Path]) -> None:
    """The pictures' scores are those of scores.h5, and so is the order of the classes."""
    matrix, found = read_scores(folder / "scores.h5"), opened(folder).scores(images)
    for split in SPLITS:
        expected, rows = matrix.scores[split], found[matrix.images[split]]
        np.testing.assert_allclose(rows, expected, rtol=2e-4, atol=2e-4)
        for row, scores in zip(rows, expected, strict=True):
            order = np.argsort(-row, kind="stable")
            assert np.diff(scores[order]).max() <= 1e-3  # but of those that are equal


@pytest.mark.parametrize("method", ["eszsl", "dazle"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_a_rebalanced_result_scores_the_datasets_pictures_alike(dataset, images, method, kind):
    seed = seed_of(dataset, f"{method}/default")
    folder = rebalanced(seed, kind)
    plain, changed = (read_scores(one / "scores.h5") for one in (seed, folder))
    assert "kept" not in changed.chosen[changed.rebalancing]
    assert not np.allclose(plain.scores["test_seen"], changed.scores["test_seen"])
    check_scores(folder, images)
    first = opened(folder).predict(images[0], top=CLASSES)
    assert list(first["rank"]) == list(range(1, CLASSES + 1))
    best = int(opened(folder).scores(images[:1])[0].argmax())
    assert first["class"][0] == opened(folder).trained.classes.names[best]


def test_probabilities_are_at_the_temperature_of_the_rebalanced_validation_scores(dataset, images):
    seed = seed_of(dataset, "eszsl/default")
    folder = rebalanced(seed, "cosmo")
    predictor = opened(folder)
    validation, change = read_scores(seed / "validation.h5"), predictor.trained.probabilities.change
    splits = ("test_seen", "test_unseen")
    scores = np.concatenate([validation.scores[split] for split in splits]).astype(np.float64)
    labels = np.concatenate([validation.labels[split] for split in splits])
    temperature = likeliest_temperature(change(scores, validation.seen), labels)
    powers = np.exp(predictor.scores(images[:1])[0] / temperature)
    found = predictor.predict(images[0], top=1)
    assert float(found["probability"][0]) == pytest.approx(powers.max() / powers.sum(), rel=1e-4)
    assert predictor.notes[1] == (
        "cosmo: as on the dataset's images, gate and temperature as learned"
    )


@pytest.mark.parametrize(("experts", "heated"), [(False, True), (False, False), (True, True)])
def test_an_ensemble_scores_the_datasets_pictures_alike(dataset, images, experts, heated):
    folder = united(dataset, f"both_{experts}_{heated}", experts, heated=heated)
    check_scores(folder, images)
    notes = opened(folder).notes
    temperatures = [
        opened(seed_of(dataset, run)).trained.probabilities.temperature for run in MEMBERS
    ]
    told = [f"at temperature {heat if heated else 1.0:.3g}" for heat in temperatures]
    first, second = (f"{run} {how}" for run, how in zip(MEMBERS, told, strict=True))
    expected = f"mean of the probabilities of {second} and {first}"  # by name
    if experts:
        expected = f"experts: seen classes by {first}; unseen ones by {second}"
    assert notes[0] == expected
    assert "the likeliest on the validation classes" in notes[1]


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_rebalanced_ensemble_scores_the_datasets_pictures_alike(dataset, images, kind):
    folder = rebalanced(united(dataset, "rebalanced"), kind)
    changed = read_scores(folder / "scores.h5")
    assert "kept" not in changed.chosen[changed.rebalancing]
    check_scores(folder, images)


@pytest.mark.parametrize("kind", ["cosmo", "calibrated_stacking"])
def test_an_ensemble_of_rebalanced_members_scores_the_datasets_pictures_alike(
    dataset, images, kind
):
    for run in MEMBERS:
        rebalanced(seed_of(dataset, run), kind)
    folder = united(dataset, "members_first", kind=kind)
    check_scores(folder, images)
    assert f"eszsl/default after {kind}, " in opened(folder).notes[0]
    assert "not calibrated" in opened(folder).notes[1]


def test_members_that_read_the_same_features_read_them_once(dataset, images, monkeypatch):
    monkeypatch.setattr("tests.runs.test_predicting_results.MEMBERS",
                        ("eszsl/default", "crafting/default"))  # fmt: skip
    predictor = opened(united(dataset, "pooled"))
    assert len(predictor.picture_scores.readers) == 1
    check_scores(seed_of(dataset, "pooled/default"), images)
    other = opened(united_of(dataset, "two_inputs", ("eszsl/default", "dazle/default")))
    assert len(other.picture_scores.readers) == 2


def united_of(dataset: Path, name: str, members: tuple[str, str]) -> Path:
    """An ensemble of these members, its scores.h5 alone."""
    files = [seed_of(dataset, member) / "scores.h5" for member in members]
    folder = seed_of(dataset, f"{name}/default")
    ensemble(files, [], folder / "scores.h5", name, "default")
    return folder


def new_classes(index: Index) -> pd.DataFrame:
    """Two classes beside the dataset's: one with the vector of its first unseen class."""
    vectors = index.semantics["att"][[int(np.flatnonzero(~SEEN)[0]), 0]]
    return pd.DataFrame(vectors, ["newcomer", "stranger"], list(index.attribute_names))


def test_new_classes_join_cosmo_as_unseen_ones(dataset, images, index):
    """By its equation: smoothing spreads over one class more, the softmax is over one more."""
    seed = seed_of(dataset, "eszsl/default")
    plain, predictor = opened(seed), opened(rebalanced(seed, "cosmo"))
    table = new_classes(index)
    found = predictor.predict(images[5], top=99, classes=table)
    gate = predictor.trained.probabilities
    wide = np.append(SEEN, [False, False])
    model = plain.with_classes(table).model
    inputs = next(plain.pictures.stream([images[5]])).inputs
    scores = gate.change(model.scores(inputs).detach().double().numpy(), wide)[0]
    powers = np.exp(scores / gate.temperature)
    names = [*index.class_names, "newcomer", "stranger"]
    named = dict(zip(names, powers / powers.sum(), strict=True))
    for row in found.to_dict("records"):
        assert row["probability"] == pytest.approx(named[row["class"]], rel=1e-3)
    chances = dict(zip(found["class"], found["probability"], strict=True))
    unseen = index.class_names[int(np.flatnonzero(~SEEN)[0])]
    assert chances["newcomer"] == pytest.approx(chances[unseen], rel=1e-4)


def test_new_classes_join_a_discriminator_that_does_not_count_them(dataset, images, index):
    seed, table = seed_of(dataset, "eszsl/default"), new_classes(index)
    found = opened(rebalanced(seed, "confident")).predict(images[5], top=99, classes=table)
    assert {"newcomer", "stranger"} <= set(found["class"])
    with pytest.raises(InputError, match="the logits of the 8 classes that it learned, not of 10"):
        opened(rebalanced(seed, "discriminator")).predict(images[5], classes=table)


def test_new_classes_join_every_member_of_an_ensemble(dataset, images, index):
    folder, table = united(dataset, "joined"), new_classes(index)
    found = opened(folder).predict(images[5], top=99, classes=table)
    chances = dict(zip(found["class"], found["probability"], strict=True))
    unseen = index.class_names[int(np.flatnonzero(~SEEN)[0])]
    assert chances["newcomer"] == pytest.approx(chances[unseen], rel=1e-4)
    changed = METHODS["crafting"]["settings"] | {"rule": "visual"}
    train(dataset, "crafting", settings=changed, variant="visual")
    refusing = united_of(dataset, "refusing", ("eszsl/default", "crafting/visual"))
    with pytest.raises(InputError, match="crafting/visual seed 0: crafting has learned 'rules'"):
        opened(refusing).predict(images[5], classes=table)


def test_a_page_of_an_ensemble_has_pictures_and_no_attribute(dataset, images, tmp_path):
    folder, output = united(dataset, "paged"), tmp_path / "page.html"
    given = [str(image) for image in images[:2]]
    options = ["--device", "cpu", "--threads", "1", "--format", "html", "--output", str(output)]
    assert main(["predict", str(folder), *given, *options]) == 0
    text = output.read_text("utf8")
    assert text.count("<img ") == 2 and "mean of the probabilities of" in text


def test_what_cannot_be_predicted_is_refused_by_name(dataset, images, tmp_path):
    seed = seed_of(dataset, "eszsl/default")
    folder = seed / "oracle"
    rebalance("oracle", seed / "scores.h5", folder / "scores.h5", None, None, {})
    with pytest.raises(InputError, match="the oracle knows from their labels which images are of"):
        opened(folder)
    folder = united(dataset, "broken")
    path = folder / "scores.h5"
    matrix = read_scores(path)
    others = dict(matrix.run["members"]) | {"dazle/default": "another"}
    write_scores(path, replace(matrix, run=matrix.run | {"members": others}))
    with pytest.raises(InputError, match="dazle/default/seed0 is another run than the ensemble"):
        opened(folder)
    others = {"eszsl/default": others["eszsl/default"], "imported/default": "some"}
    write_scores(path, replace(matrix, run=matrix.run | {"members": others}))
    with pytest.raises(InputError, match=r"member imported/default has no weights.pt there"):
        opened(folder)
    write_scores(path, replace(matrix, run={}))
    with pytest.raises(InputError, match=r"scores without a weights.pt: another program's"):
        opened(folder)


@pytest.mark.parametrize("kind", ["cosmo", "confident"])
def test_a_rebalancing_is_exported_with_what_it_learned(dataset, images, tmp_path, kind):
    """Elsewhere, without the files that it learned from."""
    folder = rebalanced(seed_of(dataset, "eszsl/default"), kind)
    expected = opened(folder).predict(images[:9], top=CLASSES)
    assert main(["export", str(folder), str(tmp_path / "exported")]) == 0
    shutil.move(tmp_path / "exported", tmp_path / "elsewhere")
    after = opened(tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(after.predict(images[:9], top=CLASSES), expected)
    config = json.loads((tmp_path / "elsewhere" / "config.json").read_text("utf8"))
    assert config["probabilities"]["change"]["does"] in ("smoothed", "weighed")
    assert read_exported(tmp_path / "elsewhere").probabilities.rebalancing in (
        "cosmo", "discriminator"
    )  # fmt: skip
    card = (tmp_path / "elsewhere" / "README.md").read_text("utf8")
    assert "as on the dataset's images, gate and temperature as learned" in card


def test_an_ensemble_is_not_exported_and_its_members_are_named(dataset, tmp_path, caplog):
    assert main(["export", str(united(dataset, "kept_here")), str(tmp_path / "exported")]) == 1
    assert "export its members: miniature/dazle/default seed 0, miniature/eszsl" in caplog.text
