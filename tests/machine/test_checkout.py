"""Which commit of the code is running."""

import subprocess

import pytest

from zslpipe.machine import checkout


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    monkeypatch.setattr(checkout, "FOLDER", tmp_path)
    return tmp_path


def test_a_commit_is_told_and_whether_files_differ_from_it(repository):
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout
    assert checkout.commit() == f"commit {head[:12]}"
    (repository / "results").mkdir()  # what is not tracked decides nothing
    (repository / "results" / "new").touch()
    assert checkout.commit() == f"commit {head[:12]}"
    (repository / "code.py").write_text("2\n")
    assert checkout.commit() == f"commit {head[:12]} with changes"


def test_without_a_checkout_or_git_the_version_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, "FOLDER", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout.commit().startswith("version ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout.commit().startswith("version ")
