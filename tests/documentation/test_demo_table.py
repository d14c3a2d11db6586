"""The table of the README is what its command makes of the demo's."""

import pytest
import yaml

from docs.generated import demo_table
from tests.made_up.places import ROOT
from zslpipe.study.study import Study

MAIN = """\
| Dataset | Method | Variant | Rebalancing | Seeds | T1 | U | S | H | AUSUC | T1 paper |
|:--|:--|:--|:--|--:|--:|--:|--:|--:|--:|--:|
| demo | dazle | default | none | 2 | 71.4 ± 8.8 | 64.5 ± 6.1 | 72.7 | 68.3 | 57.8 ± 6.8 | |
| demo | vs_cc | small_one | cosmo | 2 | 1.0 | 2.0 | 3.0 | 4.0 | 5.0 | (6.0) |
"""
SHORT = """\
| Method | Variant | Rebalancing | T1 | U | S | H | AUSUC |
|---|---|---|---:|---:|---:|---:|---:|
| dazle |  |  | 71.4 ± 8.8 | 64.5 ± 6.1 | 72.7 | 68.3 | 57.8 ± 6.8 |
| vs_cc | small_one | cosmo | 1.0 | 2.0 | 3.0 | 4.0 | 5.0 |
"""


def test_figures_stand_as_in_the_main_table() -> None:
    assert demo_table.shortened(MAIN) == SHORT


def test_the_table_is_replaced_and_nothing_else() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf8")
    replaced = demo_table.with_table(text, SHORT)
    assert SHORT in replaced
    before, behind = text.split(demo_table.BEGIN)[0], text.split(demo_table.END)[1]
    assert replaced.startswith(before) and replaced.endswith(behind)


def test_the_readme_s_rows_are_results_of_the_demo() -> None:
    study = Study(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf8")))
    seeds = {}
    for result in study.results.all:
        for kind in result.rebalancing:
            seeds[*result.path.split("/"), kind] = len(study.results.seeds(result, kind))
    table = (ROOT / "README.md").read_text(encoding="utf8").split(demo_table.BEGIN)[1]
    rows = set()
    for line in table.split(demo_table.END)[0].splitlines()[2:]:
        method, variant, kind, *figures = [cell.strip() for cell in line.strip("|").split("|")]
        row = method, variant or "default", kind or "none"
        rows.add(row)
        spreads = ["±" in figure for figure in figures]
        assert spreads == [seeds[row] > 1] * 5
    assert len(rows) > 10


def test_the_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    others = [path.name for path in pictures if not path.name.startswith("growth_")]
    assert sorted(others) == ["attention.jpg", "flow.svg"]
    assert [path for path in pictures if path.stat().st_size >= 150_000] == []


@pytest.mark.parametrize("file", ["flow.svg", "attention.jpg"])
def test_the_readme_shows_the_pictures(file: str) -> None:
    assert f"(docs/images/{file})" in (ROOT / "README.md").read_text(encoding="utf8")
