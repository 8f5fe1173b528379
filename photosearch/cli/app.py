"""The command line: parse, call one function, print. The only room that knows typer and rich.

Results go to stdout, everything else to stderr. Exit 0: done; 1: an error of ours, said in one line; 2: usage;
130: interrupted. What is heavy is imported by the command that needs it, so that --help answers at once.
"""

from photosearch.cli import browse, find, index, judging, maintenance
from photosearch.cli.root import app

__all__ = ["app", "browse", "find", "index", "judging", "main", "maintenance"]  # each file adds its commands to the app


def main() -> None:
    app(prog_name="photosearch")
