"""The configuration: read, checked, completed with defaults, and turned into typed runs. Imports no
torch.

``workflow/schemas/config.schema.yaml`` says what every key means; a method's section is checked
against its ``Config``.
"""

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import PACKAGE
from zslpipe.study.declarations import FROM_EXTRACTOR, MethodSource, read_method

# What a method's section may hold besides the fields of its Config.
RUN_KEYS = (
    "input",
    "extractor",
    "semantics",
    "normalisation",
    "words",
    "precision",
    "selection",
    "criterion",
    "choose",
    "rebalancing",
    "variants",
)
# ``key=value`` of --config set="..."; a value in brackets, braces or quotes may contain spaces.
ASSIGNMENT = re.compile(r"\s*([\w.\-]+)=(\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'|\S+)")


@dataclass(frozen=True)
class Run:
    """One row of the table: a method as a variant on a dataset; ``settings`` are the Config fields
    the user sets.

    ``input`` is a kind of :mod:`zslpipe.study.declarations`; ``trunk`` the extractor's own section
    where the method runs the network itself, None where it reads the extractor's features.
    """

    dataset: str
    method: str
    variant: str
    input: str
    extractor: str
    trunk: Mapping[str, Any] | None
    words: str | None
    semantics: str
    normalisation: str
    precision: str
    selection: str
    criterion: str
    choose: Mapping[str, list]
    settings: Mapping[str, Any]
    settings_of: str | None
    rebalancing: tuple[str, ...]

    @property
    def slice(self) -> dict[str, Any]:
        """All that the run's result depends on in the configuration; what Snakemake compares."""
        return {name: value for name, value in asdict(self).items() if name != "rebalancing"}


def load(given: Mapping[str, Any], schema: Path) -> dict[str, Any]:
    """Return the configuration with ``set`` applied, checked and completed; raises InputError in
    one line.
    """
    config = copy.deepcopy(dict(given))
    apply_assignments(config, str(config.pop("set", "")))
    rules = yaml.safe_load(schema.read_text(encoding="utf8"))
    # The methods' names come first: a misspelt method is better named than called an unknown key.
    for name in _method_sections(config, rules):
        read_method(name)
    _check(config, rules)
    complete = _with_defaults(config, rules, rules)
    list(runs(complete))
    return complete


def apply_assignments(config: dict[str, Any], text: str) -> None:
    """Set nested values from ``"dazle.lr=0.5 seeds=[0,1]"``, typed by YAML; raises InputError if it
    does not parse.
    """
    position = 0
    while position < len(text.rstrip()):
        match = ASSIGNMENT.match(text, position)
        if match is None:
            raise InputError(
                f'--config set="...": cannot read {text[position:].strip()!r}; '
                "write name.key=value, separated by spaces"
            )
        position = match.end()
        *folders, last = match[1].split(".")
        target = config
        for folder in folders:
            target = target.setdefault(folder, {})
            if not isinstance(target, dict):
                raise InputError(
                    f'--config set="{match[1]}=...": {folder!r} is a value, not a section'
                )
        target[last] = _typed(match[2])


