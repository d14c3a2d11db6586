"""What stands around the code: metadata that agree, packaged type information, make help."""

import re
import subprocess
import tomllib

import pytest
import yaml

from tests.made_up.places import PACKAGE, ROOT


@pytest.fixture(scope="module")
def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))


def test_citation_licence_and_metadata_agree(settings: dict) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    project = settings["project"]
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["authors"] == project["authors"]
    for file in project["license-files"]:
        assert project["authors"][0]["name"] in (ROOT / file).read_text(encoding="utf8")


def test_the_changelog_has_this_version_and_what_is_not_released(settings: dict) -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert versions[:2] == ["Unreleased", settings["project"]["version"]]


def test_tables_and_type_information_are_packaged(settings: dict) -> None:
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in PACKAGE.rglob("*") if path.is_file()]
    data = {path for path in files if path.suffix not in (".py", ".pyc")}
    assert PACKAGE / "py.typed" in data
    assert [path for path in data if not any(path.match(pattern) for pattern in patterns)] == []


def test_make_help_tells_every_target() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = [line.split()[0] for line in done.stdout.splitlines()]
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert told == phony.split()
