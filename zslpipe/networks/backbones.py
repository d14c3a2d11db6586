"""torchvision and timm networks, cut at a named layer: images in, a map of region features out.

A fully connected layer (AlexNet's fc7 is torchvision's ``classifier.5``) describes the whole image
by one vector: a map of 1 x 1, which has pooled features and no regions.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse
from torchvision.models.feature_extraction import create_feature_extractor

from zslpipe.machine.endings import machine_fault
from zslpipe.machine.errors import InputError, nearest, one_line
from zslpipe.machine.ranges import is_weights_file
from zslpipe.networks.imagenet import DEVIATION, MEAN
from zslpipe.networks.library_networks import normalisation, whole_network
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

    ``body`` takes images and gives {"map": what the layer gives}; ``mean`` and ``deviation``,
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
        try:
            features: Tensor = self.body(images)["map"]
        except (AssertionError, RuntimeError) as error:
            no_size = isinstance(error, RuntimeError) and not ANOTHER_SIZE.search(str(error))
            if no_size or machine_fault(error):
                raise
            size = "x".join(map(str, images.shape[2:]))
            raise InputError(
                f"backbone {self.name!r} takes no images of {size} px ({one_line(error)}); change "
                "the extractor's size"
            ) from error
        if features.ndim == 2:
            return features[:, :, None, None]
        if features.ndim != 4:
            found = "x".join(map(str, features.shape[1:]))
            raise InputError(
                f"backbone {self.name!r}, layer {self.layer!r}: gives {found} numbers an image "
                "(tokens), and only maps are read; name a layer with a map, or take a network that "
                "has one: convolutions, or swin"
            )
        return _channels_first(features)


def _channels_first(features: Tensor) -> Tensor:
    """Return a map as (b, d, h, w); one of equal sides in its second and third axis alone has its
    channels last (Swin): a square image has a square map.
    """
    _, second, third, last = features.shape
    return features.permute(0, 3, 1, 2) if second == third != last else features


def build_trunk(backbone: str, weights: str, layer: str | None = None) -> Trunk:
    """Return a backbone in evaluation mode, cut at ``layer`` (None: its last convolutional map).

    ``backbone``: ``demo``, ``demo_pair``, a torchvision classifier, or ``timm/NAME``. ``weights``:
    a state-dict file, a torchvision weights name such as ``IMAGENET1K_V2`` (downloaded by
    torchvision), ``pretrained`` for timm, or ``random`` (always the same).

    Raises InputError for an unknown name, a weights file that does not fit, or an unknown layer.
    """
    named = None if is_weights_file(weights) or weights == "random" else weights
    network = whole_network(backbone, named)
    layer = layer or last_map(backbone, network)
    trunk = _cut(backbone, network, layer).eval()
    if is_weights_file(weights):
        held = trunk.body.state_dict()
        expected = {name: held[name] for name in held if not name.startswith(OF_TRACING)}
        trunk.body.load_state_dict(read_weights(Path(weights), expected, backbone), strict=False)
    return trunk


def _cut(backbone: str, network: nn.Module, layer: str) -> Trunk:
    """Return the network up to ``layer``; raises InputError where it has no such layer, and where
    torch.fx, which cuts it, cannot follow its code.
    """
    names = [name for name, _ in network.named_modules() if name]
    try:
        body = create_feature_extractor(network, {layer: "map"}, suppress_diff_warning=True)
        return Trunk(body, layer, *normalisation(backbone, network), backbone)
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        # TraceError is a ValueError, as is what torchvision says of an unknown layer.
        if isinstance(error, ValueError) and layer not in names and "symbolic" not in str(error):
            raise InputError(
                f"backbone {backbone!r} has no layer {layer!r}; {nearest(layer, names)}"
            ) from None
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
    (1.65 times eager on a CPU).
    """
    # torchvision's module holds two graphs, for training and evaluation; what is folded has one.
    plain = GraphModule(trunk.body, trunk.body.graph).eval()
    trunk.body = fuse(plain)
    for tensor in (*trunk.parameters(), *trunk.buffers()):
        if tensor.ndim == 4:  # trunk.to(memory_format=...) refuses a network that holds others
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return trunk
