"""The command line: parse, call the facade, print. Only this package imports typer and rich.

Results go to stdout, everything else to stderr. Exit 0: done; 1: an error, told in one line; 2: usage; 130:
interrupted. A command's module is imported when the command is chosen, and it imports what it needs when it runs, so
that --help answers at once.
"""

from photosearch.cli.root import app

__all__ = ["app", "main"]


def main() -> None:
    app(prog_name="photosearch")
