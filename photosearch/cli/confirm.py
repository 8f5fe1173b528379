"""Ask before anything is deleted."""

import sys

import typer

from photosearch.cli.output import note
from photosearch.errors import InputError


def is_interactive() -> bool:
    return sys.stdin.isatty()


def confirm(action: str, yes: bool) -> None:
    """Say what will happen and ask; refuse where nobody can answer. Raises InputError."""
    if yes:
        return
    if not is_interactive():
        raise InputError(f"this would {action}; add --yes to confirm")
    note(f"This will {action}.")
    if not typer.confirm("Continue?", err=True):
        raise InputError("cancelled, nothing was changed")
