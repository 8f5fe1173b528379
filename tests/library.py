"""A library in a temporary folder: photos that a test writes, a toy model that counts what it scores, an index to run.

Photos are opened by real decoders in real processes, which are kept from run to run: starting one costs more than
a whole test. What they do when they die is test_hostile.py's subject.
"""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from toy import photo, write_toy

from photosearch import index as indexing
from photosearch import photos, query
from photosearch.decoders import Decoders, Read, Settings
from photosearch.index import Event
from photosearch.model import Card, Model, Scores
from photosearch.photos import Photo
from photosearch.store import Label, Store

ROWS = {
    "roots": "SELECT * FROM roots",
    "folders": "SELECT * FROM folders",
    "photos": """SELECT id, folder_id, name, size_bytes, mtime_ns, image_id, reason, passing, removed_at IS NOT NULL
                 FROM photos""",
    "images": "SELECT * FROM images",
    "labels": "SELECT * FROM labels",
    "scores": "SELECT * FROM scores",
    "truth": "SELECT label, image_id, present FROM truth",
}


class Counting(Model):
    """A model that remembers how many photos each batch held."""

    batches: Sequence[int] = ()

    def score_views(self, views: npt.NDArray[np.uint8]) -> Scores:
        scores = super().score_views(views)
        self.batches = (*self.batches, len(views))
        return scores

    def scored(self) -> int:
        """How many photos were scored since this was last asked."""
        n, self.batches = sum(self.batches), ()
        return n


@contextmanager
def kept_decoders() -> Iterator[None]:
    """Within, decoders outlive the run they were started for, and serve all later ones with the same settings."""
    kept: dict[tuple[int, Settings], Decoders] = {}

    class Kept(Decoders):
        def close(self) -> None:
            pass

    def decoders(n: int, settings: Settings) -> Decoders:
        if (n, settings) not in kept:  # not setdefault: it would start a thread each time, and never end it
            kept[n, settings] = Kept(n, settings)
        return kept[n, settings]

    before, indexing.Decoders = indexing.Decoders, decoders  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        indexing.Decoders = before  # type: ignore[misc]
        for one in kept.values():
            Decoders.close(one)


class InThisProcess:
    """Decoders that are none, for a user who may not start a process."""

    def __init__(self, n: int, settings: Settings):
        self._settings = settings

    def open(self, photo: Photo, wanted: Callable[[bytes], bool]) -> Read:
        data = photos.read(photo.path)
        content_hash, s = photos.content_hash(data), self._settings
        opened = photos.decode(data, s.size, fit=s.fit, tiles=s.tiles) if wanted(content_hash) else None
        return Read(photo, content_hash, opened)

    def close(self) -> None:
        pass


@dataclass
class Library:
    """`folder` holds photos; paths are given, and told, below it."""

    folder: Path
    store: Store
    model: Counting
    options: dict[str, Any] = field(default_factory=lambda: {"workers": 2})

    def path(self, name: str) -> Path:
        return self.folder / name

    def photo(self, name: str, colour: str = "red", **options: Any) -> Path:
        return photo(self.path(name), colour, **options)

    def events(self, *folders: str, model: Model | None = None, **options: Any) -> Iterator[Event]:
        paths = [str(self.path(f)) for f in folders or ("",)]
        return indexing.index(paths, self.store, model or self.model, **{**self.options, **options})

    def index(self, *folders: str, model: Model | None = None, **options: Any) -> dict[str, list[Any]]:
        """Run an index -> what happened: the kind of event -> the paths, sorted; a move is (before, path)."""
        told: dict[str, list[Any]] = defaultdict(list)
        for event in self.events(*folders, model=model, **options):
            path = self.below(event.path)
            before = getattr(event, "before", None)
            told[type(event).__name__].append(path if before is None else (self.below(before), path))
        return {kind: sorted(paths) for kind, paths in told.items()}

    def below(self, path: str) -> str:
        name = os.path.relpath(path, self.folder)
        return "" if name == "." else name

    def find(self, text: str = "red", **options: Any) -> list[str]:
        """The photos found, best first."""
        return [self.below(f.path) for f in self.store.find(query.parse(text), self.labels(), **options)]

    def scores(self, label: str = "red") -> dict[str, float]:
        """Every photo that was scored -> its score, to two digits."""
        found = self.store.find(query.Is(label), self.labels(), min_score=0)
        return {self.below(f.path): round(f.score, 2) for f in found}

    def labels(self, model: str | None = None) -> dict[str, Label]:
        return {label.name: label for label in reversed(self.store.labels(model))}

    def rows(self) -> dict[str, list[Any]]:
        """All that the database holds, but for times and runs."""
        with closing(sqlite3.connect(self.store.path)) as db:
            return {table: sorted(db.execute(sql).fetchall(), key=repr) for table, sql in ROWS.items()}

    def another(self, name: str, *, model: Counting | None = None) -> "Library":
        """A second, empty library of the same photos. Close its store."""
        store = Store(self.store.path.with_name(name), create=True)
        return Library(self.folder, store, model or self.model, self.options)


def make(folder: Path, card: Card | None = None, **options: Any) -> Library:
    (folder / "photos").mkdir()
    model = Counting(write_toy(folder / "toy.onnx", card, **options), provider="cpu", threads=1)
    return Library(folder / "photos", Store(folder / "library.db", create=True), model)


def same_stat(path: Path, data: bytes) -> None:
    """Replace what a file holds, and keep its size and its date: only who opens it can tell."""
    status = path.stat()
    path.write_bytes(data.ljust(status.st_size, b"\0")[: status.st_size])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
