import csv
import json

import numpy as np
import pytest

from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import METRICS
from zslpipe.reports.tables.results import write_intervals, write_tables

HEADER = (
    "dataset,method,variant,extractor,semantics,words,selection,rebalancing,seeds,"
    "T1_mean,T1_std,T1_low,T1_high,T1_best_p,U_mean,U_std,U_low,U_high,U_best_p,"
    "S_mean,S_std,S_low,S_high,S_best_p,H_mean,H_std,H_low,H_high,H_best_p,"
    "AUSUC_mean,AUSUC_std,AUSUC_low,AUSUC_high,AUSUC_best_p,"
    "T5_mean,T5_std,U5_mean,U5_std,S5_mean,S5_std,H5_mean,H5_std,"
    "U_group_mean,U_group_std,S_group_mean,S_group_std,H_group_mean,H_group_std,"
    "T1_published,U_published,S_published,H_published,published_differences"
)


REGIONS = {"input": "regions", "backbone": "resnet101", "weights": "IMAGENET1K_V1", "size": 224}
REGIONS |= {"grid": 7, "width": 2048, "class_vectors": 312}
ON_TEST = "best epoch on test (as the published code)"


UNSEEN, SEEN = [f"u{number}" for number in range(12)], [f"s{number}" for number in range(20)]


def classes(seed, level=0.0, seen_level=0.0):
    """T1, U, S, H, AUSUC and their classes' values, of a made-up result that is ``level`` better on
    unseen and ``seen_level`` on seen classes than another one.
    """
    generator = np.random.default_rng(seed)
    hard, hard_seen = np.linspace(0.2, 0.6, len(UNSEEN)), np.linspace(0.3, 0.6, len(SEEN))
    unseen = hard + level + 0.02 * generator.random(len(UNSEEN))
    seen = hard_seen + seen_level + 0.02 * generator.random(len(SEEN))
    area = {name: float(value * seen.mean()) for name, value in zip(UNSEEN, unseen, strict=True)}
    area |= {name: float(value * unseen.mean()) for name, value in zip(SEEN, seen, strict=True)}
    by_class = {"U": dict(zip(UNSEEN, unseen.tolist(), strict=True)), "AUSUC": area}
    by_class |= {"T1": by_class["U"], "S": dict(zip(SEEN, seen.tolist(), strict=True))}
    values = {"T1": float(unseen.mean()), "U": float(unseen.mean()), "S": float(seen.mean())}
    values["H"] = 2 * values["U"] * values["S"] / (values["U"] + values["S"])
    return values | {"AUSUC": values["U"] * values["S"], "per_class": by_class}


def metrics_file(folder, seed=0, **changes):
    content = {
        "dataset": "CUB",
        "method": "dazle",
        "variant": "default",
        "extractor": "res_7x7",
        "semantics": "att (unit)",
    }
    content["reads"] = REGIONS
    content |= {"words": "GloVe", "selection": "last epoch", "rebalancing": "none", "seed": seed}
    content |= {"protocol": "proposed split"}
    content |= {"T1": 0.5, "U": 0.4, "S": 0.6, "H": 0.48, "AUSUC": 0.3} | changes
    content = {name: value for name, value in content.items() if value is not None}
    path = folder / f"{len(list(folder.glob('*.json')))}.json"
    path.write_text(json.dumps(content))
    return path


