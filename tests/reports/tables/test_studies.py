"""A study's table against numbers worked out by hand."""

import csv
import re

import pytest

from tests.made_up.miniature import write_miniature
from tests.reports.tables.test_results import REGIONS, metrics_file
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import printed_at
from zslpipe.reports.tables.sizes import write_sizes
from zslpipe.reports.tables.studies import write_study_table

ROWS = (("no_calibration", "seen classes"), ("default", "all classes"))


def layout(**changes):
    rows = []
    for variant, label in ROWS:
        row = {"dataset": "CUB", "path": f"dazle/{variant}", "rebalancing": "none"}
        rows.append(row | {"label": label, "group": "", "printed": f"dazle/{variant}"})
    told = {"name": "dazle_table2", "kind": "table", "title": "The title", "paper": "dazle"}
    told |= {"place": "table 2", "measures": ["S", "U", "H"], "printed_for": ["CUB"], "rows": rows}
    told |= {"others": [["TCN", {"CUB": {"S": 52.0, "U": 52.6, "H": 52.3}}]], "panels": []}
    return told | {"figures": [], "notes": []} | changes


def files(folder, **changes):
    found = [metrics_file(folder, seed, U=0.4 + 0.02 * seed, **changes) for seed in (0, 1)]
    return [*found, metrics_file(folder, variant="no_calibration", S=0.653, **changes)]


def written(folder, told, paths):
    write_study_table(told, paths, folder / "studies" / "name")
    with (folder / "studies" / "name.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_in_the_papers_order_measured_beside_printed_and_their_difference(tmp_path):
    other, first, second = written(tmp_path, layout(), files(tmp_path))
    assert (other["label"], other["H_published"], other["H_mean"]) == ("TCN (printed)", "52.30", "")
    assert other["seeds"] == ""
    assert (first["label"], first["seeds"]) == ("seen classes", "1")
    assert [first[f"S_{kind}"] for kind in ("mean", "std", "published", "minus")] == [
        *("65.30", "", "65.30", "0.00"),
    ]
    # 40 and 42: mean 41, sample standard deviation sqrt(2); the paper prints 56.7
    assert (second["label"], second["seeds"]) == ("all classes", "2")
    assert [second[f"U_{kind}"] for kind in ("mean", "std", "published", "minus")] == [
        *("41.00", "1.41", "56.70", "-15.70"),
    ]
    text = (tmp_path / "studies" / "name.md").read_text()
    assert text.startswith("dazle, table 2: The title\n")
    assert re.search(r"\| all classes +\| +2 \|.*41\.0 ± 1\.4 \| +56\.7 \| +-15\.7 \|", text)
    assert "CUB: dazle, tables 2, 3;" in text and "In brackets" not in text


def test_what_the_run_had_otherwise_is_a_footnote(tmp_path):
    (*_, row) = written(tmp_path, layout(), files(tmp_path, words="word2vec"))
    assert row["published_differences"] == "words: word2vec instead of GloVe"
    text = (tmp_path / "studies" / "name.md").read_text()
    assert "(56.7)¹" in text and "(-15.7)¹" in text
    assert "- ¹ words: word2vec instead of GloVe" in text
    assert "\\textcolor{gray}{56.7}$^{1}$" in (tmp_path / "studies" / "name.tex").read_text()


def test_what_is_printed_for_other_datasets_stands_below(tmp_path):
    told = layout()
    for row in told["rows"]:
        row["dataset"] = "demo"
    paths = files(tmp_path, dataset="demo", protocol="demo split", reads=REGIONS)
    rows = written(tmp_path, told, paths)
    assert [row["label"] for row in rows] == ["seen classes", "all classes"]
    assert {row["U_published"] for row in rows} == {""}
    text = (tmp_path / "studies" / "name.md").read_text()
    assert "paper" not in text.splitlines()[2]
    assert "- CUB: seen classes S 65.3, U 42.0, H 51.1; all classes S 59.6, U 56.7, H 58.1" in text
    assert "- SUN: " in text and "- AWA2: " in text and "T1" not in text


def test_notes_figures_and_a_study_that_could_not_run(tmp_path):
    told = layout(rows=[], notes=["Not run: birds: no images"], figures=["results/figures/x"])
    assert written(tmp_path, told, []) == []
    text = (tmp_path / "studies" / "name.md").read_text()
    assert "- Not run: birds: no images" in text and "- results/figures/x" in text


def test_a_row_without_its_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no metrics\.json of CUB, dazle, default, none is given"):
        written(tmp_path, layout(), files(tmp_path)[2:])


def test_a_number_that_is_printed_twice_is_that_of_the_place():
    where = ("crafting", "default", "FLO", "proposed split")
    assert printed_at("table 1", *where) == {"T1": 60.3, "H": 29.9}
    where = ("vs_cc", "default", "FLO", "proposed split")
    assert printed_at("table 2", *where)["T1"] == 77.5
    assert printed_at("figure 7", *where)["T1"] == 77.51


def test_sizes_of_what_is_read_beside_what_is_printed(tmp_path):
    write_miniature(tmp_path)
    printed = {"CUB": {"seen": 150, "test": 4731}, "AWA2": {"seen": 40, "test": 13795}}
    told = layout(others=[["printed", printed]], printed_for=["CUB", "AWA2"])
    write_sizes(told, [tmp_path / "index.h5"], tmp_path / "studies" / "sizes")
    lines = (tmp_path / "studies" / "sizes.csv").read_text().splitlines()
    # eight classes, six of them seen; four test images each
    assert lines == [
        "dataset,seen,seen_published,test,test_published",
        "miniature,6,,32,",
        *("CUB,,150,,4731", "AWA2,,40,,13795"),
    ]


def test_sizes_beside_which_nothing_is_printed(tmp_path):
    write_miniature(tmp_path)
    told = layout(others=[], printed_for=["CUB"], paper="", place="", title="")
    write_sizes(told, [tmp_path / "index.h5"], tmp_path / "studies" / "sizes")
    text = (tmp_path / "studies" / "sizes.md").read_text()
    assert text.startswith("dazle_table2\n") and "paper |" not in text
    assert re.search(r"\| miniature +\| .*\| +6 \|", text)
