"""Two experts as one score matrix, and COSMO's gate between them, against plain loops; members that
somebody else trained.
"""

import dataclasses
import math

import numpy as np
import pytest

from tests.made_up.runs import SEEN, run, write_run
from tests.scores.test_ensembles import likeliest, softmax, two_runs, two_runs_unequally_sharp
from zslpipe.formats.scores import SPLITS, read_scores, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.ensembles import ensemble, ensemble_validation
from zslpipe.scores.evaluation import evaluate
from zslpipe.scores.experts import joined_experts
from zslpipe.scores.gating import log_softmax
from zslpipe.scores.kinds import Cosmo
from zslpipe.scores.rebalancing import rebalance


def joined_in_loops(of_seen, of_unseen, seen):
    """Eq. 1 and 2 of scores/experts.py for one image, from the scores of the two experts."""
    one, other = softmax(of_seen), softmax(of_unseen)
    seen_of_one = sum(value for value, is_seen in zip(one, seen, strict=True) if is_seen)
    seen_of_other = sum(value for value, is_seen in zip(other, seen, strict=True) if is_seen)
    found = []
    for number, is_seen in enumerate(seen):
        value = seen_of_other * one[number] / seen_of_one if is_seen else other[number]
        found.append(value)
    return found


def test_experts_in_loops(tmp_path):
    (first, *_), (second, *_) = two_runs(tmp_path)
    ensemble([first, second], [], tmp_path / "e.h5", "two", "default", experts=True)
    found, one, other = (read_scores(path) for path in (tmp_path / "e.h5", first, second))
    for split in SPLITS:
        for row, values in enumerate(np.exp(found.scores[split])):
            pair = one.scores[split][row].tolist(), other.scores[split][row].tolist()
            assert values == pytest.approx(joined_in_loops(*pair, SEEN), abs=1e-6)
            assert sum(values) == pytest.approx(1, abs=1e-5)
    assert (found.unit, found.method) == ("log-probabilities", "two")


def scores_of(path):
    return read_scores(path).scores["test_seen"]


def test_each_is_taken_at_its_own_likeliest_temperature(tmp_path):
    runs = two_runs_unequally_sharp(tmp_path)
    files = [path for path, *_ in runs]
    validations = [path for _, path, _ in runs]
    ensemble(files, validations, tmp_path / "e.h5", "two", "default", experts=True)
    found = read_scores(tmp_path / "e.h5")
    warm = [likeliest(path) for path in validations]
    rows = [scores_of(path)[0] / heat for path, heat in zip(files, warm, strict=True)]
    expected = joined_in_loops(rows[0].tolist(), rows[1].tolist(), SEEN)
    assert np.exp(found.scores["test_seen"][0]) == pytest.approx(expected, abs=1e-6)


def test_within_a_group_the_expert_decides(tmp_path):
    (first, *_), (second, *_) = two_runs(tmp_path)
    ensemble([first, second], [], tmp_path / "e.h5", "two", "default", experts=True)
    found, one, other = (read_scores(path) for path in (tmp_path / "e.h5", first, second))
    for split in ("test_seen", "test_unseen"):
        for group, expert in ((SEEN, one), (~SEEN, other)):
            best = found.scores[split][:, group].argmax(1)
            assert np.array_equal(best, expert.scores[split][:, group].argmax(1))
    assert evaluate(found)["T1"] == evaluate(other)["T1"] != evaluate(one)["T1"]


def test_one_result_as_both_experts_is_itself():
    drawn = np.random.default_rng(0).normal(size=(20, 9)) * 4
    logarithms = log_softmax(drawn)
    assert np.allclose(joined_experts(logarithms, logarithms, SEEN), logarithms, atol=1e-12)


def cosmo_in_loops(of_seen, of_unseen, odds):
    """COSMO of two experts for one image: eq. 2 of scores/kinds.py with p(j|S) of one expert and
    p(j|U) of the other, and the log-odds of an image to be of a seen class.
    """
    p_seen = 1 / (1 + math.exp(-odds))
    groups = {}
    for is_seen, scores in ((True, of_seen), (False, of_unseen)):
        chosen = [value for value, member in zip(scores, SEEN, strict=True) if member == is_seen]
        groups[is_seen] = iter(softmax(chosen))
    found = []
    for member in SEEN:
        share, count = (p_seen, SEEN.sum()) if member else (1 - p_seen, (~SEEN).sum())
        found.append(share * (next(groups[member]) + (1 - share) / count))
    return found


