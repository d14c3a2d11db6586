"""Where an S-CC network looks, with all attributes and without one: Grad-CAM (Selvaraju et al.
2017) of the score of an image's class at the backbone's last map; figure 9 of classifier crafting.
``weights.pt`` and images to ``gradcam.h5`` (:mod:`zslpipe.formats.gradcam`).

The paper takes away an attribute that can be seen ("is black") and one that cannot ("is timid").
Which of a dataset's attributes can be seen is not known: the configuration names them, and images
are of classes that have them; without names they are (ours) the one that the class stands out by
and one that is strong in it and in the others alike. Nothing is trained again without the
attribute: its number in the rule becomes 0.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.gradcam import write_explained
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, text_name
from zslpipe.runs.attention import pick_images
from zslpipe.runs.cells import run_cell_centres
from zslpipe.runs.models import RunInputs
from zslpipe.runs.weights import load_model
from zslpipe.training.contract import Model

SHOWN = 5  # ours: names in a message
BATCH = 16  # ours: images at once, 1.5 GB of a ResNet-101's activations at 224 px


def write_grad_cam(
    weights: Path,
    run_inputs: RunInputs,
    seed: int,
    output: Path,
    count: int,
    without: Sequence[str] = (),
) -> None:
    """Write ``gradcam.h5`` of ``count`` unseen test images, chosen from seed 0 before anything is
    scored; ``without`` names the attributes that are taken away.

    Raises InputError for an unknown attribute, and for weights of another method, of visual rules,
    of rules that are not one number an attribute, or of a training on cached features.
    """
    _, model, spec = load_model(weights, run_inputs.index, None)
    _check(model, spec, len(run_inputs.index.attribute_names), weights)
    named = attribute_numbers(without, run_inputs.index.attribute_names)
    model.to(run_inputs.device)
    rules = model.rules.cpu().numpy()
    rows = pick_images(run_inputs.index, count, how_many_present(rules, named))
    labels = run_inputs.index.labels[rows]
    removed = np.tile(named, (len(rows), 1)) if without else removed_attributes(rules, labels)
    arrays = {"images": rows, "labels": labels, "attributes": removed}
    parts = [_maps(model, run_inputs, *part) for part in _batches(rows, labels, removed)]
    maps, maps_without, predicted = map(torch.cat, zip(*parts, strict=True))
    arrays |= {
        "maps": maps.cpu().numpy(),
        "maps_without": maps_without.cpu().numpy(),
        "predicted": predicted.cpu().numpy(),
    }
    write_explained(output, arrays, spec, seed, run_cell_centres(run_inputs))


def _check(model: Model, spec: Mapping[str, Any], attributes: int, weights: Path) -> None:
    """Raise InputError unless the model is an S-CC network with its backbone, its rules one number
    an attribute.
    """
    if spec["method"] != "crafting" or model.config.rule != "semantic":
        what = "visual rules" if spec["method"] == "crafting" else f"method {spec['method']!r}"
        raise InputError(
            f"{weights}: {what}; an attribute can be taken away from semantic rules of 'crafting' "
            "alone"
        )
    if text_name(spec["semantics"]) is not None:
        fault = "rules are of texts and have no attributes to take away; train with semantics: att"
        raise InputError(f"{weights}: {fault}")
    if model.rules.shape[1] != attributes:
        found = f"rules of {spec['semantics']!r} have {model.rules.shape[1]} numbers"
        raise InputError(
            f"{weights}: {found}, the dataset {attributes} attributes; train with semantics: att"
        )
    if not list(model.trunk.parameters()):
        raise InputError(
            f"{weights}: trained on pooled features, which have no map; train with input: images"
        )


def attribute_numbers(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Return the numbers (m,) of the attributes ``names``, joined as :mod:`zslpipe.names` says;
    InputError, with those most like it, for one that is not ``known``, or may be several.
    """
    table = KnownNames(known)
    for name in names:
        if not table.fitting(name):
            holding = [other for other in known if name.casefold() in other.casefold()]
            alike = difflib.get_close_matches(name, known, n=SHOWN, cutoff=0.5)
            shown = list(dict.fromkeys([*holding, *alike]))[:SHOWN] or known[:SHOWN]
            raise InputError(
                f"no attribute {name!r} among the dataset's {len(known)}; "
                f"nearest: {', '.join(map(repr, shown))}"
            )
    numbers = [table.position(name, "removed_attributes", "attribute") for name in names]
    return np.array(numbers, np.int64)


def how_many_present(rules: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return (c,) how many of the attributes ``numbers`` are at least as strong in each class's
    rule (c, a) as on average over classes.
    """
    present = rules >= rules.mean(axis=0)
    counts: np.ndarray = present[:, numbers].sum(axis=1)
    return counts


def removed_attributes(rules: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (k, 2) attribute numbers for the classes ``labels`` (k,), by the (c, a) ``rules``; the
    first of equals.

    First the attribute that the class stands out by: furthest above its mean over classes. Then, of
    those at least half as strong as the class's strongest, the one nearest to its mean over
    classes: strong, but it tells no class from another.
    """
    excess = rules - rules.mean(axis=0)
    strong = rules >= rules.max(axis=1, keepdims=True) / 2
    ordinary = np.where(strong, np.abs(excess), np.inf)
    return np.stack([excess[labels].argmax(axis=1), ordinary[labels].argmin(axis=1)], axis=1)


def _batches(
    rows: np.ndarray, labels: np.ndarray, removed: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the arrays (k, ...) cut into batches."""
    for start in range(0, len(rows), BATCH):
        batch = slice(start, start + BATCH)
        yield rows[batch], labels[batch], removed[batch]


def _maps(
    model: Model, run_inputs: RunInputs, rows: np.ndarray, labels: np.ndarray, removed: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps (b, h, w) with the whole rules, maps (b, m, h, w) without each attribute, and
    predictions (b).
    """
    images = run_inputs.inputs.take(torch.from_numpy(rows))
    rules = model.rules[torch.from_numpy(labels).to(run_inputs.device)]
    without = []
    for attributes in torch.from_numpy(removed).to(run_inputs.device).T:
        without.append(grad_cam(model, images, rules.scatter(1, attributes[:, None], 0.0)))
    with torch.no_grad():
        predicted = model.scores(images).argmax(1)
    return grad_cam(model, images, rules), torch.stack(without, 1), predicted


def grad_cam(model: Model, images: Tensor, rules: Tensor) -> Tensor:
    """Return Grad-CAM maps (b, h, w) of f . w over the trunk's last map A: max(0, sum_d g_d A_d),
    g_d the mean over positions of the gradient with respect to A_d.

    ``images`` (b, 3, h, w); ``rules`` (b, k): the w of each image's own class, changed or not.
    """
    from captum.attr import LayerGradCam

    def class_scores(images: Tensor, rules: Tensor) -> Tensor:
        scores: Tensor = (model.features(images) * rules).sum(1) / model.config.temperature
        return scores

    explained: Tensor = LayerGradCam(class_scores, model.trunk).attribute(
        images, additional_forward_args=(rules,), relu_attributions=True
    )
    return explained.detach().squeeze(1).float()
