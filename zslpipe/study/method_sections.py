"""The section of a method: its rows (as configured, and each variant), checked against the method's
own ``Config``.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.settings import parse_settings
from zslpipe.study.declarations import MethodSource, read_method
from zslpipe.study.sections import RunSection, Variants

# What a variant may change besides the fields of the method's Config.
RUN_KEYS = tuple(field.name for field in fields(RunSection))
# Settings that an end-to-end method gets from its extractor.
FROM_EXTRACTOR = ("backbone", "layer")
# Keys of a method's section that are no row's.
BESIDE = ("variants", "by_dataset", "sweep")


@dataclass(frozen=True)
class Row:
    """A method's section with a variant's changes merged in: what of it belongs to the run, the
    fields of Config that it sets, and values to try of them. ``path`` leads to it.
    """

    source: MethodSource
    variant: str
    path: tuple[str, ...]
    section: RunSection
    settings: Mapping[str, Any]
    choose: Mapping[str, list[Any]]

    @property
    def where(self) -> str:
        """Where the row stands in the configuration, for messages."""
        return f"config, {'.'.join(self.path)}"

    @property
    def input(self) -> str:
        """The kind of input: the one named, or the method's first."""
        return self.section.input or next(iter(self.source.inputs))

    def complete(self, settings_of: str | None, trunk: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return all fields of Config: the method's defaults, what it publishes for a dataset, the
        network of ``trunk`` where it runs one itself, the user's settings.
        """
        settings = self.source.defaults(settings_of)
        if trunk is not None:
            settings |= {"backbone": trunk["backbone"], "layer": trunk.get("layer", "")}
        settings |= self.settings
        return asdict(parse_settings(self.source.config, settings, "config", self.path))


def rows(method: str, section: Any, dataset: str | None = None) -> Iterator[Row]:
    """Yield the rows of a method's section on a dataset (None: on one that it does not name), the
    default first; raises InputError for what no dataset could make right.
    """
    source = read_method(method)
    if not isinstance(section, Mapping):
        raise InputError(f"config, {method}: {section!r} is not a section; write keys with values")
    common = common_of(section, dataset)
    yield row_of(source, "default", (method,), common)
    for variant, changes in _variants(method, section.get("variants")).items():
        yield row_of(source, variant, (method, "variants", variant), {**common, **changes})


def common_of(section: Mapping[str, Any], dataset: str | None) -> dict[str, Any]:
    """Return what a method's section says of all its rows on a dataset."""
    own = (section.get("by_dataset") or {}).get(dataset) or {}
    return {key: value for key, value in {**section, **own}.items() if key not in BESIDE}


def check_datasets_of(method: str, section: Any, datasets: Collection[str]) -> None:
    """Raise InputError where a method's section names a dataset that there is not, and for another
    kind of input on one: which rule trains a row is the same on all datasets.
    """
    given = section.get("by_dataset") if isinstance(section, Mapping) else None
    parse_settings(Variants, {"by_dataset": {} if given is None else given}, "config", (method,))
    for name, changes in (given or {}).items():
        if name not in datasets:
            advice = nearest(name, datasets)
            raise InputError(f"config, {method}.by_dataset: no dataset {name!r}; {advice}")
        if isinstance(changes, Mapping) and "input" in changes:
            fault = "a row reads one kind of input on all datasets; make it a variant with only_on"
            raise InputError(f"config, {method}.by_dataset.{name}.input: {fault}")


def changes_of(section: Mapping[str, Any], variant: str) -> Mapping[str, Any]:
    """Return what a variant of a method's section changes, nothing of one that there is not."""
    return ((section.get("variants") or {}).get(variant)) or {}


def as_list(given: Any) -> list[Any]:
    """Return a list as it is, nothing as an empty one, and one thing as a list of it."""
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _variants(method: str, given: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the changes of each variant; one in which nothing is written changes nothing."""
    if isinstance(given, Mapping):
        given = {name: changes or {} for name, changes in given.items()}
    section = {"variants": {} if given is None else given}
    return parse_settings(Variants, section, "config", (method,)).variants


def row_of(
    source: MethodSource, variant: str, path: tuple[str, ...], merged: Mapping[str, Any]
) -> Row:
    """Return a checked row from a method's section with a variant's changes merged in."""
    known = [field.name for field in fields(source.config)]
    where = f"config, {'.'.join(path)}"
    for key in merged:
        if key not in known and key not in RUN_KEYS:
            advice = nearest(key, [*known, *RUN_KEYS, *BESIDE])
            raise InputError(f"{where}: unknown setting {key!r}; {advice}")
    of_run = {key: value for key, value in merged.items() if key in RUN_KEYS}
    if of_run.get("choose", {}) is None:
        del of_run["choose"]
    section = parse_settings(RunSection, of_run, "config", path, called="key")
    settings = {key: value for key, value in merged.items() if key in known}
    _check_network(source, [*settings, *section.choose], where)
    parsed = parse_settings(source.config, settings, "config", path)
    _check_choosing(section, known, where)
    choose = {key: _candidates(source, key, values, path) for key, values in section.choose.items()}
    if section.input is not None and section.input not in source.inputs:
        kinds = " or ".join(source.inputs)
        raise InputError(f"{where}.input: {source.name} takes {kinds}, not {section.input!r}")
    used = {key: getattr(parsed, key) for key in settings}
    return Row(source, variant, path, section, used, choose)


def _check_network(source: MethodSource, keys: list[str], where: str) -> None:
    """Raise InputError where a method that reads images is told another network than the
    extractor's.
    """
    for key in keys:
        if "images" in source.inputs and key in FROM_EXTRACTOR:
            raise InputError(
                f"{where}.{key}: the network is the extractor's; name one with 'extractor'"
            )


def _check_choosing(section: RunSection, known: list[str], where: str) -> None:
    """Raise InputError where values to choose from and the way to choose do not fit together."""
    for key in section.choose:
        if key not in known:
            raise InputError(f"{where}.choose: unknown setting {key!r}; {nearest(key, known)}")
    if section.choose and section.selection != "validation":
        raise InputError(f"{where}.choose: values are only tried with 'selection: validation'")
    if section.selection == "validation" and not section.choose and "epochs" not in known:
        raise InputError(
            f"{where}: 'selection: validation' has nothing to choose; "
            "name values to try under 'choose'"
        )


def _candidates(
    source: MethodSource, key: str, values: tuple[Any, ...], path: tuple[str, ...]
) -> list[Any]:
    """Return the values of a setting that are tried, as Config has them."""
    place = (*path, "choose")
    configs = [parse_settings(source.config, {key: value}, "config", place) for value in values]
    return [getattr(config, key) for config in configs]
