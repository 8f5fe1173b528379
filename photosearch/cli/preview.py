"""Photos drawn in a terminal: as pictures where it can (kitty's protocol, sixel), else in half-blocks of colour.

The package textual-image asks the terminal which of them it supports, and draws.
"""

import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from photosearch.cli.output import has_styles, open_console, quote
from photosearch.errors import InputError
from photosearch.web.escaping import HARMFUL

if TYPE_CHECKING:
    from photosearch import Library, Match

WIDTH = 28  # columns of a picture, with the space beside it
GAP = 2


def check_terminal() -> None:
    """Raises InputError where there is none to draw on."""
    if not sys.stdout.isatty():
        raise InputError("--preview needs a terminal; to write a page instead: --html FILE")
    if not has_styles(sys.stdout):
        raise InputError("--preview needs a terminal with colours, and TERM or NO_COLOR says that this one has none; "
                         "to write a page instead: --html FILE")  # fmt: skip
    if not all(os.get_terminal_size(sys.stdout.fileno())):
        raise InputError("the terminal does not report its size; set it: stty cols 80 rows 25")


def draw_photos(library: "Library", found: "Sequence[Match]") -> None:
    """Rows of pictures, each above its score, date and path."""
    from rich.table import Table
    from rich.text import Text

    logging.getLogger("textual_image").setLevel(logging.CRITICAL)  # a terminal may not answer
    from textual_image.renderable import Image  # importing it asks the terminal

    console = open_console()
    across = max(1, console.width // WIDTH)
    thumbnails = library.read_thumbnails(found)
    for first in range(0, len(found), across):
        row = found[first : first + across]
        table = Table.grid(padding=(0, GAP, 1, 0))
        for _ in row:
            table.add_column(width=WIDTH - GAP, overflow="fold")
        pictures = [next(thumbnails) for _ in row]
        table.add_row(*(Text(p) if isinstance(p, str) else Image(io.BytesIO(p), width=WIDTH - GAP, height="auto")
                        for p in pictures))  # fmt: skip
        table.add_row(*(Text(f"{_describe(f)}\n{quote(f.path, HARMFUL)}") for f in row))
        console.print(table)


def _describe(photo: "Match") -> str:
    score = "" if photo.score is None else f"{photo.score:.3f}  "
    return f"{score}{photo.taken.replace('T', ' ')}"
