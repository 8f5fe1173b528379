"""A pass of its own, once the photos are searchable: the text in their pictures, the newest first.

    images without text, by date -> decoded small in a child -> the gate -> decoded larger -> read -> rows

Each image is read once, whatever the number of its copies. A batch is one transaction, so a pass that is stopped or
killed loses the pictures that it was about to write, and the next one goes on there. Runs on this machine, whatever
engine ran the models.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from photosearch.index.events import Event, TextPassBegun, TextPassRefused, TextRead, TextReadFailed
from photosearch.index.infer import PhotoOpener
from photosearch.index.plan import RunOptions
from photosearch.library.database import Database
from photosearch.library.folders import find_scope
from photosearch.library.photos import list_places, read_content_hash
from photosearch.library.texts import delete_unwanted_texts, find_reading_folders, list_unread, put_texts
from photosearch.ocr.lines import TextLine
from photosearch.ocr.reader import GATE_SIZE, SIZE, VERSION, Pixels, TextReader, find_reader
from photosearch.photos import decode
from photosearch.photos.decode import Unreadable, ViewSpec, fit_within
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.remote import is_address, real_path
from photosearch.photos.walk import Photo

VIEWS = (ViewSpec(GATE_SIZE, "pad"), ViewSpec(SIZE, "pad"))
MAX_WORKERS = 8  # pictures read at once: each takes up to 0.5 GB
BATCH_SIZE, BATCH_SECONDS = 64, 5.0  # pictures in a transaction, and how long they wait for it
MAX_COPIES = 16  # paths of one image that are tried


class Reader(Protocol):
    """The part of TextReader that the pass needs."""

    def may_have_text(self, picture: Pixels) -> bool: ...

    def read(self, picture: Pixels) -> list[TextLine]: ...


@dataclass(frozen=True, slots=True)
class _Result:
    """reason: why the picture could not be read; transient: the next run may be able to."""

    image_id: int
    path: str
    lines: Sequence[TextLine] = ()
    reason: str | None = None
    transient: bool = False


def read_texts(
    db: Database,
    folders: Sequence[str],
    options: RunOptions,
    stop: Callable[[], bool] = lambda: False,
    open_reader: Callable[[], Reader] | None = None,
    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool,
) -> Iterator[Event]:
    """Read the text in the pictures of those folders that ask for it; forget it where a folder says not to.

    folders, options: of the run; force reads all again, retry those as well that could not be read. stop: once true,
    the pictures at work are written and the pass ends.
    """
    scopes = [scope for folder in folders if (scope := find_scope(db, real_path(folder))) is not None]
    delete_unwanted_texts(db, scopes)
    folder_ids = find_reading_folders(db, scopes)
    wanted = list_unread(db, folder_ids, VERSION, retry=options.retry, force=options.force) if folder_ids else ()
    if not wanted or stop():
        return
    if open_reader is None and (reason := find_reader()) is not None:
        yield TextPassRefused(scopes[0].path, reason)
        return
    yield TextPassBegun(scopes[0].path, len(wanted))
    waiting: list[_Result] = []
    written = time.monotonic()
    workers = min(options.workers or os.cpu_count() or 1, MAX_WORKERS)
    reader = (open_reader or TextReader)()
    pool = decoders(workers, DecodeOptions(VIEWS, options.max_pixels or decode.MAX_PIXELS))
    for result in _read_all(db, wanted, pool, reader, workers, stop):
        waiting.append(result)
        if len(waiting) >= BATCH_SIZE or time.monotonic() - written >= BATCH_SECONDS:
            yield from _write(db, waiting)
            waiting, written = [], time.monotonic()
    yield from _write(db, waiting)


def _write(db: Database, results: Sequence[_Result]) -> list[Event]:
    events: list[Event] = []
    with db.transaction():
        for one in results:
            if not one.transient and db.row("SELECT 1 FROM images WHERE id = ?", [one.image_id]):
                put_texts(db, one.image_id, VERSION, one.lines, one.reason)
            if one.reason is None:
                events.append(TextRead(one.path, len(one.lines)))
            else:
                events.append(TextReadFailed(one.path, one.reason, one.transient))
    return events


def _read_all(
    db: Database, image_ids: Sequence[int], pool: PhotoOpener, reader: Reader, workers: int, stop: Callable[[], bool]
) -> Iterator[_Result]:
    """In the order of the ids, read a few ahead. Stopped: those at work, and the others are dropped."""
    threads = ThreadPoolExecutor(workers)
    ahead: deque[Future[_Result]] = deque()
    try:
        for image_id in image_ids:
            if stop():
                break
            # An address last: a local copy takes no network.
            paths = sorted((path for _, _, path in list_places(db, image_id, MAX_COPIES)), key=is_address)
            ahead.append(threads.submit(_read, pool, reader, image_id, read_content_hash(db, image_id), paths))
            while len(ahead) >= 2 * workers or (ahead and ahead[0].done()):
                yield ahead.popleft().result()
        if stop():
            threads.shutdown(wait=True, cancel_futures=True)
        for future in ahead:
            if not future.cancelled():
                yield future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.close()
        threads.shutdown()


def _read(pool: PhotoOpener, reader: Reader, image_id: int, content_hash: bytes, paths: Sequence[str]) -> _Result:
    """Of the first of an image's photos that can be opened and still has this content."""
    result = _Result(image_id, paths[0], reason="its photo is gone", transient=True)
    for path in paths:
        try:
            return _Result(image_id, path, _read_photo(pool, reader, content_hash, path))
        except Unreadable as error:
            result = _Result(image_id, path, reason=error.reason, transient=error.transient)
        except ValueError as error:
            return _Result(image_id, path, reason=str(error))
    return result


def _read_photo(pool: PhotoOpener, reader: Reader, content_hash: bytes, path: str) -> Sequence[TextLine]:
    """Raises Unreadable, and ValueError where the reader fails."""
    small = _open(pool, content_hash, path, 0)
    return reader.read(_open(pool, content_hash, path, 1)) if reader.may_have_text(small) else ()


def _open(pool: PhotoOpener, content_hash: bytes, path: str, view: int) -> Pixels:
    """The upright picture, [H, W, 3], its longer side that of VIEWS[view] at most. Raises Unreadable."""
    found = pool.open(Photo(path, 0, 0), lambda its_hash: [view] if its_hash == content_hash else [])
    if found.decoded is None:
        raise Unreadable("changed since it was indexed", transient=True)
    width, height = fit_within(found.decoded.width, found.decoded.height, VIEWS[view].size)
    return np.ascontiguousarray(found.decoded.views[0][0, :height, :width])
