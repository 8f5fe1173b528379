"""What one server holds: connections to the library, thumbnails, and lists that browser tabs fetch in parts."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch import Library
from photosearch.errors import StoreError
from photosearch.web.results import Recent, Result

if TYPE_CHECKING:
    from photosearch import DuplicateGroup, Thumbnails

MAX_CONNECTIONS = 4  # a browser sends six requests at once at most


class LibraryPool:
    """Connections to one library, each lent to one thread at a time.

    Once the library was rebuilt, replaced or emptied, none is lent: a page that is open in a browser names photos by
    ids that mean other photos by then.
    """

    def __init__(self, path: Path, max_connections: int = MAX_CONNECTIONS):
        self._path, self._free = path, threading.Semaphore(max_connections)
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
                if library.identify() != self._identity:
                    raise StoreError(
                        f"{self._path}: was rebuilt, replaced or emptied meanwhile; nothing was written; end "
                        "`photosearch browse` and start it again"
                    )
                yield library
            finally:
                self._idle.put(library)

    def close(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


class ServerState:
    """One server's state. Close it; the thumbnails are the caller's."""

    def __init__(self, path: Path, thumbnails: "Thumbnails", albums: Path):
        """path: the library's. albums: the folder in which albums are made."""
        self.libraries, self.thumbnails, self.albums = LibraryPool(path), thumbnails, albums
        self.results: Recent[Result] = Recent()
        self.duplicates: Recent[list[DuplicateGroup]] = Recent()

    def close(self) -> None:
        self.libraries.close()
