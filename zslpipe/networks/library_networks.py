"""Whole networks of torchvision and timm, with a library's weights or random ones, and what their
images are normalised by.
"""

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zslpipe.machine.errors import InputError, nearest, one_line
from zslpipe.machine.offline import offline, without_network
from zslpipe.machine.weight_names import IN_FOLDER, OF_FOLDER, TOLD_FILES, said_of_folder
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.demo_pair import PairImageTower
from zslpipe.networks.foreign_weights import Convert
from zslpipe.networks.imagenet import DEVIATION, MEAN

# Seed of random weights (ours): an extraction that is resumed needs the network it began with.
RANDOM_SEED = 0


def whole_network(
    backbone: str, named: str | None, size: int | None = None, with_head: bool = False
) -> nn.Module:
    """Return the whole network with a library's weights, or random ones, always the same; timm's
    for images of ``size`` px (None: its own), with its head or without its classifier.

    Raises InputError for an unknown network or weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)
        if backbone in ("demo", "demo_pair"):
            if named is not None:
                fault = "no file of weights (.pt)"
                raise InputError(f"weights {named!r} of backbone {backbone!r}: {fault}")
            return DemoNetwork(classes=1) if backbone == "demo" else PairImageTower()
        if backbone.startswith("timm/"):
            return _timm_network(backbone.removeprefix("timm/"), named, size, with_head)
        return _torchvision_network(backbone, named)


@contextmanager
def _downloads(backbone: str, weights: str | None) -> Iterator[None]:
    """Turn what a library raises where it cannot fetch weights into an InputError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # A disk that refuses, or an error of torch's that is not about weights.
        refused = isinstance(error, OSError) and error.errno is not None
        if weights is None or refused:
            raise
        raise InputError(
            f"weights {weights!r} of {backbone} cannot be fetched ({one_line(error)}); run "
            "'zslpipe fetch-weights' where there is a network, or give the extractor a file of "
            "weights on this machine"
        ) from error


