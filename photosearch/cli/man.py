"""`man`: the manual page, made from the commands, their arguments and options."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from photosearch import __version__
from photosearch.cli.root import app, format_range, load_commands

ENVIRONMENT = {
    "PHOTOSEARCH_DB": "The library, where no option --db names one.",
    "PHOTOSEARCH_MODELS": "The folder of added models.",
    "NO_COLOR": "Print without colours.",
}
EXIT_STATUS = {"0": "Done.", "1": "An error, told in one line.", "2": "Wrong usage.", "130": "Interrupted."}


@app.command("man")
def man_command(ctx: typer.Context) -> None:
    """Print the manual page, to save as photosearch.1.

    To read it: photosearch man | man -l -
    """
    root: Any = ctx.find_root()
    typer.echo("\n".join(_write_page(load_commands(), root)))


def _write_page(group: Any, ctx: Any) -> Iterator[str]:
    """Lines for man(7)."""
    yield f'.TH PHOTOSEARCH 1 "" "photosearch {__version__}" "User Commands"'
    yield from (".SH NAME", f"photosearch \\- {_escape(group.help.rstrip('.').lower())}")
    yield from (".SH SYNOPSIS", ".B photosearch", "COMMAND [OPTIONS] [ARGUMENTS]")
    yield from (".SH OPTIONS", *_list_options(group, ctx))
    yield ".SH COMMANDS"
    yield from _list_commands(group, ctx)
    for title, rows in (("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXIT_STATUS)):
        yield f".SH {title}"
        for name, text in rows.items():
            yield from (".TP", f".B {_escape(name)}", _escape(text))


def _list_commands(group: Any, ctx: Any) -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        own = type(ctx)(command, info_name=name, parent=ctx)
        if hasattr(command, "commands") and not getattr(command, "invoke_without_command", False):
            yield from _list_commands(command, own)
            continue
        usage = " ".join(command.collect_usage_pieces(own))
        yield f'.SS "{_escape(own.command_path)} {_escape(usage)}"'
        for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
            yield from (_escape(" ".join(paragraph.split())), ".PP")
        yield from _list_options(command, own)
        if hasattr(command, "commands"):
            yield from _list_commands(command, own)


def _list_options(command: Any, ctx: Any) -> Iterator[str]:
    arguments = [(p.metavar, p.help) for p in command.params if p.param_type_name == "argument"]
    options = [p.get_help_record(ctx) for p in command.get_params(ctx) if p.param_type_name == "option"]
    for name, text in filter(None, (*arguments, *options)):
        yield from (".TP", f".B {_escape(name)}", _escape(format_range(" ".join((text or "").split()))))


def _escape(text: str) -> str:
    """Text that troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{text}" if text[:1] in (".", "'") else text
