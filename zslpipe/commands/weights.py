"""The command that fills the caches of weights, where jobs run without a network."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from zslpipe.commands.inputs import INPUT_FILE
from zslpipe.machine.errors import InputError
from zslpipe.machine.weight_names import is_weights_file

if TYPE_CHECKING:
    from zslpipe.networks.library_weights import Cached


@click.command("fetch-weights")
@click.argument("configuration", required=False, type=INPUT_FILE, default=Path("config.yaml"))
@click.option(
    "--check",
    is_flag=True,
    help="Fetch nothing: say what is there; exit code 1 where something is missing.",
)
def fetch_weights(configuration: Path, check: bool) -> None:
    """Fetch the weights of networks that jobs will read.

    For clusters whose compute nodes reach no network: run it on the login node. CONFIGURATION is
    the study's, by default config.yaml; the weights that its extractors name of torchvision and
    timm come into the caches of both libraries ($TORCH_HOME, $HF_HOME).
    """
    from zslpipe.networks.library_weights import cache_folders

    wanted = _wanted(configuration)
    faults = [_looked_at(*network, layer, check) for network, layer in wanted.items()]
    failed = [fault for fault in faults if fault]
    if failed:
        raise InputError(f"{len(failed)} of {len(wanted)} networks have no weights: {failed[0]}")
    folders = " and ".join(map(str, cache_folders()))
    told = f"jobs read them from {folders}" if wanted else "no extractor names a library's weights"
    click.echo(f"{configuration}: {told}")


def _looked_at(backbone: str, weights: str, layer: str | None, check: bool) -> str:
    """Fetch what is missing of a network, unless it is only to be checked, and say what is there;
    return why it is still missing, "" where it is not.
    """
    from zslpipe.networks.library_weights import cached, fetch

    found, state, fault = cached(backbone, weights), "there", ""
    if found.path is None and check:
        fault = "run zslpipe fetch-weights where there is a network"
    elif found.path is None:
        click.echo(f"{backbone} {weights}: fetching{_size(found)}", err=True)
        try:
            fetch(backbone, weights, layer)
        except InputError as error:
            fault = str(error)
        found, state = cached(backbone, weights), "fetched"
    click.echo(f"{backbone} {weights}: {state if found.path else 'missing'}{_size(found)}")
    return fault


def _wanted(configuration: Path) -> dict[tuple[str, str], str | None]:
    """Return the networks whose weights the extractors of a configuration name, with the first
    layer that is read of each.

    Raises InputError where the file holds no extractors.
    """
    try:
        content = yaml.safe_load(configuration.read_text(encoding="utf8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        raise InputError(f"{configuration}: is no YAML; name a study's configuration") from None
    extractors = content.get("extractors") if isinstance(content, Mapping) else None
    if not isinstance(extractors, Mapping):
        raise InputError(f"{configuration}: has no extractors; name a study's configuration")
    found: dict[tuple[str, str], str | None] = {}
    for extractor in extractors.values():
        named = extractor if isinstance(extractor, Mapping) else {}
        backbone, weights = str(named.get("backbone")), str(named.get("weights", "random"))
        if weights != "random" and not is_weights_file(weights):
            found.setdefault((backbone, weights), named.get("layer"))
    return found


def _size(found: "Cached") -> str:
    """Return the size of what is there or missing, and its file, for a line."""
    size = "" if found.size is None else f", {found.size / 1e6:.1f} MB"
    return f"{size}, {found.path}" if found.path else size
