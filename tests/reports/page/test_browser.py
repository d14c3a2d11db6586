"""The page in a browser: Debian's chromium, headless. Nothing is asked for, nothing fails, the
table sorts, and it is read on a desk, on a telephone and on paper.

Screenshots are kept in the folder that ZSLPIPE_SCREENSHOTS names, or in pytest's.
"""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.made_up.paged import NUMBERS, given
from zslpipe.reports.page.page import write_page

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: chromium)")
pytestmark = [needs_chromium, pytest.mark.slow]
WIDTHS = (1280, 390)
# What the page is asked once DataTables is there; its answer is read from the dumped document.
QUESTIONS = """
<script>
(async () => {
  const wait = (time) => new Promise((done) => setTimeout(done, time));
  while (document.documentElement.dataset.ready !== "true") await wait(20);
  const column = (number) => [...document.querySelectorAll("#main tbody tr")].map(
    (row) => row.children[number].textContent);
  const told = { rows: column(0), before: column(4) };
  const heading = document.querySelectorAll("#main thead th")[4];
  heading.querySelector(".dt-column-order").click(); await wait(20); told.rising = column(4);
  heading.querySelector(".dt-column-order").click(); await wait(20); told.falling = column(4);
  const search = document.querySelector(".dt-search input");
  search.value = "eszsl"; search.dispatchEvent(new Event("input")); await wait(500);
  told.filtered = column(0);
  const strip = [...document.querySelectorAll(".strip > input")];
  const shown = () => [...document.querySelectorAll(".strip > .panel")].map(
    (panel) => panel.checkVisibility());
  told.first = shown(); strip[1].click(); told.second = shown();
  for (const input of document.querySelectorAll("input[type=radio]")) input.click();
  const images = [...document.images];
  while (images.some((image) => !image.complete)) await wait(20);
  told.images = images.length;
  told.broken = images.filter((image) => image.naturalWidth === 0).length;
  told.asked = performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("data:"));
  told.width = window.innerWidth;
  told.overflow = document.documentElement.scrollWidth - window.innerWidth;
  told.wide = [...document.querySelectorAll("main *")].filter((element) =>
    !element.closest(".scroll, .chart") && element.getBoundingClientRect().right > innerWidth + 1
  ).map((element) => element.outerHTML.slice(0, 120));
  told.smallest = Math.min(...[...document.querySelectorAll("p, td, dd, figcaption, label, nav a")]
    .map((element) => parseFloat(getComputedStyle(element).fontSize)));
  parent.postMessage(JSON.stringify(told), "*");
})();
</script>
"""
# A window is never narrower than 500 pixels, a frame is.
FRAME = """<!doctype html>
<iframe src="{page}" width="{width}" height="900" style="border: 0"></iframe>
<script>
addEventListener("message", (event) => {{
  const answer = document.createElement("pre");
  answer.id = "answer"; answer.textContent = event.data; document.body.append(answer);
}});
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_page(given(folder), folder / "index.html")
    return folder / "index.html"


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page; a browser without a network, as a container's root."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--disable-background-networking", "--no-first-run", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=10000", f"--user-data-dir={page.parent / 'profile'}"]
    return subprocess.run(
        [*command, *options, page.as_uri()], capture_output=True, text=True, timeout=240
    )


def asked(page: Path, width: int) -> tuple[dict, str]:
    """Return what the page answers and what its console said."""
    questioned = page.with_name(f"asked{width}.html")
    text = page.read_text(encoding="utf-8").replace("</body>", f"{QUESTIONS}</body>")
    questioned.write_text(text, encoding="utf-8")
    frame = page.with_name(f"frame{width}.html")
    frame.write_text(FRAME.format(page=questioned.name, width=width), encoding="utf-8")
    done = browse(frame, "--dump-dom", "--window-size=1400,1000")
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert answer is not None, done.stderr[-2000:]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(unescape(answer[1])), console


@pytest.fixture(scope="module")
def answers(page):
    return {width: asked(page, width) for width in WIDTHS}


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_fails_and_nothing_is_asked_for(answers, width):
    """What the page's own policy forbids, all that is not in it, the console tells as an error."""
    told, console = answers[width]
    assert console == ""
    assert [address for address in told["asked"] if not address.startswith("blob:")] == []


def test_the_policy_forbids_to_load_anything(page):
    """A picture from elsewhere in such a page is an error of the console."""
    foreign = page.with_name("foreign.html")
    text = page.read_text(encoding="utf-8")
    foreign.write_text(text.replace("<main>", '<main><img src="http://127.0.0.1:9/x.png">'))
    assert "Content Security Policy" in browse(foreign, "--dump-dom").stderr


@pytest.mark.parametrize("width", WIDTHS)
def test_every_picture_is_there(answers, width):
    told, _ = answers[width]
    assert told["images"] > 20 and told["broken"] == 0


def test_the_table_sorts_by_number_and_filters(answers):
    told, _ = answers[1280]
    assert told["rows"] == [method for method, _, _ in NUMBERS]
    values = [float(text.split(" ±")[0]) for text in told["rising"]]
    assert values == sorted(values) and values[0] != values[-1]
    assert sorted(told["rising"]) == sorted(told["before"]) == sorted(told["falling"])
    assert [float(text.split(" ±")[0]) for text in told["falling"]] == values[::-1]
    assert told["filtered"] == ["eszsl", "eszsl"]


def test_one_image_of_a_gallery_is_shown_and_another_on_request(answers):
    told, _ = answers[1280]
    assert told["first"][:2] == [True, False] and told["second"][:2] == [False, True]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_the_screen_and_is_read_there(answers, width):
    told, _ = answers[width]
    assert told["width"] == width
    assert told["overflow"] <= 0 and told["wide"] == []
    assert told["smallest"] >= 12.5


def kept() -> Path | None:
    """Return where screenshots are to be kept."""
    folder = os.environ.get("ZSLPIPE_SCREENSHOTS")
    return Path(folder) if folder else None


@pytest.mark.parametrize("width", WIDTHS)
def test_screenshots_are_kept(page, width, tmp_path):
    folder = kept() or tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"report{width}.png"
    browse(page, f"--screenshot={picture}", f"--window-size={width},3000")
    assert picture.stat().st_size > 20_000


def test_it_is_printed_on_a_few_pages(page, tmp_path):
    paper = (kept() or tmp_path) / "report.pdf"
    browse(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    pages = PdfReader(paper).pages
    text = " ".join(" ".join(one.extract_text() for one in pages).split())
    assert 2 <= len(pages) <= 12
    for told in ("What was run", "Results", "Localisation", "Grad-CAM", "Times and memory"):
        assert told in text
    assert "filter rows" not in text
