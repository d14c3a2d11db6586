"""torchvision and timm networks, cut at a named layer: images in, a map of region features out.

A fully connected layer (AlexNet's fc7 is torchvision's ``classifier.5``) describes the whole image
by one vector: a map of 1 x 1, which has pooled features and no regions.

torchvision is imported where a network is built: it takes as long as torch itself to import, and
most jobs read features and build none.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse

from zslpipe.machine.endings import machine_fault
from zslpipe.machine.errors import InputError, nearest, one_line
from zslpipe.machine.weight_names import is_weights_file
from zslpipe.networks.imagenet import DEVIATION, MEAN
from zslpipe.networks.library_networks import (
    check_normalisation,
    converter,
    normalisation,
    whole_network,
)
from zslpipe.networks.token_maps import (
    Pooled,
    TokenMaps,
    block_names,
    check_patches,
    has_intermediates,
    has_tokens,
    token_maps,
)
from zslpipe.networks.weight_files import read_weights

# What torch.fx calls the constants in a network's code (maxvit, swinv2): no file of weights holds
# them.
OF_TRACING = "_tensor_constant"
# Texts of torch for an image whose size a network was not built for.
ANOTHER_SIZE = re.compile(r"size|shape|must match|dimension")
# The last convolutional map of torchvision's families: node of the traced network, by the longest
# matching prefix of its name. DenseNet's last map is its final ReLU, which has no module of its
# own.
LAST_MAP = {
    "alexnet": "features",
    "convnext": "features",
    "densenet": "relu",
    "efficientnet": "features",
    "googlenet": "inception5b",
    "inception": "Mixed_7c",
    "maxvit": "blocks",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "resnet": "layer4",
    "resnext": "layer4",
    "shufflenet": "conv5",
    "squeezenet": "features",
    "swin": "permute",
    "vgg": "features",
    "wide_resnet": "layer4",
}
# The same of the demo's own networks.
OWN_MAPS = {"demo": "features", "demo_pair": "projection"}


class Trunk(nn.Module):
    """A network up to one layer: (b, 3, h, w) normalised images to (b, d, grid, grid) features, of
    a layer of vectors (b, d, 1, 1). A layer may have its channels last, (b, grid, grid, d).

    ``body`` takes images and gives {"map": what the layer gives}, and "pooled" (b, p) where what
    describes the whole image is not the mean of its map; ``mean`` and ``deviation``,
    (1, 3, 1, 1), are of the images that the network was trained on; ``name`` is what messages call
    it. A pass raises InputError where the layer gives no map, and
    where the network takes no images of this size.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        body: nn.Module,
        layer: str,
        mean: Sequence[float] = MEAN,
        deviation: Sequence[float] = DEVIATION,
        name: str = "the network",
    ):
        super().__init__()
        self.body, self.name, self.layer = body, name, layer
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the map of the layer."""
        return self.features(images)[0]

    def features(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the map of the layer and the pooled features (b, p), None where these are its
        mean.
        """
        try:
            found: Mapping[str, Tensor] = self.body(images)
        except (AssertionError, RuntimeError) as error:
            no_size = isinstance(error, RuntimeError) and not ANOTHER_SIZE.search(str(error))
            if no_size or machine_fault(error):
                raise
            size = "x".join(map(str, images.shape[2:]))
            raise InputError(
                f"backbone {self.name!r} takes no images of {size} px ({one_line(error)}); change "
                "the extractor's size"
            ) from error
        return self._as_map(found["map"]), found.get("pooled")

    def _as_map(self, features: Tensor) -> Tensor:
        """Return what a layer gives as a map."""
        if features.ndim == 2:
            return features[:, :, None, None]
        if features.ndim != 4:
            found = "x".join(map(str, features.shape[1:]))
            raise InputError(
                f"backbone {self.name!r}, layer {self.layer!r}: gives {found} numbers an image "
                "(tokens); of timm's transformers leave 'layer' out or name a block such as "
                "blocks.9, else name a layer with a map"
            )
        return _channels_first(features)


def _channels_first(features: Tensor) -> Tensor:
    """Return a map as (b, d, h, w); one of equal sides in its second and third axis alone has its
    channels last (Swin): a square image has a square map.
    """
    _, second, third, last = features.shape
    return features.permute(0, 3, 1, 2) if second == third != last else features


def build_trunk(
    backbone: str,
    weights: str,
    layer: str | None = None,
    size: int | None = None,
    pooled: Pooled = "mean",
) -> Trunk:
    """Return a backbone in evaluation mode, cut at ``layer`` (None or "": its last convolutional
    map, of a network of tokens its last block).

    ``backbone``: ``demo``, ``demo_pair``, a torchvision classifier, or ``timm/NAME`` (also
    ``NAME.TAG``).
    ``weights``: a file, a torchvision weights name such as ``IMAGENET1K_V2`` (downloaded by
    torchvision), ``pretrained`` for timm, or ``random`` (always the same). ``size``: of the images,
    where position embeddings have to know it (None: the network's own). ``pooled``: what describes
    the whole image (:mod:`zslpipe.networks.token_maps`).

    Raises InputError for an unknown name, a weights file that does not fit or saw images normalised
    otherwise, an unknown layer, a size that is no multiple of the patches, and pooled features that
    a network does not have.
    """
    named = None if is_weights_file(weights) or weights == "random" else weights
    trunk, network = _whole_or_cut(backbone, named, layer or None, size, pooled)
    if is_weights_file(weights):
        body = trunk.body.network if isinstance(trunk.body, TokenMaps) else trunk.body
        held = body.state_dict()
        expected = {name: held[name] for name in held if not name.startswith(OF_TRACING)}
        convert = converter(backbone, network)
        called = f"{backbone} with its head (pooled: head)" if pooled == "head" else backbone
        found = read_weights(Path(weights), expected, called, convert)
        body.load_state_dict(found, strict=False)
        check_normalisation(Path(weights), backbone, network)
    return trunk.eval()


