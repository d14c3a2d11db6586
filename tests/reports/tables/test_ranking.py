import csv

import numpy as np
import pytest

from tests.made_up.figures import titles
from tests.reports.tables.test_results import ON_TEST, metrics_file
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.ranking import ranking_figure
from zslpipe.reports.tables.ranking import rankings, write_ranking_tables
from zslpipe.scores.ranking import critical_distance

DATASETS = ("CUB", "SUN", "AWA2", "aPY", "FLO", "AWA1")
METHODS = ("dazle", "rsan", "mlis", "eszsl")


def study(folder, datasets=DATASETS, methods=METHODS, seed=0, **changes):
    """Two seeds of each method on each dataset; the later a method, the better its H."""
    generator = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    paths = []
    for dataset in datasets:
        for number, method in enumerate(methods):
            for of_seed in range(2):
                values = {"H": 0.4 + 0.05 * number + 0.001 * generator.random()}
                values |= {"T1": float(generator.random())}
                values |= {"images": {"test_seen": len(dataset), "test_unseen": 1}} | changes
                path = metrics_file(folder, of_seed, dataset=dataset, method=method, **values)
                paths.append(path)
    return paths


def written(paths, folder):
    made = write_ranking_tables(paths, folder)
    assert [path.name for path in made] == ["ranking.csv", "ranking.md", "ranking.tex"]
    with made[0].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)), made[1].read_text()


def test_ranks_of_means_over_seeds(tmp_path):
    found, text = written(study(tmp_path / "made"), tmp_path)
    assert [(row["method"], row["H_mean"]) for row in found] == [
        *(("dazle", "4.00"), ("rsan", "3.00"), ("mlis", "2.00"), ("eszsl", "1.00")),
    ]
    assert all(row["H_friedman_p"] == "0.0004" for row in found)  # chi-squared 18 of 3 degrees
    assert all(row["H_distance"] == f"{critical_distance(4, 6):.2f}" for row in found)
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()[2:6]]
    assert [line[-3] for line in cells] == ["4.0", "3.0", "**2.0**", "**1.0**"]
    assert "T1" in text.splitlines()[0].split("|")[4] and not any("*" in line[4] for line in cells)
    assert "- H: Friedman's chi-squared 18.00, p = 0.0004; critical distance 1.91" in text
    assert "- T1: " in text and "the ranks do not differ by more than chance" in text
    assert "Datasets: AWA1, AWA2, CUB, FLO, SUN, aPY." in text


def test_few_datasets_or_results_are_not_ranked(tmp_path):
    for name, datasets, methods in (("a", DATASETS[:2], METHODS), ("b", DATASETS, METHODS[:2])):
        found, text = written(study(tmp_path / name, datasets, methods), tmp_path / f"{name}t")
        assert found == [] and "Nothing is ranked: " in text
        assert not rankings(study(tmp_path / f"{name}2", datasets, methods)).by_measure
        ranking_figure(study(tmp_path / f"{name}3", datasets, methods), tmp_path / name)
        assert "nothing is ranked" in " ".join(titles(tmp_path / f"{name}.pdf"))


def test_what_not_all_datasets_have_and_what_saw_the_test_is_not_ranked(tmp_path):
    paths = study(tmp_path / "made")
    paths += study(tmp_path / "oracle", methods=["oracled"], rebalancing="oracle")
    paths += study(tmp_path / "best", methods=["best"], selection=ON_TEST)
    paths += study(tmp_path / "some", datasets=DATASETS[:5], methods=["partly"])
    paths += study(tmp_path / "lacking", methods=["sgma"], U=None)
    found = rankings(paths)
    assert [who[0] for who in found.results] == [*METHODS, "sgma"]
    assert set(found.by_measure) == {"T1", "S", "H", "AUSUC"}  # U: one has none


def test_of_datasets_with_other_results_the_largest_block_is_ranked(tmp_path):
    """Four methods on three datasets, one of them on two more, and a fifth on one alone."""
    paths = study(tmp_path / "all", datasets=DATASETS[:3])
    paths += study(tmp_path / "one", datasets=DATASETS[3:5], methods=METHODS[:1])
    paths += study(tmp_path / "alone", datasets=DATASETS[:1], methods=["sgma"])
    found = rankings(paths)
    assert [who[0] for who in found.results] == list(METHODS)
    assert list(found.datasets) == ["AWA2", "CUB", "SUN"]
    assert set(found.by_measure) == {"T1", "U", "S", "H", "AUSUC"}
    rows, text = written(paths, tmp_path / "tables")
    assert len(rows) == 4
    told = "Datasets: AWA2, CUB, SUN. Not FLO, aPY: some of these results are not there."
    assert f"{told} Further results, not on all of them: 1." in text
    alone = rankings(study(tmp_path / "same", datasets=DATASETS[:3]))
    for name, ranking in alone.by_measure.items():
        assert found.by_measure[name].mean_ranks == pytest.approx(ranking.mean_ranks)


def test_the_same_test_images_count_once(tmp_path):
    by_class = {"U": {"b": 0.1}, "S": {"a": 0.2}}
    same = {"per_class": by_class, "images": {"test_seen": 3, "test_unseen": 4}}
    paths = study(tmp_path / "made", datasets=DATASETS[:3])
    paths += study(tmp_path / "one", datasets=["birds"], **same)
    paths += study(tmp_path / "two", datasets=["birds_in_words"], **same)
    paths += study(tmp_path / "three", datasets=["CUB_standard"], protocol="standard split")
    found = rankings(paths)
    assert list(found.datasets) == ["AWA2", "CUB", "SUN", "birds"]
    assert found.left_out == [
        "CUB_standard: its images are those of CUB",
        "birds_in_words: its images are those of birds",
    ]
    _, text = written(paths, tmp_path)
    assert "Not counted again:\n\n- CUB_standard" in text


def test_the_order_of_the_files_changes_no_rank(tmp_path):
    paths = study(tmp_path / "made")
    turned = rankings(paths[::-1])
    for name, ranking in rankings(paths).by_measure.items():
        assert turned.by_measure[name].mean_ranks[::-1] == pytest.approx(ranking.mean_ranks)


def test_the_figure_names_every_result_and_the_distance(tmp_path):
    paths = study(tmp_path / "made", methods=[*METHODS, "a_b$c"])
    made = ranking_figure(paths, tmp_path / "ranking")
    assert [path.name for path in made] == ["ranking.webp", "ranking.pdf"]
    text = " ".join(titles(made[1]))
    for told in (
        *METHODS,
        "a_b$c  1.00",
        f"CD {critical_distance(5, 6):.2f}",
        "no difference found",
    ):
        assert told in text
    before = made[0].read_bytes(), made[1].read_bytes()
    ranking_figure(paths, tmp_path / "ranking")
    assert before == (made[0].read_bytes(), made[1].read_bytes())


def test_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ranking: no metrics\.json given"):
        write_ranking_tables([], tmp_path)
