"""Figures of merit after the code that computes them has changed.

``metrics.json`` is written by the job that makes the scores, so that no score matrix waits for a
job of its own; where it comes from other code, or is older than its ``scores.h5``, it is written
again here.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from zslpipe.formats.metrics import read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.provenance import canonical, file_hash
from zslpipe.scores.evaluation import evaluation_code, write_metrics

logger = logging.getLogger(__name__)


def reevaluate(matrices: Sequence[Path], output: Path) -> None:
    """Do what :func:`bring_up_to_date` does; ``output`` then says the hash of each metrics.json
    (JSON: folder -> hash).
    """
    bring_up_to_date(matrices)
    hashes = {str(path.parent): file_hash(path.with_name("metrics.json")) for path in matrices}
    with written_whole(output) as temporary:
        temporary.write_text(canonical(hashes) + "\n", encoding="utf-8")


def bring_up_to_date(matrices: Sequence[Path]) -> None:
    """Write the metrics.json beside each of the ``scores.h5`` again that is missing, damaged, from
    other code or older than the scores; InputError as :func:`write_metrics`.
    """
    code = evaluation_code()
    stale = [path for path in matrices if not _is_current(path, code)]
    for scores in stale:
        write_metrics(scores, scores.with_name("metrics.json"))
    logger.info("%d of %d metrics.json were evaluated again", len(stale), len(matrices))


def _is_current(scores: Path, code: str) -> bool:
    """Return whether the metrics.json of ``scores`` is there, whole, from this ``code``, no
    older.
    """
    metrics = scores.with_name("metrics.json")
    if not metrics.is_file() or metrics.stat().st_mtime_ns < scores.stat().st_mtime_ns:
        return False
    try:
        return read_metrics(metrics).get("evaluated_by") == code
    except InputError as error:
        logger.warning("%s; evaluated again", error)
        return False
