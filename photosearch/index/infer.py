"""Inference: photo files in, predictions out. Knows no library and keeps no state, so it runs anywhere.

    photos -> decoded in child processes, a few batches ahead -> each model over its batch -> batches of PhotoResult

One decode serves all models: the largest view decides the scale, and each (size, fit, tiles) is cut once. A result is
numbers, text and bytes, and can be written to a file as it is.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import numpy as np

from photosearch.metadata.record import PhotoMetadata
from photosearch.models.card import check_tiles
from photosearch.models.session import Model
from photosearch.photos import decode
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.walk import Photo

BATCH_SIZE = {"cpu": 16, "cuda": 64, "tensorrt": 64}  # photos, by provider; the others as on the CPU
MAX_PENDING = 500  # photos that wait for a batch to fill

Other = TypeVar("Other")

# What is read of a photo besides its pixels: its dates, all its metadata, or its metadata and no pixels.
MetadataMode = Literal["dates", "all", "only"]


@dataclass(frozen=True, slots=True)
class Scorer:
    """The key of one way to score photos: a model's file, by its digest, and the number of tiles beside the whole."""

    digest: str
    tiles: int = 0


@dataclass(frozen=True, slots=True)
class LoadedScorer:
    """A scorer whose model is loaded. Raises ModelError where the model is not calibrated for these tiles."""

    model: Model
    tiles: int = 0

    def __post_init__(self) -> None:
        check_tiles(self.model.card, self.tiles)

    @property
    def key(self) -> Scorer:
        return Scorer(self.model.digest, self.tiles)

    @property
    def view_spec(self) -> ViewSpec:
        return ViewSpec(self.model.card.input_size, self.model.card.fit, self.tiles)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one scorer predicts for one photo. scores: label -> 0..1, without those below the model's minimum.

    vector: float16, of unit length, as bytes; None where the model has none.
    """

    scores: Mapping[str, float]
    vector: bytes | None = None


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """One photo. predictions: empty where no scorer was wanted.

    width, height, taken, taken_from, fingerprint: as in decode.DecodedPhoto; None where it was not decoded. reason: why
    it could not be read, or how it is damaged, else None; transient: the next run may be able to. content_hash: None
    where the file could not be read at all, or only its metadata was. metadata: of its file and side-cars, or None.
    """

    photo: Photo
    content_hash: bytes | None = None
    width: int | None = None
    height: int | None = None
    taken: str | None = None
    taken_from: str | None = None
    fingerprint: int | None = None
    predictions: Mapping[Scorer, Prediction] = field(default_factory=dict)
    reason: str | None = None
    transient: bool = False
    metadata: PhotoMetadata | None = None

    @property
    def decoded(self) -> bool:
        return self.width is not None


Wanted = Callable[[Photo, bytes], Collection[Scorer]]


class PhotoOpener(Protocol):
    """The part of DecoderPool that inference needs."""

    def open(self, photo: Photo, wanted: Callable[[bytes], Sequence[int]]) -> OpenResult: ...

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _OpenedPhoto:
    """wanted: the scorers that were wanted when the photo was opened. result: None where only metadata was read."""

    photo: Photo
    wanted: frozenset[Scorer]
    result: OpenResult | Unreadable | None
    metadata: PhotoMetadata | None = None


def infer(
    items: Iterable[Photo | Other],
    scorers: Sequence[LoadedScorer],
    *,
    wanted: Wanted | None = None,
    workers: int | None = None,
    batch_size: int | None = None,
    max_pixels: int | None = None,
    metadata: Callable[[Photo], MetadataMode] = lambda photo: "all",
    stop: Callable[[], bool] = lambda: False,
    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool,
) -> Iterator[list[PhotoResult] | Other]:
    """Yield the results of photos in their order, a batch at a time. Other items are yielded at once.

    A batch holds `batch_size` decoded photos, with those between them that needed no decoding.
    wanted: (photo, hash of its bytes) -> the scorers that must score it; None: all. Called from several threads, and
    once more before the photo is scored. metadata: what is read of a photo besides its pixels. stop: once true, the
    photos of the current batch are finished and the others dropped. Raises ModelError.
    """
    workers = workers or os.cpu_count() or 1
    batch_size = choose_batch_size(scorers, batch_size)
    everything = frozenset(scorer.key for scorer in scorers)
    find_wanted: Wanted = wanted or (lambda photo, content_hash: everything)
    specs = tuple(dict.fromkeys(scorer.view_spec for scorer in scorers))
    view_of = {scorer.key: specs.index(scorer.view_spec) for scorer in scorers}
    threads = ThreadPoolExecutor(workers)
    pool = decoders(workers, DecodeOptions(specs, max_pixels or decode.MAX_PIXELS))

    def open_photo(photo: Photo) -> _OpenedPhoto:
        chosen: frozenset[Scorer] = frozenset()

        def find_views(content_hash: bytes) -> list[int]:
            nonlocal chosen
            chosen = frozenset(find_wanted(photo, content_hash))
            return sorted({view_of[scorer] for scorer in chosen})

        mode = metadata(photo)
        try:
            if mode == "only":
                return _OpenedPhoto(photo, chosen, None, pool.read_metadata(photo.path, photo.beside))
            result = pool.open(photo, find_views)
        except Unreadable as error:
            return _OpenedPhoto(photo, frozenset(), error)
        return _OpenedPhoto(photo, chosen, result, _take_metadata(pool, result, mode))

    try:
        batch: list[_OpenedPhoto] = []
        decoded = 0
        for item in _prefetch(threads, open_photo, items, 2 * batch_size + 2 * workers, stop):
            if not isinstance(item, _OpenedPhoto):
                yield item
                continue
            batch.append(item)
            decoded += isinstance(item.result, OpenResult) and item.result.decoded is not None
            if decoded >= batch_size or len(batch) >= MAX_PENDING:
                yield _predict(batch, scorers, view_of, find_wanted)
                batch, decoded = [], 0
        if batch:
            yield _predict(batch, scorers, view_of, find_wanted)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.close()
        threads.shutdown()


def _take_metadata(pool: PhotoOpener, result: OpenResult, mode: MetadataMode) -> PhotoMetadata | None:
    """What decoding has read; of a photo that was not decoded, its file is read for it."""
    if result.decoded is not None:
        found = result.decoded.metadata
        return found if mode == "all" else PhotoMetadata(dates=found.dates)
    if mode == "dates":
        return None
    try:
        return pool.read_metadata(result.photo.path, result.photo.beside)
    except Unreadable:  # its content is known, so this is no reason to call it unreadable
        return None


def choose_batch_size(scorers: Sequence[LoadedScorer], batch_size: int | None) -> int:
    """Photos to score at once: `batch_size`, or else what suits the providers."""
    return batch_size or max(BATCH_SIZE.get(s.model.provider, BATCH_SIZE["cpu"]) for s in scorers)


def _prefetch(
    threads: ThreadPoolExecutor,
    open_photo: Callable[[Photo], _OpenedPhoto],
    items: Iterable[Photo | Other],
    window: int,
    stop: Callable[[], bool],
) -> Iterator[_OpenedPhoto | Other]:
    """Open photos up to `window` ahead of the one that is yielded, and keep their order. Stopped: drop the rest."""
    waiting: deque[Future[_OpenedPhoto] | Other] = deque()
    for item in items:
        waiting.append(threads.submit(open_photo, item) if isinstance(item, Photo) else item)
        while waiting and (len(waiting) >= window or not isinstance(waiting[0], Future) or waiting[0].done()):
            first = waiting.popleft()
            yield first.result() if isinstance(first, Future) else first
    for first in waiting:
        if stop():
            return
        yield first.result() if isinstance(first, Future) else first


def _predict(
    batch: Sequence[_OpenedPhoto],
    scorers: Sequence[LoadedScorer],
    view_of: Mapping[Scorer, int],
    find_wanted: Wanted,
) -> list[PhotoResult]:
    """Run each scorer over the photos of a batch that want it; each content once."""
    predictions: list[dict[Scorer, Prediction]] = [{} for _ in batch]
    # A batch before this one may have scored the same content, after this photo was opened.
    wanted = [
        opened.wanted.intersection(find_wanted(opened.photo, opened.result.content_hash))
        if isinstance(opened.result, OpenResult) and opened.wanted
        else opened.wanted
        for opened in batch
    ]
    for scorer in scorers:
        key = scorer.key
        chosen: dict[bytes, int] = {}
        for place, opened in enumerate(batch):
            if key in wanted[place] and isinstance(opened.result, OpenResult):
                chosen.setdefault(opened.result.content_hash, place)
        if chosen:
            views = np.stack([_get_views(batch[place].result, view_of[key]) for place in chosen.values()])
            for place, prediction in zip(chosen.values(), _run_model(scorer.model, views), strict=True):
                predictions[place][key] = prediction
    return [_to_result(opened, found) for opened, found in zip(batch, predictions, strict=True)]


def _get_views(result: OpenResult | Unreadable | None, view: int) -> decode.Pixels:
    assert isinstance(result, OpenResult)
    assert result.decoded is not None
    return result.decoded.views[result.view_indexes.index(view)]


def _run_model(model: Model, views: decode.Pixels) -> Iterator[Prediction]:
    outputs, card = model.predict(views), model.card
    for n in range(len(views)):
        scores = {}
        if outputs.scores is not None:
            row = outputs.scores[n]
            scores = {card.labels[i]: float(row[i]) for i in np.flatnonzero(row >= card.min_score)}
        vector = None if outputs.vectors is None else outputs.vectors[n].astype(np.float16).tobytes()
        yield Prediction(scores, vector)


def _to_result(opened: _OpenedPhoto, predictions: Mapping[Scorer, Prediction]) -> PhotoResult:
    result = opened.result
    if isinstance(result, Unreadable):
        return PhotoResult(opened.photo, reason=result.reason, transient=result.transient)
    if result is None:
        return PhotoResult(opened.photo, metadata=opened.metadata)
    if result.decoded is None:
        return PhotoResult(opened.photo, result.content_hash, metadata=opened.metadata)
    o = result.decoded
    return PhotoResult(
        opened.photo, result.content_hash, o.width, o.height, o.taken, o.taken_from, o.fingerprint, predictions,
        o.damage, metadata=opened.metadata,
    )  # fmt: skip