def described_trunk(section: Mapping[str, Any], weights: str) -> Trunk:
    """Return the backbone that an extractor's section describes, with ``weights``; raises
    InputError as :func:`build_trunk`.
    """
    layer, pooled = section.get("layer"), section.get("pooled", "mean")
    return build_trunk(section["backbone"], weights, layer, section.get("size"), pooled)


def _whole_or_cut(
    backbone: str, named: str | None, layer: str | None, size: int | None, pooled: Pooled
) -> tuple[Trunk, nn.Module]:
    """Return a network of tokens as timm reads its blocks, any other up to ``layer``, and the
    library's network that it is cut from.
    """
    is_timm = backbone.startswith("timm/")
    if pooled != "mean" and not is_timm:
        raise InputError(f"backbone {backbone!r}: pooled {pooled!r} is read of timm's networks")
    reads_block = layer is None or layer.startswith("blocks.")
    of_tokens = is_timm and reads_block and has_tokens(backbone.removeprefix("timm/"))
    if of_tokens or pooled != "mean":
        network = whole_network(backbone, named, size, with_head=True)
        check_patches(network, backbone, size)
        body = token_maps(network, backbone, layer, pooled, normed=of_tokens)
        normalised = normalisation(backbone, network)
        return Trunk(body, layer or "last block", *normalised, backbone), network
    network = whole_network(backbone, named, size)
    return _cut(backbone, network, layer or last_map(backbone, network), layer), network


def _cut(backbone: str, network: nn.Module, node: str, layer: str | None) -> Trunk:
    """Return the network up to ``node``, which stands for ``layer``; raises InputError where it has
    no such layer, and where neither torch.fx, which cuts it, can follow its code nor timm reads its
    stages.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    names = [name for name, _ in network.named_modules() if name]
    normalised = normalisation(backbone, network)
    try:
        body = create_feature_extractor(network, {node: "map"}, suppress_diff_warning=True)
        return Trunk(body, node, *normalised, backbone)
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        # TraceError is a ValueError, as is what torchvision says of an unknown layer.
        if isinstance(error, ValueError) and node not in names and "symbolic" not in str(error):
            raise InputError(
                f"backbone {backbone!r} has no layer {node!r}; {nearest(node, names)}"
            ) from None
        if has_intermediates(network) and (layer is None or layer in block_names(network)):
            return Trunk(
                token_maps(network, backbone, layer, "mean", normed=False),
                *(node, *normalised, backbone),
            )
        if has_intermediates(network):
            known = nearest(node, block_names(network))
            raise InputError(
                f"backbone {backbone!r} cannot be cut at {node!r}: torch.fx does not follow its "
                f"code, and timm reads its blocks alone; leave 'layer' out, or name one ({known})"
            ) from error
        raise InputError(
            f"backbone {backbone!r} cannot be cut at a layer: torch.fx does not follow its code "
            f"({one_line(error)}); take another backbone"
        ) from error


def state_hash(trunk: Trunk) -> str:
    """Return a 16-digit SHA-256 of a trunk's weights by name, type, shape and bytes; to be taken
    before folding.
    """
    digest = hashlib.sha256()
    for name, value in sorted(trunk.body.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def last_map(backbone: str, network: nn.Module) -> str:
    """Return the node of a backbone's last map: timm's networks say theirs, torchvision's families
    are listed above.

    Raises InputError where neither says.
    """
    if backbone in OWN_MAPS:
        return OWN_MAPS[backbone]
    if backbone.startswith("timm/"):
        stages = getattr(network, "feature_info", None) or [{}]
        named: str | None = stages[-1].get("module")
        known = {backbone: named} if named else {}
    else:
        known = {family: layer for family, layer in LAST_MAP.items() if backbone.startswith(family)}
    if not known:
        raise InputError(
            f"backbone {backbone!r}: its last map is not known; give the extractor a 'layer', or "
            "another backbone where it has tokens and no map (ViT)"
        )
    return known[max(known, key=len)]


def folded(trunk: Trunk) -> Trunk:
    """Return the trunk for inference: batch norms folded into their convolutions, channels-last
    (1.65 times eager on a CPU). What timm reads by itself stays as it is: tokens are not folded.
    """
    if isinstance(trunk.body, TokenMaps):
        return trunk
    # torchvision's module holds two graphs, for training and evaluation; what is folded has one.
    body: Any = trunk.body
    plain = GraphModule(body, body.graph).eval()
    trunk.body = fuse(plain)
    for tensor in (*trunk.parameters(), *trunk.buffers()):
        if tensor.ndim == 4:  # trunk.to(memory_format=...) refuses a network that holds others
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return trunk
