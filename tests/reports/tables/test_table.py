import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.table import Table, over_seeds, read_once, write_table


def seeds(*rows):
    return pd.DataFrame(rows, columns=["dataset", "method", "T1", "H"])


def test_means_and_spreads_are_those_of_the_statistics_module():
    values = np.random.default_rng(0).random((7, 2)) * 100
    methods = ("a", "b", "b", "a", "b", "b", "a")
    rows = [("CUB", method, *pair) for method, pair in zip(methods, values, strict=True)]
    found = over_seeds(seeds(*rows), ["dataset", "method"], ["T1", "H"])
    assert found["method"].tolist() == ["a", "b"] and found["seeds"].tolist() == [3, 4]
    for method, chosen in (("a", values[::3]), ("b", values[[1, 2, 4, 5]])):
        (row,) = found[found["method"] == method].to_dict("records")
        for column, name in enumerate(("T1", "H")):
            expected = chosen[:, column].tolist()
            assert row[f"{name}_mean"] == pytest.approx(statistics.fmean(expected), rel=1e-14)
            assert row[f"{name}_std"] == pytest.approx(statistics.stdev(expected), rel=1e-12)


def test_one_seed_has_no_spread_and_a_gap_no_mean():
    rows = [("CUB", "a", 50.0, 40.0), ("CUB", "b", 50.0, 40.0), ("CUB", "b", math.nan, 42.0)]
    found = over_seeds(seeds(*rows), ["dataset", "method"], ["T1", "H"])
    assert found["T1_mean"].tolist()[0] == 50 and np.isnan(found["T1_mean"].tolist()[1])
    assert found["T1_std"].isna().all() and found["H_mean"].tolist() == [40, 41]


def test_what_is_written_in_each_format(tmp_path):
    frame = pd.DataFrame(
        {
            "name": ["a|b", "c_d", "c_d"],
            "seeds": [2, 1, 1],
            "H_mean": [50.0, 7.125, math.nan],
            "H_std": [1.0, math.nan, math.nan],
            "best": [math.nan, 1.0, 2.0],
        }
    )
    table = Table(
        frame, {"Name": "name", "Seeds": "seeds", "H": "H", "Best": "best"}, 1, ["a", "c", "c"]
    )
    paths = write_table(table, tmp_path, "some", "Told below.", ["told above"])
    assert [path.name for path in paths] == ["some.csv", "some.md", "some.tex"]
    csv, markdown, latex = (path.read_text(encoding="utf-8") for path in paths)
    assert csv.splitlines()[1:] == ["a|b,2,50.00,1.00,", "c_d,1,7.12,,1.00", "c_d,1,,,2.00"]
    first, second = (" ".join(line.split()) for line in markdown.splitlines()[2:4])
    assert (first, second) == ("| a\\|b | 2 | 50.0 ± 1.0 | |", "| c_d | 1 | 7.1 | 1.0 |")
    assert markdown.endswith("|\n\nTold below.\n")
    lines = latex.splitlines()
    assert lines[:3] == [
        "% needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,xcolor}; per cent",
        "% told above",
        "\\begin{tabular}{lrrr}",
    ]
    assert [line for line in lines if line.startswith("\\")] == [
        *("\\begin{tabular}{lrrr}", "\\toprule", "\\midrule", "\\midrule"),
        *("\\bottomrule", "\\end{tabular}", "\\par\\smallskip"),
        *("\\par Told below.", "\\par}"),
    ]
    assert "50.0 $\\pm$ 1.0" in latex and "c\\_d" in latex


def test_a_seed_given_twice_is_refused_by_whatever_path():
    def read(path):
        return {"method": "a", "seed": 0}

    path = Path("0.json")
    for twice in ([path, path], [path, Path("1.json")]):
        with pytest.raises(InputError, match=r"json: the same result and seed 0 as 0\.json"):
            read_once(twice, read, ["method"], "tables: no file")
    with pytest.raises(InputError, match="tables: no file given; at least one result is needed"):
        read_once([], read, ["method"], "tables: no file")
