"""The command line: parse, call the facade, print. Only this package imports typer and rich.

Results go to stdout, everything else to stderr. Exit 0: done; 1: an error, told in one line; 2: usage; 130:
interrupted. Commands import what they need when they run, so that --help answers at once.
"""

from photosearch.cli import (
    albums,
    browse,
    duplicates,
    find,
    folders,
    index,
    keywords,
    labels,
    learning,
    man,
    marks,
    mcp,
    merge,
    models,
    reports,
    samples,
    status,
    thresholds,
    undo,
    upkeep,
)
from photosearch.cli.root import app

__all__ = [  # each module adds its commands to the app
    "albums", "app", "browse", "duplicates", "find", "folders", "index", "keywords", "labels", "learning", "main",
    "man", "marks", "mcp", "merge", "models", "reports", "samples", "status", "thresholds", "undo", "upkeep",
]  # fmt: skip


def main() -> None:
    app(prog_name="photosearch")
