import numpy as np
import pytest
from scipy import stats

from zslpipe.scores import bootstrap
from zslpipe.scores.bootstrap import DRAWS, Sampled, interval, sampled

UNSEEN, SEEN = 12, 30


def seeds(count, unseen=UNSEEN, seen=SEEN, seed=0):
    """Contents of metrics.json of a made-up result: accuracies by class and their means."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        values = {"T1": generator.beta(3, 2, unseen), "U": generator.beta(2, 2, unseen)}
        values["S"] = generator.beta(5, 2, seen)
        products = np.outer(values["U"], values["S"])
        areas = np.concatenate([products.mean(1), products.mean(0)])
        content = {"seed": number}
        content |= {name: float(found.mean()) for name, found in values.items()}
        content["H"] = 2 * content["U"] * content["S"] / (content["U"] + content["S"])
        content["AUSUC"] = float(products.mean())
        names = [f"u{number:02}" for number in range(unseen)]
        others = [f"s{number:02}" for number in range(seen)]
        by_class = {
            name: dict(zip(names, values[name].tolist(), strict=True)) for name in ("T1", "U")
        }
        by_class["S"] = dict(zip(others, values["S"].tolist(), strict=True))
        by_class["AUSUC"] = dict(zip(names + others, areas.tolist(), strict=True))
        content["per_class"] = by_class
        found.append(content)
    return found


def by_class(content, measure):
    return [content["per_class"][measure][name] for name in sorted(content["per_class"][measure])]


def test_draws_are_means_over_drawn_classes_in_plain_loops(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 40)
    bootstrap._shares.cache_clear()
    contents = seeds(3)
    found = sampled(contents)
    counts = {}
    for number, (group, size) in enumerate((("unseen", UNSEEN), ("seen", SEEN))):
        generator = np.random.default_rng([bootstrap.SEED, number])
        counts[group] = generator.multinomial(size, [1 / size] * size, size=40)
        assert (counts[group].sum(axis=1) == size).all()
    for draw in range(40):
        expected = {name: [] for name in found}
        for content in contents:
            means = {}
            for name, group in (("T1", "unseen"), ("U", "unseen"), ("S", "seen")):
                drawn = []
                for value, times in zip(by_class(content, name), counts[group][draw], strict=True):
                    drawn += [value] * times
                means[name] = sum(drawn) / len(drawn)
                expected[name].append(means[name])
            expected["H"].append(2 * means["U"] * means["S"] / (means["U"] + means["S"]))
        for name in ("T1", "U", "S", "H"):
            mean = 100 * sum(expected[name]) / len(contents)
            assert found[name].draws[draw] == pytest.approx(mean, rel=1e-12)
    bootstrap._shares.cache_clear()


def test_the_classes_of_a_result_are_those_that_take_part():
    found = sampled(seeds(2))
    sizes = {name: [len(group) for group in one.classes] for name, one in found.items()}
    both = [UNSEEN, SEEN]
    assert sizes == {"T1": [UNSEEN], "U": [UNSEEN], "S": [SEEN], "H": both, "AUSUC": both}
    assert found["H"].fewest == UNSEEN and found["S"].fewest == SEEN
    contents = seeds(2)
    assert found["H"].by_seed == {0: 100 * contents[0]["H"], 1: 100 * contents[1]["H"]}
    assert found["H"].mean == pytest.approx(50 * (contents[0]["H"] + contents[1]["H"]))


def test_areas_of_draws_are_first_order():
    """Where S is the same at any U (areas are products), the draw's own area is known."""
    (content,) = seeds(1)
    found = sampled([content])
    exact = found["U"].draws * found["S"].draws / 100
    assert len(exact) == DRAWS and exact.std() > 2
    # what is left out is the product of both deviations, a tenth of either here
    assert np.abs(found["AUSUC"].draws - exact).mean() < 0.1 * exact.std()
    low, high = interval(found["AUSUC"].draws, UNSEEN)
    assert (low, high) == pytest.approx(interval(exact, UNSEEN), abs=1.0)


# One tail of the normal beyond Student's 97.5 % quantile of a table (2.776, 2.262, 2.010 for
# 4, 9, 49 degrees of freedom) times sqrt(n / (n - 1)).
@pytest.mark.parametrize(("classes", "level"), [(5, 0.00095), (10, 0.00855), (50, 0.02118)])
def test_levels_are_expanded_for_few_classes(classes, level):
    draws = np.linspace(0, 100, 200_001)
    low, high = interval(draws, classes)
    assert (low, 100 - high) == pytest.approx((100 * level, 100 * level), abs=1e-3)