def test_cosmo_between_two_experts_is_as_published(tmp_path):
    """The gate's odds are taken from the result; everything else of eq. 2 is of the experts."""
    runs = two_runs(tmp_path)
    files, validations, _ = zip(*runs, strict=True)
    ensemble(files, validations, tmp_path / "e.h5", "two", "default", experts=True)
    ensemble_validation(validations, validations, tmp_path / "v.h5", "two", "default", experts=True)
    rebalance("cosmo", tmp_path / "e.h5", tmp_path / "c.h5", tmp_path / "v.h5", None, {})
    found, experts = read_scores(tmp_path / "c.h5"), [read_scores(path) for path in files]
    assert "kept" not in found.chosen["cosmo"]
    heats = [found.chosen["cosmo"]["temperature"] * likeliest(path) for path in validations]
    for row, values in enumerate(np.exp(found.scores["test_unseen"].astype(float))):
        scores = [
            (expert.scores["test_unseen"][row] / heat).tolist()
            for expert, heat in zip(experts, heats, strict=True)
        ]
        p_seen = values[SEEN].sum()  # = p_S (1 + p_U): p_S is the root below 1
        p_seen = 1 - math.sqrt(max(0.0, 1 - p_seen))
        odds = math.log(p_seen / (1 - p_seen)) if 0 < p_seen < 1 else math.copysign(700, p_seen - 1)
        assert values == pytest.approx(cosmo_in_loops(*scores, odds), abs=1e-4)
    metrics = [evaluate(read_scores(path))["H"] for path in (tmp_path / "e.h5", tmp_path / "c.h5")]
    assert metrics[1] > metrics[0]


def test_the_gate_reads_what_the_experts_say(tmp_path):
    """Its features: the highest unseen probabilities of the unseen expert among all classes, the
    highest seen ones of the seen expert among the seen.
    """
    from zslpipe.scores.gating import sorted_probabilities

    runs = two_runs(tmp_path)
    files = [path for path, *_ in runs]
    ensemble(files, [], tmp_path / "e.h5", "two", "default", experts=True)
    joined, one, other = (read_scores(path) for path in (tmp_path / "e.h5", *files))
    top, warm = 2, Cosmo().gate_temperature
    read = sorted_probabilities(joined.scores["test_unseen"].astype(float), SEEN, 1.0, warm, top)
    for row, features in enumerate(read):
        whole = softmax(other.scores["test_unseen"][row].tolist())
        unseen = sorted([whole[number] for number in np.flatnonzero(~SEEN)], reverse=True)
        within = softmax((one.scores["test_unseen"][row][SEEN] / warm).tolist())
        assert features == pytest.approx(
            [*unseen[:top], *sorted(within, reverse=True)[:top]], abs=1e-5
        )


def test_what_experts_cannot_be(tmp_path):
    (first, *_), (second, *_) = two_runs(tmp_path)
    with pytest.raises(InputError, match="experts are two members, 3 given"):
        ensemble([first, second, first], [], tmp_path / "e.h5", "t", "default", experts=True)


def without_trainval(matrix):
    parts = {}
    for name in ("scores", "labels", "images"):
        part = getattr(matrix, name)
        parts[name] = {**part, "trainval": part["trainval"][:0]}
    return dataclasses.replace(matrix, method="theirs", **parts)


def test_a_member_without_training_images_leaves_none(tmp_path):
    matrix, validation, irrelevant = run(0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()
    mine = write_run(tmp_path / "mine", matrix, validation, irrelevant)[0]
    theirs = tmp_path / "theirs" / "scores.h5"
    write_scores(theirs, without_trainval(run(0)[0]))
    ensemble([mine, theirs], [], tmp_path / "e.h5", "e", "default")
    ensemble([theirs, mine], [], tmp_path / "f.h5", "e", "default")
    both = [read_scores(tmp_path / name) for name in ("e.h5", "f.h5")]
    assert [len(found.labels["trainval"]) for found in both] == [0, 0]
    assert evaluate(both[0])["H"] == evaluate(matrix)["H"]


def test_of_held_out_images_those_that_all_members_have(tmp_path, caplog):
    caplog.set_level("INFO")
    _, validation, _ = run(0)
    write_scores(tmp_path / "mine.h5", validation)
    held = validation.images["test_seen"]
    kept = np.arange(len(held))[::-1][: len(held) // 2]  # in another order
    parts = {
        name: {
            **getattr(validation, name),
            "test_seen": getattr(validation, name)["test_seen"][kept],
        }
        for name in ("scores", "labels", "images")
    }
    theirs = dataclasses.replace(validation, method="theirs", **parts)
    write_scores(tmp_path / "theirs.h5", without_trainval(theirs))
    files = [tmp_path / "mine.h5", tmp_path / "theirs.h5"]
    ensemble_validation(files, [], tmp_path / "e.h5", "e", "default")
    found = read_scores(tmp_path / "e.h5")
    assert found.images["test_seen"].tolist() == sorted(held[kept].tolist())
    assert len(found.labels["test_unseen"]) == len(validation.labels["test_unseen"])
    place = {image: row for row, image in enumerate(held.tolist())}
    for row, image in enumerate(found.images["test_seen"].tolist()):
        expected = softmax(validation.scores["test_seen"][place[image]].tolist())
        assert np.exp(found.scores["test_seen"][row]) == pytest.approx(expected, abs=1e-6)
        assert found.labels["test_seen"][row] == validation.labels["test_seen"][place[image]]
    assert f"{len(kept)} held-out images are common to all members" in caplog.text
    # scores of the tables are of all test images
    with pytest.raises(InputError, match="other images or labels"):
        ensemble(files, [], tmp_path / "e.h5", "e", "default")
    parts["images"]["test_seen"] = 10_000 + parts["images"]["test_seen"]
    write_scores(files[1], without_trainval(dataclasses.replace(theirs, **parts)))
    with pytest.raises(InputError, match="no training image that was held out in all of them"):
        ensemble_validation(files, [], tmp_path / "e.h5", "e", "default")
