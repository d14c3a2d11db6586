"""Whole networks of torchvision and timm, with a library's weights or random ones, and what their
images are normalised by.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torchvision import models

from zslpipe.machine.errors import InputError, nearest, one_line
from zslpipe.machine.ranges import WEIGHT_FILES
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.demo_pair import PairImageTower
from zslpipe.networks.imagenet import DEVIATION, MEAN

# Seed of random weights (ours): an extraction that is resumed needs the network it began with.
RANDOM_SEED = 0


def whole_network(backbone: str, named: str | None) -> nn.Module:
    """Return the whole network with a library's weights, or random ones, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)
        if backbone in ("demo", "demo_pair"):
            if named is not None:
                fault = "no file of weights (.pt)"
                raise InputError(f"weights {named!r} of backbone {backbone!r}: {fault}")
            return DemoNetwork(classes=1) if backbone == "demo" else PairImageTower()
        if backbone.startswith("timm/"):
            return _timm_network(backbone.removeprefix("timm/"), named)
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
    known = models.list_models(module=models)
    if name not in known:
        raise InputError(
            f"no torchvision network {name!r}; {nearest(name, known)} (timm networks are written "
            "timm/NAME)"
        )
    offered = models.get_model_weights(name).__members__
    if weights is not None and weights not in offered:
        known = f"a file ({', '.join(WEIGHT_FILES)}), random, nor one of {', '.join(offered)}"
        raise InputError(f"weights {weights!r} of {name}: neither {known}")
    with _downloads(name, weights), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about weights drawn in later versions
        network: nn.Module = models.get_model(name, weights=weights)
    return network


def _timm_network(name: str, weights: str | None) -> nn.Module:
    """Return a timm network without its classifier; raises InputError for an unknown network or
    weights, and for one that timm does not build without its classifier.
    """
    import timm

    if not timm.is_model(name):
        raise InputError(f"no timm network {name!r}; {nearest(name, timm.list_models())}")
    if weights not in (None, "pretrained"):
        known = f"a file ({', '.join(WEIGHT_FILES)}), random, nor 'pretrained'"
        raise InputError(f"weights {weights!r} of timm/{name}: neither {known}")
    with _downloads(f"timm/{name}", weights):
        try:
            network: nn.Module = timm.create_model(
                name, pretrained=weights is not None, num_classes=0, global_pool=""
            )
        except (AssertionError, TypeError, ValueError) as error:
            raise InputError(
                f"backbone 'timm/{name}' cannot be had without its classifier "
                f"({one_line(error)}); take another backbone"
            ) from error
    return network


def normalisation(backbone: str, network: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Return the channel means and deviations a network expects: timm's say theirs, the rest has
    ImageNet's.
    """
    if not backbone.startswith("timm/"):
        return MEAN, DEVIATION
    from timm.data.config import resolve_model_data_config

    settings = resolve_model_data_config(network)
    return settings["mean"], settings["std"]
