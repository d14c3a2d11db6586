"""CONTRIBUTING.md followed to the letter: files written, edits applied, commands run."""

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
from tests.made_up.places import ROOT
from zslpipe.formats.index import read_index

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
# A fenced block: its language, the file that it is or edits (commands have none), its text.
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
    write_files(steps, untouched.folder)
    for file, old, new in steps.edits:
        untouched.replace(file, old, new)
    contract, dry_run, _ = steps.commands
    for part in ("tests/made_up", "tests/methods/test_contract.py"):
        (untouched.folder / part).parent.mkdir(parents=True, exist_ok=True)
        copied(ROOT / part, untouched.folder / part)
    run(untouched, contract)
    jobs = planned(untouched, dry_run)
    for seed in (0, 1):
        assert {f"{rule} demo/prototype/default/{seed}" for rule in ("train", "evaluate")} <= jobs


def test_a_method_runs(checkout: Checkout) -> None:
    """In a checkout whose features are there, with its small configuration."""
    steps = recipe("Add a method")
    write_files(steps, checkout.folder)
    small = "methods: [dazle, eszsl, rsan"
    checkout.replace("config.yaml", f"{small}]", f"{small}, prototype]")
    _, _, alone = steps.commands
    target = next(word for word in shlex.split(alone) if word.endswith("metrics.json"))
    expected = {f"{rule} demo/prototype/default/0" for rule in ("train", "evaluate")}
    assert checkout.planned(target) == expected
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
        "evaluate mine/eszsl/default/0",
        "tables",
        "curves mine",
        "confusion mine",
    }


def draw_pictures(folder: Path, rows: str) -> None:
    """Write the pictures that a list of rows names."""
    for row in rows.splitlines()[1:]:
        path = folder / "images" / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 24), (90, 120, 60)).save(path)


def test_every_recipe_is_followed_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    assert SECTION.findall(text) == ["Add a method", "Add a dataset"]
