"""One run: a method as configured, on one dataset, from one seed. Trains, then scores; weights and scores are one
job.
"""

import importlib
import json
import logging
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from zslpipe.cache import FeatureFile
from zslpipe.data import Model, Pooled, Run, TrainingData
from zslpipe.devices import Compute, device_of
from zslpipe.errors import InputError
from zslpipe.history import write_history
from zslpipe.index import Index, read_index
from zslpipe.inputs import CachedInputs, open_features, score_rows
from zslpipe.problems import classes_of, validation_problem, whole_problem
from zslpipe.provenance import code_hash, file_hash, settings_hash
from zslpipe.scores import SPLITS, ScoreMatrix, write_scores

logger = logging.getLogger(__name__)


def read_words(path: Path | None) -> tuple[np.ndarray | None, str]:
    """Return the word vectors (a, v) of ``words.h5`` and the name of their source; (None, "") for a method that reads
    none.
    """
    if path is None:
        return None, ""
    with h5py.File(path) as file:
        return file["vectors"][()], str(file.attrs["source"])


def configured(module: Any, settings: Mapping[str, Any], settings_of: str | None) -> Any:
    """Return the method's Config: its defaults, then the paper's settings for ``settings_of``, then the user's."""
    published = getattr(module, "PUBLISHED", {})
    return replace(published.get(settings_of, module.Config()), **settings)


def run_method(
    spec: Mapping[str, Any],
    seed: int,
    index_path: Path,
    features_path: Path,
    words_path: Path | None,
    output: Path,
    compute: Compute,
) -> None:
    """Train and score one run; ``spec`` is a :class:`zslpipe.config.Run` as a dict, ``output`` the folder of the seed.

    Writes ``weights.pt``, ``history.csv`` and ``scores.h5``. State to resume from lies in ``.{seed folder}.work``
    until all is written.
    """
    device = device_of(compute)
    index = read_index(index_path)
    features = open_features(features_path, index)
    words, words_source = read_words(words_path)
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    config = configured(module, spec["settings"], spec["settings_of"])
    classes = classes_of(index, spec["semantics"], spec["normalisation"], words)
    inputs = CachedInputs(features, isinstance(module.INPUT, Pooled), device)
    run = Run(
        seed=seed,
        device=device,
        folder=output.parent / f".{output.name}.work",
        stamp=_stamp(spec, seed, features, index_path, words),
        precision=spec["precision"],
        compiled=compute.compile,
        checkpoint_seconds=compute.checkpoint_seconds,
    )
    chosen: dict[str, Any] = {}
    if spec["selection"] == "validation":
        from zslpipe.selection import choose

        validation = validation_problem(index, classes, seed)
        config, chosen = choose(module, config, spec["choose"], spec["criterion"], validation, inputs, run)
        logger.info("chosen on the validation classes: %s", chosen)
    problem = whole_problem(index, classes)
    torch.manual_seed(seed)
    model = module.Model(config, classes, inputs.shape).to(device)
    rows = replace(run, history=[])
    module.train(model, config, TrainingData(inputs, problem.train_rows, problem.train_labels, classes, rows))
    run.history.extend(rows.history)
    output.mkdir(parents=True, exist_ok=True)
    _save(model, config, spec, inputs.shape, output / "weights.pt")
    write_history(run.history, output / "history.csv")
    write_scores(output / "scores.h5", _scores(model, inputs, index, spec, seed, words_source, chosen))
    shutil.rmtree(run.folder, ignore_errors=True)


def _stamp(
    spec: Mapping[str, Any], seed: int, features: FeatureFile, index_path: Path, words: np.ndarray | None
) -> str:
    """Return what a checkpoint depends on: settings, code, features, index and word vectors."""
    with h5py.File(features.path) as file:
        checksums = file["checksums"][()].tolist() if "checksums" in file else str(features.path.stat().st_mtime_ns)
    code = code_hash(f"zslpipe.methods.{spec['method']}", "zslpipe.running")
    word_bytes = "" if words is None else settings_hash(words.tolist())
    return settings_hash([dict(spec), seed, code, checksums, file_hash(index_path), word_bytes])


def _save(model: Model, config: Any, spec: Mapping[str, Any], shape: tuple[int, ...], path: Path) -> None:
    """Write weights with all that builds the model again, whole or not at all; readable with ``weights_only=True``."""
    temporary = path.with_suffix(".partial")
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    torch.save(
        {"state": state, "config": asdict(config), "run": json.dumps(dict(spec)), "input_shape": list(shape)}, temporary
    )
    temporary.replace(path)


def load_model(path: Path, index: Index, words: np.ndarray | None) -> tuple[Any, Model, dict[str, Any]]:
    """Return (method module, model in evaluation mode, run spec) from ``weights.pt``; raises InputError where it cannot
    be read.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: weights cannot be read ({type(error).__name__}); delete it and run snakemake again"
        ) from None
    spec = json.loads(saved["run"])
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    classes = classes_of(index, spec["semantics"], spec["normalisation"], words)
    model = module.Model(module.Config(**saved["config"]), classes, tuple(saved["input_shape"]))
    model.load_state_dict(saved["state"])
    return module, model.eval(), spec


def _scores(
    model: Model,
    inputs: CachedInputs,
    index: Index,
    spec: Mapping[str, Any],
    seed: int,
    words: str,
    chosen: Mapping[str, Any],
) -> ScoreMatrix:
    """Return the scores of every split against all classes."""
    rows = {split: index.splits[split] for split in SPLITS}
    return ScoreMatrix(
        dataset=spec["dataset"],
        method=spec["method"],
        variant=spec["variant"],
        seed=seed,
        extractor=spec["extractor"],
        semantics=f"{spec['semantics']} ({spec['normalisation']})",
        words=words,
        selection="validation classes" if spec["selection"] == "validation" else "last epoch",
        protocol=index.protocol,
        classes=index.class_names,
        seen=index.seen,
        scores={split: score_rows(model, inputs, torch.from_numpy(images)) for split, images in rows.items()},
        labels={split: index.labels[images] for split, images in rows.items()},
        images=rows,
        chosen=chosen,
    )
