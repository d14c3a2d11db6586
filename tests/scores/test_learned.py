"""What a rebalancing has learned is found again from the files beside it, and is the same
function.
"""

import dataclasses
import json

import numpy as np
import pytest

from tests.made_up.runs import SEEN, run, write_run
from zslpipe.formats.scores import SPLITS, read_scores, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.changes import Kept, Smoothed, TakenOff, Weighed, as_plain, from_plain
from zslpipe.scores.gating import Logistic, Sharpened
from zslpipe.scores.learned import learned_change
from zslpipe.scores.rebalancing import applied, rebalance

SETTINGS = {
    "none": {},
    "calibrated_stacking": {},
    "cosmo": {"top": 2, "gate_temperature": 2.0},
    "discriminator": {"mixup": [0.4, 0.7]},
}


def rebalanced(folder, kind, settings=None, named=True):
    """The path of the made-up run's scores after a kind, in a folder beside its files."""
    parts = run()
    if named:  # as a run that was trained says of itself
        parts = [dataclasses.replace(part, run={"method": "made_up"}) for part in parts]
    scores, validation, irrelevant = write_run(folder, *parts)
    output = folder / kind / "scores.h5"
    rebalance(kind, scores, output, validation, irrelevant, settings or {})
    return output


@pytest.mark.parametrize("kind", SETTINGS)
def test_it_makes_of_the_scores_what_was_written(tmp_path, kind):
    path = rebalanced(tmp_path, kind, SETTINGS[kind])
    change = learned_change(path)
    before, written = read_scores(tmp_path / "scores.h5"), read_scores(path)
    for split in SPLITS:
        found = applied(change, before.scores[split], SEEN)
        np.testing.assert_allclose(found, written.scores[split], rtol=1e-6, atol=1e-6)
    if kind != "none":
        assert not isinstance(change, Kept)
        assert not np.allclose(before.scores["test_seen"], written.scores["test_seen"])
    # through JSON, one image at a time
    again = from_plain(json.loads(json.dumps(as_plain(change))), "here")
    assert again == change
    for number in range(5):
        row = before.scores["test_unseen"][number : number + 1]
        expected = written.scores["test_unseen"][number]
        np.testing.assert_allclose(applied(again, row, SEEN)[0], expected, rtol=1e-5, atol=1e-5)


def test_cosmo_by_its_equation():
    """p_S (p(j|S) + p_U / |S|) for seen j, p_U (p(j|U) + p_S / |U|) for unseen j, in plain loops,
    with the probability that the gate says.
    """
    seen, scores = np.array([True, False, True, False, False]), np.array([1.0, 0.5, 2.0, -1.0, 0.2])
    gate = Sharpened(Logistic((2.0, -3.0), 0.1), 0.4, 0.5)
    change = Smoothed(temperature=2.0, gate_temperature=3.0, top=1, gate=gate)
    powers = np.exp(scores / 2)
    of_all = powers / powers.sum()
    warm = np.exp(scores / 6)
    highest_unseen = max(of_all[number] for number in (1, 3, 4))
    highest_seen = max(warm[number] / (warm[0] + warm[2]) for number in (0, 2))
    odds = 2.0 * highest_unseen - 3.0 * highest_seen + 0.1
    odds = (1 / (1 + np.exp(-odds)) - 0.4) / 0.5
    of_seen = 1 / (1 + np.exp(-odds))
    found = np.exp(change(scores[None], seen)[0])
    for number in range(5):
        group = [other for other in range(5) if seen[other] == seen[number]]
        own = of_seen if seen[number] else 1 - of_seen
        within = powers[number] / sum(powers[other] for other in group)
        assert found[number] == pytest.approx(own * (within + (1 - own) / len(group)))


def test_a_discriminator_by_its_equation():
    seen, scores = np.array([True, False, True, False]), np.array([1.0, 0.5, 2.0, -1.0])
    change = Weighed("confidence", 1.5, 4.0, Logistic((0.7, -0.9), 0.2))
    read = np.log(np.exp(scores / 1.5) / np.exp(scores / 1.5).sum())
    odds = 0.7 * max(read[0], read[2]) - 0.9 * max(read[1], read[3]) + 0.2
    of_seen = 1 / (1 + np.exp(-odds))
    shares = np.exp(scores / 4) / np.exp(scores / 4).sum()
    expected = shares * np.where(seen, of_seen, 1 - of_seen)
    np.testing.assert_allclose(np.exp(change(scores[None], seen)[0]), expected)


def test_more_classes_are_taken_where_the_rule_says_what_to_do():
    wide = np.array([[1.0, 0.5, 2.0, -1.0, 0.3]])
    seen = np.array([True, False, True, False, False])
    gate = Sharpened(Logistic((1.0, 1.0), 0.0), 0.5, 1.0)
    assert Smoothed(1.0, 3.0, 1, gate)(wide, seen).shape == (1, 5)
    with pytest.raises(InputError, match="reads 4 seen and 4 unseen classes, one has 2"):
        Smoothed(1.0, 3.0, 4, Sharpened(Logistic((1.0,) * 8, 0.0), 0.5, 1.0))(wide, seen)
    assert Weighed("confidence", 1.0, 1.0, Logistic((1.0, 1.0), 0.0))(wide, seen).shape == (1, 5)
    logits = Weighed("logits", 1.0, 1.0, Logistic((1.0,) * 4, 0.0))
    assert logits(wide[:, :4], seen[:4]).shape == (1, 4)
    with pytest.raises(InputError, match="the logits of the 4 classes that it learned, not of 5"):
        logits(wide, seen)


def test_what_was_not_kept_changes_nothing_and_a_factor_needs_no_other_file(tmp_path):
    path = rebalanced(tmp_path, "calibrated_stacking")
    matrix = read_scores(path)
    factor = matrix.chosen["calibrated_stacking"]["factor"]
    for name in ("validation.h5", "scores.h5"):
        (tmp_path / name).unlink()
    assert learned_change(path) == TakenOff(factor)
    chosen = {"cosmo": {"top": 5, "kept": "none"}}
    write_scores(path, dataclasses.replace(matrix, rebalancing="cosmo", chosen=chosen))
    assert learned_change(path) == Kept()


def test_what_cannot_be_found_again_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="the oracle knows from their labels which images are"):
        learned_change(rebalanced(tmp_path / "one", "oracle"))
    path = rebalanced(tmp_path / "two", "cosmo", {"top": 2})
    with pytest.raises(InputError, match=r"validation.h5: what cosmo learned is learned from it"):
        (tmp_path / "two" / "validation.h5").rename(tmp_path / "two" / "away.h5")
        learned_change(path)
    (tmp_path / "two" / "away.h5").rename(tmp_path / "two" / "validation.h5")
    assert isinstance(learned_change(path), Smoothed)
    for name, made in zip(("scores", "validation"), run(1), strict=False):
        folder = tmp_path / name
        path = rebalanced(folder, "cosmo", {"top": 2})
        write_scores(folder / f"{name}.h5", made)
        with pytest.raises(InputError, match=r"it was not made of the files that .* holds now"):
            learned_change(path)


def test_settings_are_those_that_the_scores_tell(tmp_path):
    """Without them the defaults would be learned again, and give other scores."""
    path = rebalanced(tmp_path, "cosmo", {"top": 2, "gate_temperature": 2.0})
    change = learned_change(path)
    assert (change.top, change.gate_temperature) == (2, 2.0)


def test_an_unknown_change_is_refused():
    with pytest.raises(InputError, match=r"config.json: a rebalancing that does 'magic', which"):
        from_plain({"does": "magic"}, "config.json")
