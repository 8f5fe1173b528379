"""Ask before anything is deleted."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, note
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import Library


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


def describe_forgotten(library: "Library", paths: Sequence[str] | None) -> str:
    """What `Library.forget` would delete, in words."""
    counts = library.count_forgotten(paths)
    judged = format_count(counts.judged, "judged photo of samples", "judged photos of samples")
    what = [format_count(counts.photos, "photo"), format_count(counts.marks, "mark"), judged]
    what += [format_count(counts.in_albums, "photo of albums", "photos of albums")] * bool(counts.in_albums)
    what += [format_count(counts.albums, "album")] * bool(counts.albums)
    return ", ".join(what)
