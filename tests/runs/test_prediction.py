"""Predictions on pictures: the scores of scores.h5, probabilities and new classes by definition,
and what is refused.
"""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

import zslpipe
from tests.made_up.miniature import CLASSES, SEEN
from tests.made_up.pictured import METHODS, train, write_pictured
from zslpipe.features.images import read_image, square
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import Index
from zslpipe.formats.scores import SPLITS, read_scores, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.runs.deciding import attribute_terms
from zslpipe.runs.looking import looks
from zslpipe.runs.prediction import Predictor, open_predictor
from zslpipe.scores.changes import Kept
from zslpipe.scores.gating import likeliest_temperature
from zslpipe.scores.rebalancing import rebalance

torch.set_num_threads(1)
KNOW_VECTORS = ("eszsl", "dazle", "rsan", "crafting")
FACTOR = 0.07


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictured(tmp_path_factory.mktemp("pictured"))


@pytest.fixture(scope="module")
def runs(dataset: Path) -> dict[str, Path]:
    """The folder of a seed of every method; dazle's has a validation.h5."""
    return {method: train(dataset, method, method == "dazle") for method in METHODS}


def opened(folder: Path) -> Predictor:
    return open_predictor(folder, device="cpu", threads=1)


def table_of(index: Index, rows: list[int], names: list[str]) -> pd.DataFrame:
    """Class vectors of a dataset under other names."""
    columns = list(index.attribute_names)
    return pd.DataFrame(index.semantics["att"][rows], index=names, columns=columns)