def rows(folder, *paths):
    write_tables(paths, folder / "tables")
    with (folder / "tables" / "main.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_exactly_these_columns(tmp_path):
    write_tables([metrics_file(tmp_path)], tmp_path / "tables")
    assert (tmp_path / "tables" / "main.csv").read_text().splitlines()[0] == HEADER


def test_further_metrics_stand_in_the_csv_alone(tmp_path):
    (row,) = rows(tmp_path, metrics_file(tmp_path, T5=0.81, S_group=0.62))
    assert (row["T5_mean"], row["S_group_mean"], row["U5_mean"]) == ("81.00", "62.00", "")
    for name in ("main.md", "main.tex"):
        assert not any(told in (tmp_path / "tables" / name).read_text() for told in ("81.0", "T5"))


def test_means_and_spreads_by_hand(tmp_path):
    paths = [
        metrics_file(tmp_path, seed, T1=value) for seed, value in enumerate((0.50, 0.53, 0.59))
    ]
    (row,) = rows(tmp_path, *paths)
    # mean 54; deviations -4, -1, 5: squares 16 + 1 + 25 = 42; 42 / 2 = 21; root 4.58
    assert (row["T1_mean"], row["T1_std"], row["seeds"]) == ("54.00", "4.58", "3")
    assert (row["H_mean"], row["H_std"]) == ("48.00", "0.00")
    assert "| 54.0 ± 4.6 |" in (tmp_path / "tables" / "main.md").read_text()
    assert "& 54.0 $\\pm$ 4.6 &" in (tmp_path / "tables" / "main.tex").read_text()


def test_a_single_seed_has_no_spread(tmp_path):
    (row,) = rows(tmp_path, metrics_file(tmp_path))
    assert row["seeds"] == "1" and row["T1_mean"] == "50.00"
    assert all(row[f"{name}_std"] == "" for name in ("T1", "U", "S", "H", "AUSUC"))
    assert "±" not in (tmp_path / "tables" / "main.md").read_text().splitlines()[2]


def test_published_numbers_stand_only_beside_the_same_dataset(tmp_path):
    names = ("CUB", "cub127", "demo", "cub", "AWA")
    paths = [metrics_file(tmp_path, dataset=name) for name in names]
    found = {row["dataset"]: row for row in rows(tmp_path, *paths)}
    assert [found["CUB"][f"{name}_published"] for name in METRICS] == [
        "65.90",
        "56.70",
        "59.60",
        "58.10",
    ]
    for name in names[1:]:
        assert [found[name][f"{metric}_published"] for metric in METRICS] == [""] * 4


def test_another_split_has_no_published_numbers_and_is_told_below(tmp_path):
    paths = [
        metrics_file(tmp_path, protocol="own split (birds_50%.txt)"),
        metrics_file(tmp_path, dataset="SUN"),
    ]
    cub, sun = rows(tmp_path, *paths)
    assert [cub[f"{name}_published"] for name in METRICS] == [""] * 4
    assert [sun[f"{name}_published"] for name in METRICS] == ["", "52.30", "24.30", "33.20"]
    text = (tmp_path / "tables" / "main.md").read_text()
    assert "Not divided as in the papers:\n\n- CUB: own split (birds_50%.txt)\n" in text
    assert "- CUB, dazle" not in text and "- SUN, dazle, default: dazle, table 2" in text
    latex = (tmp_path / "tables" / "main.tex").read_text()
    told = "\\par Not divided as in the papers:\n\\par -- CUB: own split (birds\\_50\\%.txt)\n"
    assert told in latex
    rows(tmp_path, paths[1])
    assert "proposed split" not in (tmp_path / "tables" / "main.md").read_text()


def test_published_numbers_of_a_split_stand_beside_that_split(tmp_path):
    (row,) = rows(tmp_path, metrics_file(tmp_path, protocol="standard split"))
    assert [row[f"{name}_published"] for name in METRICS] == ["67.80", "", "", ""]


def test_one_dataset_under_two_splits_is_refused(tmp_path):
    paths = [metrics_file(tmp_path), metrics_file(tmp_path, 1, protocol="own split (birds.txt)")]
    both = r"'own split \(birds\.txt\)', .*0\.json of 'proposed split'"
    with pytest.raises(InputError, match=rf"1\.json: CUB under {both}; give one split"):
        write_tables(paths, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_published_numbers_of_another_rebalancing_are_left_out(tmp_path):
    kinds = ("none", "discriminator", "cosmo")
    paths = [
        metrics_file(tmp_path, method="crafting", dataset="FLO", rebalancing=kind) for kind in kinds
    ]
    found = [
        (row["rebalancing"], row["T1_published"], row["H_published"])
        for row in rows(tmp_path, *paths)
    ]
    assert found == [
        ("none", "60.30", "29.90"),
        ("discriminator", "60.30", "72.00"),
        ("cosmo", "60.30", ""),
    ]


def test_numbers_of_another_network_are_in_brackets_grey_and_told(tmp_path):
    other = {"reads": REGIONS | {"size": 448, "grid": 14}, "words": "word2vec"}
    paths = [
        metrics_file(tmp_path),
        metrics_file(tmp_path, **other, variant="no_calibration"),
        metrics_file(tmp_path, words="word2vec", extractor="second"),
        metrics_file(tmp_path, words="word2vec", extractor="third"),
    ]
    found = rows(tmp_path, *paths)
    network = "ResNet-101 448 px 14x14 instead of ResNet-101 224 px 7x7"
    words = "words: word2vec instead of GloVe"
    told = ["", f"{network}; {words}", words, words]
    assert [row["published_differences"] for row in found] == told
    assert [row["H_published"] for row in found] == ["58.10", "51.10", "58.10", "58.10"]
    markdown = (tmp_path / "tables" / "main.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")] for line in markdown.splitlines()[2:6]]
    assert markdown.splitlines()[0].split("|")[-2].strip() == "H paper"
    assert [line[-2] for line in lines] == ["58.1", "(51.1)¹", "(58.1)²", "(58.1)²"]
    told = f"Marked, because the run had:\n\n- ¹ {network}; {words}\n- ² {words}\n"
    assert markdown.endswith(told)
    latex = (tmp_path / "tables" / "main.tex").read_text()
    assert latex.count("\\textcolor{gray}{58.1}$^{2}$") == 2
    assert "\\textcolor{gray}{51.1}$^{1}$" in latex
    assert "& \\textcolor{gray}{58.1} \\\\" in " ".join(latex.split())  # grey as well: not ours
    assert f"\\par -- $^{{1}}$ {network}; {words}\n" in latex
    rows(tmp_path, paths[0])
    assert "(" not in (tmp_path / "tables" / "main.md").read_text().splitlines()[2].replace(
        "(unit)", ""
    )


