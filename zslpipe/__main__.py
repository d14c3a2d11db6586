"""``python -m zslpipe``: the way the workflow's rules call the package, without an installation."""

import sys
from typing import NoReturn

from zslpipe.machine.interruption import end_process, hear_one_interrupt, hear_one_stop
from zslpipe.machine.libraries import sleep_while_waiting
from zslpipe.machine.watched import watched


def _command() -> NoReturn:
    """Run the command that is typed; imported here, so that the watching parent stays small."""
    hear_one_interrupt()
    hear_one_stop()
    sleep_while_waiting()
    from zslpipe.commands.cli import main

    end_process(main())


def program() -> int:
    """Run the command that is typed, watched; return its exit code."""
    return watched(_command)


if __name__ == "__main__":
    sys.exit(program())
