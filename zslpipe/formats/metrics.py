"""``metrics.json``: the figures of merit of one score matrix, as fractions. Layout::

dataset, method, variant, seed, extractor, semantics, words, selection, rebalancing, protocol
reads                 what the method reads, as in scores.h5
versions              of the libraries that trained and scored, {} where scores.h5 does not say
run                   hash of the run as it was configured, "" where scores.h5 does not say it
evaluated_by          hash of the code that computed the figures
T1, U, S, H, AUSUC    what they are: :mod:`zslpipe.scores.evaluation`; one that no test image
                      defines is absent
T5, U5, S5, H5        T1, U, S, H where an image is right if its class is among the first five
U_group, S_group, H_group
                      how often the predicted class is unseen / seen as the image's own is, and
                      their harmonic mean
curve                 {"U": [...], "S": [...]}, the points of the seen-unseen curve
per_class             {"T1", "U", "S": {class: accuracy}, "AUSUC": {class: the area if it were the
                      only class of its group}}; no AUSUC without a curve, and in earlier files
images                {"test_seen", "test_unseen": number of images}
crc32                 checksum of all this (:mod:`zslpipe.machine.seals`)

``best_on_test.json`` has, beside whose it is, only T1, U, S, H and ``epoch``, the best one's number
(:mod:`zslpipe.scores.best_epoch`); its selection is BEST_ON_TEST.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.files import read_complete, written_whole
from zslpipe.machine.seals import read_sealed_json, sealed_json

BEST_ON_TEST = "best epoch on test (as the published code)"
METRICS = ("T1", "U", "S", "H", "AUSUC")
# What stands in the csv of the tables alone.
FURTHER_METRICS = ("T5", "U5", "S5", "H5", "U_group", "S_group", "H_group")
IDENTITY = (
    "dataset",
    "method",
    "variant",
    "extractor",
    "semantics",
    "words",
    "selection",
    "rebalancing",
    "protocol",
)


def write_metrics_file(output: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json, whole or not at all; raises ValueError where a number is not finite."""
    text = sealed_json(metrics)
    with written_whole(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_metrics(path: Path) -> Mapping[str, Any]:
    """Read metrics.json; InputError where it is absent, not JSON, not what was written, or does not
    say what it belongs to.
    """
    return read_complete(path, _read, "metrics.json", "the evaluation of a scores.h5")


def _read(path: Path) -> Mapping[str, Any]:
    """Read the file; raises KeyError where it lacks what says whose it is."""
    found = read_sealed_json(path)
    metrics = found if isinstance(found, dict) else {}
    absent = [name for name in (*IDENTITY, "seed") if name not in metrics]
    if absent:
        raise KeyError(f"it lacks {', '.join(absent)}")
    return metrics