def softmax(scores: np.ndarray, temperature: float) -> list[float]:
    """Probabilities of one image's scores, by definition."""
    powers = [np.exp(float(score) / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("method", METHODS)
def test_the_scores_of_the_datasets_pictures_are_those_of_scores_h5(runs, images, method):
    matrix = read_scores(runs[method] / "scores.h5")
    found = opened(runs[method]).scores(images)
    for split in SPLITS:
        expected = matrix.scores[split]
        assert np.ptp(expected, axis=0).min() > 0  # pictures differ
        np.testing.assert_allclose(found[matrix.images[split]], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["dazle", "eszsl"])
def test_the_inputs_of_the_datasets_pictures_are_those_of_its_features(
    dataset, runs, images, method
):
    features = FeatureFile(dataset / "features" / "small.h5")
    stored = features.regions if method == "dazle" else features.pooled
    read = opened(runs[method]).pictures.stream(images)
    np.testing.assert_array_equal(
        np.concatenate([part.inputs.numpy() for part in read]), stored[:].astype(np.float32)
    )


def test_rows_are_the_likeliest_classes_and_their_probabilities(runs, images, index):
    predictor = opened(runs["eszsl"])
    assert "not calibrated" in predictor.notes[0]
    found = predictor.predict(images[:40], top=3)
    assert list(found.columns) == [
        *("image", "rank", "class", "probability", "seen", "attributes", "problem")
    ]
    assert list(found["image"].unique()) == list(map(str, images[:40]))
    for image, scores in zip(images[:40], predictor.scores(images[:40]), strict=True):
        rows = found[found["image"] == str(image)]
        best = sorted(range(CLASSES), key=lambda number, of=scores: -of[number])[:3]
        assert list(rows["class"]) == [index.class_names[number] for number in best]
        assert list(rows["rank"]) == [1, 2, 3]
        assert list(rows["seen"]) == [bool(SEEN[number]) for number in best]
        shares = softmax(scores, 1.0)
        assert list(rows["probability"]) == pytest.approx([shares[number] for number in best])


@pytest.mark.parametrize("group", ["seen", "unseen"])
def test_a_group_shares_the_probability_among_its_classes(runs, images, index, group):
    predictor = opened(runs["eszsl"])
    found = predictor.predict(images[0], top=CLASSES, group=group)
    members = np.flatnonzero(SEEN if group == "seen" else ~SEEN)
    assert set(found["class"]) == {index.class_names[number] for number in members}
    scores = predictor.scores(images[:1])[0]
    shares = dict(zip(members, softmax(scores[members], 1.0), strict=True))
    expected = [shares[index.class_names.index(name)] for name in found["class"]]
    assert list(found["probability"]) == pytest.approx(expected)


def test_the_temperature_makes_the_validation_labels_likeliest(runs, images):
    predictor = opened(runs["dazle"])
    temperature = predictor.trained.probabilities.temperature
    assert f"temperature {temperature:.3g}, the likeliest" in predictor.notes[0]
    matrix = read_scores(runs["dazle"] / "validation.h5")

    def likelihood(tried: float) -> float:
        total = 0.0
        for split in ("test_seen", "test_unseen"):
            for scores, label in zip(matrix.scores[split], matrix.labels[split], strict=True):
                total += np.log(softmax(scores, tried)[label])
        return total

    assert all(likelihood(temperature) >= likelihood(temperature * by) for by in (0.9, 1.1))
    scores = predictor.scores(images[:1])[0]
    found = predictor.predict(images[0], top=1)
    assert found["probability"][0] == pytest.approx(max(softmax(scores, temperature)))


def test_the_temperature_of_a_rebalanced_result_is_that_of_its_scores(runs):
    folder, scores = runs["dazle"] / "calibrated_stacking", runs["dazle"] / "scores.h5"
    settings = {"factor": 2.0}
    rebalance("calibrated_stacking", scores, folder / "scores.h5", None, None, settings)
    matrix = read_scores(runs["dazle"] / "validation.h5")
    splits = ("test_seen", "test_unseen")
    taken_off = np.concatenate([matrix.scores[split] for split in splits]) - 2.0 * matrix.seen
    labels = np.concatenate([matrix.labels[split] for split in splits])
    expected = likeliest_temperature(taken_off, labels)
    assert opened(folder).trained.probabilities.temperature == pytest.approx(expected)
    assert opened(runs["dazle"]).trained.probabilities.temperature != pytest.approx(expected)


def test_a_rebalanced_result_takes_its_factor_off_the_seen_classes(runs, images):
    folder = runs["eszsl"] / "calibrated_stacking"
    scores = runs["eszsl"] / "scores.h5"
    settings = {"factor": FACTOR}
    rebalance("calibrated_stacking", scores, folder / "scores.h5", None, None, settings)
    plain, predictor = opened(runs["eszsl"]), opened(folder)
    assert predictor.notes[1] == f"calibrated_stacking: {FACTOR} off the scores of seen classes"
    found = predictor.predict(images[:40], top=1)
    rebalanced = plain.scores(images[:40]) - FACTOR * SEEN
    best = rebalanced.argmax(1)
    assert (best != plain.scores(images[:40]).argmax(1)).any()
    assert list(found["class"]) == [predictor.trained.classes.names[number] for number in best]


def test_a_rebalancing_that_was_not_kept_changes_nothing(runs, tmp_path):
    matrix = read_scores(runs["eszsl"] / "scores.h5")
    folder = runs["eszsl"] / "kept"
    chosen = {"calibrated_stacking": {"factor": 3.0, "kept": "none"}}
    told = replace(matrix, rebalancing="calibrated_stacking", chosen=chosen)
    write_scores(folder / "scores.h5", told)
    predictor = opened(folder)
    assert predictor.trained.probabilities.change == Kept()
    assert predictor.notes[1] == (
        "calibrated_stacking: on the validation classes no better than none, not applied"
    )


def test_broken_pictures_have_a_row_and_the_others_are_predicted(runs, images, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(images[1].read_bytes()[:-200])
    given = [images[0], cut, tmp_path / "absent.png", images[2]]
    found = opened(runs["rsan"]).predict(given, top=2)
    assert list(found["image"]) == [
        *[str(images[0])] * 2, str(cut), str(tmp_path / "absent.png"), *[str(images[2])] * 2
    ]  # fmt: skip
    broken = found[found["problem"] != ""]
    assert list(broken["rank"].isna()) == list(broken["class"].isna()) == [True, True]
    assert "truncated" in broken["problem"].iloc[0]
    assert broken["problem"].iloc[1] == "No such file or directory"
    whole = opened(runs["rsan"]).predict([images[0], images[2]], top=2)
    kept = found[found["problem"] == ""].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, whole, rtol=1e-5)
    only = opened(runs["rsan"]).predict([cut])
    assert len(only) == 1 and bool(only["class"].isna()[0])


@pytest.mark.parametrize("method", KNOW_VECTORS)
def test_a_new_class_has_the_score_of_one_with_its_vector(runs, images, index, method):
    predictor = opened(runs[method])
    unseen = int(np.flatnonzero(~SEEN)[0])
    table = table_of(index, [unseen], ["newcomer"])
    table = table[table.columns[::-1]].rename(columns={"attribute 0": "Attribute_0"})
    found = predictor.predict(images[:8], top=CLASSES + 1, classes=table)
    old = found[found["class"] == index.class_names[unseen]].reset_index(drop=True)
    new = found[found["class"] == "newcomer"].reset_index(drop=True)
    assert len(new) == 8 and not new["seen"].any()
    np.testing.assert_allclose(
        new["probability"].astype(float), old["probability"].astype(float), rtol=1e-5
    )
    only = predictor.predict(images[:8], classes=table, group="new")
    assert list(only["class"]) == ["newcomer"] * 8
    assert list(only["probability"]) == [1.0] * 8
    assert "newcomer" in set(
        predictor.predict(images[0], top=9, classes=table, group="unseen")["class"]
    )


def test_new_classes_of_eszsl_follow_its_equation(runs, images, index):
    predictor = opened(runs["eszsl"])
    vector = np.array([0.9, 0.0, 0.2, 0.4, 0.1])
    table = pd.DataFrame([vector], index=["newcomer"], columns=index.attribute_names)
    found = predictor.predict(images[3], top=9, classes=table)
    matrix = predictor.trained.state["W"].numpy().astype(np.float64)
    pooled = next(predictor.pictures.stream([images[3]])).inputs[0].numpy().astype(np.float64)
    score = pooled / np.linalg.norm(pooled) @ matrix @ (vector / np.linalg.norm(vector))
    scores = np.append(predictor.scores([images[3]])[0], score)
    row = found[found["class"] == "newcomer"]
    assert float(row["probability"].iloc[0]) == pytest.approx(softmax(scores, 1.0)[-1], rel=1e-5)


def test_new_classes_are_scaled_by_the_ranges_of_the_runs_own(dataset, images, index):
    seed = train(dataset, "eszsl", normalisation="minmax", variant="minmax")
    unseen = int(np.flatnonzero(~SEEN)[0])
    table = table_of(index, [unseen, unseen], ["newcomer", "far"])
    table.loc["far"] *= 5  # would widen the ranges
    found = opened(seed).predict(images[:3], top=CLASSES + 2, classes=table)
    chances = found.pivot(index="image", columns="class", values="probability").astype(float)
    known = chances[index.class_names[unseen]]
    np.testing.assert_allclose(chances["newcomer"], known, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("mlis", {}, "mlis has learned 'refinement_classifier.weight' for each class"),
        ("sgma", {}, "sgma has learned 'prototypes' for each class"),
        ("crafting", {"rule": "visual"}, "crafting has learned 'rules' for each class"),
    ],
)
def test_what_is_learned_a_class_is_refused_by_name(
    dataset, runs, images, index, method, settings, said
):
    seed = runs[method]
    if settings:
        changed = METHODS[method]["settings"] | settings
        seed = train(dataset, method, settings=changed, variant="changed")
    with pytest.raises(InputError, match=said):
        opened(seed).predict(images[0], classes=table_of(index, [0], ["newcomer"]))


def test_tables_that_do_not_fit_are_refused_with_what_to_do(runs, images, index):
    predictor = opened(runs["eszsl"])
    whole = table_of(index, [0], ["newcomer"])

    def refusal(table: pd.DataFrame) -> str:
        with pytest.raises(InputError) as told:
            predictor.predict(images[0], classes=table)
        return str(told.value)

    absent = whole.drop(columns=["attribute 1", "attribute 3"])
    assert "2 of 5 attributes are missing: attribute 1, attribute 3; add" in refusal(absent)
    glowing = whole.rename(columns={"attribute 1": "glow"})
    assert "attribute 1 (unknown to the run: glow); add" in refusal(glowing)
    assert "'Class_3' is the run's class 'class 3'" in refusal(table_of(index, [0], ["Class_3"]))
    assert "'a' is given twice" in refusal(table_of(index, [0, 1], ["a", "a"]))
    assert "'newcomer', attribute 'attribute 2': 'nan' is no finite" in refusal(
        whole.assign(**{"attribute 2": np.nan})
    )
    assert "every attribute of newcomer is 0" in refusal(whole * 0)
    assert "has no row" in refusal(whole.iloc[:0])


def test_missing_attributes_may_be_zero_where_that_is_said(runs, images, index):
    predictor, whole = opened(runs["eszsl"]), table_of(index, [0], ["newcomer"])
    absent = whole.drop(columns=["attribute 1"])
    found = predictor.predict(images[0], top=9, classes=absent, missing_as_zero=True)
    zero = predictor.predict(images[0], top=9, classes=whole.assign(**{"attribute 1": 0.0}))
    pd.testing.assert_frame_equal(found, zero)


@pytest.mark.parametrize("method", KNOW_VECTORS)
def test_shares_of_attributes_sum_to_a_scores_distance_from_the_mean(runs, images, method):
    predictor = opened(runs[method])
    scores = predictor.scores(images[:5])
    inputs = next(predictor.pictures.stream(images[:5])).inputs
    with torch.inference_mode():
        terms = attribute_terms(method, predictor.model, inputs)
    for members in (np.flatnonzero(SEEN), np.flatnonzero(~SEEN)):
        for image in range(5):
            for label in members:
                total = sum(terms.shares(image, label, members))
                expected = scores[image, label] - scores[image, members].mean()
                assert total == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_attributes_of_a_row_are_those_that_did_most(runs, images, index):
    predictor = opened(runs["eszsl"])
    found = predictor.predict(images[0], top=1, attributes=2)
    label = index.class_names.index(found["class"][0])
    inputs = next(predictor.pictures.stream(images[:1])).inputs
    terms = attribute_terms("eszsl", predictor.model, inputs)
    shares = terms.shares(0, label, np.arange(CLASSES))
    best = sorted(range(len(shares)), key=lambda number: -shares[number])[:2]
    pairs = found["attributes"][0]
    assert [name for name, _ in pairs] == [index.attribute_names[number] for number in best]
    assert [share for _, share in pairs] == pytest.approx([shares[number] for number in best])
    assert opened(runs["mlis"]).predict(images[0], top=1)["attributes"][0] == ()


def test_another_network_than_the_features_were_made_by_is_refused(dataset, runs, tmp_path):
    copy = tmp_path / "results" / "miniature"
    shutil.copytree(dataset, copy)
    weights = torch.load(copy / "backbone.pt")
    first = next(iter(weights))
    torch.save(weights | {first: weights[first] + 1e-3}, copy / "backbone.pt")
    seed = copy / runs["eszsl"].relative_to(dataset)
    with pytest.raises(InputError, match=r"small.h5: .*backbone.pt .* are not the weights that"):
        opened(seed)
    (copy / "backbone.pt").unlink()
    with pytest.raises(InputError, match="extractor 'small' are not there; say with --data-root"):
        opened(seed)


def test_validation_scores_of_another_run_are_refused(runs, tmp_path, dataset):
    seed = train(dataset, "dazle", validated=True, variant="other")
    shutil.copy2(runs["dazle"] / "validation.h5", seed / "validation.h5")
    with pytest.raises(InputError, match=r"validation.h5: not what was asked: variant"):
        opened(seed)


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        (None, "does not say which network made its features"),
        ({"name": "own", "backbone": "stored"}, "came with the dataset, and no network"),
    ],
)
def test_features_that_no_network_makes_are_refused(dataset, cache, said):
    name = "stored" if cache else "old"
    seed = train(dataset, "eszsl", variant=name)
    saved = torch.load(seed / "weights.pt")
    saved["run"] = json.dumps(json.loads(saved["run"]) | {"cache": cache})
    torch.save(saved, seed / "weights.pt")
    with pytest.raises(InputError, match=said):
        opened(seed)


