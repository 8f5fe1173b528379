"""The ways to go through a folder of photos that are compared, each run in a process of its own.

    floor        nothing but libjpeg-turbo's decoding at 1/8 scale, on all cores: what no indexer can undercut
    photosearch  photosearch.index.index into a new database
    threads      the same, with the photos decoded in threads instead of child processes
    plain        one photo after another: Pillow decodes it whole, RGB, bicubic to the network's size, the network

The clock starts when the network is loaded. Called by pipeline.py and scaling.py: python -m benchmarks.contestants JSON
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pillow_heif
from PIL import Image

from benchmarks.measure import Cost, afresh, cost
from photosearch.index.events import FilesSkipped
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.models.session import Model
from photosearch.photos import decode, walk
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult, SelectViews
from photosearch.photos.walk import Photo


def run(way: str, folder: Path, *, model: Path | None = None, n: int | None = None, db: Path | None = None) -> Cost:
    """One way through a folder, in a fresh process. n: only the first n photos. db: the database to keep."""
    arguments = {"way": way, "folder": str(folder), "model": model and str(model), "n": n, "db": db and str(db)}
    return Cost(**afresh("benchmarks.contestants", arguments))


def paths(folder: Path, n: int | None = None) -> list[Path]:
    return [Path(p.path) for f in walk.walk(str(folder)) for p in f.photos][:n]


def floor(files: list[Path]) -> int:
    Image.MAX_IMAGE_PIXELS = None
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow lets go of the interpreter's lock while it decodes
        list(threads.map(eighth, files))
    return len(files)


def eighth(path: Path) -> None:
    with Image.open(path, formats=("JPEG",)) as image:
        image.draft("RGB", (image.width // 8, image.height // 8))
        image.decodermaxblock = path.stat().st_size  # as photos.decode does, 3 % faster
        image.load()


def plain(files: list[Path], score: Callable[[npt.NDArray[np.uint8]], object], size: int) -> int:
    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener(thumbnails=False)
    for path in files:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        score(np.asarray(small)[None])
    return len(files)


def photosearch(folder: Path, model: Model, db: Path, decoders: Callable[[int, DecodeOptions], Any]) -> int:
    with Database(db, create=True) as store:
        events = index(store, [str(folder)], lambda name: model, decoders=decoders)
        return sum(1 for event in events if not isinstance(event, FilesSkipped))


class InThreads:
    """In the place of decoders.Decoders: the same work in the calling thread, with no wall around it."""

    def __init__(self, n: int, options: DecodeOptions):
        self._options = options

    def open(self, photo: Photo, wanted: SelectViews) -> OpenResult:
        data = decode.read(photo.path)
        content_hash = decode.content_hash(data)
        asked = tuple(wanted(content_hash))
        needs = [self._options.view_specs[i] for i in asked]
        opened = decode.decode(data, needs, max_pixels=self._options.max_pixels) if needs else None
        return OpenResult(photo, content_hash, opened, asked)

    def close(self) -> None:
        pass


def main(way: str, folder: str, model: str | None, n: int | None, db: str | None) -> Cost:
    if way == "floor":
        files = paths(Path(folder), n)
        return cost(lambda: floor(files))
    if model is None:
        raise ValueError(f"{way} needs a model")
    if way == "plain":
        files = paths(Path(folder), n)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (taken,) = session.get_inputs()
        return cost(lambda: plain(files, lambda x: session.run(None, {taken.name: x}), taken.shape[1]))
    decoders: Callable[[int, DecodeOptions], Any] = InThreads if way == "threads" else DecoderPool
    with tempfile.TemporaryDirectory() as folder_of_db:
        loaded = Model(model)
        return cost(lambda: photosearch(Path(folder), loaded, Path(db or f"{folder_of_db}/library.db"), decoders))


if __name__ == "__main__":
    print(json.dumps(asdict(main(**json.loads(sys.argv[1])))))