def test_the_best_epoch_on_test_stands_behind_all_honest_rows(tmp_path):
    best = {"selection": ON_TEST, "AUSUC": None}
    paths = [
        metrics_file(tmp_path, 0, T1=0.66, **best),
        metrics_file(tmp_path, 0),
        metrics_file(tmp_path, 1, T1=0.70, **best),
        metrics_file(tmp_path, 1),
        metrics_file(tmp_path, method="rsan"),
        metrics_file(tmp_path, method="rsan", **best),
        metrics_file(tmp_path, dataset="SUN", reads=REGIONS | {"class_vectors": 102}),
    ]
    found = rows(tmp_path, *paths)
    named = [(row["dataset"], row["method"], row["selection"] == ON_TEST) for row in found]
    honest = [("CUB", "dazle", False), ("CUB", "rsan", False)]
    assert named == [
        *honest,
        *(("CUB", name, True) for name in ("dazle", "rsan")),
        ("SUN", "dazle", False),
    ]
    dazle, rsan = found[2:4]
    assert (dazle["T1_mean"], dazle["T1_std"], dazle["AUSUC_mean"]) == ("68.00", "2.83", "")
    # DAZLE's numbers came about this way, RSAN's are not known to
    assert (dazle["H_published"], rsan["H_published"], found[1]["H_published"]) == (
        "58.10",
        "",
        "72.60",
    )
    assert (dazle["published_differences"], rsan["published_differences"]) == ("", "")
    text = (tmp_path / "tables" / "main.md").read_text()
    assert "which printed nothing" not in text  # rsan's paper did; it stands beside its honest row
    assert f"Rows of the {ON_TEST} are no results: the test images chose the epoch" in text
    assert "by its authors' own code the best epoch on the test images\n" in text
    latex = (tmp_path / "tables" / "main.tex").read_text()
    body = latex.split("\\midrule\n")
    assert [part.count("\\\\\n") for part in body] == [1, 2, 2, 1]
    rows(tmp_path, *paths[-1:])
    assert ON_TEST not in (tmp_path / "tables" / "main.md").read_text()


