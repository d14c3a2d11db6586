"""Classes that nobody trained on, described by the attributes of a run's classes, beside them.

A method's model is built for them as for any classes. What training wrote stays as it is; of the
tensors that hold a row a class those that the constructor makes of the class vectors get rows for
the new ones. A tensor whose rows training learned, one a class (a classifier, prototypes), has none
for a class without images: such a method is refused.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zslpipe.formats.class_vectors import groups_alike, normalised, told_groups
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, joined
from zslpipe.runs.trained import Trained
from zslpipe.training.contract import Classes, Model

logger = logging.getLogger(__name__)

SHOWN = 10  # ours: names in a message


def with_new_classes(
    trained: Trained, table: pd.DataFrame, missing_as_zero: bool = False
) -> tuple[Classes, Model]:
    """Return the run's classes with those of ``table`` behind them, all unseen, and a trained model
    of both.

    ``table``: a row a class (its name the row's label), a column an attribute (joined by
    :mod:`zslpipe.names`), in the units of the dataset's own class attributes; they are normalised
    as the run's. Raises InputError, naming them, for attributes that the run does not know or that
    are missing (unless they are to be 0), for a class that the run has already, for values that
    are no finite numbers, for a run whose class vectors are no attributes, and for a method that
    has learned something of each class.
    """
    classes = trained.classes
    _check_attributes(trained)
    names = tuple(map(str, table.index))
    _check_names(names, classes.names)
    vectors = _scaled(_arranged(table, classes.attribute_names, missing_as_zero), trained)
    both = Classes(
        names=(*classes.names, *names),
        attributes=torch.cat([classes.attributes, torch.from_numpy(vectors).float()]),
        seen=torch.cat([classes.seen, torch.zeros(len(names), dtype=torch.bool)]),
        attribute_names=classes.attribute_names,
        words=classes.words,
    )
    groups = groups_alike(both.attributes.numpy())
    if groups:
        alike = told_groups(groups, both.names, both.seen.numpy())
        logger.warning("class vectors that cannot be told apart: %s", alike)
    return both, _model(trained, both)


def _check_attributes(trained: Trained) -> None:
    """Raise InputError where a column of the run's class vectors is not an attribute."""
    length, names = trained.vectors.shape[1], trained.classes.attribute_names
    if length != len(names):
        kind = f"class vectors {trained.spec['semantics']!r} ({length} numbers)"
        fault = f"reads {kind}, which a table of attributes does not give"
        raise InputError(f"{trained.name}: {fault}; take a run with semantics: att")


def _check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InputError where there is no new class, one is given twice, or one is known."""
    if not names:
        raise InputError("new classes: the table has no row; give a row a class")
    table = KnownNames(known)
    for number, name in enumerate(names):
        if table.fitting(name):
            old = table.names[table.fitting(name)[0]]
            raise InputError(f"new classes: {name!r} is the run's class {old!r}; leave it out")
        if KnownNames(names[:number]).fitting(name):
            raise InputError(f"new classes: {name!r} is given twice; give every class one row")


def _arranged(table: pd.DataFrame, known: Sequence[str], missing_as_zero: bool) -> np.ndarray:
    """Return a table's values (class, attribute) in the order of the ``known`` attributes."""
    columns = list(map(str, table.columns))
    known_names = KnownNames(known)
    unknown = [name for name in columns if not known_names.fitting(name)]
    if unknown:
        fault = f"attributes that the run does not know: {_some(unknown)}"
        raise InputError(f"new classes: {fault}; it knows {_some(known)}")
    places = joined(columns, known, "new classes", "attribute")
    absent = [name for number, name in enumerate(known) if number not in set(places)]
    if absent and not missing_as_zero:
        fault = f"{len(absent)} of {len(known)} attributes are missing: {_some(absent)}"
        raise InputError(
            f"new classes: {fault}; add them, or say that they are 0 (--missing-as-zero)"
        )
    if absent:
        logger.warning("new classes: %d attributes are taken as 0: %s", len(absent), _some(absent))
    values = np.zeros((len(table), len(known)))
    values[:, places] = _numbers(table)
    return values


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """Return a table's values, float64; InputError for what is no finite number, naming it."""
    values: np.ndarray = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        cell = f"class {table.index[row]!r}, attribute {table.columns[column]!r}"
        raise InputError(
            f"new classes: {cell}: {str(table.iat[row, column])!r} is no finite number"
        )
    empty = [str(name) for name in table.index[~values.any(axis=1)]]
    if empty:
        fault = f"every attribute of {_some(empty)} is 0"
        raise InputError(f"new classes: {fault}; describe it by those that it has")
    return values


def _scaled(values: np.ndarray, trained: Trained) -> np.ndarray:
    """Return new class vectors normalised as the run's, by the ranges of its own classes where
    those count; the log tells of values that none of them comes near.
    """
    low, high = trained.vectors.min(axis=0), trained.vectors.max(axis=0)
    beyond = int(((values < low) | (values > high)).any(axis=0).sum())
    if beyond:
        told = "new classes: %d of %d attributes have values beyond those of the dataset's classes"
        logger.warning(f"{told} (are they in its units?)", beyond, len(low))
    if trained.spec["normalisation"] != "minmax":
        return normalised(values, trained.spec["normalisation"])
    scaled: np.ndarray = (values - low) / np.maximum(high - low, 1e-12)
    return scaled


def _some(names: Sequence[str]) -> str:
    """Return the first of many names in words."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _model(trained: Trained, both: Classes) -> Model:
    """Return a model for the classes ``both`` with the trained state."""
    model = trained.built(both)
    made, state = model.state_dict(), dict[str, Any]()
    for name, saved in trained.state.items():
        if made[name].shape == saved.shape:
            state[name] = saved
        elif _is_of_class_vectors(made[name], saved):
            state[name] = made[name]
        else:
            what = f"{trained.spec['method']} has learned {name!r} for each class of its training"
            raise InputError(
                f"{trained.name}: {what}; it cannot be given new classes: take a "
                "method that knows classes by their vectors alone"
            )
    model.load_state_dict(state)
    return model.eval()


def _is_of_class_vectors(made: Tensor, saved: Tensor) -> bool:
    """Return whether the rows of the run's classes come out of the constructor as they were
    saved.
    """
    same = made.shape[1:] == saved.shape[1:] and len(made) > len(saved)
    return same and torch.allclose(made[: len(saved)].to(saved), saved)
