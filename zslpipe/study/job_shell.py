"""What the shell of every job begins with: nothing of it belongs to what a job computes."""

import shlex

from zslpipe.machine.failures import ATTEMPT
from zslpipe.machine.requeue import OURS


def shell_prefix(folder: str, attempt: int, is_submitted: bool) -> str:
    """Return the beginning of a job's commands, for the package in the checkout ``folder``.

    The command is told the number of its ``attempt``, and whether Snakemake has submitted it to a
    scheduler (``is_submitted``). A scheduler sends SIGTERM to each process of a job: it is the
    command's to answer, so that the shell waits for its end, and Snakemake for the shell's.
    """
    variables = {"PYTHONPATH": folder, ATTEMPT: str(attempt)}
    if is_submitted:
        variables[OURS] = "1"
    exports = [f"export {name}={shlex.quote(value)}; " for name, value in variables.items()]
    return "set -euo pipefail; trap : TERM; " + "".join(exports)