def test_imported_rows_say_from_which_file_and_have_no_published_numbers(tmp_path):
    theirs = {"input": "imported", "file": "s_{seed}.npz"}
    paths = [
        metrics_file(tmp_path),
        *[
            metrics_file(tmp_path, seed, method="theirs", selection="imported", reads=theirs)
            for seed in (0, 1)
        ],
        metrics_file(
            tmp_path,
            method="both",
            reads=REGIONS | {"input": "regions + imported", "file": "none + s_{seed}.npz"},
        ),
        # an ensemble of a paper's name of two imported members
        metrics_file(tmp_path, method="vs_cc", reads=theirs | {"file": "a.csv + s_{seed}.npz"}),
    ]
    found = {row["method"]: row for row in rows(tmp_path, *paths)}
    assert (found["theirs"]["selection"], found["theirs"]["seeds"]) == ("imported", "2")
    assert found["theirs"]["H_published"] == "" != found["dazle"]["H_published"]
    assert found["vs_cc"]["published_differences"] == "what was read is not told"
    lines = [
        "Imported, not trained by zslpipe:",
        "",
        "- CUB, theirs, default: from s_{seed}.npz",
        "- CUB, both, default: from s_{seed}.npz",
        "- CUB, vs_cc, default: from a.csv, s_{seed}.npz",
    ]
    assert "\n".join(lines) in (tmp_path / "tables" / "main.md").read_text()
    tex = (tmp_path / "tables" / "main.tex").read_text()
    told = [r"\par Imported, not trained by zslpipe:", r"\par -- CUB, theirs, default: from s\_"]
    assert "\n".join(told) in tex


def test_rows_are_sorted_by_dataset_then_as_given(tmp_path):
    given = [("SUN", "rsan"), ("CUB", "sgma"), ("CUB", "dazle"), ("SUN", "dazle"), ("CUB", "mlis")]
    paths = [metrics_file(tmp_path, dataset=dataset, method=method) for dataset, method in given]
    paths.append(metrics_file(tmp_path, seed=1, dataset="CUB", method="sgma"))
    found = [(row["dataset"], row["method"], row["seeds"]) for row in rows(tmp_path, *paths)]
    expected = [
        ("CUB", "sgma", "2"),
        ("CUB", "dazle", "1"),
        ("CUB", "mlis", "1"),
        ("SUN", "rsan", "1"),
        ("SUN", "dazle", "1"),
    ]
    assert found == expected


def test_different_conditions_are_different_rows(tmp_path):
    changes = [
        {},
        {"extractor": "other"},
        {"semantics": "sent_att (unit)"},
        {"words": "word2vec"},
        {"reads": REGIONS | {"size": 448}, "seed": 1},  # of one name, but not the same network
        {"selection": "validation classes"},
    ]
    assert len(rows(tmp_path, *(metrics_file(tmp_path, **change) for change in changes))) == len(
        changes
    )


def test_a_metric_that_a_seed_lacks_is_an_empty_cell(tmp_path):
    (row,) = rows(tmp_path, metrics_file(tmp_path, 0), metrics_file(tmp_path, 1, AUSUC=None))
    assert (row["AUSUC_mean"], row["AUSUC_std"], row["H_mean"]) == ("", "", "48.00")


