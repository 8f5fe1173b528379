"""Where the core time of a photo goes in `index`, by stage and by kind of photo.

Each stage runs alone, in this process and on one thread, over the same photos; the least of some repeats counts, since
core time too grows where others use the caches. What is left of a longer run is a stage by itself.
"""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import photos
from benchmarks.measure import Figures, measure_core_ms
from benchmarks.networks import list_networks
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.metadata.dates import choose_date
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.catalog import DEFAULT_MODEL
from photosearch.models.session import Model, Outputs
from photosearch.photos import blocks, decode, formats
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.fingerprint import fingerprint
from photosearch.photos.walk import Photo, walk

KINDS = {"12mp": 16, "48mp": 4, "heic": 2, "heic-thumbnail": 16, "small": 100, "png": 8}  # kind -> photos
RUN = 16  # photos that the network scores at once
REPEATS = 5


def measure_stages(work: Path, data: Path, *, kinds: dict[str, int] = KINDS, repeats: int = REPEATS) -> Figures:
    path = list_networks()[DEFAULT_MODEL]
    rows, starts = [], []
    for kind, n in kinds.items():
        folder = photos.write_photos(work, kind, n, data=data)
        start, stages = profile_folder(folder, path, repeats)
        starts.append(start)
        rows.append({"kind": kind, "n": n, "stages": stages, "core_ms": sum(stages.values())})
    return {"default": path.stem, "start_core_ms": min(starts), "rows": rows}


def profile_folder(folder: Path, model: Path, repeats: int = REPEATS) -> tuple[float, dict[str, float]]:
    """-> (core-ms of a decoder's start, stage -> core-ms a photo)."""
    folder, network = folder.resolve(), Model(model, provider="cpu", threads=1)
    need = decode.ViewSpec(network.card.input_size, network.card.fit, network.card.tiles)
    found = [photo for one in walk(str(folder)) for photo in one.photos]
    files = [decode.read(photo.path) for photo in found]
    decoded = [decode.decode(data, [need]) for data in files]
    views = [Image.fromarray(photo.views[0][0]) for photo in decoded]
    some = np.stack([photo.views[0] for photo in decoded[:RUN]])
    measure = functools.partial(measure_core_ms, n=len(found), repeats=repeats)
    stages = {
        "list": measure(lambda: list(walk(str(folder)))),
        "read": measure(lambda: [decode.read(photo.path) for photo in found]),
        "hash": measure(lambda: [decode.content_hash(data) for data in files]),
        "decode": measure(lambda: list(map(functools.partial(_load, need=need), files))),
        "what the file says, dates": measure(lambda: list(map(_describe, files))),
        "fingerprint": measure(lambda: [fingerprint(view) for view in views]),
    }
    whole = measure(lambda: [decode.decode(data, [need]) for data in files])
    stages["turn, resize, copy"] = max(
        0.0, whole - sum(stages[name] for name in ("decode", "what the file says, dates", "fingerprint"))
    )
    start = measure_core_ms(lambda: _open_all(found[:1], need), 1, repeats) - whole
    opened = measure_core_ms(lambda: _open_all(found, need), 1, repeats) - start
    stages["the child's pipes"] = max(0.0, opened / len(found) - whole - stages["read"] - stages["hash"])
    stages["the network"] = measure_core_ms(lambda: network.predict(some), len(some), repeats)
    prepared = _Prepared(model, network.predict(some), found, decoded)
    rows = measure(lambda: _index(folder, prepared))
    stages["compare, threads, rows"] = max(0.0, rows - stages["list"])
    return start, stages


def _load(data: bytes, need: decode.ViewSpec) -> None:
    with formats.open_image(data) as image:
        decode.draft(image, [need])
        image.decodermaxblock = len(data)  # type: ignore[attr-defined]
        image.load()


def _describe(data: bytes) -> None:
    with formats.open_image(data) as image:
        choose_date(blocks.read_metadata(blocks.get_exif(image), image.info).dates)


def _open_all(found: Sequence[Photo], need: decode.ViewSpec) -> None:
    pool = DecoderPool(1, DecodeOptions((need,)))
    try:
        for photo in found:
            pool.open(photo, lambda content_hash: [0])
    finally:
        pool.close()


class _Prepared(Model):
    """A model and an opener that know their answers: what is left of a run are the library and the threads."""

    def __init__(self, path: Path, outputs: Outputs, found: Sequence[Photo], decoded: Sequence[decode.DecodedPhoto]):
        super().__init__(path, provider="cpu", threads=1)
        self._answer = outputs
        self._results = {
            photo.path: OpenResult(photo, number.to_bytes(32), one, (0,))
            for number, (photo, one) in enumerate(zip(found, decoded, strict=True))
        }

    def predict(self, views: decode.Pixels) -> Outputs:
        scores, vectors = self._answer.scores, self._answer.vectors
        rows = np.arange(len(views)) % len(scores if scores is not None else vectors)  # type: ignore[arg-type]
        return Outputs(None if scores is None else scores[rows], None if vectors is None else vectors[rows])

    def open(self, photo: Photo, wanted: Callable[[bytes], Sequence[int]]) -> OpenResult:
        result = self._results[photo.path]
        wanted(result.content_hash)
        return result

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata:
        raise NotImplementedError

    def close(self) -> None:
        pass


def _index(folder: Path, prepared: _Prepared) -> None:
    with tempfile.TemporaryDirectory() as temporary, Database(f"{temporary}/library.db", create=True) as store:
        for _ in index(store, [str(folder)], lambda name: prepared, decoders=lambda n, options: prepared):
            pass
