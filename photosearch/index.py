"""THE MAIN PATH: find -> open -> score -> store.

    folder -> Photo | Unchanged -> Read | Unreadable -> scores [N, labels] -> rows, one transaction a batch

Yields what happened and prints nothing: the command line makes a progress bar of it, a test makes a list.
Photos are opened in child processes (decoders.py) a few batches ahead, while this thread scores and stores, in
the order in which they were found, so that a run that was interrupted and taken up again ends in the same rows.
"""

import contextlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np

from photosearch import photos
from photosearch.decoders import Decoders, Read, Settings
from photosearch.errors import InputError, StoreError
from photosearch.model import Model, Scores, check_tiles
from photosearch.photos import Photo, Unreadable
from photosearch.store import Known, Scope, Store

BATCH_SIZE = {"cpu": 16, "cuda": 256, "tensorrt": 256}  # by provider; others as on the CPU
ROWS = 500  # written in one transaction at most, where nothing needs scoring
PLACES = 16  # of one content that are looked at, to see whether its file has moved; more copies are just copies
SAME_ROOT = 0.9  # of the photos that are looked at, so that a folder counts as a known one that was moved


@dataclass(frozen=True, slots=True)
class Scored:
    """A photo that is new or has changed, with what the model says of it.

    Without scores where its content was known, and scored, before: a copy, or a file that was written anew.
    """

    path: str
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Unchanged:
    path: str


@dataclass(frozen=True, slots=True)
class Moved:
    path: str
    before: str


@dataclass(frozen=True, slots=True)
class CouldNotRead:
    """`remembered`: it could not be read at an earlier run, has not changed, and was not opened again."""

    path: str
    reason: str
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    path: str


@dataclass(frozen=True, slots=True)
class CouldNotList:
    """A folder that could not be looked into, or not at all that is in it. What is known of its photos stays."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootMoved:
    before: str
    path: str


@dataclass(frozen=True, slots=True)
class KeptAll:
    """So many of a folder's photos are gone that none was removed: a drive may be away. `prune` insists."""

    path: str
    gone: int
    known: int


Event = Scored | Unchanged | Moved | CouldNotRead | Removed | CouldNotList | RootMoved | KeptAll


@dataclass(frozen=True, slots=True)
class _Todo:
    """A photo that must be opened. known: what the library knew of the file."""

    photo: Photo
    folder_id: int
    known: Known | None


@dataclass(frozen=True, slots=True)
class _Opened:
    todo: _Todo
    result: Read | Unreadable


@dataclass(frozen=True, slots=True)
class _Back:
    """A photo that stands again, unchanged, where it was before it was removed."""

    photo: Photo
    photo_id: int


@dataclass(slots=True)
class _Walk:
    """What the walk over one folder has found so far. known_before: photos in the scope, when it began."""

    scope: Scope
    known_before: int
    gone: list[int] = field(default_factory=list)  # photos whose folder was read, and which were not in it
    visited: set[int] = field(default_factory=set)  # folders that were looked into
    unlisted: list[str] = field(default_factory=list)  # folders that could not be looked into, or not wholly

    @property
    def top(self) -> str:
        return os.path.join(self.scope.root, self.scope.below) if self.scope.below else self.scope.root


