"""Attention maps of some test images, for pictures: ``weights.pt`` and the cache to ``attention.h5``."""

from pathlib import Path

import h5py
import numpy as np
import torch

from zslpipe.cache import FeatureFile
from zslpipe.data import Pooled
from zslpipe.devices import Compute, device_of
from zslpipe.index import Index, read_index
from zslpipe.inputs import CachedInputs
from zslpipe.running import load_model, read_words


def attend(
    weights: Path,
    index_path: Path,
    features_path: Path,
    words_path: Path | None,
    output: Path,
    count: int,
    compute: Compute,
) -> None:
    """Write ``attention.h5`` with the maps (n, a, h, w) float16 of ``count`` unseen test images, each of another class.

    Also their rows in the index, true and predicted class (all classes as label space). Chosen from seed 0, before
    anything is scored.
    """
    device = device_of(compute)
    index = read_index(index_path)
    words, _ = read_words(words_path)
    module, model, spec = load_model(weights, index, words)
    inputs = CachedInputs(FeatureFile(features_path), isinstance(module.INPUT, Pooled), device)
    rows = torch.from_numpy(pick_images(index, count))
    with torch.inference_mode():
        batch = inputs.take(rows)
        model.to(device)
        maps, predicted = model.attention(batch).half().cpu().numpy(), model.scores(batch).argmax(1).cpu().numpy()
    temporary = output.with_suffix(".partial")
    with h5py.File(temporary, "w") as file:
        file["maps"], file["images"], file["predicted"] = maps, rows.numpy(), predicted
        file["labels"] = index.labels[rows.numpy()]
        for name in ("dataset", "method", "variant"):
            file.attrs[name] = spec[name]
        file.attrs["complete"] = True
    temporary.replace(output)


def pick_images(index: Index, count: int) -> np.ndarray:
    """Return rows of ``count`` unseen test images, one each of random classes (again from the first when classes run
    out).
    """
    generator = np.random.default_rng(0)
    images = generator.permutation(index.splits["test_unseen"])
    labels = index.labels[images]
    # The k-th image of each class before any (k+1)-th.
    turn = np.array([np.sum(labels[:position] == label) for position, label in enumerate(labels)])
    return images[np.argsort(turn, kind="stable")][:count]
