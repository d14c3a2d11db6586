"""The page of commands, from the commands themselves. The library that does this for MkDocs
(mkdocs-click 0.9) writes an object's name as the default of every option without one, and knows no
headings.
"""

import click

from docs.generated.docstrings import inline
from zslpipe.commands.cli import SECTIONS, commands_of, program
from zslpipe.provenance import PACKAGE

# What stands above the commands, by hand.
HEAD = PACKAGE.parent / "docs" / "generated" / "commands.md"


def page() -> str:
    """Return the page in Markdown: what people type first, then the steps of the workflow."""
    blocks = [HEAD.read_text(encoding="utf8").strip()]
    for heading, modules in reversed(SECTIONS.items()):
        blocks.append(f"## {heading}")
        for command in commands_of(modules):
            blocks += _command(command)
    return "\n\n".join(blocks) + "\n"


def _command(command: click.Command) -> list[str]:
    """Return the part of a command: usage, help, options."""
    context = click.Context(command, info_name=f"{program.name} {command.name}")
    usage = " ".join(command.collect_usage_pieces(context))
    said = [" ".join(part.split()) for part in str(command.help).split("\n\n")]
    rows = ["| option | value | default | |", "|---|---|---|---|"]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            rows.append(_row(parameter, context))
    table = ["\n".join(rows)] if len(rows) > 2 else []
    text = f"```text\n{context.info_name} {usage}\n```"
    return [f"### {command.name}", text, *map(inline, said), *table]


def _row(option: click.Option, context: click.Context) -> str:
    """Return an option's row: names, kind of value, default, help."""
    value = "" if option.is_flag else option.make_metavar(context)
    told = option.to_info_dict()["default"]
    default = "**needed**" if option.required else ""
    if told is not None and told is not False and not option.is_flag:
        default = f"`{told}`"
    names = ", ".join(f"`{name}`{{.option}}" for name in option.opts)
    cells = [names, inline(value).replace("|", "\\|"), default, inline(str(option.help))]
    return f"| {' | '.join(cells)} |"
