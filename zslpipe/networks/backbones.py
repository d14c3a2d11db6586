"""torchvision and timm networks, cut at a named layer: images in, a map of region features out.

A fully connected layer (AlexNet's fc7 is torchvision's ``classifier.5``) describes the whole image
by one vector: a map of 1 x 1, which has pooled features and no regions.
"""

import hashlib
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.seals import check_seal
from zslpipe.networks.demo_network import DemoNetwork
from zslpipe.networks.imagenet import DEVIATION, MEAN

logger = logging.getLogger(__name__)

# Seed of random weights (ours): an extraction that is resumed needs the network it began with.
RANDOM_SEED = 0
# The last convolutional map of torchvision's families: node of the traced network, by the longest
# matching prefix of its name. DenseNet's last map is its final ReLU, which has no module of its
# own.
LAST_MAP = {
    "alexnet": "features",
    "convnext": "features",
    "densenet": "relu",
    "efficientnet": "features",
    "googlenet": "inception5b",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "resnet": "layer4",
    "resnext": "layer4",
    "shufflenet": "conv5",
    "squeezenet": "features",
    "vgg": "features",
    "wide_resnet": "layer4",
}


class Trunk(nn.Module):
    """A network up to one layer: (b, 3, h, w) normalised images to (b, d, grid, grid) features, of
    a layer of vectors (b, d, 1, 1).

    ``mean`` and ``deviation``, (1, 3, 1, 1), are of the images that the network was trained on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        mean: Sequence[float] = MEAN,
        deviation: Sequence[float] = DEVIATION,
    ):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))
        self.body = create_feature_extractor(network, {layer: "map"})

    def forward(self, images: Tensor) -> Tensor:
        """Return the map of the layer."""
        features: Tensor = self.body(images)["map"]
        return features[:, :, None, None] if features.ndim == 2 else features


def build_trunk(backbone: str, weights: str, layer: str | None = None) -> Trunk:
    """Return a backbone in evaluation mode, cut at ``layer`` (None: its last convolutional map).

    ``backbone``: ``demo``, a torchvision classifier, or ``timm/NAME``. ``weights``: a state-dict
    file, a torchvision weights name such as ``IMAGENET1K_V2`` (downloaded by torchvision),
    ``pretrained`` for timm, or ``random`` (always the same).

    Raises InputError for an unknown name, a weights file that does not fit, or an unknown layer.
    """
    network = _network(backbone, weights)
    layer = layer or last_map(backbone, network)
    try:
        return Trunk(network, layer, *_normalisation(backbone, network)).eval()
    except ValueError:
        names = [name for name, _ in network.named_modules() if name]
        raise InputError(
            f"backbone {backbone!r} has no layer {layer!r}; {nearest(layer, names)}"
        ) from None


def _network(backbone: str, weights: str) -> nn.Module:
    """Return the whole network with its weights loaded."""
    is_file = Path(weights).suffix in (".pt", ".pth")
    named = None if is_file or weights == "random" else weights
    state = _read_state(Path(weights)) if is_file else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)
        if backbone == "demo":
            network: nn.Module = DemoNetwork(classes=len(state["classifier.bias"]) if state else 1)
        elif backbone.startswith("timm/"):
            network = _timm_network(backbone.removeprefix("timm/"), pretrained=named is not None)
        else:
            network = _torchvision_network(backbone, named)
    if state is not None:
        _load(network, state, backbone, weights)
    return network


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
        raise InputError(
            f"weights {weights!r} of {name}: neither a .pt file nor one of {', '.join(offered)}"
        )
    network: nn.Module = models.get_model(name, weights=weights)
    return network


def _timm_network(name: str, pretrained: bool) -> nn.Module:
    """Return a timm network without its classifier."""
    import timm

    if not timm.is_model(name):
        raise InputError(f"no timm network {name!r}; {nearest(name, timm.list_models())}")
    network: nn.Module = timm.create_model(
        name, pretrained=pretrained, num_classes=0, global_pool=""
    )
    return network


def _read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a file, whatever optimiser state lies beside it; never unpickles
    foreign objects.
    """
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist")
    _check_seal(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = f"cut off, or more than tensors: {type(error).__name__}"
        raise InputError(
            f"weights file {path} cannot be read ({reason}); save network.state_dict() alone"
        ) from None
    if not isinstance(state, dict):
        raise InputError(f"weights file {path} holds no state dict; save network.state_dict()")
    tensors: dict[str, Tensor] = state.get("state_dict", state)
    return tensors


def _check_seal(path: Path) -> None:
    """Raise InputError where a file has the seal of the demo's backbone and is damaged."""
    try:
        check_seal(path)
    except ValueError as error:
        again = "delete it and run again: the rule 'pretrain' makes it again"
        raise InputError(f"weights file {path}: {error}; {again}") from None


def _load(network: nn.Module, state: dict[str, Tensor], backbone: str, weights: str) -> None:
    """Load ``state``; raises InputError naming the first keys or shapes that do not fit."""
    expected = network.state_dict()
    wrong = [
        name for name in expected if name not in state or state[name].shape != expected[name].shape
    ]
    if wrong:
        raise InputError(
            f"weights {weights} do not fit {backbone}: {len(wrong)} of {len(expected)} tensors "
            f"missing or of another shape, first {wrong[0]}"
        )
    network.load_state_dict({name: state[name] for name in expected})


def _normalisation(backbone: str, network: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Return the channel means and deviations a network expects: timm's say theirs, the rest has
    ImageNet's.
    """
    if not backbone.startswith("timm/"):
        return MEAN, DEVIATION
    from timm.data.config import resolve_model_data_config

    settings = resolve_model_data_config(network)
    return settings["mean"], settings["std"]


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
    if backbone == "demo":
        return "features"
    if backbone.startswith("timm/"):
        stages = getattr(network, "feature_info", None) or [{}]
        named: str | None = stages[-1].get("module")
        known = {backbone: named} if named else {}
    else:
        known = {family: layer for family, layer in LAST_MAP.items() if backbone.startswith(family)}
    if not known:
        raise InputError(
            f"backbone {backbone!r}: its last map is not known; give the extractor a 'layer'"
        )
    return known[max(known, key=len)]


def folded(trunk: Trunk) -> Trunk:
    """Return the trunk for inference: batch norms folded into their convolutions, channels-last
    (1.65 times eager on a CPU).
    """
    # torchvision's module holds two graphs, for training and evaluation; what is folded has one.
    plain = GraphModule(trunk.body, trunk.body.graph).eval()
    trunk.body = fuse(plain)
    return trunk.to(memory_format=torch.channels_last)
