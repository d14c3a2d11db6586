"""The site: built strictly (a link that leads nowhere is an error), whole without the network, with
a page of every method in which all that its file says can be read.
"""

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
import yaml

from tests.made_up.places import PACKAGE, ROOT
from zslpipe.study.declarations import method_names, read_method

pytest.importorskip("mkdocs", reason="the site's tools are not installed: make docs")
pytest.importorskip("latex2mathml", reason="the site's tools are not installed: make docs")

from docs.generated import docstrings, equations

pytestmark = pytest.mark.slow
# What a browser fetches by itself.
FETCHED = re.compile(r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="([^"]+)"')
LOADED = re.compile(r"(?:@import|url\()\s*['\"]?(?:https?:)?//")
PARTS = ("docs", "zslpipe", "workflow", "mkdocs.yml", "README.md", "CONTRIBUTING.md")


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout as ``make docs`` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=checkout,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """A copy of what the site is made from."""
    for part in (*PARTS, "CHANGELOG.md"):
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / part)
    return tmp_path


def text_of(page: Path) -> str:
    """Return what a page shows as text, in one line."""
    html = re.sub(r"<(script|style|head|nav)\b.*?</\1>", " ", page.read_text("utf8"), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        found = FETCHED.findall(page.read_text(encoding="utf8"))
        assert found
        assert [name for name in found if "//" in name] == [], page
        # The theme fetches mermaid from a server where a page holds a graph of it.
        assert 'class="mermaid"' not in page.read_text(encoding="utf8")
    for sheet in site.rglob("*.css"):
        assert LOADED.findall(sheet.read_text(encoding="utf8")) == []


@pytest.mark.parametrize("name", method_names())
def test_a_method_s_page_says_all_that_its_file_says(name: str, site: Path) -> None:
    page = site / "methods" / f"{name}.html"
    html, text = page.read_text(encoding="utf8"), text_of(page)
    said = docstrings.docstring(f"zslpipe.methods.{name}")
    plain = equations.plain_equations(name)
    assert " ".join(plain.split()) in text
    numbers = set(re.findall(r"^(?:.*, )??\((\d+)\)", plain, re.MULTILINE))
    assert numbers
    drawn = re.findall(r'<div class="equation"><math.*?<span class="number">(.*?)</span>', html)
    assert len(drawn) >= len(equations.typeset()[name])
    assert numbers <= set(re.findall(r"\((\d+)\)", " ".join(drawn)))
    for item in said.split("Deviations\n")[1].split("\n    - "):
        words = re.sub(r"``|:\w+:`|`", "", item.strip().removeprefix("- "))
        assert " ".join(words.split()) in text
    fields = read_method(name).config.__dataclass_fields__
    assert [key for key in fields if f"<td><code>{key}</code></td>" not in html] == []
    for dataset in read_method(name).published:
        assert f"<code>{dataset}</code>" in html


def test_a_method_s_page_shows_the_configurations_that_run_it(site: Path) -> None:
    for file in (ROOT / "workflow" / "experiments").glob("*.yaml"):
        for name in yaml.safe_load(file.read_text(encoding="utf8"))["methods"]:
            assert file.name in text_of(site / "methods" / f"{name}.html")
    assert "kernel_size: 5" in text_of(site / "methods" / "rsan.html")
    of_eszsl = text_of(site / "methods" / "eszsl.html").split("Configurations that run it")[-1]
    assert "sgma.yaml" not in of_eszsl and "rsan.yaml" not in of_eszsl


def test_equations_of_pages_by_hand_are_drawn(site: Path) -> None:
    html = (site / "metrics.html").read_text(encoding="utf8")
    assert html.count('<div class="equation"><math') == 5
    for page in site.rglob("*.html"):
        assert "\\frac" not in page.read_text(encoding="utf8")


def test_every_layout_is_on_the_page_of_files(site: Path) -> None:
    text = text_of(site / "formats.html")
    for path in (PACKAGE / "formats").glob("*.py"):
        said = docstrings.of_file(path)
        if "Layout" in said or "layout of features" in said:
            last = said.rstrip().split("\n\n")[-1]
            assert " ".join(re.sub(r"``|:\w+:`|`", "", last).split()) in text, path


def test_every_command_and_option_is_on_the_page_of_commands(site: Path) -> None:
    from zslpipe.commands.cli import program

    text = text_of(site / "commands.html")
    for name, command in program.commands.items():
        assert f"zslpipe {name}" in text
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.opts[0] in text


def test_equations_are_those_of_the_files() -> None:
    assert sorted(equations.typeset()) == method_names()
    for name in method_names():
        assert equations.equations(name).count("<math") >= len(equations.typeset()[name])


def test_a_changed_equation_is_told(another: Path, tmp_path: Path) -> None:
    path = another / "zslpipe" / "methods" / "eszsl.py"
    text = path.read_text(encoding="utf8")
    path.write_text(text.replace("X' Y S  (S' S +", "X' Y S  (S' S -"), encoding="utf8")
    done = build(another, tmp_path / "site")
    assert done.returncode != 0
    assert "eszsl has other lines than the docstring" in done.stderr


def test_a_new_method_has_a_page_before_its_equations_are_typeset(
    another: Path, tmp_path: Path
) -> None:
    """The method of CONTRIBUTING.md, as it stands there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    (code,) = re.findall(r"^```python zslpipe/methods/prototype.py\n(.*?)^```$", text, re.M | re.S)
    (another / "zslpipe" / "methods" / "prototype.py").write_text(code, encoding="utf8")
    done = build(another, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "score of class c: x' W z^c" in text_of(tmp_path / "site" / "methods" / "prototype.html")


def test_tex_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="left over"):
        equations.equation(r"\arg x")


@pytest.mark.parametrize(
    "broken", ["[there](nowhere.md)", "[there](tutorial.md#nowhere)", "![picture](images/no.png)"]
)
def test_a_broken_link_fails_the_build(broken: str, another: Path, tmp_path: Path) -> None:
    with (another / "docs" / "reruns.md").open("a", encoding="utf8") as stream:
        stream.write(f"\n{broken}\n")
    done = build(another, tmp_path / "site")
    assert done.returncode != 0
    assert "reruns.md" in done.stderr


def test_optional_pages_and_studies_are_taken_where_they_are(another: Path, tmp_path: Path) -> None:
    for page in ("studies.md", "importing-scores.md"):
        (another / "docs" / page).write_text(f"# The page {page}\n", encoding="utf8")
    shutil.rmtree(another / "workflow" / "studies", ignore_errors=True)
    (another / "workflow" / "studies").mkdir()
    study = another / "workflow" / "studies" / "dazle_table2.yaml"
    study.write_text("title: Losses of a dazzling table\nplace: table 2\n", encoding="utf8")
    done = build(another, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "studies.html").is_file()
    assert "../studies.html" in (tmp_path / "site" / "methods" / "dazle.html").read_text("utf8")
    text = text_of(tmp_path / "site" / "methods" / "dazle.html")
    assert "dazle_table2: table 2: Losses of a dazzling table" in text


def test_docstrings_as_markdown() -> None:
    text = "First *line* with ``a_b`` and :mod:`zslpipe.names`.\n\nLayout::\n\n    a  1\n\n    b  2"
    text += "\n\nDeviations\n    - one\n      more\n    - _two_ <x>\n"
    assert docstrings.as_markdown(text).split("\n\n", 2) == [
        "First \\*line\\* with `a_b` and `zslpipe.names`.",
        "Layout:",
        "```text\na  1\n\nb  2\n```\n\n## Deviations\n\n- one more\n- \\_two\\_ \\<x>",
    ]
