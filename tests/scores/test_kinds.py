import dataclasses
import itertools
import typing

import numpy as np
import pytest

from tests.made_up.runs import (
    CLASSES,
    NEEDS,
    SEEN,
    VALIDATION,
    all_test_images,
    applied,
    columns_and_labels,
    run,
    write_run,
)
from zslpipe.formats.scores import read_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores import calibration, gating
from zslpipe.scores.accuracy import generalized, t1
from zslpipe.scores.evaluation import evaluate
from zslpipe.scores.kinds import KINDS, PROBABILITIES, Given
from zslpipe.scores.rebalancing import rebalance, rebalanced


def nearly_tied(scores, generator):
    """Scores where each group's best class is one step of float32 above a class before it."""
    tied = scores.copy()
    for members in (SEEN, ~SEEN):
        for row, best in enumerate(calibration.best_of(scores, members)):
            before = generator.choice(np.flatnonzero(members))
            tied[row, [before, best]] = (
                np.nextafter(tied[row, best], np.float32(-np.inf)),
                tied[row, best],
            )
    return tied


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("near", [False, True])
def test_no_rebalancing_changes_t1(kind, near):
    matrix, validation, irrelevant = run(seed=4)
    if near:
        generator = np.random.default_rng(0)
        tied = {split: nearly_tied(values, generator) for split, values in matrix.scores.items()}
        matrix = dataclasses.replace(matrix, scores=tied)
    result = rebalanced(KINDS[kind](), Given(matrix, validation, irrelevant))
    for split, given in matrix.scores.items():
        for members in (SEEN, ~SEEN):
            assert np.array_equal(
                calibration.best_of(result.scores[split], members),
                calibration.best_of(given, members),
            )
        assert result.scores[split].dtype == np.float32 and np.isfinite(result.scores[split]).all()
    labels = matrix.labels["test_unseen"]
    assert t1(result.scores["test_unseen"], labels, SEEN) == t1(
        matrix.scores["test_unseen"], labels, SEEN
    )


def test_oracle_knows_the_group(tmp_path):
    result, original = applied(tmp_path, "oracle"), run()[0]
    for split in original.scores:
        members = SEEN if split != "test_unseen" else ~SEEN
        assert np.array_equal(
            result.scores[split].argmax(axis=1),
            calibration.best_of(original.scores[split], members),
        )
        assert np.array_equal(result.scores[split][:, members], original.scores[split][:, members])
    figures = evaluate(result)
    assert figures["U"] == figures["T1"]
    assert figures["AUSUC"] == pytest.approx(figures["U"] * figures["S"], abs=1e-12)


def test_calibrated_stacking_takes_the_factor_of_the_validation_classes(tmp_path):
    result, (original, validation, _) = applied(tmp_path, "calibrated_stacking"), run()
    chosen = result.chosen["calibrated_stacking"]
    scores, labels = all_test_images(validation)
    factor, figure = calibration.best_factor(scores.astype(np.float64), labels, validation.seen)
    assert chosen == {"factor": factor, "validation_H": figure}
    expected = original.scores["test_seen"] - np.float32(factor) * SEEN
    np.testing.assert_allclose(result.scores["test_seen"], expected, rtol=1e-5, atol=1e-5)


def test_a_given_factor_needs_no_validation_classes(tmp_path):
    scores, _, _ = write_run(tmp_path, *run())
    rebalance("calibrated_stacking", scores, tmp_path / "out.h5", None, None, {"factor": 1.5})
    result = read_scores(tmp_path / "out.h5")
    assert result.chosen["calibrated_stacking"] == {"factor": 1.5}
    expected = run()[0].scores["trainval"] - np.float32(1.5) * SEEN
    np.testing.assert_allclose(result.scores["trainval"], expected, atol=1e-6)


def test_cosmo_is_its_equation_with_the_chosen_gate(tmp_path):
    from sklearn.linear_model import LogisticRegression

    result, (original, validation, _) = applied(tmp_path, "cosmo"), run()
    chosen = result.chosen["cosmo"]
    assert chosen["top"] == 2  # two validation classes are unseen there
    scores, labels = all_test_images(validation)
    temperature = gating.likeliest_temperature(scores.astype(np.float64), labels)
    assert chosen["temperature"] == temperature
    read = gating.sorted_probabilities(scores, validation.seen, temperature, 3.0, 2)
    gate = LogisticRegression(C=1.0, max_iter=5000).fit(read, validation.seen[labels])

    def odds(values, seen, threshold, sharpness):
        read = gating.sorted_probabilities(values, seen, temperature, 3.0, 2)
        return (gate.predict_proba(read)[:, 1] - threshold) / sharpness

    figures = {}
    for threshold, sharpness in itertools.product(gating.THRESHOLDS, gating.SHARPNESSES):
        tried = odds(scores, validation.seen, threshold, sharpness)
        smoothed = gating.smoothed(scores, validation.seen, tried, temperature)
        figures[threshold, sharpness] = generalized(smoothed, labels, validation.seen)[2]
    assert chosen["validation_H"] == pytest.approx(max(figures.values()), abs=1e-12)
    pair = chosen["threshold"], chosen["sharpness"]
    assert figures[pair] == pytest.approx(max(figures.values()), abs=1e-12)
    values = original.scores["test_unseen"]
    expected = gating.smoothed(values, SEEN, odds(values, SEEN, *pair), temperature)
    np.testing.assert_allclose(result.scores["test_unseen"], expected, atol=1e-4)


