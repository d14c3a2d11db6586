"""Networks of tokens as maps of regions: the patch tokens of a block of a timm network, row by row
from the top left, without the tokens before them (class, distillation, registers), which
``forward_intermediates`` of timm tells apart by the network's own ``num_prefix_tokens``.

Without a ``layer`` the last block is read behind the network's final norm, where it has one for
tokens (BEiT, which classifies the mean of its tokens, norms only that mean); a block that is named
is read as it leaves the block. What lies behind the cut is dropped.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zslpipe.machine.errors import InputError, nearest

# What describes the whole image: the mean over its regions, the class token behind the final norm,
# or what the network with its head gives for an image.
Pooled = Literal["mean", "class_token", "head"]
# Classes of timm whose forward_intermediates refuses norm=True: Hiera norms the mean alone.
WITHOUT_NORM = ("Hiera", "HieraDet")


class TokenMaps(nn.Module):
    """A timm network as the body of a trunk: (b, 3, h, w) images to ``map`` (b, d, grid, grid), of
    the block number ``block`` (-1: the last), behind the final norm if ``normed``, and, unless it
    is the mean, ``pooled`` (b, p).
    """

    def __init__(self, network: Any, block: int, normed: bool, pooled: Pooled = "mean"):
        super().__init__()
        self.network = network
        self.block, self.normed, self.pooled = block, normed, pooled
        if pooled == "mean":
            network.prune_intermediate_layers([block], prune_norm=not normed, prune_head=True)
        elif pooled == "class_token":  # CaiT's blocks of the class token would be pruned as well
            network.reset_classifier(0)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the map, and the pooled features where they are not its mean."""
        network: Any = self.network
        arguments = {"indices": [self.block], "norm": self.normed}
        if self.pooled == "mean":
            (maps,) = network.forward_intermediates(images, intermediates_only=True, **arguments)
            return {"map": maps}
        final, (maps,) = network.forward_intermediates(images, **arguments)
        # The class token stands first, before distillation tokens and registers.
        whole = final[:, 0] if self.pooled == "class_token" else network.forward_head(final)
        return {"map": maps, "pooled": whole}


@cache
def has_tokens(name: str) -> bool:
    """Return whether a timm network ends in tokens (b, n, d), not in a map; False where timm cannot
    give the tokens of its blocks as maps. The network is built on torch's meta device, which
    computes nothing.
    """
    import timm

    try:
        with torch.device("meta"), torch.no_grad():
            network: Any = timm.create_model(name).eval()
            images = torch.empty(1, *network.pretrained_cfg["input_size"])
            found = network.forward_features(images)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return False  # it cannot be built so, or needs a real image
    is_vectors = isinstance(found, Tensor) and found.ndim == 3
    return is_vectors and has_intermediates(network)


def has_intermediates(network: nn.Module) -> bool:
    """Return whether a network is one of timm's whose blocks can be read as maps."""
    return getattr(network, "forward_intermediates", None) is not None


def token_maps(
    network: nn.Module, backbone: str, layer: str | None, pooled: Pooled, normed: bool
) -> TokenMaps:
    """Return a network cut behind a block; ``layer`` is ``blocks.N``, or the name of a stage as
    timm tells it, None the last, then behind the final norm if ``normed``.

    Raises InputError for a layer that is none, and for pooled features that the network lacks.
    """
    if pooled == "class_token" and getattr(network, "cls_token", None) is None:
        raise InputError(
            f"backbone {backbone!r} has no class token; set pooled to head, or leave it out for the"
            " mean over the regions"
        )
    has_norm = normed and layer is None and type(network).__name__ not in WITHOUT_NORM
    return TokenMaps(network, _block(network, backbone, layer), has_norm, pooled)


def _block(network: nn.Module, backbone: str, layer: str | None) -> int:
    """Return the number by which timm takes a block or stage."""
    if layer is None:
        return -1
    names = block_names(network)
    if layer not in names:
        raise InputError(f"backbone {backbone!r} has no block {layer!r}; {nearest(layer, names)}")
    return names.index(layer)


def block_names(network: nn.Module) -> list[str]:
    """Return the names of what timm can read as maps, in its order: blocks, of a network of stages
    the last of each.
    """
    stages: list[Mapping[str, Any]] = list(getattr(network, "feature_info", None) or [])
    return [str(stage.get("module")) for stage in stages]


def check_patches(network: nn.Module, backbone: str, size: int | None) -> None:
    """Raise InputError where images of ``size`` px are not cut into whole patches: what is left
    over at the right and at the bottom would not be seen.
    """
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    sides = [patch] if isinstance(patch, int) else list(patch or ())
    for side in sides:
        if size is not None and size % side:
            below = size - size % side
            raise InputError(
                f"backbone {backbone!r} cuts images into patches of {side} px, of which {size} px "
                f"are no multiple; set the extractor's size to {below} or {below + side}"
            )
