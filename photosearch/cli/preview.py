"""Photos drawn in a terminal: as pictures where it can (kitty's protocol, sixel), else in half-blocks of colour.

The package textual-image asks the terminal which of them it knows, and draws.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from photosearch.cli.output import HARMFUL, open_console, quote
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import Library
    from photosearch.library.matching import Match

WIDTH = 28  # columns of a picture, with the space beside it
GAP = 2


def check_terminal() -> None:
    """Raises InputError where there is none to draw on."""
    if not sys.stdout.isatty():
        raise InputError("--preview draws on a terminal, and this is none; --html FILE writes a page")
    if not os.get_terminal_size(sys.stdout.fileno()).columns:
        raise InputError("this terminal does not say how large it is: stty cols 80 rows 25 tells it")


def draw_photos(library: "Library", found: "Sequence[Match]") -> None:
    """Rows of pictures, each above its score, its date and its path."""
    import io
    import logging
    from concurrent.futures import ThreadPoolExecutor

    from rich.table import Table
    from rich.text import Text

    logging.getLogger("textual_image").setLevel(logging.CRITICAL)  # a terminal that doesn't answer is no news
    from textual_image.renderable import Image  # asks the terminal, as it is imported

    from photosearch.photos.decode import Unreadable
    from photosearch.photos.thumbnails import WORKERS, Thumbnails

    console = open_console()
    across = max(1, console.width // WIDTH)

    def read(photo: "Match", files: tuple[bytes, list[str]] | None) -> bytes | str:
        try:
            return thumbnails.read([photo.path], files[0]) if files else "not in the library any more"
        except Unreadable as error:
            return error.reason

    with Thumbnails(library.thumbnails_folder) as thumbnails, ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(found), across):
            row = found[first : first + across]
            pictures = pool.map(read, row, [library.find_files(f.image_id) for f in row])
            table = Table.grid(padding=(0, GAP, 1, 0))
            for _ in row:
                table.add_column(width=WIDTH - GAP, overflow="fold")
            table.add_row(*(Text(p) if isinstance(p, str) else Image(io.BytesIO(p), width=WIDTH - GAP, height="auto")
                            for p in pictures))  # fmt: skip
            table.add_row(*(Text(f"{f.score:.3f}  {f.taken.replace('T', ' ')}\n{quote(f.path, HARMFUL)}") for f in row))
            console.print(table)
