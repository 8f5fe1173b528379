"""The user's copy: a small file beside the library that holds what only its user knows, for `rebuild` to read.

`library.db.user-copy` is an SQLite file of its own: one table for each name in QUERIES, its columns those of the
library without their types. It holds folders and settings, marks, the user's own labels with their descriptions and
classifiers, saved thresholds, samples, albums and saved searches; of images only the hashes that these refer to. It is
written aside and renamed after each change of these tables: within the call that made the change, or, where writing
takes so long that it would slow the next ones down, a little later, and at the latest when the library is closed.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from photosearch import atomic

SUFFIX = ".user-copy"
BEFORE = f"{SUFFIX}.before"  # the copy of another library that was at the same path
MAX_SHARE = 0.05  # of the time, spent on writing copies
LOCK_SECONDS = 5.0  # to wait for another program's transaction

_OWN = (  # the user's own labels, and the models' labels that the user's rows refer to
    "SELECT id FROM labels WHERE model = 'yours' OR threshold IS NOT NULL OR id IN (SELECT label_id FROM samples) "
    "OR id IN (SELECT base_id FROM classifiers)"
)
QUERIES = {
    "roots": "SELECT * FROM roots",
    "folder_settings": "SELECT * FROM folder_settings",
    "models": "SELECT * FROM models",
    "properties": "SELECT * FROM properties WHERE name IN ('id', 'default_model')",
    "labels": f"SELECT * FROM labels WHERE id IN ({_OWN})",
    "model_labels": f"SELECT * FROM model_labels WHERE label_id IN ({_OWN})",
    "marks": "SELECT * FROM marks",
    "classifiers": "SELECT * FROM classifiers",
    "training_marks": "SELECT * FROM training_marks",
    "samples": "SELECT * FROM samples",
    "sample_photos": "SELECT * FROM sample_photos",
    "albums": "SELECT * FROM albums",
    "album_images": "SELECT * FROM album_images",
    "images": "SELECT id, hash FROM images WHERE id IN (SELECT image_id FROM marks UNION SELECT image_id FROM "
    "training_marks UNION SELECT image_id FROM sample_photos UNION SELECT image_id FROM album_images)",
}
TABLES = QUERIES.keys() - {"images"}  # a change of one of these is copied


def copy_path(library: Path) -> Path:
    """Where a library's copy is: beside the file itself, so that a link to it shares the copy."""
    real = Path(os.path.realpath(library))
    return real.with_name(real.name + SUFFIX)


class UserCopy:
    """Keeps the copy of an open library up to date. A failure is not the user's: the change is in the library."""

    def __init__(self, library: Path):
        self._library = library
        self._lock = threading.Lock()
        self._due = False
        self._timer: threading.Timer | None = None
        self._next = 0.0  # time.monotonic() before which no copy is written

    def update(self) -> None:
        """The library has changed: write the copy, or let a timer write it soon."""
        with self._lock:
            self._due = True
            delay = self._next - time.monotonic()
            if delay <= 0:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(delay, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write the copy now if it is due."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._due:
                self._write()

    def _write(self) -> None:
        start = time.monotonic()
        with contextlib.suppress(OSError, sqlite3.Error, UnicodeDecodeError):
            write_copy(self._library)
            self._due = False
        end = time.monotonic()
        self._next = end + (end - start) / MAX_SHARE


def write_copy(library: Path) -> None:
    """Write the copy of a library; delete it where the library holds nothing of its user's.

    Under SQLite's write lock, so that copies are renamed in the order of the changes, and none while `rebuild` replaces
    the library. Raises OSError, sqlite3.Error, UnicodeDecodeError.
    """
    target = copy_path(library)
    with hold_writers(library) as source:
        atomic.remove_abandoned(target, older_than_seconds=0)  # who wrote them no longer holds the lock
        _keep_foreign(source, target)
        tables = ("roots", "marks", "labels", "albums")
        if not any(source.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in tables):
            target.unlink(missing_ok=True)
            return
        with atomic.write_file(target, mode=0o600, durable=True) as part:
            _fill(part, library)


def _fill(part: Path, library: Path) -> None:
    with contextlib.closing(sqlite3.connect(library, isolation_level=None)) as conn:
        conn.execute("ATTACH ? AS copy", [os.fsencode(part)])
        conn.execute("PRAGMA copy.journal_mode = OFF")  # the part is of no use until it is whole
        conn.execute("PRAGMA copy.synchronous = OFF")
        conn.execute("PRAGMA cell_size_check = ON")
        conn.execute("BEGIN")
        for table, sql in QUERIES.items():
            names = [column[0] for column in conn.execute(f"{sql} LIMIT 0").description]
            columns = ", ".join(f"{name} INTEGER PRIMARY KEY" if name == "id" else name for name in names)
            conn.execute(f"CREATE TABLE copy.{table} ({columns})")
            conn.execute(f"INSERT INTO copy.{table} {sql}")
        conn.execute("COMMIT")


def delete_copies(library: Path) -> None:
    """Delete the copy, what killed writers left of it, and the copy of another library at this path."""
    target = copy_path(library)
    atomic.remove_abandoned(target, older_than_seconds=0)
    for end in (SUFFIX, BEFORE):
        target.with_name(target.name.removesuffix(SUFFIX) + end).unlink(missing_ok=True)


@contextlib.contextmanager
def hold_writers(library: Path, *, timeout: float = LOCK_SECONDS) -> Iterator[sqlite3.Connection]:
    """A connection that holds SQLite's write lock, and writes nothing. Raises sqlite3.Error.

    Where the file was replaced before the lock was there, the lock is taken on the new one.
    """
    while True:
        opened = os.stat(library)
        conn = sqlite3.connect(
            f"{library.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout, isolation_level=None,
        )  # fmt: skip
        with contextlib.closing(conn):
            conn.execute("PRAGMA cell_size_check = ON")
            conn.execute("BEGIN IMMEDIATE")
            if os.path.samestat(opened, os.stat(library)):
                yield conn
                return


def _keep_foreign(source: sqlite3.Connection, target: Path) -> None:
    """Rename a copy that belongs to another library: one that was at this path before, and was deleted."""
    if not target.exists():
        return
    query = "SELECT value FROM properties WHERE name = 'id'"
    try:
        with contextlib.closing(sqlite3.connect(f"{target.as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            foreign = copy.execute(query).fetchone() != source.execute(query).fetchone()
    except sqlite3.Error:  # damaged: nothing to keep
        return
    if foreign:
        target.replace(target.with_name(target.name.removesuffix(SUFFIX) + BEFORE))
