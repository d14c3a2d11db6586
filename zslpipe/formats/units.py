"""Units of scores: what a number of ``scores.h5`` is.

A constant taken off scores, a temperature and a mean do something else to a logit than to a
probability, so a file states its unit where one of these is asked for.
"""

import numpy as np

from zslpipe.machine.errors import InputError, nearest

LOGITS, LOG_PROBABILITIES, PROBABILITIES = "logits", "log-probabilities", "probabilities"
UNITS = (LOGITS, LOG_PROBABILITIES, PROBABILITIES)
# Ours: how far above 1 rounding may carry a probability (float16 has 1 + 0.001 as its next number).
TOLERANCE = 1e-3


def stated_unit(unit: str, where: str) -> str:
    """Return ``unit``; InputError, one line that begins with ``where``, where it is not stated."""
    if not unit:
        known = ", ".join(map(repr, UNITS[:-1]))
        advice = f"set the file's attribute 'unit' to {known} or {UNITS[-1]!r}"
        raise InputError(f"{where}: does not state the unit of its scores; {advice}")
    return unit


def check_unit(scores: np.ndarray, unit: str, where: str) -> None:
    """Raise InputError, one line that begins with ``where``, for a unit that nobody knows and for
    scores that cannot be in theirs; "" is one that is not stated.
    """
    if unit and unit not in UNITS:
        raise InputError(f"{where}: unit {unit!r}; {nearest(unit, UNITS)}")
    lowest, highest = float(scores.min(initial=0.0)), float(scores.max(initial=-np.inf))
    limit = {PROBABILITIES: 1.0, LOG_PROBABILITIES: 0.0}.get(unit, np.inf)
    if highest > limit + TOLERANCE or (unit == PROBABILITIES and lowest < 0):
        found = f"go from {lowest:.4g} to {highest:.4g}, which are no {unit}"
        raise InputError(f"{where} {found}; state the attribute 'unit' as it is")


def logarithms_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the logarithms of (image, class) probabilities in their own precision; that of 0 is
    finite and lies below that of any other number.
    """
    smallest = np.finfo(probabilities.dtype).smallest_subnormal
    held = np.log(np.clip(probabilities, smallest, 1.0))
    # e times below the smallest number that there is (ours)
    result: np.ndarray = np.where(probabilities > 0, held, np.log(smallest) - 1)
    return result
