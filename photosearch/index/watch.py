"""Index, and index again what changes, until told to stop.

    notices -> changed folders, files that are whole -> a run over these folders -> wait for the next ones

A run begins when all has been quiet for a while, or at the latest MAX_DELAY_SECONDS after the first change. A file that
is still being written stays as it is known until it is whole. What no notice tells (another drive mounted below a
folder, settings that another program has changed) is found by a run over everything once an hour.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from photosearch.errors import BusyError
from photosearch.index.changes import Changes, Reach
from photosearch.index.events import Event, FolderAway, RemovalRefused, Removed, RoundEnded
from photosearch.index.folder_settings import to_walk_options
from photosearch.index.notices import Kind, Notice, Notices
from photosearch.library.database import Database, is_below
from photosearch.library.folders import find_scope, is_away, list_folders, list_settings, read_settings
from photosearch.metadata.sidecars import EXTENSIONS as SIDECAR_EXTENSIONS
from photosearch.photos.mounts import list_mounts
from photosearch.photos.remote import is_address
from photosearch.photos.unsettled import Unsettled
from photosearch.photos.walk import EXTENSIONS, Exclusions, Photo

SETTLE_SECONDS = 2.0
MAX_DELAY_SECONDS = 30.0
WHOLE_SECONDS = 3600.0  # between runs over everything
RETRY_SECONDS = 5.0  # after another program held the library
LOOK_SECONDS = 5.0  # between two looks at what is mounted


class Run(Protocol):
    """Index folders, and hold the library's lock meanwhile. Raises BusyError where another program holds it."""

    def __call__(
        self,
        folders: Sequence[str],
        changes: Changes | None,
        leave: Callable[[Photo], bool] | None,
        lately: Mapping[str, int],
        /,
    ) -> Iterator[Event]: ...


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """settle_seconds: for which a file must not change to count as whole.

    poll_seconds: between two looks at each folder, None: only where the system reports no changes.
    """

    settle_seconds: float = SETTLE_SECONDS
    poll_seconds: float | None = None


def watch(
    db: Database, folders: Sequence[str], run: Run, *, options: WatchOptions, stop: Callable[[], bool]
) -> Iterator[Event]:
    """Index folders, by their paths without links, and then what changes in them, until `stop` is true.

    Raises as `index` does; another program that holds the library is waited for.
    """
    away: set[str] = set()
    lately: Counter[str] = Counter()
    while not stop():
        seen = [folder for folder in folders if is_address(folder) or not is_away(folder)]
        for folder in folders:
            if folder not in seen and folder not in away:
                yield FolderAway(folder)
        away = set(folders) - set(seen)
        layout = _read_layout(folders)
        with Notices(seen, options.poll_seconds, stop) as notices:
            watcher = _Watcher(db, seen, run, options, stop, notices, lately)
            yield from watcher.follow(lambda: layout != _read_layout(folders))  # noqa: B023  # this turn's


def _read_layout(folders: Sequence[str]) -> object:
    """Changes where a folder disappears, comes back or is another, and where something is mounted in it."""
    places: list[tuple[int, int, bool] | None] = []
    for folder in folders:
        try:
            status = os.stat(folder)
        except (OSError, ValueError):
            places.append(None)
        else:
            places.append((status.st_dev, status.st_ino, is_away(folder)))
    mounts = [m for m in list_mounts() if any(m.path == f or is_below(m.path, f) for f in folders)]
    return places, mounts