def test_an_interval_is_scipys_at_the_expanded_level():
    (content,) = seeds(1)
    found = sampled([content])
    for name, classes in (("T1", UNSEEN), ("S", SEEN)):
        level = stats.norm.sf(stats.t.isf(0.025, classes - 1) * np.sqrt(classes / (classes - 1)))
        expected = stats.bootstrap(
            (100 * np.array(by_class(content, name)),),
            np.mean,
            n_resamples=DRAWS,
            confidence_level=1 - 2 * level,
            method="percentile",
            rng=np.random.default_rng(5),
        ).confidence_interval
        assert interval(found[name].draws, classes) == pytest.approx(tuple(expected), abs=0.8)


def test_areas_of_draws_stay_areas():
    (content,) = seeds(1)
    few = dict.fromkeys(content["per_class"]["AUSUC"], 0.0)
    few |= dict.fromkeys(list(content["per_class"]["U"])[:1], 0.12)
    few |= dict.fromkeys(list(content["per_class"]["S"])[:2], 0.15)
    content["per_class"]["AUSUC"], content["AUSUC"] = few, 0.01
    assert sampled([content])["AUSUC"].draws.min() == 0.0


def test_an_interval_of_many_classes_is_the_binomials():
    """900 classes of one image each: the mean is a binomial's share of known spread."""
    (content,) = seeds(1, unseen=900)
    ones = {name: float(number < 270) for number, name in enumerate(content["per_class"]["U"])}
    content["per_class"]["T1"] = ones
    content["T1"] = 0.3
    low, high = interval(sampled([content])["T1"].draws, 900)
    spread = 196 * np.sqrt(0.3 * 0.7 / 900)
    assert (30 - low, high - 30) == (
        pytest.approx(spread, abs=0.15),
        pytest.approx(spread, abs=0.15),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "least"), [(5, 0.88), (10, 0.91), (50, 0.925)])
def test_intervals_hold_the_truth_as_often_as_they_say(classes, least):
    generator = np.random.default_rng(classes)
    shares = bootstrap._shares(classes, "unseen")[:2000]
    held = []
    for _ in range(500):
        values = generator.beta(2, 1, classes)
        low, high = interval(shares @ values, classes)
        held.append(low <= 2 / 3 <= high)
    assert least <= np.mean(held) <= 0.98


@pytest.mark.slow
def test_levels_without_their_expansion_would_miss_it():
    generator = np.random.default_rng(10)
    shares = bootstrap._shares(10, "unseen")[:2000]
    held = []
    for _ in range(500):
        low, high = np.quantile(shares @ generator.beta(2, 1, 10), [0.025, 0.975])
        held.append(low <= 2 / 3 <= high)
    assert np.mean(held) < 0.92


def test_what_cannot_be_drawn_is_left_out():
    contents = seeds(2)
    del contents[0]["per_class"]["AUSUC"]  # a file of an earlier version
    assert set(sampled(contents)) == {"T1", "U", "S", "H"}
    contents = seeds(2)
    del contents[1]["H"]
    assert set(sampled(contents)) == {"T1", "U", "S", "AUSUC"}
    assert set(sampled(seeds(1, unseen=4))) == {"S"}
    assert set(sampled(seeds(1, unseen=5, seen=4))) == {"T1", "U"}
    contents = seeds(2)
    del contents[1]["per_class"]["S"]["s03"]  # not the classes of the other seed
    assert set(sampled(contents)) == {"T1", "U"}
    contents = seeds(2)
    del contents[0]["per_class"]["T1"]["u03"]
    assert set(sampled(contents)) == {"U", "S", "H", "AUSUC"}
    assert sampled([{"seed": 0, "T1": 0.5, "U": 0.5, "S": 0.5, "H": 0.5}]) == {}


def test_the_order_of_classes_in_the_file_changes_nothing():
    contents = seeds(1)
    before = sampled(contents)
    turned = {}
    for measure, values in contents[0]["per_class"].items():
        turned[measure] = dict(reversed(values.items()))
    contents[0]["per_class"] = turned
    after = sampled(contents)
    assert all(np.array_equal(before[name].draws, after[name].draws) for name in before)


def test_no_class_right_is_an_h_of_zero():
    (content,) = seeds(1)
    for measure in ("U", "S"):
        content["per_class"][measure] = dict.fromkeys(content["per_class"][measure], 0.0)
        content[measure] = 0.0
    content["H"] = 0.0
    assert not sampled([content])["H"].draws.any()


def test_a_sampled_figure_knows_its_smaller_group():
    assert Sampled({0: 1.0}, np.ones(3), (("a", "b"), ("c",))).fewest == 1
