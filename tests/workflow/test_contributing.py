"""CONTRIBUTING.md followed to the letter: files written, edits applied, commands run."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.made_up.checkouts import PARTS, Checkout, copied
from tests.made_up.figures import is_drawn, titles
from tests.made_up.places import ROOT, SCHEMA
from zslpipe.formats.index import read_index
from zslpipe.formats.scores import read_scores

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
# A fenced block: its language, the file that it is or edits (commands have none), its text.
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A file or folder of the checkout in running text; names that stand for others are in braces or
# capitals.
MENTIONED = re.compile(r"`((?:benchmarks|tests|workflow|zslpipe)/[a-z0-9_/.]+)`")


@dataclass(frozen=True)
class Recipe:
    """A section's files by name, its edits (file, old text, new text) and its commands."""

    files: dict[str, str]
    edits: list[tuple[str, str, str]]
    commands: list[str]


def recipe(title: str) -> Recipe:
    """Return the recipe under a heading of CONTRIBUTING.md."""
    _, *parts = SECTION.split((ROOT / "CONTRIBUTING.md").read_text(encoding="utf8"))
    text = dict(zip(parts[::2], parts[1::2], strict=True))[title]
    found = Recipe({}, [], [])
    for language, file, body in BLOCK.findall(text):
        if language == "diff":
            old, new = (side_of(body, sign) for sign in "-+")
            found.edits.append((file, old, new))
        elif language == "sh":
            found.commands.extend(body.splitlines())
        else:
            found.files[file] = body
    return found


def side_of(body: str, sign: str) -> str:
    """Return the lines of an edit that begin with a sign, or with a blank on both sides."""
    lines = body.splitlines(keepends=True)
    return "".join(line[1:] for line in lines if line[0] in (sign, " "))


def write_files(steps: Recipe, folder: Path) -> None:
    for name, text in steps.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{name} is there already"
        path.write_text(text, encoding="utf8")


def follow(steps: Recipe, checkout: Checkout) -> None:
    """Write a recipe's files and make its edits."""
    write_files(steps, checkout.folder)
    for file, old, new in steps.edits:
        checkout.replace(file, old, new)


def copy_tests(checkout: Checkout, file: str) -> None:
    """Copy a test file, and what it imports of the tests, to where a command looks for it."""
    for part in ("tests/made_up", file):
        (checkout.folder / part).parent.mkdir(parents=True, exist_ok=True)
        copied(ROOT / part, checkout.folder / part)


@pytest.fixture
def untouched(tmp_path: Path) -> Checkout:
    """A checkout as it is given, with its own configuration, in which nothing has run."""
    folder = tmp_path / "untouched"
    folder.mkdir()
    for part in (*PARTS, "config.yaml", "pyproject.toml"):
        copied(ROOT / part, folder / part)
    return Checkout(folder)


def run(checkout: Checkout, command: str) -> None:
    """Run a command as it is typed, in a checkout and with its package."""
    program, *arguments = shlex.split(command)
    if program == "snakemake":
        checkout.snakemake(*arguments)
        return
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout.folder,
        env=os.environ | {"PYTHONPATH": str(checkout.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def planned(checkout: Checkout, command: str) -> set[str]:
    """Return the jobs that a dry run of Snakemake, as it is typed, plans."""
    program, dry, *arguments = shlex.split(command)
    assert (program, dry) == ("snakemake", "--dry-run")
    return checkout.planned(*arguments)


def test_a_method_keeps_the_contract_and_is_planned(untouched: Checkout) -> None:
    steps = recipe("Add a method")
    assert (len(steps.files), len(steps.edits)) == (1, 1), "one file and one word"
    follow(steps, untouched)
    contract, dry_run, _ = steps.commands
    copy_tests(untouched, "tests/methods/test_contract.py")
    run(untouched, contract)
    jobs = planned(untouched, dry_run)
    for seed in (0, 1):
        assert {f"train demo/prototype/default/{seed}", f"evaluate demo/{seed}"} <= jobs


def test_a_method_runs(checkout: Checkout) -> None:
    """In a checkout whose features are there, with its small configuration."""
    steps = recipe("Add a method")
    write_files(steps, checkout.folder)
    small = "methods: [dazle, eszsl, rsan"
    checkout.replace("config.yaml", f"{small}]", f"{small}, prototype]")
    _, _, alone = steps.commands
    target = next(word for word in shlex.split(alone) if word.endswith("metrics.json"))
    assert checkout.planned(target) == {"train demo/prototype/default/0"}
    run(checkout, alone)
    figures = json.loads((checkout.folder / target).read_text(encoding="utf8"))
    assert all(0 <= figures[name] <= 1 for name in ("T1", "U", "S", "H", "AUSUC"))


def test_a_dataset_is_read_and_planned(untouched: Checkout) -> None:
    steps = recipe("Add a dataset")
    code = [name for name in steps.files if name.startswith("zslpipe/")]
    assert (len(code), steps.edits) == (1, []), "one file"
    write_files(steps, untouched.folder)
    draw_pictures(untouched.folder / "data/mine", steps.files["data/mine/rows.csv"])
    inspection, dry_run = steps.commands
    run(untouched, inspection)
    index = read_index(untouched.folder / "results/mine/index.h5")
    assert (index.adapter, index.class_names) == ("listed", ("ant", "bee", "cat"))
    assert index.seen.tolist() == [True, True, False]
    assert index.attribute_names == ("has_wings", "size")
    assert "3: 2 seen" in (untouched.folder / "results/mine/inspect.txt").read_text()
    assert planned(untouched, dry_run) == {
        "specify_features mine/small",
        "extract mine/small",
        "train mine/eszsl/default/0",
        "evaluate mine/0",
        "tables",
        "curves mine",
        "calibration mine",
        "page",
        "confusion mine",
    }


def draw_pictures(folder: Path, rows: str) -> None:
    """Write the pictures that a list of rows names."""
    for row in rows.splitlines()[1:]:
        path = folder / "images" / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 24), (90, 120, 60)).save(path)


