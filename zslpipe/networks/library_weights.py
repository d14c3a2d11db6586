"""Weights that torchvision and timm download: where they lie in the caches of this machine, and how
they get there.

torchvision's lie in ``$TORCH_HOME/hub/checkpoints``, timm's in ``$HF_HOME/hub`` (a few of timm's in
torch's), both in ``~/.cache`` where the variable is not set.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from torchvision import models

from zslpipe.networks.backbones import build_trunk

# Files of a repository on Hugging Face that timm asks for, in its order
# (timm.models._hub.load_state_dict_from_hf).
ON_THE_HUB = ("model.safetensors", "pytorch_model.bin")
MEGABYTE = 10**6  # bytes; torchvision's _file_size counts in MB


@dataclass(frozen=True)
class Cached:
    """What a cache has of a network's weights: their file, None where it is missing, and its size
    in bytes, where it is missing what the library says, None where it says nothing.
    """

    path: Path | None
    size: int | None


def cached(backbone: str, weights: str) -> Cached:
    """Return what the caches have of the ``weights`` that a library has of a network.

    ``backbone``: a torchvision classifier, ``timm/NAME`` or ``timm/NAME.TAG``. Asks nobody on the
    internet. Of what a library does not know there is nothing.
    """
    if backbone.startswith("timm/"):
        name = backbone.removeprefix("timm/")
        return _cached_of_timm(name if weights == "pretrained" else f"{name}.{weights}")
    if backbone not in models.list_models(module=models):
        return Cached(None, None)
    offered = models.get_model_weights(backbone).__members__.get(weights)
    if offered is None:
        return Cached(None, None)
    found = _checkpoint(offered.url)
    return found if found.path else Cached(None, round(offered.meta["_file_size"] * MEGABYTE))


def fetch(backbone: str, weights: str, layer: str | None) -> None:
    """Build the network as jobs do, by which its weights come into the cache.

    Raises InputError for an unknown network, weights or layer, and where they cannot be fetched.
    """
    # It warns of every attempt, and of an address without an account.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    build_trunk(backbone, weights, layer)


def cache_folders() -> tuple[Path, Path]:
    """Return the folders of torch's and of Hugging Face's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints", Path(HF_HUB_CACHE)


def _cached_of_timm(name: str) -> Cached:
    """Return what the caches have of a timm network."""
    try:
        source = timm.get_pretrained_cfg(name)
    except RuntimeError:  # it has no such tag
        return Cached(None, None)
    if source is None or not source.hf_hub_id:
        return _checkpoint(str(source.url)) if source and source.url else Cached(None, None)
    named = (source.hf_hub_filename,) if source.hf_hub_filename else ON_THE_HUB
    repository, _, revision = source.hf_hub_id.partition("@")
    for file in named:
        found = try_to_load_from_cache(repository, file, HF_HUB_CACHE, revision or None)
        if isinstance(found, str):  # else None, or a mark that the repository has no such file
            return _file(Path(found))
    return Cached(None, None)


def _checkpoint(address: str) -> Cached:
    """Return what torch's cache has of a file that is fetched from ``address``."""
    return _file(cache_folders()[0] / Path(urlparse(address).path).name)


def _file(path: Path) -> Cached:
    """Return a file of a cache, where it is there."""
    return Cached(path, path.stat().st_size) if path.is_file() else Cached(None, None)
