"""Contact sheets: numbered thumbnails, thirty to a page, large enough to judge a sample at a glance, small birds too.

Each photo is shown whole, in its own aspect ratio, under its number. One that can't be opened leaves a grey square, so
that the numbers stay. Photos are decoded in child processes, as for an index.
"""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from photosearch import outputs
from photosearch.photos.decode import DecodedPhoto, Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo

COLUMNS, PER_PAGE = 6, 30
SIDE, STRIP, GAP = 320, 34, 8  # pixels: a thumbnail's longer side, the number above it, the space around them
NUMBER_HEIGHT, NOTE_HEIGHT = 28, 14  # pixels, of letters
PAPER, INK, HOLE = "#ebebeb", "black", "#b0b0b0"  # grey paper, so that a picture on white has an edge
DECODED_SIDE = 2 * SIDE  # pixels: photos are decoded to a square of this side, then resized to their own aspect ratio
MAX_WORKERS = 4
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A photo on a sheet. opened: None where it can't be opened."""

    number: int
    opened: DecodedPhoto | None


def write_sheet(folder: Path, numbered: Sequence[tuple[int, str]], title: str = "") -> list[Path]:
    """Write the photos (number, path) as pages: sheet-1.jpg, sheet-2.jpg, ... Raises InputError.

    title: a line at the foot of each page.
    """
    pages = [numbered[i : i + PER_PAGE] for i in range(0, len(numbered), PER_PAGE)]
    digits = len(str(len(pages)))
    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    decoders = DecoderPool(workers, DecodeOptions((ViewSpec(DECODED_SIDE),)))
    try:
        with ThreadPoolExecutor(workers) as pool:
            written = []
            for i, rows in enumerate(pages, 1):
                image = draw_page(list(pool.map(lambda row: _open(decoders, *row), rows)), title)
                written.append(_save(image, folder / f"sheet-{i:0{digits}}.jpg"))
            return written
    finally:
        decoders.close()


def draw_page(thumbnails: Sequence[Thumbnail], title: str = "") -> Image.Image:
    """Draw one page: COLUMNS to a row, in the order given, the title at its foot."""
    across, down = min(COLUMNS, len(thumbnails)), -(-len(thumbnails) // COLUMNS)
    step_x, step_y = SIDE + GAP, STRIP + SIDE + GAP
    foot = STRIP if title else 0
    sheet = Image.new("RGB", (GAP + across * step_x, GAP + down * step_y + foot), PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(NUMBER_HEIGHT), ImageFont.load_default(NOTE_HEIGHT)
    draw.text((GAP, GAP + down * step_y), title, INK, large)
    for i, thumbnail in enumerate(thumbnails):
        x, y = GAP + i % COLUMNS * step_x, GAP + i // COLUMNS * step_y
        draw.text((x, y), str(thumbnail.number), INK, large)
        if thumbnail.opened is None:
            draw.rectangle((x, y + STRIP, x + SIDE - 1, y + STRIP + SIDE - 1), HOLE)
            draw.text((x + SIDE // 2, y + STRIP + SIDE // 2), "can't be opened", INK, small, anchor="mm")
        else:
            sheet.paste(_resize(thumbnail.opened), (x, y + STRIP))
    return sheet


def _resize(opened: DecodedPhoto) -> Image.Image:
    """The whole photo in its own aspect ratio, its longer side SIDE pixels."""
    longer = max(opened.width, opened.height)
    size = (max(1, round(SIDE * opened.width / longer)), max(1, round(SIDE * opened.height / longer)))
    return Image.fromarray(opened.views[0][0]).resize(size, Image.Resampling.LANCZOS)


def _open(decoders: DecoderPool, number: int, path: str) -> Thumbnail:
    try:
        # The file's size and time don't matter here.
        return Thumbnail(number, decoders.open(Photo(path, 0, 0), lambda _: (0,)).decoded)
    except Unreadable:
        return Thumbnail(number, None)


def _save(image: Image.Image, path: Path) -> Path:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY, comment=outputs.PROGRAM.encode())
    outputs.write_output(path, data.getvalue(), outputs.JPEG)
    return path
