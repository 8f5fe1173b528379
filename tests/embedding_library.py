"""A library whose photos have vectors, and a text tower that reads for them, all computed in one's head.

A photo is of one colour, and its vector (red, green, blue, darkness), as toy.py says; so is a text's.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import library
import pytest
from library import InThisProcess
from PIL import Image
from toy import sight_card, write_toy_text

import photosearch
from photosearch.library.details import put_details
from photosearch.library.photos import find_image_at
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.card import Card
from photosearch.search.find import Answer

THRESHOLDS = {"red": 0.5, "green": 0.5, "blue": 0.5}
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE, WINE = (0, 0, 0), (255, 255, 255), (128, 0, 0)


@dataclass
class Seen:
    """`under` holds photos; `asks` is what a user's program would open."""

    under: library.Library
    asks: photosearch.Library

    @property
    def folder(self) -> Path:
        return self.under.folder

    def photo(self, name: str, colour: tuple[int, int, int]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), colour).save(path)
        return path

    def index(self, **options: Any) -> None:
        self.under.index(decoders=InThisProcess, **options)

    def put_details(self, name: str, said: PhotoMetadata) -> int:
        """Store what an indexed photo's file says -> the photo's id."""
        image_id = find_image_at(self.under.db, str(self.folder / name))
        (photo_id,) = self.under.db.one("SELECT id FROM photos WHERE image_id = ?", [image_id])
        put_details(self.under.db, photo_id, said, 0)
        return int(photo_id)

    def ask(self, words: str = "", **options: Any) -> Answer:
        return self.asks.find(words, **options)

    def find(self, words: str = "", **options: Any) -> list[str]:
        """The names of what is found, in its order."""
        return self.names(self.ask(words, **options))

    def names(self, answer: Answer) -> list[str]:
        return [os.path.relpath(found.path, self.folder) for found in answer]


def card(**changes: Any) -> Card:
    return sight_card(**{"thresholds": THRESHOLDS, **changes})


@contextmanager
def open_seen(folder: Path, its: Card | None = None, *, reads: bool = True) -> Iterator[Seen]:
    """PHOTOSEARCH_MODELS must name the folder. reads: whether there is a text tower."""
    if reads:
        write_toy_text(folder / "toy-text.onnx")
    under = library.make(folder, its or card())
    with under.db, library.kept_decoders(), photosearch.Library(under.db.path) as asks:
        yield Seen(under, asks)


def fill(seen: Seen, colours: Mapping[str, tuple[int, int, int]]) -> Seen:
    """A photo of each colour, by its name, looked at."""
    for name, colour in colours.items():
        seen.photo(f"{name}.png", colour)
    seen.index()
    return seen


def forget_names(seen: Seen) -> Seen:
    """Take the words of file names out of the full-text index, so that likeness alone ranks."""
    with seen.under.db.transaction():
        seen.under.db.write("UPDATE photos SET name_words = NULL")
    return seen


@contextmanager
def open_filled(folder: Path, colours: Mapping[str, tuple[int, int, int]]) -> Iterator[Seen]:
    """The same in a library of its own, for all tests of a file that only ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        with open_seen(folder) as seen:
            yield fill(seen, colours)
