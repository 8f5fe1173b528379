"""What models say of photos: files in, answers out. No library and no state, so it is the same on one core or on many.

    photos -> opened in child processes, a few batches ahead -> each model over its batch -> Looked, in order

One decode serves all models: the largest need decides the scale, and each (size, fit, tiles) gets its views once.
What comes out is numbers, text and bytes, and could be written to a file as it is.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from photosearch.models.card import check_tiles
from photosearch.models.session import Model
from photosearch.photos import decode
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.walk import Photo

BATCH_SIZE = {"cpu": 16, "cuda": 64, "tensorrt": 64}  # by provider; others as on the CPU
MAX_PENDING = 500  # photos that wait for a batch to fill, at most

Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to look: a model, and into how many tiles it cuts a photo beside the whole. Raises ModelError."""

    model: Model
    tiles: int = 0

    def __post_init__(self) -> None:
        check_tiles(self.model.card, self.tiles)

    @property
    def need(self) -> ViewSpec:
        return ViewSpec(self.model.card.input_size, self.model.card.fit, self.tiles)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one reading says of one photo. scores: label -> 0..1, those from the floor on. vector: float16 bytes."""

    scores: Mapping[str, float]
    vector: bytes | None = None


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """One photo. said: index of the reading -> what it says; empty where nothing was asked of it.

    width, height, taken, taken_from, fingerprint: as in decode.Opened; None where it was not decoded. reason: why it
    could not be read, else None; passing: the reason may be gone next time. content_hash: None where it could not be
    read at all.
    """

    photo: Photo
    content_hash: bytes | None = None
    width: int | None = None
    height: int | None = None
    taken: str | None = None
    taken_from: str | None = None
    fingerprint: int | None = None
    said: Mapping[int, Prediction] = field(default_factory=dict)
    reason: str | None = None
    passing: bool = False

    @property
    def decoded(self) -> bool:
        return self.width is not None


Wanted = Callable[[Photo, bytes], Sequence[int]]


class PhotoOpener(Protocol):
    """What `look` needs of the wall of child processes."""

    def open(self, photo: Photo, wanted: Callable[[bytes], Sequence[int]]) -> OpenResult: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _OpenedPhoto:
    """asked: the readings that were wanted when it was opened."""

    photo: Photo
    asked: tuple[int, ...]
    result: OpenResult | Unreadable


def infer(
    items: Iterable[Photo | Other],
    readings: Sequence[Scorer],
    *,
    wanted: Wanted | None = None,
    workers: int | None = None,
    batch_size: int | None = None,
    max_pixels: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool,
) -> Iterator[PhotoResult | Other]:
    """Look at photos, in their order. Whatever is no Photo passes through, ahead of photos that are still at work.

    wanted: (photo, hash of its bytes) -> indexes of the readings that are to look at it; without, all. It is asked
    from several threads, and once more before a photo is scored. stop: once true, the photos at hand are finished and
    the rest is dropped. Raises ModelError.
    """
    workers = workers or os.cpu_count() or 1
    batch_size = choose_batch_size(readings, batch_size)
    everything = tuple(range(len(readings)))
    ask: Wanted = wanted or (lambda photo, content_hash: everything)
    needs = tuple(dict.fromkeys(reading.need for reading in readings))
    place = [needs.index(reading.need) for reading in readings]
    threads = ThreadPoolExecutor(workers)
    wall = decoders(workers, DecodeOptions(needs, max_pixels or decode.MAX_PIXELS))

    def open_photo(photo: Photo) -> _OpenedPhoto:
        asked: list[int] = []

        def wanted_needs(content_hash: bytes) -> list[int]:
            asked[:] = ask(photo, content_hash)
            return sorted({place[i] for i in asked})

        try:
            read = wall.open(photo, wanted_needs)
        except Unreadable as error:
            return _OpenedPhoto(photo, (), error)
        return _OpenedPhoto(photo, tuple(asked), read)

    try:
        held: list[_OpenedPhoto] = []
        decoded = 0
        for item in _prefetch(threads, open_photo, items, 2 * batch_size + 2 * workers, stop):
            if not isinstance(item, _OpenedPhoto):
                yield item
                continue
            held.append(item)
            decoded += isinstance(item.result, OpenResult) and item.result.decoded is not None
            if decoded >= batch_size or len(held) >= MAX_PENDING:
                yield from _predict(held, readings, place, ask)
                held, decoded = [], 0
        yield from _predict(held, readings, place, ask)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        wall.close()
        threads.shutdown()


def choose_batch_size(readings: Sequence[Scorer], wanted: int | None) -> int:
    """Photos that are scored at once: as many as are wanted, else what suits the providers."""
    return wanted or max(BATCH_SIZE.get(r.model.provider, BATCH_SIZE["cpu"]) for r in readings)


def _prefetch(
    threads: ThreadPoolExecutor,
    open_photo: Callable[[Photo], _OpenedPhoto],
    items: Iterable[Photo | Other],
    window: int,
    stop: Callable[[], bool],
) -> Iterator[_OpenedPhoto | Other]:
    """Open photos up to `window` ahead of the one that is given out, and keep their order. Stopped: drop the rest."""
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
    held: Sequence[_OpenedPhoto], readings: Sequence[Scorer], place: Sequence[int], ask: Wanted
) -> Iterator[PhotoResult]:
    """Let each reading look at the photos of a batch that it is to look at; each content once."""
    said: list[dict[int, Prediction]] = [{} for _ in held]
    still = [
        set(ask(opened.photo, opened.result.content_hash)) & set(opened.asked)
        if isinstance(opened.result, OpenResult) and opened.asked
        else set()
        for opened in held
    ]
    for i, reading in enumerate(readings):
        chosen: dict[bytes, int] = {}
        for at, opened in enumerate(held):
            if i in still[at] and isinstance(opened.result, OpenResult):
                chosen.setdefault(opened.result.content_hash, at)
        if chosen:
            views = np.stack([_views(held[at].result, place[i]) for at in chosen.values()])
            for at, answer in zip(chosen.values(), _read_predictions(reading, views), strict=True):
                said[at][i] = answer
    for opened, answers in zip(held, said, strict=True):
        yield _to_result(opened, answers)


def _views(result: OpenResult | Unreadable, need: int) -> decode.Pixels:
    assert isinstance(result, OpenResult)
    assert result.decoded is not None
    return result.decoded.views[result.view_indexes.index(need)]


def _read_predictions(reading: Scorer, views: decode.Pixels) -> Iterator[Prediction]:
    outputs, card = reading.model.look(views), reading.model.card
    for n in range(len(views)):
        scores = {}
        if outputs.scores is not None:
            row = outputs.scores[n]
            scores = {card.labels[i]: float(row[i]) for i in np.flatnonzero(row >= card.min_score)}
        vector = None if outputs.vectors is None else outputs.vectors[n].astype(np.float16).tobytes()
        yield Prediction(scores, vector)


def _to_result(opened: _OpenedPhoto, said: Mapping[int, Prediction]) -> PhotoResult:
    result = opened.result
    if isinstance(result, Unreadable):
        return PhotoResult(opened.photo, reason=result.reason, passing=result.transient)
    if result.decoded is None:
        return PhotoResult(opened.photo, result.content_hash)
    o = result.decoded
    return PhotoResult(
        opened.photo, result.content_hash, o.width, o.height, o.taken, o.taken_from, o.fingerprint, said
    )  # fmt: skip
