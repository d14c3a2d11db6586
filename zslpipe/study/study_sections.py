"""What a study says: a table or figure of a paper, or a user's own; files in ``workflow/studies``
and the section ``studies`` of a configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, NonNegativeFloat

from zslpipe.machine.ranges import OneOrMore
from zslpipe.study.section_types import (
    Candidates,
    Different,
    Others,
    Rebalancings,
    Text,
    row_name,
)

Measure = Literal["T1", "U", "S", "H", "AUSUC"]
Measures = Annotated[tuple[Measure, ...], OneOrMore, Different]
Kind = Literal["table", "sizes", "curves", "bars", "entropies", "figures"]
Figure = Literal[
    "losses", "maps", "parts", "channels", "gradcam", "predictions", "curves", "confusion"
]
RowName = Annotated[str, AfterValidator(row_name)]


@dataclass(frozen=True)
class StudyRow:
    """A row of a study's table, or a line of its plot: a method's run under a name, on every
    dataset, or an ensemble of other rows.
    """

    label: Text
    """as the paper calls it"""
    variant: RowName = "default"
    """name of the run; the configuration's variant of this name is what it starts from"""
    starts_from: RowName | None = None
    """the configuration's variant that it starts from, where that has another name"""
    method: Text | None = None
    """instead of the study's"""
    settings: Others = field(default_factory=dict)
    """what it changes, as a variant does"""
    backbone: Text | None = None
    """its extractor is the first configured one of this network"""
    of: Annotated[tuple[RowName, ...], Different] = ()
    """variants of the study's other rows whose softmax outputs are averaged: variant is then the
    ensemble's name"""
    order: Literal["average first", "rebalance first"] = "rebalance first"
    """of an ensemble, as in ensembles"""
    group: str = ""
    """bars: which group it stands in; a table has it before the label"""
    printed: Text | None = None
    """method/variant under which published.yaml has it; default its own"""


@dataclass(frozen=True)
class Sweep:
    """A curve: one setting, the values that it takes, what is plotted."""

    setting: Text
    """of the method's Config, or what a variant may change beside it"""
    values: Candidates
    """a training a seed for each; one that the configuration has already is not trained again"""
    plot: Measures = ("H",)
    """measures, a curve each"""
    lines: tuple[StudyRow, ...] = ()
    """curves of several variants; default the method as configured"""
    values_on: Mapping[str, Candidates] = field(default_factory=dict)
    """other values by dataset, by its name or its settings_of"""
    title: str = ""
    """of the plot's axis; default the setting's name"""
    scale: Literal["linear", "log"] = "linear"
    """of the plot's axis"""


@dataclass(frozen=True)
class PaperStudy:
    """A table or figure of its own name: `snakemake study_NAME` makes results/studies/NAME."""

    kind: Kind = "curves"
    """table, curves (of sweep), bars (of groups), entropies, figures (that are drawn anyway), sizes
    (of the datasets)"""
    title: str = ""
    """what it shows"""
    paper: str = ""
    """whose, as published.yaml calls it"""
    place: str = ""
    """table or figure there, such as table 2"""
    method: Text | None = None
    """of all rows that name none"""
    settings: Others = field(default_factory=dict)
    """what all rows change, before their own"""
    datasets: Annotated[tuple[str, ...], Different] = ()
    """names of those that it is printed for; it runs on any"""
    measures: Measures = ("T1", "U", "S", "H")
    """columns, in the paper's order; of bars the first is drawn"""
    rebalancings: Rebalancings = ("none",)
    """every row under each; curves are under the first"""
    rows: tuple[StudyRow, ...] = ()
    """of the table; default the method as configured"""
    sweep: tuple[Sweep, ...] = ()
    """curves, one part of the plot each"""
    figures: Annotated[tuple[Figure, ...], Different] = ()
    """kinds of the figures of its rows"""
    others: Mapping[str, Mapping[str, Mapping[str, NonNegativeFloat]]] = field(default_factory=dict)
    """numbers of other methods that are printed beside: method, dataset, measure (sizes: dataset,
    column)"""
    notes: tuple[Text, ...] = ()
    """what stands below"""


def normalised(given: Any) -> Any:
    """Return a study as written with ``sweep`` a list: one alone may stand as a section."""
    if isinstance(given, Mapping) and isinstance(given.get("sweep"), Mapping):
        return {**given, "sweep": [given["sweep"]]}
    return given