def test_a_folder_that_is_no_result_is_refused_with_what_to_name(runs, tmp_path):
    with pytest.raises(InputError, match="holds seed0; name one of them"):
        opened(runs["eszsl"].parent)
    with pytest.raises(InputError, match="no such folder; name the folder of a seed"):
        opened(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no weights.pt; name"):
        opened(tmp_path)
    shutil.copy2(runs["eszsl"] / "scores.h5", tmp_path / "scores.h5")
    with pytest.raises(InputError, match="another program's, or copied without it"):
        opened(tmp_path)


def test_groups_that_are_empty_or_unknown_are_refused(runs, images):
    with pytest.raises(InputError, match="no class is new"):
        opened(runs["eszsl"]).predict(images[0], group="new")
    with pytest.raises(InputError, match="group 'unsen'; did you mean 'unseen'"):
        opened(runs["eszsl"]).predict(images[0], group="unsen")


def test_readers_begin_with_sigterm_blocked(runs, images, monkeypatch):
    masks, begin = [], DataLoader.__iter__

    def begun(loader):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return begin(loader)

    monkeypatch.setattr(DataLoader, "__iter__", begun)
    opened(runs["eszsl"]).scores(images)
    assert masks and all(signal.SIGTERM in mask for mask in masks)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_packages_load_opens_a_run(runs, images):
    found = zslpipe.load(runs["eszsl"], device="cpu").predict([str(images[0])], top=5)
    pd.testing.assert_frame_equal(found, opened(runs["eszsl"]).predict(images[0]))


def test_a_look_is_the_square_and_the_map_of_the_attribute(runs, images, index):
    predictor = opened(runs["dazle"])
    asked = {str(images[0]): "attribute 3", str(images[2]): "", "absent.png": "attribute 1"}
    found = looks(predictor, asked)
    assert list(found) == [str(images[0]), str(images[2])]
    look = found[str(images[0])]
    plain = square(32)(read_image(images[0])).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(look.square, plain)
    inputs = next(predictor.pictures.stream(images[:1])).inputs
    with torch.inference_mode():
        expected = predictor.model.attention(inputs)[0, 3].numpy()
    np.testing.assert_allclose(look.attention, expected)
    assert look.attribute == "attribute 3" and look.centres is not None
    assert found[str(images[2])].attention is None
    for method in ("eszsl", "sgma"):  # no maps, or none of attributes
        assert looks(opened(runs[method]), asked)[str(images[0])].attention is None
