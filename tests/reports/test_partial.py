"""Tables, figures and page of a run that failed, marked partial."""

import numpy as np

from tests.made_up.figures import titles
from tests.made_up.runs import CLASSES, SEEN, made_up
from zslpipe.formats.scores import write_scores
from zslpipe.reports.partial import write_partial_report, write_partial_tables
from zslpipe.scores.evaluation import write_metrics

MISSING = ["demo, other / default, seed 0: train failed: out of <memory>"]
HEADING = "PARTIAL: 1 of 2 results are missing"


def contents(folder, there):
    scores, metrics = folder / "scores.h5", folder / "metrics.json"
    write_scores(scores, made_up(0, SEEN, CLASSES))
    write_metrics(scores, metrics)
    files = [[str(metrics)], [str(scores)]] if there else [[], []]
    return {
        "metrics": files[0],
        "expected": 2,
        "missing": MISSING,
        "localizations": [],
        "curves": {"demo": files[0]},
        "confusions": {"demo": files[1]},
        "figures": [],
    }


def test_what_is_there_is_shown_and_marked(tmp_path):
    given = contents(tmp_path, there=True)
    tables = tmp_path / "tables"
    assert write_partial_tables(given, tables) == tables / "partial.md"
    write_partial_report(given, tables)
    lines = (tables / "partial.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADING and f"- {MISSING[0]}" in lines
    assert any(line.startswith("| demo ") and "made_up" in line for line in lines)
    tex = (tables / "partial.tex").read_text(encoding="utf-8").splitlines()
    assert tex[1] == f"% {HEADING}" and f"\\par {HEADING}" in tex
    assert "\\par Missing:" in tex and any("out of \\textless{}memory" in line for line in tex)
    assert len((tables / "partial.csv").read_text(encoding="utf-8").splitlines()) == 2
    for kind in ("curves", "confusions"):
        drawn = titles(tmp_path / f"figures/partial.demo.{kind}.pdf")
        assert f"{HEADING}, see partial.md" in drawn
    page = (tables / "partial.html").read_text(encoding="utf-8")
    assert HEADING in page and page.count("data:image/webp;base64,") == 2
    assert "out of &lt;memory&gt;" in page
    assert not list(tables.glob("main.*"))


def test_where_nothing_is_there_the_reasons_are(tmp_path):
    given = contents(tmp_path, there=False)
    text = write_partial_tables(given, tmp_path / "tables").read_text(encoding="utf-8")
    write_partial_report(given, tmp_path / "tables")
    assert text == f"{HEADING}\n\nMissing:\n\n- {MISSING[0]}\n"
    assert np.all([not (tmp_path / "figures").exists()])