def test_a_figure_is_planned_and_drawn(checkout: Checkout) -> None:
    """In a checkout whose study has run."""
    steps = recipe("Add a figure")
    assert len({*steps.files, *(file for file, _, _ in steps.edits)}) == 4, "four places"
    follow(steps, checkout)
    dry_run, alone = steps.commands
    assert planned(checkout, dry_run) == {"class_accuracies demo"}
    run(checkout, alone)
    screen = checkout.folder / shlex.split(alone)[-1]
    shown = titles(is_drawn((screen, screen.with_suffix(".pdf"))))
    expected = {"unseen classes", "seen classes", "dazle / no_calibration", "eszsl", "rsan"}
    assert expected <= set(shown)
    assert planned(checkout, dry_run) == set()


def test_a_kind_keeps_what_every_kind_keeps(untouched: Checkout) -> None:
    steps = recipe("Add a rebalancing kind")
    edited = [file for file, _, _ in steps.edits]
    assert steps.files == {} and edited == ["zslpipe/scores/kinds.py", "config.yaml"], "one class"
    follow(steps, untouched)
    laws, schema, _, _ = steps.commands
    copy_tests(untouched, "tests/scores/test_kinds.py")
    run(untouched, laws)
    run(untouched, schema)
    written = (untouched.folder / SCHEMA.relative_to(ROOT)).read_text(encoding="utf8")
    kept = [line for line in written.splitlines() if line.strip() != "- centred"]
    assert kept == SCHEMA.read_text(encoding="utf8").splitlines()
    assert written.count("- centred\n") == written.count("- oracle\n") > 0


def test_a_kind_is_a_row_of_the_table(checkout: Checkout) -> None:
    """In a checkout whose study has run."""
    steps = recipe("Add a rebalancing kind")
    follow(steps, checkout)
    _, _, dry_run, table = steps.commands
    rows = {f"rebalance demo/eszsl/default/{seed}" for seed in (0, 1)}
    rows |= {f"evaluate demo/{seed}" for seed in (0, 1)}
    assert planned(checkout, dry_run) == rows | {
        "tables",
        "curves demo",
        "calibration demo",
        "page",
    }
    run(checkout, table)
    seed = checkout.folder / "results/demo/runs/eszsl/default/seed0"
    assert read_scores(seed / "centred/scores.h5").chosen["centred"] == {"strength": 1.0}
    with (checkout.folder / "results/tables/main.csv").open(encoding="utf8") as stream:
        of_eszsl = [row for row in csv.DictReader(stream) if row["method"] == "eszsl"]
    assert [row["rebalancing"] for row in of_eszsl] == ["none", "centred"]
    assert [row["seeds"] for row in of_eszsl] == ["2", "2"]
    assert len({row["T1_mean"] for row in of_eszsl}) == 1


def test_every_recipe_is_followed_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    recipes = [f"Add a {what}" for what in ("method", "dataset", "figure", "rebalancing kind")]
    assert SECTION.findall(text) == recipes


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_is_mentioned_is_there(file: str) -> None:
    mentioned = MENTIONED.findall((ROOT / file).read_text(encoding="utf8"))
    assert [name for name in mentioned if not (ROOT / name).exists()] == []
