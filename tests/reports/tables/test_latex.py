import shutil
import subprocess
from pathlib import Path

import pytest

from tests.made_up.places import ROOT
from tests.reports.tables.test_localization import result_file
from tests.reports.tables.test_ranking import study
from tests.reports.tables.test_results import classes, metrics_file
from zslpipe.reports.tables.latex import comments, escaped, notes, tabular
from zslpipe.reports.tables.localization import write_localization_tables
from zslpipe.reports.tables.ranking import write_ranking_tables
from zslpipe.reports.tables.results import write_intervals, write_tables

NASTY = 'a_b%c&d#e~f^g\\h{i}j$k|l<m>n"o ¹² ± × — “é” Łódź 鳥 Ωμ\u0007 -- ?` !` ,,'
DOCUMENT = ROOT / "docs" / "tables.tex"


def compiled(folder: Path) -> str:
    """The log of the documented document, compiled in a folder that has results/tables."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", str(DOCUMENT)]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    assert (folder / "tables.pdf").is_file()
    return log


def test_what_latex_reads_is_escaped():
    assert escaped("a_b%c&d#e{f}$") == "a\\_b\\%c\\&d\\#e\\{f\\}\\$"
    assert escaped("~^\\") == "\\textasciitilde{}\\textasciicircum{}\\textbackslash{}"
    assert escaped("two\n lines\t") == "two lines" and escaped("Łódź é") == "Łódź é"
    assert escaped("鳥") == "\\ifdefined\\Umathchar 鳥\\else U+9CE5\\fi{}"


def test_comments_cannot_end_early():
    assert comments(["one\ntwo\\input{x}", "three"]) == "% one two\\input{x}\n% three\n"


def test_notes_are_paragraphs_with_their_marks():
    text = notes("Per cent.\n\nList:\n\n- ¹² first_one\n- second")
    assert text.splitlines()[2:-1] == [
        *("\\par Per cent.", "\\par List:", "\\par -- $^{12}$ first\\_one", "\\par -- second"),
    ]


def test_a_tabular_by_hand():
    text = tabular(["A", "50%"], [["x", "1"], ["yy", "2"], ["z", ""]], ["a", "b", "b"], 1)
    assert text.splitlines() == [
        *("\\begin{tabular}{lr}", "\\toprule", "A  & 50\\% \\\\", "\\midrule"),
        *("x  &    1 \\\\", "\\midrule", "yy &    2 \\\\", "z  &      \\\\"),
        *("\\bottomrule", "\\end{tabular}"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", NASTY])
def test_tables_compile_whatever_people_call_things(tmp_path, name):
    made, tables = tmp_path / "made", tmp_path / "results" / "tables"
    made.mkdir()
    other = {"extractor": name, "words": name, "protocol": f"own split ({name}.txt)"}
    paths = []
    for seed in range(2):
        paths.append(metrics_file(made, seed, dataset=name, variant="one", **other, **classes(0)))
        paths.append(metrics_file(made, seed, dataset=name, method=name, **other, **classes(1)))
        paths.append(metrics_file(made, seed, words=name, semantics=name))  # printed beside it
    write_tables(paths, tables, missing=[f"{name}: failed: {name}"], heading=name)
    write_intervals(paths, tables)
    shares = [("overall", "", "seen"), ("group", name, "seen"), ("part", name, "unseen")]
    found = [result_file(made, seed, shares, dataset=name) for seed in range(2)]
    write_localization_tables(found, tables, note=name)
    write_ranking_tables(study(tmp_path / "ranked", methods=[name, "one", "two"]), tables)
    log = compiled(tmp_path)
    assert "Missing character" not in log and "undefined" not in log.lower()


@pytest.mark.slow
def test_every_character_of_unicodes_first_plane_compiles_or_is_told(tmp_path):
    """What stands for itself is known to pdfLaTeX: every character up to U+2FFF."""
    tables = tmp_path / "results" / "tables"
    tables.mkdir(parents=True)
    characters = [chr(number) for number in range(1, 0x3000)]
    lines = [f"\\par {escaped(f'x{character}x')}" for character in characters]
    (tables / "main.tex").write_text("\\tiny x\n", encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8").replace(
        "\\begin{document}", "\\begin{document}\n" + "\n".join(lines)
    )
    (tmp_path / "all.tex").write_text(document, encoding="utf-8")
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    assert "Missing character" not in log
