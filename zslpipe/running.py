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

from zslpipe.building import Source, configured, train_model
from zslpipe.data import Model, Run
from zslpipe.devices import Compute
from zslpipe.errors import InputError
from zslpipe.files import written_whole
from zslpipe.history import write_history
from zslpipe.index import Index
from zslpipe.problems import Problem, classes_of, validation_problem, whole_problem
from zslpipe.provenance import code_hash, settings_hash
from zslpipe.scores import SPLITS, ScoreMatrix, write_scores
from zslpipe.scoring import score_rows

logger = logging.getLogger(__name__)


def read_words(path: Path | None) -> tuple[np.ndarray | None, str]:
    """Return the word vectors (a, v) of ``words.h5`` and the name of their source; (None, "") for a method that reads
    none.
    """
    if path is None:
        return None, ""
    with h5py.File(path) as file:
        return file["vectors"][()], str(file.attrs["source"])


def run_method(
    spec: Mapping[str, Any],
    seed: int,
    source: Source,
    words_path: Path | None,
    output: Path,
    compute: Compute,
) -> None:
    """Train and score one run; ``spec`` is a :class:`zslpipe.config.Run` as a dict, ``output`` the folder of the seed.

    Writes ``weights.pt``, ``history.csv`` and ``scores.h5``. State to resume from lies in ``.{seed folder}.work``
    until all is written. Raises InputError for what does not fit, InterruptedTraining after SIGTERM.
    """
    words, words_source = read_words(words_path)
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    config = configured(module, spec)
    classes = classes_of(source.index, spec["semantics"], spec["normalisation"], words)
    run = prepare_run(spec, seed, source, words, output, compute)
    chosen: dict[str, Any] = {}
    if spec["selection"] == "validation":
        from zslpipe.selection import choose

        validation = validation_problem(source.index, classes, seed)
        config, chosen = choose(module, config, spec["choose"], spec["criterion"], validation, source, run)
        logger.info("chosen on the validation classes: %s", chosen)
    trial = replace(run, history=[])
    problem = whole_problem(source.index, classes)
    model = train_model(module, config, problem, source, trial)
    run.history.extend(trial.history)
    output.mkdir(parents=True, exist_ok=True)
    _save(model, config, spec, source.inputs.shape, output / "weights.pt")
    write_history(run.history, output / "history.csv")
    matrix = score_matrix(model, source, problem, spec, seed, words_source, chosen)
    write_scores(output / "scores.h5", matrix)
    shutil.rmtree(run.folder, ignore_errors=True)


def prepare_run(
    spec: Mapping[str, Any],
    seed: int,
    source: Source,
    words: np.ndarray | None,
    output: Path,
    compute: Compute,
) -> Run:
    """Return how a training runs, with the stamp of all that its checkpoints depend on: settings, code, inputs and word
    vectors.
    """
    code = code_hash(f"zslpipe.methods.{spec['method']}", "zslpipe.running")
    word_bytes = "" if words is None else settings_hash(words.tolist())
    return Run(
        seed=seed,
        device=source.device,
        folder=output.parent / f".{output.name}.work",
        stamp=settings_hash([dict(spec), seed, code, source.identity, word_bytes]),
        precision=spec["precision"],
        compiled=compute.compile,
        checkpoint_seconds=compute.checkpoint_seconds,
    )


def _save(model: Model, config: Any, spec: Mapping[str, Any], shape: tuple[int, ...], path: Path) -> None:
    """Write weights with all that builds the model again, whole or not at all; readable with ``weights_only=True``."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    saved = {"state": state, "config": asdict(config), "run": json.dumps(dict(spec)), "input_shape": list(shape)}
    with written_whole(path) as temporary:
        torch.save(saved, temporary)


def read_spec(path: Path) -> dict[str, Any]:
    """Return the run whose weights ``path`` holds, a :class:`zslpipe.config.Run` as a dict; InputError as
    :func:`load_model`.
    """
    return dict(json.loads(_saved(path)["run"]))


def read_config(path: Path, module: Any) -> Any:
    """Return the method's Config whose weights ``path`` holds, with what was chosen; InputError as
    :func:`load_model`.
    """
    return module.Config(**_saved(path)["config"])


def _saved(path: Path) -> dict[str, Any]:
    """Return what ``weights.pt`` holds; raises InputError where it cannot be read."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: weights cannot be read ({type(error).__name__}); delete it and run snakemake again"
        ) from None


def load_model(path: Path, index: Index, words: np.ndarray | None) -> tuple[Any, Model, dict[str, Any]]:
    """Return (method module, model in evaluation mode, run spec) from ``weights.pt``; raises InputError where it cannot
    be read.
    """
    saved = _saved(path)
    spec = json.loads(saved["run"])
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    classes = classes_of(index, spec["semantics"], spec["normalisation"], words)
    model = module.Model(module.Config(**saved["config"]), classes, tuple(saved["input_shape"]))
    model.load_state_dict(saved["state"])
    return module, model.eval(), spec


def score_matrix(
    model: Model,
    source: Source,
    problem: Problem,
    spec: Mapping[str, Any],
    seed: int,
    words: str,
    chosen: Mapping[str, Any],
) -> ScoreMatrix:
    """Return the scores of a problem's training and test images against all its classes."""
    unseen = ~problem.classes.seen[problem.test_labels]
    rows = (problem.train_rows, problem.test_rows[~unseen], problem.test_rows[unseen])
    labels = (problem.train_labels, problem.test_labels[~unseen], problem.test_labels[unseen])
    return ScoreMatrix(
        dataset=spec["dataset"],
        method=spec["method"],
        variant=spec["variant"],
        seed=seed,
        extractor=spec["extractor"],
        semantics=f"{spec['semantics']} ({spec['normalisation']})",
        words=words,
        selection="validation classes" if spec["selection"] == "validation" else "last epoch",
        protocol=source.index.protocol,
        classes=problem.classes.names,
        seen=problem.classes.seen.numpy(),
        scores={split: score_rows(model, source.inputs, part) for split, part in zip(SPLITS, rows, strict=True)},
        labels={split: part.numpy() for split, part in zip(SPLITS, labels, strict=True)},
        images={split: part.numpy() for split, part in zip(SPLITS, rows, strict=True)},
        chosen=chosen,
    )
