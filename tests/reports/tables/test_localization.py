import csv
import json

import pytest

from zslpipe.formats.localization import MEASURES, read_localization
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.localization import HEADER, write_localization_tables


def result_file(folder, seed=0, shares=(("overall", "", "seen"),), values=None, **changes):
    content = {
        "dataset": "CUB",
        "method": "rsan",
        "variant": "default",
        "seed": seed,
        "kind": "attributes",
    } | changes
    measured = dict.fromkeys(MEASURES, 0.25) | (values or {})
    content["shares"] = [
        {"of": of, "name": name, "images": images, "pairs": 10} | measured
        for of, name, images in shares
    ]
    path = folder / f"{len(list(folder.glob('*.json')))}.json"
    path.write_text(json.dumps(content))
    return path


def table(folder, *paths):
    write_localization_tables(paths, folder / "tables")
    with (folder / "tables" / "localization.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_table_means_and_spreads_by_hand(tmp_path):
    paths = [
        result_file(tmp_path, seed, values={"tenth": value})
        for seed, value in enumerate((0.50, 0.53, 0.59))
    ]
    (row,) = table(tmp_path, *paths)
    # mean 54; deviations -4, -1, 5: squares 16 + 1 + 25 = 42; 42 / 2 = 21; root 4.58
    assert (row["tenth_mean"], row["tenth_std"], row["seeds"], row["pairs"]) == (
        "54.00",
        "4.58",
        "3",
        "10",
    )
    assert (row["fifth_mean"], row["fifth_std"], row["random_tenth"], row["best_fifth"]) == (
        *("25.00", "0.00", "25.00", "25.00"),
    )
    assert tuple(row) == HEADER
    assert " 54.0 ± 4.6 |" in (tmp_path / "tables" / "localization.md").read_text()
    assert "54.0 $\\pm$ 4.6 &" in (tmp_path / "tables" / "localization.tex").read_text()


def test_pairs_that_differ_between_seeds_are_not_told(tmp_path):
    shares = [("overall", "", "seen"), ("overall", "", "unseen")]
    paths = [result_file(tmp_path, seed, shares) for seed in range(2)]
    content = json.loads(paths[1].read_text())
    content["shares"][0]["pairs"] = 11
    paths[1].write_text(json.dumps(content))
    assert [row["pairs"] for row in table(tmp_path, *paths)] == ["", "10"]


def test_table_rows_are_in_order_and_count_their_own_seeds(tmp_path):
    shares = [("overall", "", "seen"), ("overall", "", "unseen"), ("part", "tail", "unseen")]
    parts = [("overall", "", "unseen"), ("part", "beak", "unseen")]
    paths = [
        result_file(tmp_path, 0, shares),
        result_file(tmp_path, 0, parts, method="sgma"),
        result_file(tmp_path, 1, [*parts[:1], ("part", "tail", "unseen")], method="sgma"),
        result_file(tmp_path, 0, [("group", "tail", "seen"), *shares], dataset="AWA"),
    ]
    found = [
        (row["dataset"], row["method"], row["of"], row["name"], row["images"], row["seeds"])
        for row in table(tmp_path, *paths)
    ]
    assert found == [
        ("AWA", "rsan", "overall", "", "seen", "1"),
        ("AWA", "rsan", "overall", "", "unseen", "1"),
        ("AWA", "rsan", "group", "tail", "seen", "1"),
        ("AWA", "rsan", "part", "tail", "unseen", "1"),
        ("CUB", "rsan", "overall", "", "seen", "1"),
        ("CUB", "rsan", "overall", "", "unseen", "1"),
        ("CUB", "sgma", "overall", "", "unseen", "2"),
        ("CUB", "rsan", "part", "tail", "unseen", "1"),
        ("CUB", "sgma", "part", "tail", "unseen", "1"),
        ("CUB", "sgma", "part", "beak", "unseen", "1"),
    ]


def test_tables_are_padded_escaped_and_the_same_again(tmp_path):
    paths = [
        result_file(tmp_path, shares=[("part", "a|b_c", "seen")]),
        result_file(tmp_path, dataset="demo_50%"),
    ]
    for folder in ("a", "b"):
        write_localization_tables(paths, tmp_path / folder)
    lines = (tmp_path / "a" / "localization.parts.md").read_text().splitlines()
    assert len({len(line) for line in lines[:6]}) == 1 and "a\\|b_c" in lines[0] and lines[6] == ""
    text = (tmp_path / "a" / "localization.parts.tex").read_text()
    assert all(part in text for part in ("\\toprule", "a\\textbar{}b\\_c", "\\bottomrule"))
    text = (tmp_path / "a" / "localization.tex").read_text()
    assert "demo\\_50\\%" in text and text.count("\\midrule") == 1
    assert {line.count("&") for line in text.splitlines() if line.endswith("\\\\")} == {14}
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_bad_results_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no localization\.json given"):
        write_localization_tables([], tmp_path / "tables")
    paths = [result_file(tmp_path, 4), result_file(tmp_path, 4)]
    with pytest.raises(InputError, match=r"1\.json: the same result and seed 4 as .*0\.json"):
        write_localization_tables(paths, tmp_path / "tables")
    with pytest.raises(
        InputError, match=r"absent\.json: no such file; the rule 'localize_DATASET' writes it"
    ):
        read_localization(tmp_path / "absent.json")
    paths[0].write_text("{")
    with pytest.raises(InputError, match=r"not a readable localization\.json"):
        read_localization(paths[0])
    paths[0].write_text('{"dataset": "CUB"}')
    with pytest.raises(InputError, match="it lacks method, variant, seed, kind, shares"):
        read_localization(paths[0])
    content = json.loads(paths[1].read_text())
    del content["shares"][0]["best_tenth"]
    paths[1].write_text(json.dumps(content))
    with pytest.raises(InputError, match="it lacks best_tenth"):
        read_localization(paths[1])
    assert not (tmp_path / "tables").exists()


def cells(path):
    """The cells of a Markdown table, titles first."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [rows[0], *rows[2:]]


def test_the_md_has_a_row_a_result_beside_the_chances_of_its_own_maps(tmp_path):
    both = [("overall", "", "seen"), ("overall", "", "unseen"), ("part", "tail", "unseen")]
    paths = [
        result_file(tmp_path, 0, both, values={"fifth": 0.40}),
        result_file(tmp_path, 1, both, values={"fifth": 0.42}),
        result_file(tmp_path, 0, both[:1], values={"tenth": 0.1}, method="dazle"),
        result_file(tmp_path, 0, both, values={"random_fifth": 0.11}, method="sgma", kind="parts"),
    ]
    write_localization_tables(paths, tmp_path / "tables")
    head, *found = cells(tmp_path / "tables" / "localization.md")
    assert [row[head.index("Method")] for row in found] == ["rsan", "dazle", "sgma"]
    rsan, dazle, sgma = (dict(zip(head, row, strict=True)) for row in found)
    assert (rsan["Seeds"], rsan["1/5 seen"], rsan["1/5 unseen"]) == (
        *("2", "41.0 ± 1.4", "41.0 ± 1.4"),
    )
    assert (dazle["1/10 seen"], dazle["1/10 unseen"], dazle["1/10 best"]) == ("10.0", "", "")
    assert (rsan["1/5 random"], sgma["1/5 random"]) == ("25.0", "11.0")
    assert (rsan["Maps of"], sgma["Maps of"]) == ("attributes", "parts")


def test_parts_have_a_table_of_their_own_with_the_chances_of_the_same_maps(tmp_path):
    shares = [("part", "tail", "seen"), ("part", "beak", "seen"), ("part", "tail", "unseen")]
    fine = {"best_fifth": 0.95}
    paths = [
        result_file(tmp_path, 0, [("overall", "", "seen"), *shares], values={"fifth": 0.4}),
        result_file(tmp_path, 1, shares, values={"fifth": 0.5}),
        result_file(tmp_path, 0, shares[:1], values=fine, method="dazle"),
        result_file(tmp_path, 0, shares[1:2], values=fine, method="sgma", kind="parts"),
    ]
    write_localization_tables(paths, tmp_path / "tables")
    head, *found = cells(tmp_path / "tables" / "localization.parts.md")
    assert head == ["Dataset", "Images", "Method", "Variant", "Maps of", "tail", "beak"]
    assert [row[1:] for row in found if row[1] == "seen"] == [
        ["seen", "rsan", "default", "attributes", "45.0", "45.0"],
        ["seen", "dazle", "default", "attributes", "25.0", ""],
        ["seen", "sgma", "default", "parts", "", "25.0"],
        ["seen", "random", "", "attributes", "25.0", "25.0"],
        ["seen", "centre", "", "attributes", "25.0", "25.0"],
        ["seen", "best", "", "attributes", "", "25.0"],  # dazle's grid is another one
        ["seen", "random", "", "parts", "", "25.0"],
        ["seen", "centre", "", "parts", "", "25.0"],
        ["seen", "best", "", "parts", "", "95.0"],
    ]
    assert [row[2] for row in found if row[1] == "unseen"] == ["rsan", "random", "centre", "best"]
    write_localization_tables(paths[:1], tmp_path / "one", name="partial", note="told")
    assert (tmp_path / "one" / "partial.parts.md").read_text().startswith("told\n\n| Dataset")


def test_parts_named_like_a_column_and_none_at_all(tmp_path):
    write_localization_tables([result_file(tmp_path, 0, [("part", "Method", "seen")])], tmp_path)
    assert cells(tmp_path / "localization.parts.md")[0][-1] == "part Method"
    write_localization_tables([result_file(tmp_path, 1)], tmp_path)
    assert cells(tmp_path / "localization.parts.md")[1:] == []