def test_the_discriminator_is_its_equation_with_the_best_candidates(tmp_path):
    from sklearn.linear_model import LogisticRegression

    candidates = {"mixup": [0.4, 0.8], "smoothing": [1.0, 4.0]}
    result, (original, validation, irrelevant) = (
        applied(tmp_path, "discriminator", candidates),
        run(),
    )
    chosen = result.chosen["discriminator"]
    scores, labels = all_test_images(validation)
    likeliest = gating.likeliest_temperature(scores.astype(np.float64), labels)
    training = original.scores["trainval"].astype(np.float64)
    figures, gates = {}, {}
    for share, smoothing in itertools.product(candidates["mixup"], candidates["smoothing"]):
        unseen = gating.mixed(training, irrelevant.scores.astype(np.float64), share, seed=3)
        read = np.concatenate(
            [gating.confidence(values, SEEN, likeliest) for values in (training, unseen)]
        )
        gates[share] = LogisticRegression(max_iter=5000).fit(
            read, [1] * len(training) + [0] * len(training)
        )
        odds = gates[share].decision_function(gating.confidence(scores, validation.seen, likeliest))
        weighed = gating.weighed(scores, validation.seen, odds, smoothing * likeliest)
        figures[share, smoothing] = generalized(weighed, labels, validation.seen)[2]
    assert chosen["validation_H"] == pytest.approx(max(figures.values()), abs=1e-12)
    pair = chosen["mixup"], chosen["temperature"] / likeliest
    assert figures[pair[0], round(pair[1], 6)] == pytest.approx(max(figures.values()), abs=1e-12)
    values = original.scores["test_seen"]
    odds = gates[pair[0]].decision_function(gating.confidence(values, SEEN, likeliest))
    expected = gating.weighed(values, SEEN, odds, chosen["temperature"])
    np.testing.assert_allclose(result.scores["test_seen"], expected, atol=1e-4)


def test_the_discriminator_reads_logits_as_the_paper_does(tmp_path):
    settings = {"reading": "logits", "mixup": [0.5], "smoothing": [2.0]}
    chosen = applied(tmp_path, "discriminator", settings).chosen["discriminator"]
    assert (chosen["reading"], chosen["mixup"]) == ("logits", 0.5) and "validation_H" not in chosen


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_classes_permutes_columns(kind):
    matrix, validation, irrelevant = run(seed=2)
    order = np.random.default_rng(0).permutation(9)
    within = np.argsort(np.argsort(order[SEEN[order]]))  # the seen classes' places among the seen
    place = np.argsort(order)
    permuted = dataclasses.replace(
        matrix,
        classes=tuple(np.array(CLASSES)[order]),
        seen=SEEN[order],
        **columns_and_labels(matrix, order, place),
    )
    choosing = dataclasses.replace(
        validation,
        classes=tuple(np.array(validation.classes)[within]),
        seen=VALIDATION[within],
        **columns_and_labels(validation, within, np.argsort(within)),
    )
    assert choosing.classes == tuple(np.array(permuted.classes)[permuted.seen])
    unrelated = dataclasses.replace(
        irrelevant, classes=permuted.classes, scores=irrelevant.scores[:, order]
    )
    expected = rebalanced(KINDS[kind](), Given(matrix, validation, irrelevant))
    found = rebalanced(KINDS[kind](), Given(permuted, choosing, unrelated))
    for split, values in expected.scores.items():
        np.testing.assert_allclose(found.scores[split], values[:, order], rtol=1e-4, atol=1e-4)


@dataclasses.dataclass(frozen=True)
class Shifted:
    """A kind of somebody's own: the class is all there is of it."""

    name: typing.ClassVar[str] = "shifted"
    log_probabilities: typing.ClassVar[bool] = False
    by: float = 1.0

    def __post_init__(self):
        if self.by < 0:
            raise ValueError(f"setting 'by' is {self.by}, 0 or more expected")

    def needs(self):
        return ()

    def prepare(self, given):
        return lambda scores, seen, labels: scores - self.by * seen, {"by": self.by}


def test_a_new_kind_is_one_class(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, Shifted.name, Shifted)
    result = applied(tmp_path, "shifted", {"by": 2.5})
    assert (result.rebalancing, result.chosen["shifted"]) == ("shifted", {"by": 2.5})
    scores = run()[0].scores["test_seen"]
    np.testing.assert_allclose(result.scores["test_seen"], scores - 2.5 * SEEN, atol=1e-6)
    with pytest.raises(
        InputError, match=r"rebalancing 'shifted': setting 'by' is -1\.0, 0 or more"
    ):
        applied(tmp_path, "shifted", {"by": -1})
    with pytest.raises(InputError, match="rebalancing 'shifted': unknown setting 'bye'"):
        applied(tmp_path, "shifted", {"bye": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_declare_what_others_ask(kind):
    assert KINDS[kind].name == kind and set(NEEDS[kind]) <= {"validation", "irrelevant"}
    assert (kind in PROBABILITIES) is KINDS[kind].log_probabilities


def test_a_given_factor_needs_no_file():
    assert KINDS["calibrated_stacking"](factor=1.5).needs() == ()
    assert NEEDS["calibrated_stacking"] == ("validation",)
