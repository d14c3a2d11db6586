"""What a row of a study is on a dataset: a run that the configuration has, or one more; an ensemble
likewise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.config import Run, run_of
from zslpipe.study.declarations import method_names, read_method
from zslpipe.study.method_sections import Row, changes_of, common_of, row_of
from zslpipe.study.names import check_names_of
from zslpipe.study.results import Results
from zslpipe.study.runs import Runs
from zslpipe.study.section_types import LONGEST
from zslpipe.study.study_files import Wanted

# Characters of the hash behind a name that stands for other settings already (ours).
HASH = 6


@dataclass
class StudyRuns:
    """Runs and ensembles of studies, entered beside those of the configuration: one that has the
    same settings, whatever its name, is taken instead.
    """

    config: Mapping[str, Any]
    runs: Runs
    results: Results
    _same: dict[str, str] = field(default_factory=dict)
    _ensembles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Learn what the configuration has."""
        for run in self.runs.all.values():
            self._same.setdefault(_settings(run), f"{run.method}/{run.variant}")
        averages = {name: one for name, one in self.results.ensembles.items() if one["of"]}
        for name, entry in averages.items():
            told = (self.results.members(name), entry["temperature"], entry["order"])
            self._ensembles.setdefault(canonical(told), name)

    def path(self, dataset: str, wanted: Wanted, where: tuple[str, ...]) -> str:
        """Return the run of a study's row as method/variant, new where no other has its settings.

        Raises InputError, which names the place ``where``, for what the dataset cannot have.
        """
        self._check_allowed(dataset, wanted.method)
        row = self._row(dataset, wanted, where)
        check_names_of(self.config, row)
        run = run_of(self.config, dataset, row)
        told = _settings(run)
        if told not in self._same:
            key = (dataset, run.method)
            taken = {key[2] for key in self.runs.known if key[:2] == (dataset, run.method)}
            name = _free(wanted.variant, told, taken)
            self.runs.further[(*key, name)] = replace(run, variant=name)
            self._same[told] = f"{run.method}/{name}"
        return self._same[told]

    def _check_allowed(self, dataset: str, method: str) -> None:
        """Raise InputError where a dataset's section leaves a method out."""
        only = self.config["datasets"][dataset].get("methods")
        if only is not None and method not in only:
            raise InputError(f"config, datasets.{dataset}.methods leaves {method} out")

    def _row(self, dataset: str, wanted: Wanted, where: tuple[str, ...]) -> Row:
        """Return the row of a method's section: the section, its variant of this name if there is
        one, the study's changes.
        """
        section = self.config.get(wanted.method) or {}
        changes = dict(wanted.settings)
        if wanted.backbone is not None:
            changes["extractor"] = self._extractor(dataset, wanted.backbone)
        base = {**common_of(section, dataset), **changes_of(section, wanted.starts_from)}
        base.pop("only_on", None)
        merged = {**base, **changes}
        if isinstance(base.get("choose"), Mapping) and "choose" not in changes:
            # what a study sets is not chosen
            chosen = {key: values for key, values in base["choose"].items() if key not in changes}
            merged["choose"] = chosen
        return row_of(read_method(wanted.method), wanted.variant, where, merged)

    def _extractor(self, dataset: str, backbone: str) -> str:
        """Return the first configured extractor of a network, of those of the dataset if it has
        one; InputError where there is none.
        """
        offered = self.config["datasets"][dataset]["extractors"]
        entries = self.config["extractors"]
        for name in [*offered, *entries]:
            if entries[name]["backbone"] == backbone:
                return str(name)
        raise InputError(f"no extractor with backbone {backbone} is configured")

    def ensemble(self, wanted: Wanted, members: list[str]) -> str:
        """Return the ensemble of members, as name/default, new where no other has them; InputError
        for members that are one run.
        """
        for member in members:
            if members.count(member) > 1:
                raise InputError(f"its members are one run, {member}")
        entry = {"of": members, "temperature": "likeliest", "order": wanted.order}
        told = canonical((members, entry["temperature"], entry["order"]))
        if told not in self._ensembles:
            taken = {*self.results.ensembles, *self.config["imported"], *method_names()}
            name = _free(wanted.variant, told, taken)
            self.results.ensembles[name] = {**entry, "rebalancing": ["none"]}
            self._ensembles[told] = name
        return f"{self._ensembles[told]}/default"


def _settings(run: Run) -> str:
    """Return all that a run's result depends on, but for the variant's name."""
    return canonical({key: value for key, value in run.slice.items() if key != "variant"})


def _free(name: str, told: str, taken: set[str]) -> str:
    """Return a name that nothing else has: with a hash of what it stands for where it is taken."""
    folded = {other.casefold() for other in taken}
    if name.casefold() not in folded:
        return name
    return f"{name[: LONGEST - HASH - 1]}_{settings_hash({'of': told})[:HASH]}"
