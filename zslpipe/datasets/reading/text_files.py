"""Text files that a user names: there, readable, not empty."""

from pathlib import Path

from zslpipe.machine.errors import InputError


def existing_file(data_root: Path, name: str, where: str) -> Path:
    """Return ``data_root / name``; raises InputError where that is not a file."""
    path = data_root / name
    if not path.is_file():
        raise InputError(f"{where}: {path}: no such file")
    return path


def optional_path(data_root: Path, name: str | None) -> Path | None:
    """Return ``data_root / name``, None where there is no name; whether anything lies there is for
    its reader to say.
    """
    return None if name is None else data_root / name


def read_lines(path: Path) -> list[str]:
    """Return a text file's non-empty lines, stripped; raises InputError where it is absent, empty
    or not text.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text file ({error})") from None
    lines = [line for line in lines if line]
    if not lines:
        raise InputError(f"{path}: the file is empty")
    return lines