def _typed(text: str) -> Any:
    """Return a value as YAML types it; raises InputError where it is none, such as a list that is
    not closed.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(
            f'--config set="...": {text!r} is not a value in YAML; an inner ] or }} is not read, use dotted names'
        ) from None


def _method_sections(config: Mapping[str, Any], rules: Mapping[str, Any]) -> list[str]:
    """Return the names that must be methods: those listed, and every section the schema does not
    know.
    """
    listed = config.get("methods")
    listed = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    sections = [key for key in config if key not in rules["properties"]]
    for key in sections:
        if key not in listed and not (PACKAGE / "methods" / f"{key}.py").is_file():
            raise InputError(
                f"config: unknown key {key!r}; {nearest(key, [*rules['properties'], *listed])}"
            )
    return [*listed, *sections]


def _check(config: Mapping[str, Any], rules: Mapping[str, Any]) -> None:
    """Raise InputError for the first violation of the schema: where, what, and the nearest known
    key.
    """
    error = best_match(Draft202012Validator(rules).iter_errors(config))
    if error is None:
        return
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    raise InputError(f"config, {where}: {_explain(error)}")


def _explain(error: ValidationError) -> str:
    """Return a schema error as a sentence for the person who wrote the file."""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema["properties"]
        unknown = next(key for key in error.instance if key not in known)
        return f"unknown key {unknown!r}; {nearest(str(unknown), known)}"
    if isinstance(error.instance, str):
        return f"{error.message}{_number_hint(error.instance)}"
    return error.message


def _number_hint(text: str) -> str:
    """Return the advice for ``1e-4``, which YAML reads as a string, and nothing for other texts."""
    if not re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", text):
        return ""
    mantissa, exponent = re.split("[eE]", text)
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    sign = "" if exponent[0] in "+-" else "+"
    return f" (YAML reads {text} as text: write {mantissa}e{sign}{exponent})"


def _with_defaults(value: Any, rules: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return ``value`` with the schema's defaults filled in, at every depth."""
    if "$ref" in rules:
        rules = root["$defs"][rules["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return value
    known = rules.get("properties", {})
    complete = {
        key: copy.deepcopy(rule["default"])
        for key, rule in known.items()
        if "default" in rule and key not in value
    }
    complete |= value
    other = rules.get("additionalProperties")
    for key, item in complete.items():
        rule = known.get(key, other if isinstance(other, dict) else {})
        complete[key] = _with_defaults(item, rule, root)
    return complete


def runs(config: Mapping[str, Any]) -> Iterator[Run]:
    """Yield every row of the table: datasets x methods x (default, variants); InputError for what
    does not fit.
    """
    for dataset in config["datasets"]:
        for method in _methods_of(config, dataset):
            source = read_method(method)
            section = config.get(method) or {}
            variants = section.get("variants") or {}
            for variant, changes in {"default": {}, **variants}.items():
                merged = {
                    **{key: value for key, value in section.items() if key != "variants"},
                    **changes,
                }
                yield _run(config, dataset, source, variant, merged)


def _methods_of(config: Mapping[str, Any], dataset: str) -> list[str]:
    """Return the methods that run on a dataset, in the order of ``methods``; InputError for one not
    listed there.
    """
    only = config["datasets"][dataset].get("methods", config["methods"])
    for name in only:
        if name not in config["methods"]:
            raise InputError(
                f"config, datasets.{dataset}.methods: {name!r} is not among methods; {nearest(name, config['methods'])}"
            )
    return [name for name in config["methods"] if name in only]


def _run(
    config: Mapping[str, Any],
    dataset: str,
    source: MethodSource,
    variant: str,
    section: Mapping[str, Any],
) -> Run:
    """Return one run from a method's section with the variant's changes merged in."""
    entry = config["datasets"][dataset]
    where = f"config, {source.name}" + ("" if variant == "default" else f".variants.{variant}")
    settings = {key: value for key, value in section.items() if key not in RUN_KEYS}
    choose = section.get("choose", {})
    for key in [*settings, *choose]:
        if "images" in source.inputs and key in FROM_EXTRACTOR:
            raise InputError(
                f"{where}.{key}: the network is the extractor's; name one with 'extractor'"
            )
        if key not in source.settings:
            raise InputError(
                f"{where}: unknown setting {key!r}; {nearest(key, [*source.settings, *RUN_KEYS])}"
            )
    for key, values in [*((key, [value]) for key, value in settings.items()), *choose.items()]:
        for value in values:
            _check_type(value, source.settings[key], f"{where}.{key}")
    selection = section.get("selection", "last")
    if choose and selection != "validation":
        raise InputError(f"{where}.choose: values are only tried with 'selection: validation'")
    if selection == "validation" and not choose and "epochs" not in source.settings:
        raise InputError(
            f"{where}: 'selection: validation' has nothing to choose; name values to try under 'choose'"
        )
    words = section.get("words", entry.get("words")) if source.uses_words else None
    if source.uses_words and words not in config["words"]:
        raise InputError(
            f"config, datasets.{dataset}: method {source.name!r} reads word vectors; "
            f"set 'words' to one of: {', '.join(config['words']) or '(none defined)'}"
        )
    kind = section.get("input", next(iter(source.inputs)))
    if kind not in source.inputs:
        raise InputError(
            f"{where}.input: {source.name} takes {' or '.join(source.inputs)}, not {kind!r}"
        )
    extractor = _extractor(
        config, dataset, source.inputs[kind], kind, section.get("extractor"), where
    )
    return Run(
        dataset=dataset,
        method=source.name,
        variant=variant,
        input=kind,
        extractor=extractor,
        trunk=config["extractors"][extractor] if kind == "images" else None,
        words=words,
        semantics=section.get("semantics", entry["semantics"]),
        normalisation=section.get("normalisation", entry["normalisation"]),
        precision=section.get("precision", "float32"),
        selection=selection,
        criterion=section.get("criterion", "H"),
        choose=choose,
        settings=settings,
        settings_of=entry.get("settings_of"),
        rebalancing=tuple(section.get("rebalancing", ["none"])),
    )


def _check_type(value: Any, annotation: str, where: str) -> None:
    """Raise InputError unless ``value`` has the type of a Config field (bool, int, float, str,
    Literal of texts).
    """
    if annotation.startswith("Literal["):
        options = [
            str(option) for option in ast.literal_eval(f"[{annotation.removeprefix('Literal[')}")
        ]
        if value not in options:
            raise InputError(
                f"{where}: {value!r} is none of {', '.join(options)}; {nearest(str(value), options)}"
            )
        return
    fits = {"bool": bool, "int": int, "float": int | float, "str": str}.get(annotation)
    if fits is None or (
        isinstance(value, fits) and (annotation == "bool" or not isinstance(value, bool))
    ):
        return
    hint = _number_hint(value) if isinstance(value, str) else ""
    raise InputError(f"{where}: {value!r} is not of type {annotation}{hint}")


def _extractor(
    config: Mapping[str, Any],
    dataset: str,
    wanted: Mapping[str, int],
    kind: str,
    named: str | None,
    where: str,
) -> str:
    """Return the extractor of a run: the one named, or the dataset's first that fits its input.

    Features fit by their grid (pooled ones are the mean over the 7x7 grid and are never extracted a
    second time), images by their size.
    """
    offered = config["datasets"][dataset]["extractors"]
    for name in [*offered, *([named] if named else [])]:
        if name not in config["extractors"]:
            raise InputError(
                f"config: no extractor {name!r}; {nearest(name, config['extractors'])}"
            )
    if named and not (kind != "pooled" and config["extractors"][named]["backbone"] == "stored"):
        return named
    if named:
        raise InputError(
            f"{where}.extractor: {named!r} holds pooled features only, the method takes {kind}"
        )
    for name in offered:
        if _fits(config["extractors"][name], wanted, kind):
            return name
    grid = wanted.get("grid", 7)
    lacking = f"images of {wanted['size']} px" if kind == "images" else f"a {grid}x{grid} grid"
    raise InputError(
        f"{where}: dataset {dataset!r} has no extractor with {lacking} among: {', '.join(offered)}; "
        "name one with 'extractor'"
    )


def _fits(extractor: Mapping[str, Any], wanted: Mapping[str, int], kind: str) -> bool:
    """Return whether an extractor is a method's default for a kind of input with the arguments
    ``wanted``.
    """
    if extractor["backbone"] == "stored":
        return kind == "pooled"
    if kind == "images":
        return bool(extractor["size"] == wanted["size"])
    return bool(extractor["grid"] == wanted.get("grid", 7))