@dataclass(slots=True)
class _Watcher:
    """The folders of one layout. dirty: folders, trees: what the next run looks at, since `first` and until `last`.

    lately: photos that were removed from each folder since a run over everything had nothing against that: a drive that
    fails bit by bit is noticed as one that fails at once.
    """

    db: Database
    folders: Sequence[str]
    run: Run
    options: WatchOptions
    stop: Callable[[], bool]
    notices: Notices
    lately: Counter[str]
    dirty: set[str] = field(default_factory=set)
    trees: set[str] = field(default_factory=set)
    first: float | None = None
    last: float = 0.0
    told: int = 0
    reaches: list[Reach] = field(default_factory=list)
    unsettled: Unsettled = field(init=False)

    def __post_init__(self) -> None:
        self.unsettled = Unsettled(self.options.settle_seconds)

    def follow(self, has_moved: Callable[[], bool]) -> Iterator[Event]:
        """has_moved: whether the folders must be watched anew."""
        whole_at = look_at = 0.0
        while not self.stop():
            yield from self._tell()
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_SECONDS
                if has_moved():
                    return
            if now >= whole_at:
                done = yield from self._run(None)
                whole_at = time.monotonic() + (WHOLE_SECONDS if done else RETRY_SECONDS)
            elif self._is_due(now):
                changes = Changes(frozenset(self.dirty), frozenset(self.trees))
                self.dirty, self.trees, self.first = set(), set(), None
                if not (yield from self._run(changes)):
                    self._mark(changes.folders, changes.trees, now + RETRY_SECONDS)
            for notice in self.notices.wait():
                self._take(notice, time.monotonic())
            for path in self.unsettled.take_whole(time.monotonic()):
                self._mark([os.path.dirname(path)], (), 0.0)

    def _tell(self) -> Iterator[Event]:
        yield from self.notices.started[self.told :]
        self.told = len(self.notices.started)

    def _is_due(self, now: float) -> bool:
        if self.first is None:
            return False
        return now - self.last >= self.options.settle_seconds or now - self.first >= MAX_DELAY_SECONDS

    def _mark(self, folders: Iterable[str], trees: Iterable[str], now: float) -> None:
        """now: 0.0 for what has waited long enough."""
        self.dirty.update(folders)
        self.trees.update(trees)
        self.last = max(self.last, now)
        self.first = time.monotonic() if self.first is None else self.first

    def _run(self, changes: Changes | None) -> Generator[Event, None, bool]:
        """-> whether it ran, and another program did not hold the library. changes: None for everything."""
        start = time.perf_counter()
        folders = [folder for folder in self.folders if changes is None or changes.touches(folder)]
        if folders:
            try:
                refused = yield from self._count(self.run(folders, changes, self._leave, self.lately))
            except BusyError:
                return False
            yield RoundEnded(time.perf_counter() - start)
            if changes is None and not refused:
                self.lately.clear()
        if changes is None:
            self.reaches = list(_find_reaches(self.db, self.folders))
        return True

    def _count(self, events: Iterator[Event]) -> Generator[Event, None, bool]:
        """-> whether photos that are missing were not removed."""
        refused = False
        for event in events:
            if isinstance(event, Removed):
                self.lately[os.path.dirname(event.path)] += 1
            refused = refused or isinstance(event, RemovalRefused)
            yield event
        return refused

    def _leave(self, photo: Photo) -> bool:
        """Whether a photo is still being written: it has changed since the last look, or within the time to settle."""
        age = time.time() - photo.mtime_ns / 1e9
        if photo.path in self.unsettled:
            return True
        if 0 <= age < self.options.settle_seconds:
            return self.unsettled.add(photo.path, time.monotonic())
        return False

    def _take(self, notice: Notice, now: float) -> None:
        path = notice.path
        extension = os.path.splitext(path)[1].lower()
        if extension in EXTENSIONS or extension in SIDECAR_EXTENSIONS:
            if not any(reach.has_file(path) for reach in self.reaches):
                return
            if self.unsettled.add(path, now):
                self.last = now
                return
            self._mark([os.path.dirname(path)], [path], now)  # gone; or a folder with such a name
        elif any(reach.has_folder(path) for reach in self.reaches):
            if os.path.isdir(path):
                added = notice.kind is Kind.ADDED
                self._mark([] if added else [path], [path] if added else [], now)
            elif notice.kind is Kind.DELETED and self._is_known(path):
                self._mark([], [path], now)

    def _is_known(self, folder: str) -> bool:
        """Whether the library has photos in a folder that is gone."""
        scope = find_scope(self.db, folder)
        return scope is not None and bool(list_folders(self.db, scope))


def _find_reaches(db: Database, folders: Sequence[str]) -> Iterator[Reach]:
    """What runs over these folders walk, as their settings are now."""
    below = [scope.path for scope, _ in list_settings(db)]
    for path in dict.fromkeys((*folders, *(b for b in below if any(is_below(b, f) for f in folders)))):
        scope = find_scope(db, path)
        if scope is not None:
            options = to_walk_options(read_settings(db, scope))
            yield Reach(path, scope.root, Exclusions(options, scope.root), options.follow_symlinks)
