"""The studies that there are: files in ``workflow/studies``, the section ``studies`` and ``sweep``
of a method's section, read, checked, and laid out as rows.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import PACKAGE
from zslpipe.settings import parse_settings
from zslpipe.study.declarations import read_method
from zslpipe.study.method_sections import RUN_KEYS, as_list
from zslpipe.study.study_sections import PaperStudy, StudyRow, Sweep, normalised

FOLDER = PACKAGE.parent / "workflow" / "studies"
# Kinds whose picture is drawn from the study's own rows.
DRAWN = ("curves", "bars", "entropies")


@dataclass(frozen=True)
class Wanted:
    """A row of a study before it is known whether a dataset has it: a run, or an ensemble ``of``
    others, under one rebalancing. ``panel`` is the number of its sweep, ``value`` what the sweep
    sets; None where there is none.
    """

    label: str
    method: str
    variant: str
    starts_from: str
    settings: Mapping[str, Any]
    backbone: str | None
    of: tuple[str, ...]
    order: str
    rebalancing: str
    group: str
    printed: str
    panel: int | None = None
    value: Any = None


def read_studies(config: Mapping[str, Any]) -> dict[str, PaperStudy]:
    """Return all studies by name: those of the folder, changed by the configuration's, then its
    own. Raises InputError in one line for what none can say.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        found[path.stem] = _of_file(path, path.stat().st_mtime_ns)
    own = {**_sweeps_of_methods(config), **config.get("studies", {})}
    for name, entry in own.items():
        shipped = _written(FOLDER / f"{name}.yaml") if name in found else {}
        found[name] = _parsed({**shipped, **normalised(entry)}, "config", ("studies", name))
    return found


@cache
def _of_file(path: Path, modified: int) -> PaperStudy:
    """Return the study of a file as of its modification time in nanoseconds."""
    return _parsed(_written(path), f"workflow/studies/{path.name}", ())


def _written(path: Path) -> dict[str, Any]:
    """Return what a file says."""
    found: dict[str, Any] = normalised(yaml.safe_load(path.read_text(encoding="utf8")))
    return found


