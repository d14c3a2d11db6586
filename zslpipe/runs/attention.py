"""Where a trained method looks: ``weights.pt`` and its inputs to ``attention.h5``
(:mod:`zslpipe.formats.attention`).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.attention import write_attention
from zslpipe.formats.index import Index
from zslpipe.formats.words import read_words
from zslpipe.machine.errors import InputError
from zslpipe.machine.progress import counted
from zslpipe.runs.cells import run_cell_centres
from zslpipe.runs.models import RunInputs
from zslpipe.runs.weights import load_model
from zslpipe.training.contract import Model


def attend(
    weights: Path,
    run_inputs: RunInputs,
    words_path: Path | None,
    seed: int,
    output: Path,
    count: int,
) -> None:
    """Write ``attention.h5``: the maps of ``count`` unseen test images, chosen from seed 0 before
    anything is scored, and the peaks of every test image's maps.

    Raises InputError where it is not known where the cells of the maps look, and for weights of a
    method without maps.
    """
    index = run_inputs.index
    words, _ = read_words(words_path)
    _, model, spec = load_model(weights, index, words)
    # Of attributes where the model's class has such maps, else of the parts that it finds itself.
    of_attributes = getattr(type(model), "attention", None) is not None
    if not of_attributes and getattr(type(model), "part_attention", None) is None:
        fault = f"method {spec['method']!r} has no attention maps"
        raise InputError(f"{weights}: {fault}; name the weights of one that has")
    maps_of = model.attention if of_attributes else model.part_attention
    model.to(run_inputs.device)
    centres = run_cell_centres(run_inputs)
    tested = np.concatenate([index.splits["test_seen"], index.splits["test_unseen"]])
    with torch.inference_mode():
        arrays = _pictured(model, of_attributes, run_inputs, pick_images(index, count))
        arrays["test/images"] = tested
        arrays["test/peaks"] = _peaks(maps_of, run_inputs, tested, centres)
        if not of_attributes:
            trained = index.splits["trainval"]
            arrays["train/images"] = trained
            arrays["train/peaks"] = _peaks(maps_of, run_inputs, trained, centres)
    kind = "attributes" if of_attributes else "parts"
    write_attention(output, arrays, spec, seed, kind, centres)


def _pictured(
    model: Model, of_attributes: bool, run_inputs: RunInputs, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what is drawn of the images ``rows``: maps, scores where there are some, true and
    predicted classes.
    """
    batch = run_inputs.inputs.take(torch.from_numpy(rows))
    arrays = {"images": rows, "labels": run_inputs.index.labels[rows]}
    arrays["predicted"] = model.scores(batch).argmax(1).cpu().numpy()
    if of_attributes:
        arrays["maps"] = model.attention(batch).half().cpu().numpy()
    else:
        arrays["part_maps"] = model.part_attention(batch).half().cpu().numpy()
        arrays["channel_maps"] = model.channel_maps(batch).half().cpu().numpy()
    if getattr(type(model), "attribute_scores", None) is not None:
        arrays["scores"] = model.attribute_scores(batch).float().cpu().numpy()
    return arrays


def _peaks(
    maps_of: Callable[[Tensor], Tensor],
    run_inputs: RunInputs,
    rows: np.ndarray,
    centres: CellCentres,
) -> np.ndarray:
    """Return :func:`peaks` of the images ``rows`` (n, m, 2) float32."""
    inputs = run_inputs.inputs
    streamed = inputs.stream(torch.from_numpy(rows).split(inputs.at_once))
    told = counted(streamed, "attention maps", "images", len(rows), len)
    return torch.cat([peaks(maps_of(batch), centres).cpu() for batch in told]).numpy()


def peaks(maps: Tensor, centres: CellCentres) -> Tensor:
    """Return x and y of the highest value of each of the (b, m, h, w) ``maps`` as fractions (b, m,
    2) float32: the centre of its cell, the first of equals.
    """
    width = maps.shape[3]
    place = maps.flatten(2).argmax(2)
    column, row = place % width, place.div(width, rounding_mode="floor")
    cells = torch.stack([column, row], dim=2).double()
    return (centres.first + centres.step * cells).float()


def pick_images(index: Index, count: int, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return rows of ``count`` unseen test images, one each of random classes (again from the first
    when classes run out), those of the largest ``wanted`` (class,) first.
    """
    generator = np.random.default_rng(0)
    images = generator.permutation(index.splits["test_unseen"])
    labels = index.labels[images]
    # The k-th image of each class before any (k+1)-th.
    turn = np.array([np.sum(labels[:position] == label) for position, label in enumerate(labels)])
    unwanted = np.zeros(len(labels)) if wanted is None else -wanted[labels]
    return images[np.lexsort((unwanted, turn))][:count]
