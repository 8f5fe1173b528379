"""What one server holds: connections to the library, thumbnails, and lists that browser tabs fetch in parts."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from photosearch import Library
from photosearch.errors import PhotosearchError, StoreError
from photosearch.web.index_runs import IndexRuns
from photosearch.web.model_pulls import ModelPulls
from photosearch.web.results import Recent, Result
from photosearch.web.spare_moves import SpareMoves

if TYPE_CHECKING:
    from photosearch import Burst, DuplicateGroup, SparePlan, Thumbnails

MAX_CONNECTIONS = 6  # as many requests as a browser sends at once at most
MAX_SLOW = 2  # requests that may take seconds, at once: the others have connections left


class LibraryPool:
    """Connections to one library, each lent to one thread at a time. The library may come into being later.

    Once the library was rebuilt, replaced or emptied, none is lent: a page that is open in a browser names photos by
    ids that mean other photos by then.
    """

    def __init__(self, path: Path, max_connections: int = MAX_CONNECTIONS):
        self._path, self._free = path, threading.Semaphore(max_connections)
        self._lock, self._identity = threading.Lock(), ""
        if path.exists():
            with Library(path, create=False) as library:
                self._identity = library.identify()
        self._idle: queue.SimpleQueue[Library] = queue.SimpleQueue()

    @contextlib.contextmanager
    def lend(self) -> Iterator[Library]:
        """A connection; waits until one is free. Raises StoreError."""
        with self._free:
            try:
                library = self._idle.get_nowait()
            except queue.Empty:
                library = Library(self._path, create=False)
            try:
                if library.identify() != self._get_identity(library):
                    raise StoreError(
                        f"{self._path}: was rebuilt, replaced or emptied meanwhile; nothing was written; end "
                        "`photosearch browse` and start it again"
                    )
                yield library
            finally:
                self._idle.put(library)

    def exists(self) -> bool:
        """Whether there is a library, or was one since the server began: another one does not take its place."""
        return bool(self._identity) or self._path.exists()

    def is_empty(self) -> bool:
        """Whether no folder was indexed yet. False where that can't be read: the page says why."""
        if not self.exists():
            return True
        try:
            with self.lend() as library:
                return library.folders.is_empty()
        except PhotosearchError:
            return False

    def _get_identity(self, library: Library) -> str:
        """That of the library which the server began with, or of the first one that was here since."""
        with self._lock:
            self._identity = self._identity or library.identify()
            return self._identity

    def close(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


class ServerState:
    """One server's state. Close it: index run and download are stopped. The thumbnails are the caller's.

    slow: limits requests that may take seconds.
    """

    def __init__(self, path: Path, thumbnails: "Thumbnails", albums: Path):
        """path: the library's. albums: the folder in which albums are made."""
        self.path, self.albums = path, albums
        self.libraries, self.thumbnails, self.index_runs = LibraryPool(path), thumbnails, IndexRuns(path)
        self.watches, self.slow = IndexRuns(path), anyio.CapacityLimiter(MAX_SLOW)
        self.model_pulls, self.spare_moves = ModelPulls(), SpareMoves(self.libraries, self.forget_lists)
        self.forget_lists()

    def forget_lists(self) -> None:
        """Let all lists expire that browser tabs fetch in parts: they may hold photos that are no longer known."""
        self.results: Recent[Result] = Recent()
        self.duplicates: Recent[list[DuplicateGroup]] = Recent()
        self.bursts: Recent[list[Burst]] = Recent()
        self.plans: Recent[SparePlan] = Recent()
        self.zips: Recent[list[int]] = Recent()  # ids of the images that go in

    def close(self) -> None:
        self.model_pulls.close()
        self.spare_moves.close()
        self.watches.close()
        self.index_runs.close()
        self.libraries.close()
