"""The command line: parse, call the facade, print. Only this package imports typer and rich.

Results go to stdout, everything else to stderr. Exit 0: done; 1: an error, told in one line; 2: usage; 130:
interrupted. A command's module is imported when the command is chosen, and it imports what it needs when it runs, so
that --help answers at once.
"""

import os
import sys

from photosearch.cli.root import app

__all__ = ["app", "main"]


def main() -> None:
    _use_utf8()
    app(prog_name="photosearch")


def _use_utf8() -> None:
    """Where the locale gives names of files another encoding, start again in Python's UTF-8 mode.

    A library holds names as UTF-8: read otherwise, known photos are missing, and their folders are stored once more.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1" and os.name == "posix":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
