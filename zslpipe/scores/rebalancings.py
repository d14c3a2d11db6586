"""All rebalancings of a run, in one job: what a kind has made already of the same scores with the
same settings stays as it is.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.formats.kept import MADE_ALL_THE_SAME, made_once
from zslpipe.machine.errors import InputError
from zslpipe.provenance import code_hash, file_hash, settings_hash
from zslpipe.scores.evaluation import write_metrics
from zslpipe.scores.rebalancing import rebalance, settings_of


def rebalance_run(
    kinds: Mapping[str, Mapping[str, Any]],
    scores: Path,
    folder: Path,
    validation: Path | None,
    irrelevant: Path | None,
) -> None:
    """Write ``{kind}/scores.h5`` and ``{kind}/metrics.json`` in ``folder`` for each of ``kinds``
    (kind -> its settings); after all, InputError as :func:`zslpipe.scores.rebalancing.rebalance`
    for those that could not be made.

    Then the others' figures lie in ``{kind}/.metrics.json`` as well.
    """
    code = code_hash("zslpipe.scores.rebalancing")
    given = {"validation": validation, "irrelevant": irrelevant}
    made, refused = [], []
    for kind, settings in kinds.items():
        try:
            _bring_up_to_date(code, kind, settings, scores, folder / kind, given)
            made.append(folder / kind)
        except InputError as error:
            refused.append(str(error))
    for path in made:
        (path / MADE_ALL_THE_SAME).unlink(missing_ok=True)
        if refused:
            shutil.copyfile(path / "metrics.json", path / MADE_ALL_THE_SAME)
    if refused:
        raise InputError("; ".join(dict.fromkeys(refused)))


def _bring_up_to_date(
    code: str,
    kind: str,
    settings: Mapping[str, Any],
    scores: Path,
    folder: Path,
    given: Mapping[str, Path | None],
) -> None:
    """Write a kind's scores unless they are current, and evaluate them."""
    output = folder / "scores.h5"
    read = [scores, *[given[name] for name in settings_of(kind, settings).needs()]]
    hashes = [file_hash(path) for path in read if path is not None]
    stamp = settings_hash([code, kind, settings, hashes])
    learned = (given["validation"], given["irrelevant"])
    made_once(output, stamp, lambda: rebalance(kind, scores, output, *learned, settings))
    write_metrics(output, folder / "metrics.json")
