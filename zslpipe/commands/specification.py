"""The run that a training is given as JSON: its keys, and what is wrong with them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

import click

from zslpipe.commands.inputs import JsonObject, module_named


@dataclass(frozen=True)
class Spec:
    """What run_method reads of a run (study.config.Run)."""

    dataset: str
    method: str
    variant: str
    input: Literal["regions", "pooled", "images"]
    extractor: str
    trunk: Mapping[str, Any] | None
    semantics: str
    normalisation: Literal["none", "unit", "minmax"]
    precision: Literal["float32", "bfloat16"]
    selection: Literal["last", "validation"]
    criterion: Literal["T1", "H"]
    choose: Mapping[str, tuple[Any, ...]]
    track: Literal["none", "test"]
    settings: Mapping[str, Any]
    words: str | None = None
    # What features and index have to say of themselves; by hand any will do.
    cache: Mapping[str, Any] | None = None
    index: Mapping[str, str] | None = None


SPEC = tuple(field.name for field in fields(Spec) if field.default is MISSING)


spec_option = click.option(
    "--spec",
    type=JsonObject(*SPEC),
    required=True,
    help="The run: method, variant and all of their settings, as JSON.",
)


def check_spec(spec: Mapping[str, Any]) -> None:
    """Raise InputError, in one line, for a key of ``--spec`` that is unknown or of the wrong type,
    an unknown method, and values to try that are none of the method's.
    """
    from zslpipe.settings import parse_settings

    checked = parse_settings(Spec, spec, "--spec", called="key")
    method = module_named("zslpipe.methods", checked.method, "--spec: method")
    parse_settings(method.Config, checked.settings, "--spec", ("settings",))
    for key, values in checked.choose.items():
        for value in values:
            parse_settings(method.Config, {key: value}, "--spec", ("choose",))
