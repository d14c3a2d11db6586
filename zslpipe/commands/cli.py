"""The command line: one sub-command a rule of the workflow, and a few for people. No logic, and no
import before it is needed.
"""

import errno
import logging
import os
import sys
from types import ModuleType

import click

from zslpipe.commands import datasets, features, people, reports, runs, scores
from zslpipe.machine.errors import InputError
from zslpipe.machine.failures import record_failure
from zslpipe.machine.interruption import EXIT_CODE, InterruptedTraining

logger = logging.getLogger("zslpipe")

# Heading -> modules whose commands stand under it: the workflow's in the order of its stages.
SECTIONS = {
    "Steps of the workflow": (datasets, features, runs, scores, reports),
    "For people": (people,),
}

# What a file system refuses: no right, read-only, full, over quota, a file where a folder should
# be and the other way round, a name too long.
REFUSALS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


def commands_of(modules: tuple[ModuleType, ...]) -> list[click.Command]:
    """Return the commands that modules define, in their order."""
    found = [value for module in modules for value in vars(module).values()]
    return [value for value in found if isinstance(value, click.Command)]


class Program(click.Group):
    """The group of all sub-commands; its help keeps their order and headings."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of commands with the first sentence of their help under each heading."""
        for heading, modules in SECTIONS.items():
            rows = []
            for command in commands_of(modules):
                rows.append((str(command.name), command.get_short_help_str(formatter.width)))
            with formatter.section(heading):
                formatter.write_dl(rows)


program = Program(
    "zslpipe",
    commands=commands_of((datasets, features, runs, scores, reports, people)),
    help="Generalized zero-shot recognition, step by step.",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command and return its exit code.

    0; 1 after one clear line where an input is wrong or a file system refuses; 2 after one where
    the command is typed wrongly; 75 where a training was told to stop; 130 after Ctrl-C.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        program.main(arguments, prog_name="zslpipe", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "zslpipe"
        return _ended(error.exit_code, f"error: {where}: {error.format_message()}")
    except InputError as error:
        return _ended(1, f"error: {error}")
    except click.Abort as error:
        # click calls the end of a file an interruption too; here it would be an error of ours.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _ended(130, "interrupted: what is done is kept, the same command continues it")
    except InterruptedTraining as interruption:
        return _ended(EXIT_CODE, str(interruption))
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        path = error.filename2 or error.filename or "output"
        return _ended(1, f"error: {path}: {os.strerror(error.errno)}")
    return 0


def _ended(code: int, message: str) -> int:
    """Say in one line why the command ended and return ``code``."""
    lines = [line.strip() for line in message.splitlines()]
    logger.error("%s", " ".join(lines))
    record_failure(sys.argv[1:], " ".join(lines).removeprefix("error: "))
    return code