def test_the_markdown_columns_line_up(tmp_path):
    paths = [
        metrics_file(tmp_path, dataset="CUB"),
        metrics_file(tmp_path, dataset="demo", words="a|b", variant="x" * 30),
    ]
    write_tables(paths, tmp_path)
    text = (tmp_path / "main.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert "a\\|b" in lines[3]
    assert (
        "- CUB, dazle, default: dazle, tables 2, 3; fixed features of regions, ResNet-101" in text
    )


def test_latex_is_booktabs_and_escaped(tmp_path):
    write_tables([metrics_file(tmp_path), metrics_file(tmp_path, dataset="demo_50%")], tmp_path)
    text = (tmp_path / "main.tex").read_text()
    assert all(
        rule in text
        for rule in ("\\toprule", "\\midrule", "\\bottomrule", "res\\_7x7", "demo\\_50\\%")
    )
    body = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {line.count("&") for line in body} == {12} and len(body) == 3
    assert text.count("\\midrule") == 2


def test_the_same_input_gives_the_same_bytes(tmp_path):
    paths = [metrics_file(tmp_path, seed) for seed in range(2)]
    for folder in ("a", "b"):
        write_tables(paths, tmp_path / folder)
    assert [p.name for p in sorted((tmp_path / "a").iterdir())] == [
        "main.csv",
        "main.md",
        "main.tex",
    ]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_nothing_and_a_repeated_seed_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no metrics\.json given"):
        write_tables([], tmp_path)
    paths = [metrics_file(tmp_path, 4), metrics_file(tmp_path, 4)]
    with pytest.raises(InputError, match=r"1\.json: the same result and seed 4 as .*0\.json"):
        write_tables(paths, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_what_may_be_best_is_bold_and_what_is_far_worse_is_not(tmp_path):
    same, worse = classes(0), classes(1, level=-0.15)
    paths = []
    for seed in range(2):
        paths.append(metrics_file(tmp_path, seed, variant="one", **same))
        paths.append(metrics_file(tmp_path, seed, variant="two", **same))
        paths.append(metrics_file(tmp_path, seed, variant="worse", **worse))
    one, two, three = rows(tmp_path, *paths)
    for name in ("T1", "U", "H", "AUSUC"):
        assert one[f"{name}_best_p"] == two[f"{name}_best_p"] == "1.0000"
        assert float(three[f"{name}_best_p"]) < 0.001
    assert float(three["S_best_p"]) > 0.05
    text = (tmp_path / "tables" / "main.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()[2:5]]
    first, _, third = (line[line.index("2") + 1 : -1] for line in cells)
    assert all(cell.startswith("**") for cell in first[:5])
    assert [cell.startswith("**") for cell in third[:5]] == [False, False, True, False, False]
    assert "one-sided t, Holm over the other rows, 5 %" in text
    latex = (tmp_path / "tables" / "main.tex").read_text()
    assert (
        latex.count("\\textbf{") == 11 and f"\\textbf{{{100 * same['H']:.1f}}} $\\pm$ 0.0" in latex
    )


def test_oracle_and_best_epoch_on_test_are_not_compared(tmp_path):
    paths = [
        metrics_file(tmp_path, **classes(0)),
        metrics_file(tmp_path, variant="other", **classes(1)),
        metrics_file(tmp_path, rebalancing="oracle", **classes(2, level=0.2, seen_level=0.2)),
        metrics_file(tmp_path, selection=ON_TEST, T1=0.9, U=0.9, S=0.9, H=0.9),
    ]
    found = rows(tmp_path, *paths)
    assert [row["H_best_p"] != "" for row in found] == [True, True, False, False]
    assert [row["H_low"] != "" for row in found] == [True, True, True, False]
    rows(tmp_path, paths[0], paths[2])  # one that is compared has nothing to be better than
    assert "**" not in (tmp_path / "tables" / "main.md").read_text()


def test_a_row_that_tells_nothing_of_its_classes_leaves_all_of_its_dataset_unmarked(tmp_path):
    older = classes(2)
    del older["per_class"]["AUSUC"]
    sun = {"dataset": "SUN", "reads": {}}
    paths = [
        metrics_file(tmp_path, variant="one", **classes(0)),
        metrics_file(tmp_path, variant="two", **classes(1)),
        metrics_file(tmp_path, variant="older", **older),
        metrics_file(tmp_path, variant="one", **sun, **classes(0)),
        metrics_file(tmp_path, variant="two", **sun, **classes(1)),
    ]
    found = rows(tmp_path, *paths)
    assert [row["AUSUC_best_p"] == "" for row in found] == [True] * 3 + [False] * 2
    assert [row["AUSUC_low"] == "" for row in found] == [False, False, True, False, False]
    assert all(row["H_best_p"] for row in found)


def test_intervals_stand_in_a_table_of_their_own(tmp_path):
    paths = [metrics_file(tmp_path, seed, variant=f"v{seed}", **classes(seed)) for seed in range(2)]
    paths.append(metrics_file(tmp_path, variant="none told"))
    made = write_intervals(paths, tmp_path / "tables")
    assert [path.name for path in made] == ["main.intervals.md", "main.intervals.tex"]
    found = rows(tmp_path, *paths)
    text = made[0].read_text()
    for row in found[:2]:
        low, high = float(row["H_low"]), float(row["H_high"])
        assert low < float(row["H_mean"]) < high and f"{low:.1f} to {high:.1f}" in text
    assert "none told" not in text and "10000 draws of the test classes" in text
    for name in sorted(path.name for path in made):
        write_intervals(paths, tmp_path / "again")
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "tables" / name).read_bytes()
    (markdown, _) = write_intervals([metrics_file(tmp_path)], tmp_path / "empty")
    assert "T1" in markdown.read_text()


def test_what_all_rows_have_in_common_is_told_once(tmp_path):
    paths = [
        metrics_file(tmp_path, words="GloVe"),
        metrics_file(tmp_path, method="mlis", words="", selection="validation classes"),
    ]
    rows(tmp_path, *paths)
    text = (tmp_path / "tables" / "main.md").read_text()
    head = text.splitlines()[0]
    assert "Selection" in head and not any(name in head for name in ("Extractor", "Words", "Sem"))
    for line in ("extractor: res_7x7", "words: GloVe (where a method reads any)"):
        assert f"\n- {line}\n" in text
    for path in paths:
        path.write_text(path.read_text().replace("GloVe", ""))
    rows(tmp_path, *paths)
    assert "- words: none\n" in (tmp_path / "tables" / "main.md").read_text()
    rows(tmp_path, metrics_file(tmp_path, dataset="demo"))  # a single row has its columns
    head = (tmp_path / "tables" / "main.md").read_text().splitlines()[0]
    assert "Extractor" in head and "paper" not in head


def test_what_a_run_has_otherwise_than_its_methods_paper_is_told_without_printed_numbers(tmp_path):
    demo = {"input": "regions", "backbone": "demo", "size": 112, "grid": 7, "class_vectors": 34}
    birds = {"input": "pooled", "backbone": "mobilenet_v2", "width": 1280, "class_vectors": 312}
    paths = [
        metrics_file(tmp_path, dataset="demo", protocol="demo split", reads=demo, words="random"),
        metrics_file(tmp_path, dataset="birds", method="crafting", reads=birds, words=""),
        metrics_file(tmp_path, dataset="birds", method="eszsl", reads=birds),  # no paper's numbers
        metrics_file(tmp_path, dataset="birds", method="dazle", reads=REGIONS, words="word2vec"),
        metrics_file(tmp_path, dataset="birds", method="sgma", reads=REGIONS),
        metrics_file(
            tmp_path,
            dataset="birds",
            reads=REGIONS | {"class_vectors": 1024, "size": 448},
            semantics="sent_att (unit)",
        ),
    ]
    rows(tmp_path, *paths)
    text = (tmp_path / "tables" / "main.md").read_text()
    assert "- demo: demo split; rendered creatures, no benchmark" in text
    told = text.split("which printed nothing for these rows:\n\n")[1].splitlines()
    assert told == [
        "- birds (crafting): MobileNetV2 instead of ResNet-101",
        "- birds (crafting): fixed pooled features instead of a network trained from images",
        "- birds (crafting): class vectors: attributes, 312-d instead of TF-IDF of texts or"
        " sentence embeddings",
        "- birds (dazle): words: word2vec instead of GloVe",
        "- birds (dazle): ResNet-101 448 px 7x7 instead of ResNet-101 224 px 7x7",
        "- birds (dazle): class vectors: sentence embeddings, 1024-d instead of attributes",
        "- demo (dazle): the demo's network 112 px 7x7 instead of ResNet-101 224 px 7x7",
        "- demo (dazle): words: random instead of GloVe",
    ]
