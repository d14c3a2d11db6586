"""The configuration as Snakemake puts it together from ``--configfile`` and ``--config``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from zslpipe.machine.errors import InputError
from zslpipe.study.yaml_files import check_yaml

DEFAULT = Path("config.yaml")


def given_configuration(
    checkout: Path, files: Sequence[Path], assignments: Sequence[str]
) -> dict[str, Any]:
    """Return what ``snakemake --configfile {files} --config {assignments}`` in a checkout hands to
    the workflow: config.yaml without ``files``, else all of them, later ones over earlier ones, key
    by key. Raises InputError for a file that is no YAML and an assignment without ``=``.
    """
    found: dict[str, Any] = {}
    for file in files or (checkout / DEFAULT,):
        check_yaml(file)
        _update(found, yaml.safe_load(file.read_text(encoding="utf8")) or {})
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            advice = 'write --config set="dazle.lr=0.5 seeds=[0,1]"'
            raise InputError(f"--config {assignment!r}: not name=value; {advice}")
        _update(found, {name: yaml.safe_load(value)})
    return found


def _update(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Lay a part over what is there, section by section."""
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            _update(whole[key], value)
        else:
            whole[key] = value


def as_arguments(files: Sequence[Path], assignments: Sequence[str]) -> list[str]:
    """Return the same as arguments of Snakemake."""
    given = ["--configfile", *map(str, files)] if files else []
    return [*given, *(["--config", *assignments] if assignments else [])]
