"""One expert in three units: whatever is made of its scores is the same."""

import dataclasses
import logging

import h5py
import numpy as np
import pytest

from tests.made_up.runs import NEEDS, made_up, run, write_run
from zslpipe.formats.scores import read_scores, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.ensembles import ensemble, ensemble_irrelevant
from zslpipe.scores.evaluation import evaluate, write_metrics
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance

UNITS = ("logits", "log-probabilities", "probabilities")
FIGURES = ("T1", "U", "S", "H", "AUSUC", "T5", "H5", "H_group")


def in_unit(part, unit):
    """A score matrix or task-irrelevant scores of one run in another unit, from its logits."""

    def turned(logits):
        powers = np.exp(logits.astype(np.float64))
        shares = powers / powers.sum(axis=1, keepdims=True)
        each = {"logits": logits, "log-probabilities": np.log(shares), "probabilities": shares}
        return each[unit].astype(np.float32)

    if isinstance(part.scores, np.ndarray):
        return dataclasses.replace(part, scores=turned(part.scores), unit=unit)
    scores = {split: turned(values) for split, values in part.scores.items()}
    return dataclasses.replace(part, scores=scores, unit=unit)


def written(folder, unit, method="made_up", seed=0):
    """Write the files of an expert in a unit."""
    folder.mkdir(parents=True)
    parts = [dataclasses.replace(in_unit(part, unit), method=method) for part in run(seed)]
    return write_run(folder, *parts)


def figures(path):
    found = evaluate(read_scores(path))
    return [found[name] for name in FIGURES]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 5])
def test_every_rebalancing_of_one_expert_is_the_same_in_all_units(tmp_path, kind, seed):
    found, chosen = [], []
    for unit in UNITS:
        scores, validation, irrelevant = written(tmp_path / unit, unit, seed=seed)
        out = tmp_path / unit / "out.h5"
        rebalance(kind, scores, out, validation, irrelevant, {})
        found.append(figures(out))
        chosen.append(read_scores(out).chosen.get(kind, {}))
    np.testing.assert_allclose(found, [found[0]] * 3, rtol=0, atol=1e-9)
    for other in chosen[1:]:
        for name, value in chosen[0].items():
            assert other[name] == (value if isinstance(value, str) else pytest.approx(value, 1e-3))


def test_a_given_factor_is_one_of_logits_in_all_units(tmp_path):
    found = []
    for unit in UNITS:
        scores, _, _ = written(tmp_path / unit, unit)
        rebalance("calibrated_stacking", scores, tmp_path / "o.h5", None, None, {"factor": 2.5})
        found.append(figures(tmp_path / "o.h5"))
    np.testing.assert_allclose(found, [found[0]] * 3, rtol=0, atol=1e-9)
    assert figures(scores) != found[0]


@pytest.mark.parametrize("likeliest", [False, True])
def test_an_ensemble_does_not_care_for_the_units_of_its_members(tmp_path, likeliest):
    averages, unrelated = [], []
    for number, (one, other) in enumerate([("logits", "logits"), UNITS[1:], UNITS[2:] * 2]):
        first = written(tmp_path / f"{number}a", one, "a", 0)
        second = written(tmp_path / f"{number}b", other, "b", 1)
        heat = [first[1], second[1]] if likeliest else []
        ensemble([first[0], second[0]], heat, tmp_path / "e.h5", "e", "default")
        averages.append(read_scores(tmp_path / "e.h5"))
        ensemble_irrelevant([first[2], second[2]], heat, tmp_path / "i.h5", "e", "default")
        with h5py.File(tmp_path / "i.h5") as file:
            unrelated.append(np.exp(file["scores"][()]))
            assert file.attrs["unit"] == "log-probabilities"
    for found in averages[1:]:
        assert found.unit == "log-probabilities"
        for split, expected in averages[0].scores.items():
            np.testing.assert_allclose(
                np.exp(found.scores[split]), np.exp(expected), rtol=0, atol=2e-4
            )
    np.testing.assert_allclose(unrelated, [unrelated[0]] * 3, rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_what_is_rebalanced(tmp_path, kind):
    expected = {"none": UNITS[:2], "cosmo": UNITS[1:2] * 2, "discriminator": UNITS[1:2] * 2}
    for unit, told in zip(UNITS[:2], expected.get(kind, ("logits", "logits")), strict=True):
        scores, validation, irrelevant = written(tmp_path / unit, unit)
        rebalance(kind, scores, tmp_path / "out.h5", validation, irrelevant, {})
        assert read_scores(tmp_path / "out.h5").unit == told


def unstated(path):
    """Take the unit out of a file, as another program leaves it out."""
    with h5py.File(path, "r+") as file:
        del file.attrs["unit"]


ASKED = [(kind, name) for kind in KINDS if NEEDS[kind] for name in ("scores", *NEEDS[kind])]


@pytest.mark.parametrize(("kind", "name"), ASKED)
def test_kinds_that_learn_or_choose_ask_for_the_unit(tmp_path, kind, name):
    paths = written(tmp_path / "files", "logits")
    unstated(tmp_path / "files" / f"{name}.h5")
    told = rf"{name}\.h5, for rebalancing '{kind}': does not state the unit of its scores; set"
    with pytest.raises(InputError, match=told):
        rebalance(kind, paths[0], tmp_path / "out.h5", paths[1], paths[2], {})
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("kind", ["none", "oracle"])
def test_kinds_that_ask_for_the_order_alone_need_no_unit(tmp_path, kind):
    paths = written(tmp_path / "files", "logits")
    unstated(paths[0])
    rebalance(kind, paths[0], tmp_path / "out.h5", None, None, {})
    assert read_scores(tmp_path / "out.h5").unit == ""


@pytest.mark.parametrize("number", [0, 1])
def test_ensembles_ask_for_the_unit(tmp_path, number):
    first = written(tmp_path / "a", "logits", "a")
    second = written(tmp_path / "b", "logits", "b")
    unstated(second[number])
    with pytest.raises(InputError, match=r"b/\w+\.h5: does not state the unit of its scores"):
        ensemble([first[0], second[0]], [first[1], second[1]], tmp_path / "e.h5", "e", "default")


def test_irrelevant_members_ask_for_the_unit(tmp_path):
    paths = [written(tmp_path / name, "logits", name)[2] for name in "ab"]
    unstated(paths[1])
    with pytest.raises(InputError, match=r"b/irrelevant\.h5: does not state the unit"):
        ensemble_irrelevant(paths, [], tmp_path / "e.h5", "e", "default")


def test_the_evaluation_says_that_the_area_takes_the_unit_for_logits(tmp_path, caplog):
    write_scores(tmp_path / "scores.h5", made_up(0, np.array([True, False]), ("a", "b")))
    unstated(tmp_path / "scores.h5")
    with caplog.at_level(logging.WARNING):
        write_metrics(tmp_path / "scores.h5", tmp_path / "metrics.json")
    (line,) = caplog.messages
    assert line.endswith("does not state the unit of its scores; AUSUC takes them for logits")
