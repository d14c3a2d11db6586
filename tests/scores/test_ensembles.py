import dataclasses
import math

import numpy as np
import pytest

from tests.made_up.runs import SEEN, all_test_images, run, write_run
from zslpipe.formats.scores import (
    SPLITS,
    read_irrelevant,
    read_scores,
    write_irrelevant,
    write_scores,
)
from zslpipe.machine.errors import InputError
from zslpipe.scores.ensembles import ensemble, ensemble_irrelevant
from zslpipe.scores.evaluation import evaluate
from zslpipe.scores.gating import TEMPERATURES
from zslpipe.scores.kinds import KINDS
from zslpipe.scores.rebalancing import rebalance


def named(part, **changes):
    return dataclasses.replace(part, **changes)


def two_runs(folder):
    """Write the files of a semantic and of a visual run; the second has the images and labels of
    the first.
    """
    runs = []
    for method, seed in (("s_cc", 0), ("v_cc", 1)):
        (folder / method).mkdir()
        runs.append(write_run(folder / method, *(named(part, method=method) for part in run(seed))))
    return runs


def softmax(row):
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def test_the_mean_of_softmax_outputs_in_loops(tmp_path):
    (first, *_), (second, *_) = two_runs(tmp_path)
    ensemble([first, second], [], tmp_path / "vs/scores.h5", "vs_cc", "default")
    result, members = (
        read_scores(tmp_path / "vs/scores.h5"),
        [read_scores(first), read_scores(second)],
    )
    for split in SPLITS:
        for row, found in enumerate(result.scores[split]):
            each = [softmax(member.scores[split][row].tolist()) for member in members]
            assert np.exp(found) == pytest.approx(
                [sum(values) / 2 for values in zip(*each, strict=True)], abs=1e-6
            )
        assert np.array_equal(result.labels[split], members[0].labels[split])
        assert np.array_equal(result.images[split], members[0].images[split])


def likeliest(path):
    """Return the temperature with the highest mean log-probability of the labels, in loops over the
    temperatures that are tried and all test images.
    """
    matrix = read_scores(path)
    rows, labels = all_test_images(matrix)
    found = []
    wide = rows.astype(np.float64)
    for tried in TEMPERATURES * (wide - wide.mean(axis=1, keepdims=True)).std():
        total = 0.0
        for row, label in zip(rows.tolist(), labels, strict=True):
            highest = max(row)
            exponentials = [math.exp((value - highest) / tried) for value in row]
            total += (row[label] - highest) / tried - math.log(sum(exponentials))
        found.append((total, float(tried)))
    return max(found)[1]


def two_runs_unequally_sharp(folder):
    """Two runs as above, the scores of the second four times as far apart."""
    first, second = two_runs(folder)
    for path in second[:2]:
        matrix = read_scores(path)
        wide = {split: 4 * values for split, values in matrix.scores.items()}
        write_scores(path, named(matrix, scores=wide))
    irrelevant = read_irrelevant(second[2])
    write_irrelevant(second[2], named(irrelevant, scores=4 * irrelevant.scores))
    return first, second


def test_with_validation_each_softmax_is_at_its_likeliest_temperature(tmp_path):
    """Scores, scores on the validation problem and those of irrelevant images have the same."""
    first, second = two_runs_unequally_sharp(tmp_path)
    heats = [likeliest(path) for path in (first[1], second[1])]
    assert heats[1] > 3 * heats[0]  # other temperatures are tried: 5 % apart in each run's spread
    validations = [first[1], second[1]]
    for number, make in enumerate((ensemble, ensemble, ensemble_irrelevant)):
        members, path = [first[number], second[number]], tmp_path / f"{number}.h5"
        make(members, validations, path, "vs_cc", "default")
        read = read_irrelevant if make is ensemble_irrelevant else read_scores
        parts = [read(one).scores for one in (path, *members)]
        found, *each = parts if number == 2 else [part["test_unseen"] for part in parts]
        for row in range(len(found)):
            tempered = [one[row] / heat for one, heat in zip(each, heats, strict=True)]
            outputs = [softmax(values.tolist()) for values in tempered]
            expected = [sum(pair) / 2 for pair in zip(*outputs, strict=True)]
            assert np.exp(found[row]) == pytest.approx(expected, abs=1e-6)
    told = read_scores(tmp_path / "0.h5").chosen
    assert told["s_cc / default"] == {"epochs": 4, "likeliest_temperature": heats[0]}
    assert told["v_cc / default"] == {"epochs": 4, "likeliest_temperature": heats[1]}


def test_how_sharp_a_member_is_does_not_count(tmp_path):
    """Scores four times as far apart are the same member at a temperature four times as high."""
    made = []
    for name, runs in (("plain", two_runs), ("sharp", two_runs_unequally_sharp)):
        (tmp_path / name).mkdir()
        first, second = runs(tmp_path / name)
        path = tmp_path / f"{name}.h5"
        ensemble([first[0], second[0]], [first[1], second[1]], path, "vs_cc", "default")
        made.append(read_scores(path).scores)
    for split in SPLITS:
        np.testing.assert_allclose(made[1][split], made[0][split], rtol=0, atol=1e-4)