def _torchvision_network(name: str, weights: str | None) -> nn.Module:
    """Return a torchvision classifier; raises InputError for an unknown network or weights."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise InputError(
            f"no torchvision network {name!r}; {nearest(name, known)} (timm networks are written "
            "timm/NAME)"
        )
    offered = models.get_model_weights(name).__members__
    if weights is not None and weights not in offered:
        known = f"{TOLD_FILES}, random, nor one of {', '.join(offered)}"
        raise InputError(f"weights {weights!r} of {name}: neither {known}")
    with _downloads(name, weights), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about weights drawn in later versions
        network: nn.Module = models.get_model(name, weights=weights)
    return network


def _timm_network(name: str, weights: str | None, size: int | None, with_head: bool) -> nn.Module:
    """Return a timm network; raises InputError for an unknown network or weights, and for one that
    timm does not build without its classifier.
    """
    import timm

    if not timm.is_model(name):
        raise InputError(f"no timm network {name!r}; {nearest(name, timm.list_models())}")
    if weights not in (None, "pretrained"):  # a tag of timm's
        name = f"{name.split('.')[0]}.{weights}"
    _check_tag(name)
    # With its head where norms and pooling have to be those that the weights were trained with.
    head: dict[str, Any] = {} if with_head else {"num_classes": 0, "global_pool": ""}
    told = ""
    with _downloads(f"timm/{name}", weights):
        for sized in _sizes(name, size, with_head):
            try:
                return _created(name, weights is not None, {**head, **sized})
            except (AssertionError, TypeError, ValueError) as error:
                told = one_line(error)
    without = "" if with_head else " without its classifier"
    raise InputError(
        f"backbone 'timm/{name}' cannot be had{without} ({told}); take another backbone"
    )


def _created(name: str, pretrained: bool, settings: Mapping[str, Any]) -> nn.Module:
    """Return a timm network, its weights from the cache if they are there, without a word to
    anybody; raises OSError at once where the hub is to be asked and cannot be reached.
    """
    import timm
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    network: nn.Module
    try:
        with offline():
            network = timm.create_model(name, pretrained=pretrained, **settings)
        return network
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        reason = without_network()
    if reason:
        raise OSError(f"the Hugging Face Hub cannot be reached: {reason}")
    network = timm.create_model(name, pretrained=pretrained, **settings)
    return network


def converter(backbone: str, network: nn.Module) -> Convert | None:
    """Return how timm converts files of other tools (open_clip, DINOv2, BEiT ...) and of images of
    another size to the names and shapes of a ``network`` of its own; None of others.
    """
    import timm

    if not backbone.startswith("timm/"):
        return None
    name = backbone.removeprefix("timm/")
    module = sys.modules[timm.models.model_entrypoint(name).__module__]
    convert: Any = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return None
    settings: dict[str, Any] = {}
    if "adapt_layer_scale" in inspect.signature(convert).parameters:
        settings["adapt_layer_scale"] = True  # as timm does for DeiT-III; others have no gamma
    if "flexi" in name:  # as timm does (models.vision_transformer._create_vision_transformer)
        settings |= {"interpolation": "bilinear", "antialias": False}
    return lambda state: convert(dict(state), network, **settings)


def _check_tag(name: str) -> None:
    """Raise InputError where timm has no weights by the tag in ``NAME.TAG``."""
    import timm

    network, _, tag = name.partition(".")
    known = timm.list_models(f"{network}.*", pretrained=True)
    tags = ", ".join(one.partition(".")[2] for one in known)
    if tag and name not in known:
        others = f"{TOLD_FILES}, random, pretrained"
        raise InputError(f"weights {tag!r} of timm/{network}: neither {others}, nor one of {tags}")


def _sizes(name: str, size: int | None, of_tokens: bool) -> list[dict[str, Any]]:
    """Return what tells a timm network the size of its images, the fullest first: embeddings of
    that size which follow images of another (SGMA's views), those of that size alone, nothing.

    A network of maps is told only where its own size is fixed and another: what it gave for its
    own stays the same.
    """
    import timm

    own = timm.get_pretrained_cfg(name)
    is_other = own is None or (own.fixed_input_size and own.input_size[-1] != size)
    if size is None or not (of_tokens or is_other):
        return [{}]
    sized = [{"img_size": size, "dynamic_img_size": True}, {"img_size": size}, {}]
    return sized if of_tokens else sized[1:]


def normalisation(backbone: str, network: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Return the channel means and deviations a network expects: timm's say theirs, the rest has
    ImageNet's.
    """
    if not backbone.startswith("timm/"):
        return MEAN, DEVIATION
    from timm.data.config import resolve_model_data_config

    settings = resolve_model_data_config(network)
    return settings["mean"], settings["std"]


def check_normalisation(path: Path, backbone: str, network: nn.Module) -> None:
    """Raise InputError where the folder of the weights ``path`` says, as timm writes it, that they
    saw images normalised otherwise than a timm network's name tells: MAE's and DINO's weights lie
    under the same name as ones with 0.5 for all.
    """
    if not backbone.startswith("timm/") or path.name not in IN_FOLDER:
        return
    said = said_of_folder(path.parent, OF_FOLDER)
    told = said.get("pretrained_cfg") or said  # earlier timm's stands there without a name
    ours = [list(numbers) for numbers in normalisation(backbone, network)]
    theirs = [told.get("mean", ours[0]), told.get("std", ours[1])]
    if theirs != ours:
        sides = f"{theirs}, backbone {backbone!r} by {ours}"
        name, tag = backbone.partition(".")[0], told.get("tag") or "TAG"
        raise InputError(
            f"weights {path}: the folder's config.json normalises images by mean and std {sides}; "
            f"name the backbone with the tag of its weights ({name}.{tag})"
        )