def _sweeps_of_methods(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the studies that methods' sections ask for by ``sweep``: METHOD_SETTING each, of
    several sweeps of a setting an axis each.
    """
    found: dict[str, dict[str, Any]] = {}
    for method in _sections(config):
        for sweep in as_list(config[method].get("sweep")):
            setting = sweep.get("setting") if isinstance(sweep, Mapping) else None
            empty: dict[str, Any] = {"method": method, "sweep": []}
            found.setdefault(f"{method}_{setting}", empty)["sweep"].append(sweep)
    return found


def _sections(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the sections that are methods'."""
    listed = [*config["methods"], *config]
    has = [name for name in listed if isinstance(config.get(name), Mapping)]
    methods = PACKAGE / "methods"
    return [name for name in dict.fromkeys(has) if (methods / f"{name}.py").is_file()]


def _parsed(given: Mapping[str, Any], where: str, path: tuple[str, ...]) -> PaperStudy:
    """Return a checked study."""
    study = parse_settings(PaperStudy, given, where, path, called="key")
    place = f"{where}, {'.'.join(path)}" if path else where
    needed = {"curves": "sweep", "figures": "figures", "bars": "rows", "entropies": "rows"}
    key = needed.get(study.kind)
    if key and not getattr(study, key):
        raise InputError(f"{place}: a study of kind {study.kind!r} needs {key!r}")
    if study.kind == "sizes":
        return study
    variants = [row.variant for row in study.rows]
    for row in study.rows:
        _check_row(study, row, variants, place)
    for sweep in study.sweep:
        for line in sweep.lines or (_as_configured(study),):
            _check_row(study, line, variants, place)
        _check_sweep(study, sweep, place)
    if study.method is not None:
        read_method(study.method)
    return study


def _check_row(study: PaperStudy, row: StudyRow, variants: Collection[str], place: str) -> None:
    """Raise InputError for a row of no method, for settings that its method does not have, for what
    is printed under no method/variant, and for an ensemble of one row, or of rows that there are
    not.
    """
    where = f"{place}, row {row.label!r}"
    if row.printed is not None and row.printed.count("/") != 1:
        raise InputError(f"{where}: printed {row.printed!r} is no method/variant")
    method = row.method or study.method
    if method is None:
        raise InputError(f"{where}: no method; give 'method' there or above")
    known = _known_settings(method)
    for key in () if row.of else {**study.settings, **row.settings}:
        if key not in known:
            raise InputError(f"{where}: unknown setting {key!r}; {nearest(key, known)}")
    for name in row.of:
        if name not in variants:
            advice = nearest(name, variants)
            raise InputError(f"{where}: no row of variant {name!r}; {advice}")
    if len(row.of) == 1:
        raise InputError(f"{where}: of one row is no ensemble; give two or more in 'of'")


def _check_sweep(study: PaperStudy, sweep: Sweep, place: str) -> None:
    """Raise InputError for a setting that a line's method does not have."""
    for line in sweep.lines or (_as_configured(study),):
        known = _known_settings(_method(study, line))
        if sweep.setting not in known:
            advice = nearest(sweep.setting, known)
            raise InputError(f"{place}.sweep: unknown setting {sweep.setting!r}; {advice}")
        if line.of:
            raise InputError(f"{place}.sweep: {line.label!r} is an ensemble, which has no settings")


def _known_settings(method: str) -> list[str]:
    """Return what a row of a method may set."""
    return [*(field.name for field in fields(read_method(method).config)), *RUN_KEYS]


def _as_configured(study: PaperStudy) -> StudyRow:
    """Return the row of a study's method as configured; InputError where it names none."""
    if study.method is None:
        raise InputError("a study without rows or lines needs 'method'")
    return StudyRow(label=study.method)


def _method(study: PaperStudy, row: StudyRow) -> str:
    """Return the method of a row that was checked."""
    return str(row.method or study.method)


def wanted_rows(study: PaperStudy, names: Collection[str]) -> list[Wanted]:
    """Return a study's rows on a dataset that is called ``names``: by itself, by its
    ``settings_of``; those of the sweeps last.
    """
    own = study.rows or (() if study.sweep else (_as_configured(study),))
    found = []
    # As the papers have it: all rows under one rebalancing, then all under the next.
    for kind in study.rebalancings:
        found += [_of_row(study, row, kind) for row in own]
    for panel, sweep in enumerate(study.sweep):
        found += _of_sweep(study, panel, sweep, names)
    return found


def _of_row(study: PaperStudy, row: StudyRow, kind: str) -> Wanted:
    """Return a row under a kind of rebalancing."""
    method = _method(study, row)
    return Wanted(
        label=row.label,
        method=method,
        variant=row.variant,
        starts_from=row.starts_from or row.variant,
        settings={**study.settings, **row.settings},
        backbone=row.backbone,
        of=row.of,
        order=row.order,
        rebalancing=kind,
        group=row.group,
        printed=row.printed or f"{method}/{row.variant}",
    )


def _of_sweep(
    study: PaperStudy, panel: int, sweep: Sweep, names: Collection[str]
) -> Iterator[Wanted]:
    """Yield a row for each line and value of a sweep."""
    values = sweep.values
    for name in names:
        values = sweep.values_on.get(name, values)
    for line in sweep.lines or (_as_configured(study),):
        row = _of_row(study, line, study.rebalancings[0])
        for value in values:
            settings = {**row.settings, sweep.setting: value}
            name = _swept(line.variant, sweep.setting, value)
            # what is printed of the line is of one value that the paper took
            printed = line.printed or f"{row.method}/{name}"
            swept = replace(row, variant=name, printed=printed, settings=settings)
            yield replace(swept, panel=panel, value=value)


def _swept(variant: str, setting: str, value: Any) -> str:
    """Return the name of a run in which a setting has a value: kernel_size_3."""
    begun = "" if variant == "default" else f"{variant}_"
    return f"{begun}{setting}_{re.sub(r'[^A-Za-z0-9]+', '_', str(value)).strip('_')}"[:80]
