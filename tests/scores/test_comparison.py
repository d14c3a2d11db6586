import json
import math

import h5py
import numpy as np
import pytest
from scipy import stats

from tests.scores.test_bootstrap import seeds
from zslpipe.machine.errors import InputError
from zslpipe.scores.bootstrap import interval, sampled
from zslpipe.scores.comparison import _format_p as cell_of_p
from zslpipe.scores.comparison import compare, metrics_of, paired_p, welch_p
from zslpipe.scores.significance import difference_p


def run_folder(folder, values, numbers=None, **changes):
    """A run with one metrics.json a seed; ``values`` are the H of its seeds."""
    for seed, value in zip(numbers or range(len(values)), values, strict=True):
        content = {
            "dataset": "demo",
            "method": "dazle",
            "variant": folder.name,
            "extractor": "small",
            "semantics": "att (unit)",
        }
        content |= {
            "words": "",
            "selection": "last epoch",
            "rebalancing": "none",
            "protocol": "demo split",
            "seed": seed,
            "T1": 0.5,
            "H": value,
        }
        content |= changes
        (folder / f"seed{seed}").mkdir(parents=True)
        (folder / f"seed{seed}" / "metrics.json").write_text(json.dumps(content))
    return folder


def line(text, name):
    return next(row.split() for row in text.splitlines() if row.split()[:1] == [name])


def comparison(first, second):
    return compare(metrics_of(first), metrics_of(second))


@pytest.mark.parametrize("sizes", [(2, 2), (3, 7), (5, 5)])
def test_p_values_equal_scipy(sizes):
    generator = np.random.default_rng(sum(sizes))
    first, second = (
        generator.normal(0, 1, sizes[0]).tolist(),
        generator.normal(1, 3, sizes[1]).tolist(),
    )
    assert welch_p(first, second) == pytest.approx(
        stats.ttest_ind(first, second, equal_var=False).pvalue, rel=1e-10
    )
    assert welch_p(second, first) == pytest.approx(welch_p(first, second), rel=1e-12)
    if sizes[0] == sizes[1]:
        assert paired_p(first, second) == pytest.approx(
            stats.ttest_rel(first, second).pvalue, rel=1e-10
        )


def test_p_values_that_do_not_exist():
    assert welch_p([1.0], [1.0, 2.0]) is None and welch_p([1.0, 1.0], [2.0, 2.0]) is None
    assert paired_p([1.0], [2.0]) is None and paired_p([1.0, 2.0], [2.0, 3.0]) is None
    first = [100 * value for value in (0.07, 0.13, 0.29)]
    second = [100 * value for value in (0.18, 0.24, 0.40)]
    assert len({two - one for one, two in zip(first, second, strict=True)}) > 1
    assert paired_p(first, second) is None  # differences of 11, unequal only as float64 rounds


def test_one_side_without_any_spread_is_tested_without_a_warning():
    p = welch_p([50.0, 50.0, 50.0], [49.0, 52.0, 55.0])
    # |2| / sqrt(9 / 3) with the two degrees of freedom of the side that has a spread
    assert p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(3), 2), rel=1e-12)


def test_a_table_by_hand(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42, 0.44))
    second = run_folder(tmp_path / "other", (0.50, 0.50, 0.53))
    text = comparison(first, second)
    paired = stats.ttest_rel([40, 42, 44], [50, 50, 53]).pvalue
    welch = stats.ttest_ind([40, 42, 44], [50, 50, 53], equal_var=False).pvalue
    assert line(text, "H") == [
        "H",
        "42.00",
        "2.00",
        "3",
        "-",
        "51.00",
        "1.73",
        "3",
        "-",
        "+9.00",
        "-",
        f"{welch:.3f}",
        f"{paired:.3f}",
        "-",
    ]
    assert line(text, "T1") == [
        *("T1", "50.00", "0.00", "3", "-", "50.00", "0.00", "3", "-", "+0.00", "-", "-", "-", "-"),
    ]
    assert line(text, "AUSUC") == ["AUSUC", *("-", "-", "0", "-") * 2, *"-----"]
    assert "CAUTION" not in text and "NOT COMPARABLE" not in text
    conditions = "extractor small, semantics att (unit), selection last epoch, rebalancing none"
    assert f"dazle / other ({conditions}), seeds 0, 1, 2" in text


def classes_told(folder, contents, **changes):
    """A run whose files tell the accuracies of their classes."""
    for content in contents:
        run_folder(folder, [0.5], [content["seed"]], **content, **changes)
    return folder