def test_validation_scores_that_do_not_fit_are_refused(tmp_path):
    first, second = two_runs(tmp_path)
    matrix = read_scores(second[1])
    none = {split: [] if split == "test_unseen" else np.arange(3) for split in SPLITS}
    empty = {
        "scores": {split: matrix.scores[split][: len(none[split])] for split in SPLITS},
        "labels": {split: matrix.labels[split][: len(none[split])] for split in SPLITS},
        "images": {split: matrix.images[split][: len(none[split])] for split in SPLITS},
    }
    for changes, message in (
        ({"method": "s_cc"}, "method is 's_cc', that of the scores 'v_cc'; give files of one run"),
        ({"classes": tuple("abcdef")}, "its classes are not among those of .*v_cc/scores.h5"),
        (empty, "no validation classes; set the ensemble's temperature to 'trained'"),
    ):
        write_scores(tmp_path / "other.h5", named(matrix, **changes))
        with pytest.raises(InputError, match=f"other.h5: {message}") as told:
            validations = [first[1], tmp_path / "other.h5"]
            ensemble([first[0], second[0]], validations, tmp_path / "c.h5", "vs_cc", "default")
        assert "\n" not in str(told.value) and not (tmp_path / "c.h5").exists()
    with pytest.raises(InputError, match=r"2 members and 1 validation\.h5; give one of each"):
        ensemble([first[0], second[0]], [first[1]], tmp_path / "c.h5", "vs_cc", "default")


def test_irrelevant_scores_in_loops(tmp_path):
    (_, _, first), (_, _, second) = two_runs(tmp_path)
    ensemble_irrelevant([first, second], [], tmp_path / "irrelevant.h5", "vs_cc", "default")
    result, members = (
        read_irrelevant(tmp_path / "irrelevant.h5"),
        [read_irrelevant(first), read_irrelevant(second)],
    )
    assert (result.method, result.variant, result.source) == ("vs_cc", "default", "bags")
    for row, found in enumerate(result.scores):
        each = [softmax(member.scores[row].tolist()) for member in members]
        assert np.exp(found) == pytest.approx(
            [sum(values) / 2 for values in zip(*each, strict=True)], abs=1e-6
        )


def test_the_result_names_what_differs(tmp_path):
    matrix = run()[0]
    changes = {"semantics": "sent (unit)", "words": "word2vec", "method": "v_cc", "chosen": {}}
    write_scores(tmp_path / "a.h5", named(matrix, method="s_cc"))
    write_scores(tmp_path / "b.h5", named(matrix, **changes))
    ensemble([tmp_path / "a.h5", tmp_path / "b.h5"], [], tmp_path / "c.h5", "vs_cc", "both")
    result = read_scores(tmp_path / "c.h5")
    assert (result.method, result.variant, result.seed) == ("vs_cc", "both", 3)
    assert result.semantics == "att (unit) + sent (unit)"
    assert (result.extractor, result.words) == ("small", "word2vec")
    assert result.chosen == {"s_cc / default": {"epochs": 4}}


def test_the_result_reads_what_its_members_read(tmp_path):
    matrix, reads = run()[0], {"input": "images", "backbone": "resnet101", "size": 224}
    write_scores(tmp_path / "a.h5", named(matrix, method="s_cc", reads=reads))
    others = {"same": reads, "other": {"input": "images", "backbone": "alexnet", "width": 256}}
    for name, second in others.items():
        write_scores(tmp_path / f"{name}.h5", named(matrix, method="v_cc", reads=second))
        pair = [tmp_path / "a.h5", tmp_path / f"{name}.h5"]
        ensemble(pair, [], tmp_path / f"vs_{name}.h5", "vs_cc", "default")
    assert read_scores(tmp_path / "vs_same.h5").reads == reads
    expected = {"input": "images", "backbone": "resnet101 + alexnet"}
    expected |= {"size": "224 + none", "width": "none + 256"}
    assert read_scores(tmp_path / "vs_other.h5").reads == expected


def test_an_ensemble_of_twins_is_its_member_and_order_does_not_matter(tmp_path):
    (first, *_), (second, *_) = two_runs(tmp_path)
    ensemble([first, first], [], tmp_path / "twins.h5", "twins", "default")
    before, after = evaluate(read_scores(first)), evaluate(read_scores(tmp_path / "twins.h5"))
    for name in ("T1", "U", "S", "H"):
        assert after[name] == before[name]
    assert after["AUSUC"] == pytest.approx(
        before["AUSUC"], abs=1e-3
    )  # float32 makes and breaks ties
    ensemble([first, second], [], tmp_path / "a.h5", "vs_cc", "default")
    ensemble([second, first], [], tmp_path / "b.h5", "vs_cc", "default")
    one, other = read_scores(tmp_path / "a.h5"), read_scores(tmp_path / "b.h5")
    assert all(np.array_equal(one.scores[split], other.scores[split]) for split in SPLITS)


