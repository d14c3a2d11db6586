"""The command line: one sub-command a rule of the workflow, and a few for people. No logic, and no
import before it is needed.
"""

import logging
import os
import select
import sys
import traceback
from types import ModuleType
from typing import Any

import click

from zslpipe.commands import (
    datasets,
    features,
    page,
    partial,
    people,
    planning,
    prediction,
    reports,
    runs,
    scores,
    studies,
    together,
    weights,
)
from zslpipe.machine.endings import machine_fault
from zslpipe.machine.errors import InputError, NotNowError, one_line
from zslpipe.machine.failures import record_failure, refused_before
from zslpipe.machine.interruption import INTERRUPTED, Stopped
from zslpipe.machine.kept_log import LOG_VARIABLE, kept_log

logger = logging.getLogger("zslpipe")

# Heading -> modules whose commands stand under it: the workflow's in the order of its stages.
SECTIONS = {
    "Steps of the workflow": (
        datasets,
        features,
        runs,
        scores,
        together,
        reports,
        partial,
        page,
        studies,
    ),
    "For people": (people, planning, prediction, weights),
}

# As after SIGPIPE, which ends a program whose reader has gone (`zslpipe status | head`): 128 + 13.
NO_READER = 141


def commands_of(modules: tuple[ModuleType, ...]) -> list[click.Command]:
    """Return the commands that modules define, in their order."""
    found = [value for module in modules for value in vars(module).values()]
    return [value for value in found if isinstance(value, click.Command)]


class ReaderGone(Exception):
    """Nobody reads the standard output any more."""


class Program(click.Group):
    """The group of all sub-commands; its help keeps their order and headings."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; ReaderGone where nobody reads its output. Any other broken pipe is
        an error of ours, which click would end by exit code 1 and without a word.
        """
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            if _nobody_reads():
                raise ReaderGone from error
            raise RuntimeError("a process that this one works with has ended") from error
        return found

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
    commands=commands_of(tuple(module for modules in SECTIONS.values() for module in modules)),
    params=[
        click.Option(
            ["--debug"],
            is_flag=True,
            envvar="ZSLPIPE_DEBUG",
            help="Show the traceback of an error that is told in one line; also by the environment "
            "variable ZSLPIPE_DEBUG=1, for the workflow's jobs.",
            expose_value=False,
            callback=lambda context, option, value: context.obj.update(debug=value),
        )
    ],
    help="Generalized zero-shot recognition, step by step.",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command and return its exit code.

    0; 1 after one clear line where an input is wrong or the machine refuses or lacks something, and
    after a traceback and a line where the fault is ours; 2 after a line where the command is typed
    wrongly; 75 where a job was told to stop and goes on from what it has kept, 143 where it was and
    has kept nothing; 130 after Ctrl-C; 141 where nobody reads the output.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    given = sys.argv[1:] if arguments is None else arguments
    with kept_log(os.environ.get(LOG_VARIABLE, ""), given):
        return _run(arguments)


def _run(arguments: list[str] | None) -> int:
    """Do what :func:`main` promises, what is said being kept."""
    told = {"debug": False}
    try:
        refusal = refused_before(sys.argv[1:], os.environ)
        if refusal:
            raise InputError(refusal)
        program.main(arguments, prog_name="zslpipe", standalone_mode=False, obj=told)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt, Stopped) as error:  # noqa: BLE001 (the one door)
        return _end(error, told["debug"])
    return 0


def _end(error: BaseException, debug: bool) -> int:
    """Say why a command ended by ``error``, in one line; return its exit code."""
    # click calls the end of a file an interruption too.
    stopped = error.__cause__ if isinstance(error, click.Abort) else error
    code, message = 1, machine_fault(error)
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "zslpipe"
        code, message = error.exit_code, f"{where}: {error.format_message()}"
    elif isinstance(error, InputError):
        message = str(error)
    elif isinstance(stopped, KeyboardInterrupt):
        code = INTERRUPTED
        message = "interrupted: what is done is kept, the same command continues it"
    elif isinstance(error, Stopped):
        code, message = error.code, str(error)
    elif isinstance(error, ReaderGone):
        return NO_READER
    ours = message is None
    if ours or debug:
        logger.error("%s", "".join(traceback.format_exception(error)).rstrip())
    if message is None:
        fault = f"{type(error).__name__}: {one_line(error)}"
        message = f"a fault of zslpipe ({fault}): please report it with the command and these lines"
    lines = [line.strip() for line in message.splitlines()]
    refused = isinstance(error, InputError) and not isinstance(error, NotNowError)
    if not record_failure(sys.argv[1:], " ".join(lines), code, refused):
        logger.error("%s%s", "error: " if code in (1, 2) else "", " ".join(lines))
    return code


def _nobody_reads() -> bool:
    """Return whether the reader of the standard output has gone; then nothing is written there any
    more, not at the interpreter's end either.
    """
    output = select.poll()
    output.register(1, select.POLLOUT)
    gone = any(event & select.POLLERR for _, event in output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return gone