def test_intervals_and_the_test_over_classes_are_those_of_the_tables(tmp_path):
    contents = seeds(3, seed=1), seeds(3, seed=2)
    first = classes_told(tmp_path / "default", contents[0])
    second = classes_told(tmp_path / "other", contents[1])
    one, two = sampled(contents[0]), sampled(contents[1])
    text = comparison(first, second)
    for name in ("T1", "U", "S", "H", "AUSUC"):
        cells = line(text, name)
        low, high = interval(two[name].draws - one[name].draws, one[name].fewest)
        assert cells[10] == f"[{low:+.1f},{high:+.1f}]"
        assert low < float(cells[9]) < high
        assert cells[13] == cell_of_p(difference_p(one[name], two[name]))
        assert cells[4] == "[{:.1f},{:.1f}]".format(*interval(one[name].draws, one[name].fewest))
        assert cells[8] == "[{:.1f},{:.1f}]".format(*interval(two[name].draws, two[name].fewest))
    assert "p classes over the same test classes and the same seeds" in text
    elsewhere = classes_told(tmp_path / "c", seeds(3, seed=2), dataset="CUB")
    assert line(comparison(first, elsewhere), "H")[9:] == ["-"] * 5
    fewer = classes_told(tmp_path / "fewer", seeds(3, unseen=11, seed=2))
    cells = line(comparison(first, fewer), "U")
    assert (cells[10], cells[13]) == ("-", "-") and cells[8].startswith("[")


def test_no_pairs_without_the_same_seeds_and_no_p_for_one_seed(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42))
    assert (
        line(comparison(first, run_folder(tmp_path / "b", (0.5, 0.6), numbers=(1, 2))), "H")[-1]
        == "-"
    )
    assert line(comparison(first, run_folder(tmp_path / "c", (0.5,))), "H")[5:] == [
        *("50.00", "-", "1", "-", "+9.00", "-", "-", "-", "-"),
    ]


def test_other_semantics_are_said_and_other_datasets_not_compared(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42))
    text = comparison(
        first, run_folder(tmp_path / "b", (0.5, 0.6), semantics="sent_att (unit)", words="GloVe")
    )
    assert "CAUTION: semantics differs: 'att (unit)' and 'sent_att (unit)'" in text
    assert "CAUTION: words differs: 'none' and 'GloVe'" in text and line(text, "H")[9] == "+14.00"
    older = {"torch": "2.6.0", "numpy": "2.1.0"}
    text = comparison(
        run_folder(tmp_path / "d", (0.40, 0.42), versions=older),
        run_folder(tmp_path / "e", (0.40, 0.42), versions=older | {"torch": "2.7.1"}),
    )
    assert "NOTE: version of torch differs: 2.6.0 and 2.7.1" in text and "numpy" not in text
    text = comparison(first, run_folder(tmp_path / "c", (0.5, 0.6), dataset="CUB"))
    assert "NOT COMPARABLE: different datasets" in text
    assert line(text, "H") == [
        *("H", "41.00", "1.41", "2", "-", "55.00", "7.07", "2", "-", "-", "-", "-", "-", "-"),
    ]


def test_other_splits_of_one_dataset_are_not_compared(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42))
    text = comparison(
        first, run_folder(tmp_path / "b", (0.5, 0.6), protocol="own split (birds.txt)")
    )
    both = "'demo split' and 'own split (birds.txt)'"
    assert f"NOT COMPARABLE: different splits, {both}, so no differences" in text
    assert line(text, "H") == [
        *("H", "41.00", "1.41", "2", "-", "55.00", "7.07", "2", "-", "-", "-", "-", "-", "-"),
    ]


def test_bad_sides_are_refused(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42))
    with pytest.raises(InputError, match=r"no seed\*/metrics\.json in it"):
        metrics_of(tmp_path / "absent")
    with pytest.raises(InputError, match="seed 0 of the first result is given twice"):
        compare(metrics_of(first) * 2, metrics_of(first))
    mixed = metrics_of(first) + metrics_of(run_folder(tmp_path / "b", (0.5,), numbers=(7,)))
    with pytest.raises(InputError, match="second result mixes runs of different variant"):
        compare(metrics_of(first), mixed)
    with pytest.raises(InputError, match=r"second result has no metrics\.json"):
        compare(metrics_of(first), [])


def scored(folder, **runs):
    """Write beside each metrics.json the scores that say how its run was configured."""
    for seed, run in runs.items():
        with h5py.File(folder / seed / "scores.h5", "w") as file:
            file.attrs["run"] = json.dumps({**run, "seed": int(seed.removeprefix("seed"))})
            file.attrs["complete"] = True


def test_a_seed_that_an_earlier_configuration_left_is_refused(tmp_path):
    first = run_folder(tmp_path / "default", (0.40, 0.42))
    run = {"settings": {"lr": 0.1, "epochs": 3}, "precision": "float32"}
    scored(first, seed0=run)
    comparison(first, first)  # nobody says how the other was configured
    scored(first, seed0=run, seed1=run)
    comparison(first, first)
    scored(first, seed1={**run, "settings": {"lr": 0.2, "epochs": 3}})
    told = (
        r"seed1.metrics\.json: not what was asked: settings\.lr: asked 0\.1, it says 0\.2; as in "
    )
    with pytest.raises(InputError, match=f"{told}.*seed0.metrics.json; delete the folder of the"):
        comparison(first, first)
    # members of an ensemble are others from each seed
    scored(first, seed0={"members": {"a/default": "12"}}, seed1={"members": {"a/default": "34"}})
    comparison(first, first)


@pytest.mark.parametrize(
    ("p", "cell"),
    [(None, "-"), (0.0, "<0.001"), (0.0009, "<0.001"), (0.001, "0.001"), (0.0496, "0.050")],
)
def test_a_small_p_value_is_told_as_such(p, cell):
    assert cell_of_p(p) == cell
