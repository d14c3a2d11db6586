"""Attention maps of some test images, for pictures: ``weights.pt`` and the cache to ``attention.h5``."""

from pathlib import Path

import h5py
import numpy as np
import torch

from zslpipe.data import Pooled
from zslpipe.devices import Compute, device_of
from zslpipe.index import Index, read_index
from zslpipe.inputs import open_features
from zslpipe.method_source import read_method
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

    Also their rows in the index, true and predicted class (all classes as label space) and, where the method has them,
    attribute scores (n, a) float32. Chosen from seed 0, before anything is scored; only these images' features are
    read. Raises InputError where the features are not the index's.
    """
    device = device_of(compute)
    index = read_index(index_path)
    words, _ = read_words(words_path)
    module, model, spec = load_model(weights, index, words)
    rows = pick_images(index, count)
    features = open_features(features_path, index).maps(isinstance(module.INPUT, Pooled))
    batch = torch.from_numpy(features[rows].astype(np.float32)).to(device)
    model.to(device)
    arrays = {"images": rows, "labels": index.labels[rows]}
    with torch.inference_mode():
        arrays["maps"] = model.attention(batch).half().cpu().numpy()
        arrays["predicted"] = model.scores(batch).argmax(1).cpu().numpy()
        if read_method(spec["method"]).has_attribute_scores:
            arrays["scores"] = model.attribute_scores(batch).float().cpu().numpy()
    temporary = output.with_suffix(".partial")
    with h5py.File(temporary, "w") as file:
        for name, values in arrays.items():
            file[name] = values
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
