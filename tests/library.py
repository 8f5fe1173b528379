"""A library in a temporary folder: photos that a test writes, a toy model that counts what it scores, an index to run.

Photos are opened by real decoders in real processes, which are kept from run to run: starting one costs more than
a whole test. What they do when they die is test_hostile.py's subject.
"""

import functools
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from toy import photo, write_toy

from photosearch import query
from photosearch.index import run
from photosearch.index.events import Event
from photosearch.index.plan import RunOptions
from photosearch.index.run import index
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.folders import FolderSettings
from photosearch.library.labels import read_labels
from photosearch.library.records import Label
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.card import Card
from photosearch.models.session import Model, Outputs
from photosearch.photos import decode
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult, SelectViews
from photosearch.photos.walk import Photo

ROWS = {
    "roots": "SELECT * FROM roots",
    "folders": "SELECT * FROM folders",
    "photos": "SELECT id, folder_id, name, size_bytes, mtime_ns, image_id, reason, transient, absent FROM photos",
    "images": "SELECT * FROM images",
    "labels": "SELECT * FROM labels",
    "scores": "SELECT * FROM scores",
    "scored": "SELECT * FROM scored",
    "marks": "SELECT label, image_id, present FROM marks",
}


KEPT: list[Callable[[int, DecodeOptions], Any]] = [DecoderPool]  # the last one opens the photos


class Counting(Model):
    """A model that remembers how many photos each batch held."""

    batches: Sequence[int] = ()

    def predict(self, views: npt.NDArray[np.uint8]) -> Outputs:
        outputs = super().predict(views)
        self.batches = (*self.batches, len(views))
        return outputs

    def scored(self) -> int:
        """How many photos were scored since this was last asked."""
        n, self.batches = sum(self.batches), ()
        return n


class Kept(DecoderPool):
    """Decoders that a run doesn't close."""

    def close(self) -> None:
        pass


MOST = 6  # kinds of decoders that are kept
BESIDE_INDEX = ("judging.sheet", "keywords", "search.copies", "search.shots", "photos.thumbnails")
_kept: dict[DecodeOptions, Kept] = {}  # the one that was used last comes last


def keep_decoders(n: int, options: DecodeOptions) -> DecoderPool:
    """Two, whatever n is: those of an earlier run with the same options, in any file."""
    _kept[options] = _kept.pop(options, None) or Kept(2, options)
    if len(_kept) > MOST:
        DecoderPool.close(_kept.pop(next(iter(_kept))))
    return _kept[options]


def close_decoders() -> None:
    """At the end of all tests."""
    while _kept:
        DecoderPool.close(_kept.popitem()[1])


@contextmanager
def kept_decoders() -> Iterator[None]:
    """Within, decoders outlive what they were started for, and serve all that comes later with the same options."""
    KEPT.append(keep_decoders)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "index", functools.partial(run.index, decoders=keep_decoders))
            for module in BESIDE_INDEX:
                patch.setattr(f"photosearch.{module}.DecoderPool", keep_decoders)
            yield
    finally:
        KEPT.pop()


class InThisProcess:
    """Decoders that are none, for a user who may not start a process."""

    def __init__(self, n: int, options: DecodeOptions):
        self._options = options

    def open(self, photo: Photo, wanted: SelectViews) -> OpenResult:
        data = decode.read(photo.path)
        content_hash = decode.content_hash(data)
        asked = tuple(wanted(content_hash))
        needs = [self._options.view_specs[i] for i in asked]
        return OpenResult(photo, content_hash, decode.decode(data, needs) if needs else None, asked)

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata:
        return decode.read_metadata(path)

    def close(self) -> None:
        pass


class Untouched:
    """Decoders for a run that is to open no photo."""

    def __init__(self, n: int, options: DecodeOptions):
        pass

    def open(self, photo: Photo, wanted: SelectViews) -> OpenResult:
        raise AssertionError(f"{photo.path} was opened")

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata:
        raise AssertionError(f"{path} was opened")

    def close(self) -> None:
        pass


@dataclass
class Library:
    """`folder` holds photos; paths are given, and told, below it."""

    folder: Path
    db: Database
    model: Counting
    options: dict[str, Any] = field(default_factory=lambda: {"workers": 2})

    def path(self, name: str) -> Path:
        return self.folder / name

    def photo(self, name: str, colour: str = "red", **options: Any) -> Path:
        return photo(self.path(name), colour, **options)

    def events(self, *folders: str, model: Model | None = None, **options: Any) -> Iterator[Event]:
        """model: this one alone looks; the folders remember it. options: of all three kinds that an index takes."""
        paths = [str(self.path(f)) for f in folders or ("",)]
        said = {f.name: options.pop(f.name) for f in fields(FolderSettings) if f.name in options}
        names = {f.name for f in fields(RunOptions)}
        run = {k: v for k, v in {**self.options, **options}.items() if k in names}
        rest = {k: v for k, v in options.items() if k not in names}
        other = model if model is not None and model.card.name != self.model.card.name else None
        if other is not None:
            said["models"] = (other.card.name,)

        def load(name: str | None) -> Model:
            if other is not None and name in (other.card.name, str(other.path)):
                return other
            return self.model if model is None or model is other else model

        return index(
            self.db, paths, load, settings=FolderSettings(**said), options=RunOptions(**run),
            decoders=rest.pop("decoders", KEPT[-1]), **rest,
        )  # fmt: skip

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
        return [self.below(f.path) for f in self._found(text, **options)]

    def _found(self, text: str, **options: Any) -> list[matching.Match]:
        bounds = {k: options.pop(k, None) for k in ("under", "since", "until")}
        only = matching.filter_photos(self.db, **bounds)
        return matching.find_matches(self.db, query.parse(text), self.labels(), only=only, **options)

    def scores(self, label: str = "red") -> dict[str, float]:
        """Every photo that was scored -> its score, to two digits."""
        found = matching.find_matches(self.db, query.Is(label), self.labels(), min_score=0)
        return {self.below(f.path): round(f.score, 2) for f in found}

    def labels(self, model: str | None = None) -> dict[str, Label]:
        return {label.name: label for label in reversed(read_labels(self.db, model))}

    def rows(self) -> dict[str, list[Any]]:
        """All that the database holds, but for times and runs."""
        with closing(sqlite3.connect(self.db.path)) as db:
            return {table: sorted(db.execute(sql).fetchall(), key=repr) for table, sql in ROWS.items()}

    def another(self, name: str, *, model: Counting | None = None) -> "Library":
        """A second, empty library of the same photos. Close its database."""
        db = Database(self.db.path.with_name(name), create=True)
        return Library(self.folder, db, model or self.model, self.options)


def make(folder: Path, card: Card | None = None, **options: Any) -> Library:
    (folder / "photos").mkdir()
    model = Counting(write_toy(folder / "toy.onnx", card, **options), provider="cpu", threads=1)
    return Library(folder / "photos", Database(folder / "library.db", create=True), model)


def same_stat(path: Path, data: bytes) -> None:
    """Replace what a file holds, and keep its size and its date; the date of its last change of status tells."""
    status = path.stat()
    path.write_bytes(data.ljust(status.st_size, b"\0")[: status.st_size])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