def index(
    folders: Sequence[str],
    store: Store,
    model: Model,
    *,
    tiles: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    exclude: Iterable[str] = photos.EXCLUDED,
    follow_symlinks: bool = False,
    max_pixels: int | None = None,
    force: bool = False,
    retry: bool = False,
    prune: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Bring the library up to date with these folders, and give each event once its rows are committed.

    tiles: None for what the model's card says. force: open and score everything again. retry: open again what
    could not be read. prune: believe it when most photos of a folder are gone. stop: asked before each folder and
    each photo; once true, the batch at hand is scored and committed and the run ends, with nothing removed.
    Raises InputError, ModelError or StoreError; the batches that were committed before stay.
    """
    tiles = model.card.tiles if tiles is None else tiles
    check_tiles(model.card, tiles)
    for folder in folders:  # now, and not after hours with the folders before it
        _check_exists(folder, store)
    run = _Run(store, model, tiles, force, retry, stop)
    run_id = store.begin_run(run.model_id, model.provider)
    counts: Counter[str] = Counter()
    workers = workers or os.cpu_count() or 1
    batch_size = batch_size or BATCH_SIZE.get(model.provider, BATCH_SIZE["cpu"])
    settings = Settings(model.card.input_size, model.card.fit, tiles, max_pixels or max_pixels_here(workers))
    threads, decoders = ThreadPoolExecutor(workers), Decoders(workers, settings)

    def open_photo(todo: _Todo) -> _Opened:
        try:
            return _Opened(todo, decoders.open(todo.photo, run.wanted))
        except Unreadable as error:
            return _Opened(todo, error)

    def one_folder(folder: str) -> Iterator[Event]:
        scope, moved_root = place(folder, store)
        if moved_root is not None:
            yield moved_root
        found = run.find(scope, exclude, follow_symlinks)
        opened = _ahead(threads, open_photo, found, 2 * batch_size + 2 * workers, stop)
        yield from run.write(opened, batch_size)

    def events() -> Iterator[Event]:
        for folder in folders:
            yield from one_folder(folder)
            if stop():
                return
        yield from run.remove(prune)

    try:
        for event in events():
            counts[type(event).__name__] += 1
            yield event
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        decoders.close()
        threads.shutdown()
    store.end_run(run_id, {**counts, "stopped": stop()})


def place(folder: str, store: Store) -> tuple[Scope, RootMoved | None]:
    """A folder that was named -> where it lies in the library; a new root is made, a moved one recognised."""
    path = os.path.realpath(folder)
    scope = store.scope(path)
    if scope is not None:
        return scope, None
    for root in store.roots():
        if not os.path.isdir(root.root) and _same_photos(root, path, store):
            return store.move_root(root, path), RootMoved(root.root, path)
    return store.add_root(path), None


def _check_exists(folder: str, store: Store) -> None:
    """Raises InputError where there is no such folder, neither on the disk nor in the library."""
    path = os.path.realpath(folder)
    scope = store.scope(path)
    if not os.path.isdir(path) and (scope is None or not store.folders(scope)):
        raise InputError(f"{folder}: no such folder")


def max_pixels_here(workers: int) -> int:
    """The largest photo to open, in pixels: an eighth of the memory for all workers together, 8 bytes a pixel."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return photos.MAX_PIXELS
    return max(50_000_000, min(photos.MAX_PIXELS, memory // 8 // workers // 8))


@contextlib.contextmanager
def only_one(library: Store | Path) -> Iterator[None]:
    """Hold a library for one index run. Raises StoreError, naming the run that holds it. A kill lets go of it too.

    library: its file will do, where it is too damaged to be opened.
    """
    path = library if isinstance(library, Path) else library.path
    # By its real path, so that a link to a library is locked together with it.
    lock = filelock.FileLock(f"{os.path.realpath(path)}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        run = None if isinstance(library, Path) else library.last_run()
        known = run is not None and run["finished_at"] is None  # else it has only just begun
        who = f"process {run['pid']} on {run['host']} since {run['started_at']}" if run and known else "another process"
        raise StoreError(f"{path}: is being indexed by {who}; wait for it, or use another --db") from None
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror or error}, of its .lock); check its permissions, or choose a "
            "place with --db"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _same_photos(root: Scope, path: str, store: Store) -> bool:
    some = store.some_photos(root, 64)
    same = 0
    for below, size_bytes, mtime_ns in some:
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(path, below))
            same += (status.st_size, status.st_mtime_ns) == (size_bytes, mtime_ns)
    return bool(some) and same >= SAME_ROOT * len(some)


def _ahead(
    threads: ThreadPoolExecutor,
    open_photo: Callable[[_Todo], _Opened],
    found: Iterable[_Todo | _Back | Event],
    window: int,
    stop: Callable[[], bool],
) -> Iterator[_Opened | _Back | Event]:
    """Open photos up to `window` ahead of the one that is given out, and keep their order. Stopped: drop the rest."""
    waiting: deque[Future[_Opened] | _Back | Event] = deque()
    for item in found:
        waiting.append(threads.submit(open_photo, item) if isinstance(item, _Todo) else item)
        while waiting and (len(waiting) >= window or not isinstance(waiting[0], Future) or waiting[0].done()):
            first = waiting.popleft()
            yield first.result() if isinstance(first, Future) else first
    for first in waiting:
        if stop():
            return
        yield first.result() if isinstance(first, Future) else first


class _Run:
    """What one run must remember between its batches."""

    def __init__(self, store: Store, model: Model, tiles: int, force: bool, retry: bool, stop: Callable[[], bool]):
        self.store, self.model, self.tiles = store, model, tiles
        self.force, self.retry, self.stop = force, retry, stop
        self.model_id, self.label_ids = store.put_model(model.card, model.digest, tiles)
        self.first_label = next(iter(self.label_ids.values()))
        self.walks: list[_Walk] = []
        self.settled: set[int] = set()  # photos that were gone, until they were found elsewhere or marked as removed

    def wanted(self, content_hash: bytes) -> bool:
        return self.force or not self.store.seen(content_hash, self.model_id, self.first_label)

    def find(self, scope: Scope, exclude: Iterable[str], follow_symlinks: bool) -> Iterator[_Todo | _Back | Event]:
        """Walk a scope; give the photos that must be opened, and what is settled without opening."""
        walk = _Walk(scope, self.store.count(scope))
        self.walks.append(walk)
        for folder in photos.find(walk.top, exclude=exclude, follow_symlinks=follow_symlinks):
            if self.stop():
                return
            if folder.reason is not None and _gone(folder.path):
                continue  # it is gone, with all its photos: see `remove`
            if folder.reason is not None:
                walk.unlisted.append(folder.path)
                yield CouldNotList(folder.path, folder.reason)
            known = self.store.known(scope, folder.path, self.model_id, self.first_label)
            if not known and not folder.photos:
                continue
            folder_id = self.store.folder_id(scope, folder.path)
            walk.visited.add(folder_id)
            for photo in folder.photos:
                if self.stop():
                    return
                yield self._what_to_do(photo, folder_id, known.pop(os.path.basename(photo.path), None))
            if folder.reason is None:
                walk.gone.extend(k.photo_id for k in known.values() if not k.removed)

    def _what_to_do(self, photo: Photo, folder_id: int, known: Known | None) -> _Todo | _Back | Event:
        same = known is not None and (known.size_bytes, known.mtime_ns) == (photo.size_bytes, photo.mtime_ns)
        if known is None or not same or self.force:
            return _Todo(photo, folder_id, known)
        if known.reason is not None:
            if self.retry or known.passing or known.removed:
                return _Todo(photo, folder_id, known)
            return CouldNotRead(photo.path, known.reason, remembered=True)
        if not known.scored:
            return _Todo(photo, folder_id, known)
        return _Back(photo, known.photo_id) if known.removed else Unchanged(photo.path)

    def write(self, opened: Iterable[_Opened | _Back | Event], batch_size: int) -> Iterator[Event]:
        """Collect photos to batches; score and store each batch; then tell of it."""
        batch: list[_Opened | _Back] = []
        decoded = 0
        for item in opened:
            if not isinstance(item, _Opened | _Back):
                yield item
                continue
            batch.append(item)
            decoded += len(_decoded([item]))
            if decoded >= batch_size or len(batch) >= ROWS:
                yield from self._commit(batch)
                batch, decoded = [], 0
        yield from self._commit(batch)

    def _commit(self, batch: list[_Opened | _Back]) -> list[Event]:
        rows = self._score(batch)
        events: list[Event] = []
        with self.store.transaction():
            for item in batch:
                if isinstance(item, _Back):
                    self.store.restore(item.photo_id)
                    events.append(Unchanged(item.photo.path))
                elif isinstance(item.result, Unreadable):
                    events += self._store_unreadable(item.todo, item.result)
                else:
                    events.append(self._store_read(item.todo, item.result, rows.pop(item.result.content_hash, None)))
        return events

    def _score(self, batch: list[_Opened | _Back]) -> dict[bytes, Scores]:
        """Content hash -> scores [labels]; each content once, and only if no earlier batch has scored it."""
        views = {read.content_hash: opened.views for read, opened in _decoded(batch) if self.wanted(read.content_hash)}
        return dict(zip(views, self.model.score_views(np.stack(list(views.values()))), strict=True)) if views else {}

    def _store_unreadable(self, todo: _Todo, why: Unreadable) -> list[Event]:
        photo = todo.photo
        if why.passing and _gone(photo.path):  # it vanished after it was found
            if todo.known is not None and not todo.known.removed:
                self.walks[-1].gone.append(todo.known.photo_id)
            return []
        name = os.path.basename(photo.path)
        self.store.put_unreadable(todo.folder_id, name, photo.size_bytes, photo.mtime_ns, why.reason, why.passing)
        return [CouldNotRead(photo.path, why.reason)]

    def _store_read(self, todo: _Todo, read: Read, row: Scores | None) -> Event:
        photo, name = todo.photo, os.path.basename(todo.photo.path)
        image_id = self.store.image_id(read.content_hash)
        before = None if image_id is None else self._moved_from(image_id, todo)
        if read.opened is not None:
            o = read.opened
            image_id = self.store.put_image(read.content_hash, o.width, o.height, o.taken)
        assert image_id is not None, "a photo that is not decoded is one whose hash is known"
        if before is not None:
            self.store.move_photo(before[0], todo.folder_id, name, photo.size_bytes, photo.mtime_ns)
            self.settled.add(before[0])
        else:
            self.store.put_photo(todo.folder_id, name, photo.size_bytes, photo.mtime_ns, image_id)
        scores: dict[str, float] = {}
        if row is not None:
            scores = {label: float(score) for label, score in zip(self.label_ids, row, strict=True)}
            self.store.put_scores(
                image_id, {self.label_ids[label]: score for label, score in scores.items()}, self.model_id
            )
        return Moved(photo.path, before[1]) if before else Scored(photo.path, scores)

    def _moved_from(self, image_id: int, todo: _Todo) -> tuple[int, str] | None:
        """The photo that this content was known as, if its file is gone from where it was: (photo id, path)."""
        if todo.known is not None and todo.known.image_id == image_id:
            return None
        for photo_id, root, before in self.store.places(image_id, PLACES):
            if _gone(before) and not _away(root):
                return photo_id, before
        return None

    def remove(self, prune: bool) -> Iterator[Event]:
        """Mark what is gone, once all folders were walked: what is gone from one may have come to another."""
        for walk in self.walks:
            gone = [photo_id for photo_id in self._lost(walk) if photo_id not in self.settled]
            if not gone:
                continue
            if len(gone) * 2 > walk.known_before and not prune:
                yield KeptAll(walk.top, len(gone), walk.known_before)
                continue
            paths = [self.store.path_of(photo_id) for photo_id in gone]
            self.store.remove_photos(gone)
            self.settled.update(gone)
            yield from map(Removed, paths)

    def _lost(self, walk: _Walk) -> list[int]:
        """Photos that were not found where they were, and whose folder could be read or is gone itself."""
        gone = list(walk.gone)
        for folder_id, path in self.store.folders(walk.scope):
            unlisted = any(path == u or path.startswith(u + os.sep) for u in walk.unlisted)
            if folder_id not in walk.visited and not unlisted:
                gone += self.store.live_photos(folder_id)
        return gone


def _decoded(batch: Sequence[_Opened | _Back]) -> list[tuple[Read, photos.Opened]]:
    """Those photos of a batch that were decoded, in order."""
    reads = [item.result for item in batch if isinstance(item, _Opened) and isinstance(item.result, Read)]
    return [(read, read.opened) for read in reads if read.opened is not None]


def _gone(path: str) -> bool:
    """Whether nothing stands there. A folder that may not be entered says nothing of what is in it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _away(root: str) -> bool:
    """Whether a root looks like a drive that is not plugged in: no folder, or the empty one to mount it at."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True
