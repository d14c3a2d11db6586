"""What a calibration has to measure for a study, and what it has measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zslpipe.formats.rates import Rates
from zslpipe.machine.hardware import has_card
from zslpipe.machine.stopwatch import Taken
from zslpipe.provenance import code_hash, library_versions, settings_hash
from zslpipe.study.config import Run
from zslpipe.study.known_sizes import KnownSizes, class_widths, word_length
from zslpipe.study.study import Study

# What a run's section says beside what decides how long it takes.
NOT_OF_COSTS = ("index", "cache", "dataset", "variant", "words", "extractor")


@dataclass(frozen=True)
class Measurement:
    """Something to measure, a ``start``, an ``extractor`` or a ``run``: what has the same ``asked``
    takes as long. It is measured on pictures of a ``dataset``.
    """

    kind: str
    name: str
    asked: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""

    @property
    def key(self) -> str:
        """Return what the numbers are kept under."""
        return settings_hash([self.kind, dict(self.asked), library_versions()])


START = Measurement("start", "starts of jobs", {"of": ["images", "torch", "numpy"]})


def of_extractor(study: Study, name: str) -> Measurement:
    """Return the measurement of an extractor; ``weights`` take as long as others."""
    settings = {**study.extractors.settings(name), **study.extractors.how()[name]}
    unasked = ("name", "weights", "weights_file", "features_version")
    asked = {key: value for key, value in settings.items() if key not in unasked}
    asked |= _where(study, "extract_threads")
    datasets = study.datasets.entries.items()
    having = [dataset for dataset, entry in datasets if name in entry["extractors"]]
    having += [run.dataset for run in study.runs.all.values() if run.extractor == name]
    return Measurement("extractor", name, asked, having[0] if having else "")


def of_run(study: Study, sizes: KnownSizes, run: Run, validated: bool) -> Measurement | None:
    """Return the measurement of a run, None where the width of its features is not known yet."""
    shape = sizes.shape(study, run)
    if shape is None:
        return None
    extent = asdict(sizes.extents[run.dataset]) | {"vectors": class_widths(study, sizes, run)}
    del extent["told"]
    spec = {name: value for name, value in run.slice.items() if name not in NOT_OF_COSTS}
    asked = {
        "spec": spec,
        "extent": extent,
        "shape": list(shape),
        "words": word_length(study, run),
        "validated": validated,
        **_where(study, "image_threads" if run.trunk else "threads"),
        "code": code_hash(f"zslpipe.methods.{run.method}"),
    }
    return Measurement("run", f"{run.dataset}/{run.method}/{run.variant}", asked, run.dataset)


def _where(study: Study, threads: str) -> dict[str, Any]:
    """Return where something is measured; beside a CPU alone there are threads that decode."""
    device = study.compute["device"]
    return {"device": device, "threads": 1 if device == "cpu" else study.compute[threads]}


@dataclass(frozen=True)
class Measured:
    """Rates as calibrations on machines measured them; ``kind`` is that of this one."""

    rates: Rates
    kind: str

    def of(self, measurement: Measurement | None) -> tuple[Mapping[str, Any], str]:
        """Return the numbers of a measurement and the kind of the machine that they are of: of this
        one, else of another, those with a card first; ({}, "") where none has them.
        """
        if measurement is None:
            return {}, ""
        others = sorted(self.rates, key=lambda kind: (kind != self.kind, not has_card(kind), kind))
        for kind in others:
            if measurement.key in self.rates[kind]:
                return self.rates[kind][measurement.key], kind
        return {}, ""

    def lacking(
        self, measurements: Sequence[Measurement], without: Collection[str] = ()
    ) -> list[Measurement]:
        """Return those that this machine has not measured, each once, ``without`` some keys."""
        own = self.rates.get(self.kind, {})
        wanted = {one.key: one for one in measurements if one.key not in own}
        return [one for key, one in wanted.items() if key not in without]


def taken(numbers: Mapping[str, Any], name: str) -> Taken | None:
    """Return one of the numbers of a measurement, None where it is not there."""
    return Taken(**numbers[name]) if name in numbers else None
