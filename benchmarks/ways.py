"""The ways through a folder of photos that are compared, each run in a process of its own.

    floor        nothing but libjpeg-turbo's decoding at 1/8 scale, on all cores: no indexer can be faster
    photosearch  photosearch.index.run.index into a new database
    plain        one photo after another: Pillow decodes it whole, RGB, bicubic to the network's size, the network

The clock starts when the network is loaded. Started by pipeline.py: python -m benchmarks.ways JSON
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pillow_heif
from PIL import Image

from benchmarks.measure import Cost, measure_cost, run_in_process
from photosearch.index.events import FilesSkipped
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.models.session import Model
from photosearch.photos import walk


def run_way(
    way: str,
    folder: Path,
    *,
    model: Path | None = None,
    n: int | None = None,
    db: Path | None = None,
    cores: int | None = None,
) -> Cost:
    """One way through a folder. n: only the first n photos. db: the database to keep. cores: the process has no more.

    A limit on cores is Linux's affinity and the number of decoders and threads, as on a smaller machine.
    """
    arguments = {"way": way, "folder": str(folder), "model": model and str(model), "n": n, "db": db and str(db)}
    return Cost(**run_in_process("benchmarks.ways", {**arguments, "cores": cores}))


def list_photos(folder: Path, n: int | None = None) -> list[Path]:
    return [Path(p.path) for f in walk.walk(str(folder)) for p in f.photos][:n]


def decode_at_eighth(path: Path) -> None:
    with Image.open(path, formats=("JPEG",)) as image:
        image.draft("RGB", (image.width // 8, image.height // 8))
        image.decodermaxblock = path.stat().st_size  # as photos.decode does, 3 % faster
        image.load()


def run_floor(paths: list[Path]) -> int:
    Image.MAX_IMAGE_PIXELS = None
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow releases the interpreter's lock while it decodes
        list(threads.map(decode_at_eighth, paths))
    return len(paths)


def run_plain(paths: list[Path], score: Callable[[npt.NDArray[np.uint8]], object], size: int) -> int:
    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener(thumbnails=False)
    for path in paths:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        score(np.asarray(small)[None])
    return len(paths)


def run_photosearch(folder: Path, model: Model, db: Path) -> int:
    with Database(db, create=True) as store:
        events = index(store, [str(folder)], lambda name: model)
        return sum(1 for event in events if not isinstance(event, FilesSkipped))


def main(way: str, folder: str, model: str | None, n: int | None, db: str | None, cores: int | None) -> Cost:
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
        os.cpu_count = lambda: cores  # what photosearch takes its number of decoders and threads from
    if way == "floor":
        paths = list_photos(Path(folder), n)
        return measure_cost(lambda: run_floor(paths))
    if model is None:
        raise ValueError(f"{way} needs a model")
    if way == "plain":
        paths = list_photos(Path(folder), n)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        return measure_cost(lambda: run_plain(paths, lambda x: session.run(None, {given.name: x}), given.shape[1]))
    with tempfile.TemporaryDirectory() as temporary:
        loaded = Model(model)
        return measure_cost(lambda: run_photosearch(Path(folder), loaded, Path(db or f"{temporary}/library.db")))


if __name__ == "__main__":
    print(json.dumps(asdict(main(**json.loads(sys.argv[1])))))
