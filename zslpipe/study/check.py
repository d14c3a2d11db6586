"""``python -m zslpipe.study.check FILE``: whether a configuration is in order, without Snakemake,
which reads a ``--configfile`` before the workflow can look at it.
"""

import logging
import sys
from pathlib import Path

import yaml

from zslpipe.machine.errors import InputError
from zslpipe.study.study import Study
from zslpipe.study.yaml_files import check_yaml

logger = logging.getLogger("zslpipe")


def check(path: Path) -> list[str]:
    """Return what is to be said of a configuration; raises InputError for what is wrong in it."""
    check_yaml(path)
    study = Study(yaml.safe_load(path.read_text(encoding="utf-8-sig")))
    runs, seeds = list(study.runs.all.values()), len(study.runs.seeds)
    fixed = [run for run in runs if len(study.results.seeds_of(run)) < seeds]
    of_one = f" ({len(fixed)} from one: no seed decides anything there)" if fixed else ""
    return [*study.runs.notes, f"{path}: in order, {len(runs)} rows x {seeds} seeds{of_one}"]


def main(arguments: list[str]) -> int:
    """Check files and return the exit code: 1 where one of them is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    code = 0
    for argument in arguments:
        try:
            for line in check(Path(argument)):
                logger.info("%s", line)
        except InputError as error:
            logger.error("error: %s", error)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
