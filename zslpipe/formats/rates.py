"""``results/.rates.json``: what pieces of work took on machines, as a calibration measured them::

    {kind of machine: {hash of what was measured: {name: number, or {"core": s, "wall": s}}}}

Nothing reads it but the plan of a study; deleted, it is measured again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole

# Machine -> what was measured -> its numbers.
Rates = dict[str, dict[str, dict[str, Any]]]


def read_rates(path: Path) -> Rates:
    """Return what was measured, nothing where no calibration has run; InputError where the file is
    none of a calibration's.
    """
    if not path.is_file():
        return {}
    try:
        found: Rates = json.loads(path.read_text(encoding="utf8"))
        if not all(isinstance(one, dict) for one in found.values()):
            raise ValueError("no rates of machines")
    except (ValueError, AttributeError) as error:
        fault = f"{path}: not what a calibration writes ({error})"
        raise InputError(f"{fault}; delete it: zslpipe plan --calibrate makes it again") from None
    return found


def write_rates(path: Path, rates: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write all rates, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(rates, indent=1, sort_keys=True) + "\n", encoding="utf8")
