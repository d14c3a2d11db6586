"""All rebalancings of a run, in one job: what a kind has made already of the same scores with the
same settings stays as it is.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.formats.kept import is_kept, write_record
from zslpipe.provenance import code_hash, file_hash, settings_hash
from zslpipe.scores.evaluation import write_metrics
from zslpipe.scores.rebalancing import rebalance, settings_of

logger = logging.getLogger(__name__)


def rebalance_run(
    kinds: Mapping[str, Mapping[str, Any]],
    scores: Path,
    folder: Path,
    validation: Path | None,
    irrelevant: Path | None,
) -> None:
    """Write ``{kind}/scores.h5`` and ``{kind}/metrics.json`` in ``folder`` for each of ``kinds``
    (kind -> its settings); InputError as :func:`zslpipe.scores.rebalancing.rebalance`.
    """
    code = code_hash("zslpipe.scores.rebalancing")
    given = {"validation": validation, "irrelevant": irrelevant}
    for kind, settings in kinds.items():
        output, record = folder / kind / "scores.h5", folder / kind / ".rebalanced.json"
        read = [scores, *[given[name] for name in settings_of(kind, settings).needs()]]
        hashes = [file_hash(path) for path in read if path is not None]
        stamp = settings_hash([code, kind, settings, hashes])
        if is_kept(record, stamp, [output]):
            logger.info("%s: there already, of the same scores and settings", output)
        else:
            rebalance(kind, scores, output, validation, irrelevant, settings)
            write_record(record, stamp, [output])
        write_metrics(output, folder / kind / "metrics.json")
