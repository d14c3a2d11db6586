"""Results that were copied into a checkout of another configuration: of files that Snakemake has
not made itself it sees the times alone, and calls those of whatever settings up to date.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from zslpipe.formats.metrics import read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.study.results import Results


def made_here(results: Results, record: Callable[[str], object]) -> list[str]:
    """Return every file that is a row of the table; InputError as :func:`refuse_copied`."""
    return listed(results.rows, record)


def listed(rows: Mapping[str, str], record: Callable[[str], object]) -> list[str]:
    """Return the files of ``rows``; InputError as :func:`refuse_copied`."""
    refuse_copied(rows, record)
    return list(rows)


def refuse_copied(rows: Mapping[str, str], record: Callable[[str], object]) -> None:
    """Raise InputError where a file of ``rows`` (metrics.json -> hash of its run as configured) is
    of another run, and Snakemake, asked by ``record``, has none of having made it: it would not
    make it again.
    """
    for name, asked in rows.items():
        path = Path(name)
        if not path.is_file() or record(name):
            continue
        found = read_metrics(path).get("run", "")
        if found != asked:
            raise InputError(
                f"{path}: of another configuration (asked run {asked}, it says {found or 'none'}), "
                f"and not made here: copied? Delete {path.parent} and run again; features stay"
            )
