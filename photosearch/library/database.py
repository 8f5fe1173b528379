"""One SQLite file: its connections, its transactions, its migrations; SQLite's errors in our words.

Every write of more than one row is one transaction, so whatever stops a run, what was searchable stays searchable.
The border speaks Python: a score goes in as a float (a numpy float32 would become a 4-byte blob without complaint),
and a path that isn't UTF-8 is stored as a BLOB of its bytes, any other as TEXT.
"""

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from photosearch import atomic
from photosearch.errors import StoreError
from photosearch.library import schema
from photosearch.library.location import APPLICATION_ID, is_library

WAIT_SECONDS = 60.0  # how long a short write waits for another program's short write
OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables

Row = tuple[Any, ...]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Database:
    """One library. Owns the connections; a context manager. Not for sharing between threads, but for `read`."""

    def __init__(self, path: str | Path, *, create: bool = False):
        """Open the library, bring its schema up to date. Raises StoreError, in a line, for anything that is wrong."""
        self.path = Path(path)
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"this Python carries SQLite {sqlite3.sqlite_version}, too old; use a newer Python")
        if not self.path.exists():
            if not create:
                raise StoreError(f"{path}: no library here yet; make one with `photosearch index FOLDER`")
            create_private(self.path)
        with self._translated():
            self.conn = self._connect()
            try:
                self._migrate()
                self._reader = self._connect()
            except BaseException:
                self.conn.close()
                raise
            self._reader_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.conn.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside, or none. Holds the only write lock: keep it short."""
        with self._translated():
            # BEGIN IMMEDIATE: a transaction that reads first and writes later could find itself outdated, and fail.
            self.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.conn.execute("COMMIT")
            except BaseException:
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
                raise

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        with self._translated():
            return self.conn.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        rows = self.rows(sql, values)
        return rows[0] if rows else None

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row:
        """The first row, which must be there."""
        return self.rows(sql, values)[0]

    def write(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._translated():
            self.conn.execute(sql, values)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._translated():
            self.conn.executemany(sql, rows)

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """What is committed. May be called from any thread."""
        with self._translated(), self._reader_lock:
            return self._reader.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def unchecked(self) -> Iterator[None]:
        """Foreign keys unchecked: for each image that goes, the check would read all scores and all truth."""
        self.write("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self.write("PRAGMA foreign_keys = ON")

    def vacuum(self) -> None:
        """Give back the room of what was deleted, in the file and in its log, so that no trace stays in either."""
        self.write("VACUUM")
        (busy, *_), *_ = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(f"{self.path}: done, but traces stay while another program reads; close that, and repeat")

    # ---- below the surface

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: BEGIN IMMEDIATE is ours to say.
        name = f"{self.path.absolute().as_uri()}?immutable=1" if self._frozen() else str(self.path)
        conn = sqlite3.connect(
            name, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=name != str(self.path)
        )
        try:
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA trusted_schema = OFF")
            # With WAL, a crash of the machine may cost the last batches and never the database.
            conn.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            conn.close()
            raise
        return conn

    def _frozen(self) -> bool:
        """Whether nobody here can write it, as on a backup's disk: SQLite could not make the log beside it either."""
        effective = os.access in os.supports_effective_ids
        writable = all(os.access(p, os.W_OK, effective_ids=effective) for p in (self.path, self.path.parent))
        return not writable and not os.path.exists(f"{self.path}-wal")

    def _migrate(self) -> None:
        tables = [name for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        if tables and schema.MIGRATIONS_TABLE not in tables:
            raise StoreError(f"{self.path}: another program's database, no library of photosearch; choose another --db")
        (version,) = self.one("PRAGMA user_version")
        if version > schema.VERSION:
            raise StoreError(f"{self.path}: written by a newer photosearch (schema {version}); upgrade photosearch")
        if version == schema.VERSION:
            return
        self.write("PRAGMA journal_mode = WAL")
        with self.unchecked(), self.transaction():
            (version,) = self.one("PRAGMA user_version")  # another process may have been quicker
            if version < schema.VERSION:
                if version:
                    self._back_up(version)
                schema.migrate(self.conn)
                self.write(f"PRAGMA user_version = {schema.VERSION}")
                self.write(f"PRAGMA application_id = {APPLICATION_ID}")

    def _back_up(self, version: int) -> None:
        """Copy the library aside, as it was before the transaction under way."""
        aside = self.path.with_name(f"{self.path.name}.schema{version}")
        part = free_path(aside.with_name(aside.name + ".part"))
        try:
            # Through a connection of its own: SQLite copies nothing from one that is writing.
            with (
                atomic.write_file(aside, part=part, mode=0o600),
                contextlib.closing(self._connect()) as before,
                contextlib.closing(sqlite3.connect(part)) as copy,
            ):
                before.backup(copy)
        except OSError as error:
            raise StoreError(
                f"{aside}: can't back up the library here: {error.strerror}; nothing was changed"
            ) from None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors -> ours, in words."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            advice = _advice(error)
            if advice == DAMAGED and not is_library(self.path):
                advice = NOT_OURS
            raise StoreError(f"{self.path}: {advice}") from error


def free_path(path: Path) -> Path:
    """Clear a place for a database, with the logs that a killed run left: SQLite would play them into the new one."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return path


def list_backups(path: Path) -> list[Path]:
    """What migrations and `rebuild` have put aside of a library, with its logs: they still hold what it held then."""
    kinds = (f"{path.name}.schema", f"{path.name}.damaged-")
    found = [p for p in path.parent.iterdir() if p.name.startswith(kinds)]
    ours = {str(p) for p in found if is_library(p)}
    return sorted(p for p in found if str(p).removesuffix("-wal").removesuffix("-shm") in ours)


def create_private(path: Path) -> None:
    """An empty file that only its owner may read: what a person photographs is nobody else's business."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: can't make a library here: {error.strerror}; choose a place with --db") from None


# ---- paths


def to_sql(path: str) -> str | bytes:
    """Python's own text form of a path -> TEXT where it is UTF-8, else a BLOB."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def to_path(value: str | bytes) -> str:
    return os.fsdecode(value)


def join(root: str | bytes, folder: str | bytes, name: str | bytes) -> str:
    """A photo's absolute path, from the three columns that hold it."""
    return os.path.join(to_path(root), *filter(None, (to_path(folder), to_path(name))))


def to_relative(path: str, root: str) -> str:
    """An absolute path as it is stored below its root: with /, and '' for the root itself."""
    if is_below(path, root):  # an address is no path, and would be normalised
        return path[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
    below = os.path.relpath(path, root).replace(os.sep, "/")
    return "" if below == "." else below


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path lies below a folder. /photos2 is not below /photos."""
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


NOT_OURS = "another program's file, no library of photosearch; choose another --db"
DAMAGED = "the library is damaged; your photos are safe; `photosearch rebuild` starts it anew"


def _advice(error: sqlite3.Error | UnicodeDecodeError) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"another program has kept it locked for {WAIT_SECONDS:.0f} s; close that, then try again"
    if isinstance(error, UnicodeDecodeError) or re.search("malformed|not a database|corrupt|decode to UTF-8", text):
        return DAMAGED
    if "full" in text or "disk I/O" in text:
        return f"the disk is full or fails ({text}); make room, then run the same command again: nothing is lost"
    if "readonly" in text or "unable to open" in text:
        return f"can't be written ({text}); check its permissions, or choose a place with --db"
    return text
