"""``python -m zslpipe``: the way the workflow's rules call the package, without an installation."""

import sys

from zslpipe.machine.interruption import run_and_end
from zslpipe.machine.libraries import sleep_while_waiting
from zslpipe.machine.streams import open_streams
from zslpipe.machine.watched import watched


def _command() -> int:
    """Run the command that is typed; imported here, so that the watching parent stays small."""
    sleep_while_waiting()
    from zslpipe.commands.cli import main

    return main()


def program() -> int:
    """Run the command that is typed, watched; return its exit code."""
    open_streams()
    return watched(lambda: run_and_end(_command))


if __name__ == "__main__":
    sys.exit(program())