def test_improbable_classes_stay_finite(tmp_path):
    matrix = run()[0]
    far = {
        split: np.where(SEEN, values, np.float32(-3000)) for split, values in matrix.scores.items()
    }
    write_scores(tmp_path / "a.h5", named(matrix, scores=far))
    ensemble([tmp_path / "a.h5"] * 3, [], tmp_path / "b.h5", "three", "default")
    assert read_scores(tmp_path / "b.h5").scores["test_seen"][:, ~SEEN].max() < -2900


@pytest.mark.parametrize("kind", KINDS)
def test_every_rebalancing_works_on_an_ensemble(tmp_path, kind):
    files = [tmp_path / "vs" / f"{name}.h5" for name in ("scores", "validation", "irrelevant")]
    first, second = two_runs(tmp_path)
    for make, path, members in zip(
        (ensemble, ensemble, ensemble_irrelevant),
        files,
        zip(first, second, strict=True),
        strict=True,
    ):
        make(list(members), [first[1], second[1]], path, "vs_cc", "default")
    rebalance(kind, files[0], tmp_path / "out.h5", files[1], files[2], {})
    before, after = evaluate(read_scores(files[0])), evaluate(read_scores(tmp_path / "out.h5"))
    assert after["T1"] == before["T1"] and (kind == "none" or after["H"] > before["H"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["discriminator", "calibrated_stacking", "oracle"])
def test_members_may_be_rebalanced_before_they_are_averaged(tmp_path, kind):
    """Figure 6: probabilities of R are averaged as they stand; scores that kept their unit go
    through a softmax at the likeliest temperature of the scores before.
    """
    rebalanced, validations, heats = [], [], []
    for files in two_runs_unequally_sharp(tmp_path):
        rebalanced.append(files[0].with_name(f"{kind}.h5"))
        rebalance(kind, files[0], rebalanced[-1], files[1], files[2], {})
        validations.append(files[1])
        heats.append(1.0 if kind == "discriminator" else likeliest(files[1]))
    ensemble(rebalanced, validations, tmp_path / "out.h5", "vs_cc", "default")
    result = read_scores(tmp_path / "out.h5")
    assert result.rebalancing == kind and set(result.chosen) == {"s_cc / default", "v_cc / default"}
    total = 0.0
    for path, heat in zip(rebalanced, heats, strict=True):
        powers = np.exp(read_scores(path).scores["test_unseen"].astype(np.float64) / heat)
        total += powers if kind == "discriminator" else powers / powers.sum(axis=1, keepdims=True)
    found = np.exp(result.scores["test_unseen"].astype(np.float64))
    np.testing.assert_allclose(found, total / 2, rtol=1e-4, atol=1e-9)


FOREIGN = [
    ({"dataset": "CUB"}, "dataset 'CUB', not 'demo' as in"),
    ({"seed": 4}, "seed 4, not 3 as in"),
    ({"protocol": "own split"}, "protocol 'own split'"),
    ({"rebalancing": "oracle"}, "rebalancing 'oracle', not 'none'"),
    ({"classes": tuple("abcdefghi")}, "other classes, or in another order, as in"),
    (
        {
            "images": {
                split: np.arange(len(labels)) + 1 for split, labels in run()[0].labels.items()
            }
        },
        "other images",
    ),
]


@pytest.mark.parametrize(("changes", "message"), FOREIGN)
def test_members_that_disagree_are_refused(tmp_path, changes, message):
    write_scores(tmp_path / "a.h5", run()[0])
    write_scores(tmp_path / "b.h5", named(run()[0], **changes))
    with pytest.raises(InputError, match=message) as error:
        ensemble([tmp_path / "a.h5", tmp_path / "b.h5"], [], tmp_path / "c.h5", "vs_cc", "default")
    assert (
        "b.h5" in str(error.value)
        and "\n" not in str(error.value)
        and not (tmp_path / "c.h5").exists()
    )


def test_irrelevant_images_of_other_sources_are_refused(tmp_path):
    scores = run()[2]
    write_irrelevant(tmp_path / "a.h5", scores)
    for changes, message in (
        ({"source": "cars"}, "source 'cars'"),
        ({"scores": scores.scores[1:]}, "29 images, .* 30"),
    ):
        write_irrelevant(tmp_path / "b.h5", named(scores, **changes))
        with pytest.raises(InputError, match=message):
            ensemble_irrelevant(
                [tmp_path / "a.h5", tmp_path / "b.h5"], [], tmp_path / "c.h5", "vs_cc", "default"
            )


def test_one_member_is_no_ensemble(tmp_path):
    for make in (ensemble, ensemble_irrelevant):
        with pytest.raises(InputError, match="two members or more, 1 given"):
            make([tmp_path / "a.h5"], [], tmp_path / "c.h5", "vs_cc", "default")
