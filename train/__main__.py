"""The command line of training: `python -m train COMMAND`. Parses, calls one function, prints.

Each command imports what it needs itself, so that `python -m train --help` answers at once and without torch.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from photosearch.errors import PhotosearchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fetch the data, teach the networks, export them.",
)

Data = Annotated[
    Path, typer.Option("--data", envvar="PHOTOSEARCH_DATA", metavar="DIR", help="Where the data sets lie.")
]


def main() -> None:
    """The one place where an error for the user is caught: a line on stderr, exit 1."""
    try:
        app()
    except PhotosearchError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
