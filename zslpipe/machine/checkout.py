"""Which commit of the code is running."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FOLDER = Path(__file__).parents[1]
SECONDS = 10  # ours: git answers at once, a hung network drive must not hold a job


def commit() -> str:
    """Return the commit of the checkout that the package lies in, "with changes" where tracked
    files differ from it; the package's version where there is no checkout or no git.
    """
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head:
        return f"version {_version()}"
    changes = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"commit {head}{changes}"


def _git(*arguments: str) -> str:
    """Return what git says of the checkout, "" where it says nothing."""
    command = ["git", "-C", str(FOLDER), *arguments]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def _version() -> str:
    """Return the package's version."""
    try:
        return version("zslpipe")
    except PackageNotFoundError:
        return "unknown"
