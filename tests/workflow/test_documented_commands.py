"""Every command of the README and of docs/, as it is typed.

Blocks of ``sh`` are typed, page by page and in their order, in a copy of a checkout in which the
small demo of the tests has run; blocks headed by a file's name are that file. Truly run are all
commands of ``zslpipe`` and ``python -m``, ``make help``, and Snakemake where it lists, touches or
inspects. Snakemake where it would train is run as a dry run (``--dry-run`` is added), and of other
targets of make it is looked up that they exist. Blocks behind ``<!-- needs: ... -->`` (data, a
cluster, a GPU, the network, root, ...) or ``<!-- takes: minutes -->`` are not typed: they are
checked as commands in running text are, for programs, commands, options and files that exist.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from PIL import Image
from snakemake.cli import get_argument_parser

from tests.made_up.checkouts import Checkout, copied
from tests.made_up.places import ROOT
from zslpipe.commands.cli import program

GENERATED = [f"docs/generated/{name}.md" for name in ("commands", "methods")]
WRITTEN = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = ["README.md", *GENERATED, *WRITTEN]
# Pages whose commands and code need files of their own, and a test of their own that makes these.
TYPED_ELSEWHERE = {"docs/importing-scores.md": "tests/datasets/test_importing_page.py"}
HERE = [page for page in PAGES if page not in TYPED_ELSEWHERE]
# What a block may need that is not here, or takes too long.
MARKS = {"data", "cluster", "gpu", "network", "conda", "root", "shell", "server", "minutes"}
# A fenced block: what stands in the line before it, language, the file that it is, its text.
BLOCK = re.compile(
    r"(?:^<!-- (?:needs|takes): (\w+) -->\n)?^```(\w+)(?: (\S+))?\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# A command in running text.
QUOTED = re.compile(r"`((?:zslpipe|python -m|make|snakemake) [^`\n]+)`")
OPTION = re.compile(r"`(--[a-z][a-z-]+)`")
# Targets of Snakemake that are made in a moment.
QUICK = ("inspect.png", "--touch", "--dry-run")
SNAKEMAKE = set(get_argument_parser()._option_string_actions)
SCRIPTS = [path.read_text("utf8") for path in (ROOT / "benchmarks").glob("*.py")]
# Options of benchmarks, which their page tells of.
MEASURING = set(re.findall(r'"(--[a-z-]+)"', "\n".join(SCRIPTS)))
MAKE = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: ``needs`` is what its marker says, ``file`` the file that it is."""

    needs: str
    language: str
    file: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [Block(*found) for found in BLOCK.findall((ROOT / page).read_text(encoding="utf8"))]


def commands(page: str, marked: bool) -> list[str]:
    """Return the commands of a page's blocks, of those with a marker or of those without."""
    found = [block for block in blocks(page) if block.language in ("sh", "bash", "console")]
    return [line for block in found if bool(block.needs) == marked for line in lines(block)]


def lines(block: Block) -> list[str]:
    """Return the commands of a block."""
    return [line for line in block.text.splitlines() if line and not line.startswith("#")]


def test_there_are_commands_and_markers_are_known() -> None:
    assert sum(len(commands(page, marked=False)) for page in PAGES) > 25
    found = [block for page in PAGES for block in blocks(page)]
    assert {block.needs for block in found if block.needs} <= MARKS
    # A block without a language would be typed by nobody.
    for page in PAGES:
        fences = re.findall(r"^```.*$", (ROOT / page).read_text(encoding="utf8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf8")
    for command in [*commands(page, True), *commands(page, False), *QUOTED.findall(text)]:
        check(command)
    ours = {name for one in program.commands for name in options_of(one)}
    known = SNAKEMAKE | MORE | MEASURING | ours
    assert [option for option in OPTION.findall(text) if option not in known] == []


# Options of programs that are neither ours nor Snakemake's: SLURM's, docker's, Apptainer's, and the
# group's own.
MORE = {"--mem", "--shm-size", "--debug", "--strict", "--nv", "--bind"}


def options_of(name: str) -> set[str]:
    """Return the options of a command of zslpipe."""
    options = [one for one in program.commands[name].params if isinstance(one, click.Option)]
    return {text for option in options for text in (*option.opts, *option.secondary_opts)}


def check(command: str) -> None:
    """Look a command up: its program, its own command, its options and the files of the checkout
    that it names.
    """
    first, *words = shlex.split(command)
    if first == "python":
        dash, module, *words = words
        assert dash == "-m"
        file = ROOT / f"{module.replace('.', '/')}.py"
        assert module in ("mkdocs", "zslpipe") or file.is_file(), command
        first = module
    options = {word.split("=")[0] for word in words if re.match("--[a-z]", word)}
    if first == "zslpipe" and words[0] not in ("COMMAND", "--help"):
        assert words[0] in program.commands, command
        assert options <= options_of(words[0]), command
    elif first == "make":
        assert words[0] in MAKE, command
    elif first == "snakemake":
        assert options <= SNAKEMAKE, command
    elif first not in ("apt", ".", "zslpipe", "mkdocs", "export", "docker", "apptainer"):
        assert first.startswith(("zslpipe.study.", "docs.generated.")), command
    for word in words:
        if word.startswith("workflow/"):
            assert (ROOT / word).exists(), command


@pytest.mark.parametrize("page", [page for page in HERE if commands(page, marked=False)])
def test_commands_are_typed(page: str, checkout: Checkout) -> None:
    for part in ("docs", "README.md", "Makefile", "pyproject.toml"):
        copied(ROOT / part, checkout.folder / part)
    write_files(page, checkout.folder)
    for command in commands(page, marked=False):
        typed(command, checkout)


def test_python_is_run(checkout: Checkout) -> None:
    found = [block for page in HERE for block in blocks(page) if block.language == "python"]
    assert len(found) == 1, "run the others too"
    done = run([sys.executable, "-c", found[0].text], checkout)
    assert "marsh_dabbler" in done.stdout


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page's blocks are, and pictures for the classes of a table of
    attributes among them.
    """
    for block in blocks(page):
        if not block.file:
            continue
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf8")
        if path.name == "attributes.csv":
            for row in block.text.splitlines()[1:]:
                draw_pictures(path.parent / "images" / row.split(",")[0])


def draw_pictures(folder: Path) -> None:
    """Write three pictures of a class, no two alike."""
    folder.mkdir(parents=True)
    for number in range(3):
        colour = (sum(folder.name.encode()) % 250, 80 * number, 90)
        Image.new("RGB", (64, 48), colour).save(folder / f"{number}.jpg")


def typed(command: str, checkout: Checkout) -> None:
    """Type a command in a checkout; what would train is planned alone."""
    first, *words = shlex.split(command)
    if first == "snakemake":
        planned = [] if any(quick in command for quick in QUICK) else ["--dry-run"]
        checkout.snakemake(*words, *planned)
    elif first == "make":
        if words == ["help"]:
            run(["make", "help"], checkout)
    elif first == "zslpipe":
        run([sys.executable, "-m", "zslpipe", *words], checkout)
    else:
        assert first == "python", command
        run([sys.executable, *words], checkout)


def run(words: list[str], checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """Run a program in a checkout and with its package."""
    done = subprocess.run(
        words,
        cwd=checkout.folder,
        env=os.environ | {"PYTHONPATH": str(checkout.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


@pytest.mark.parametrize("page", sorted(set(TYPED_ELSEWHERE) & set(PAGES)))
def test_pages_that_are_typed_elsewhere_are(page: str) -> None:
    assert Path(page).name in (ROOT / TYPED_ELSEWHERE[page]).read_text(encoding="utf8")


@pytest.mark.parametrize("page", PAGES)
def test_no_place_of_one_machine_is_named(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf8")
    assert re.findall(r"(?:/work|/tmp|/root)/\S*", text) == []
