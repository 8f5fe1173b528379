"""One SQLite file: its connections, transactions and migrations, and SQLite's errors as StoreError.

No other module has a connection to an open library: every statement runs in a method of Database, and so does every
step through its rows. A transaction is refused once the file was replaced, so no change goes to a file that `rebuild`
has put aside.

Every write of more than one row is one transaction, so a run that is stopped leaves the library searchable. Values are
Python's own: SQLite would silently store a numpy float32 as a 4-byte blob. A path that isn't UTF-8 is stored as a BLOB
of its bytes, any other as TEXT.
"""

import contextlib
import errno
import functools
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from photosearch import atomic
from photosearch.errors import DamagedError, StoppedError, StoreError
from photosearch.library import schema
from photosearch.library.location import APPLICATION_ID, is_library
from photosearch.library.user_copy import BEFORE, UserCopy
from photosearch.library.user_copy import TABLES as COPIED_TABLES

WAIT_SECONDS = 60.0  # for another program's write lock
STEPS = 1_000_000  # of SQLite's machine between two looks at whether to stop: some 30 ms
MAX_RECALLED = 500  # values that are kept of what was read
MAX_RECALLED_BYTES = 64 * 1024 * 1024  # of those, without what they refer to
CACHE_KIB = 64 * 1024  # of pages, which SQLite fills as they are read; its own 2 MiB hold no two labels of a million
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN")  # errors on a full disk
MIN_SQLITE = (3, 37, 0)  # the first with STRICT tables

SqlValue = str | bytes | int | float | None
Row = tuple[Any, ...]  # of SqlValues; each statement knows which
T = TypeVar("T")
P = ParamSpec("P")


def now() -> str:
    """UTC, YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Database:
    """An open library. Owns the connections; a context manager. Only `read` may be called from other threads."""

    def __init__(self, path: str | Path, *, create: bool = False, read_only: bool = False):
        """Open the library and bring its schema up to date. create: where there is none. Raises StoreError.

        read_only: SQLite refuses each write, and an older schema is refused rather than upgraded.
        """
        self.path, self.read_only = Path(path), read_only
        self._no_room: sqlite3.Error | None = None  # why it could only be opened to be read
        self._should_stop: Callable[[], bool] = _never
        if sqlite3.sqlite_version_info < MIN_SQLITE:
            raise StoreError(f"this Python has SQLite {sqlite3.sqlite_version}, which is too old; use a newer Python")
        if not self.path.exists():
            if not create:
                raise StoreError(f"{path}: no library here yet; make one with `photosearch index FOLDER`")
            create_private(self.path)
        if self.path.is_dir():
            raise StoreError(f"{path}: is a folder; a library is a file, such as {self.path / 'library.db'}")
        self._copy, self._copy_due = UserCopy(self.path), False
        self._opened: str | None = None
        self._state, self._recalled, self._recalled_bytes = (0, 0), dict[object, Any](), 0
        with self._translated():
            opened = self._identify_file()
            self._conn = self._connect()
            try:
                self._migrate()
                self._opened = f"{opened} {self._read_id()}"
                self._reader = self._connect()
            except BaseException:
                self._conn.close()
                raise
            self._reader_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._copy.flush()
        self._reader.close()
        self._conn.close()

    def identify(self) -> str:
        """A text that changes when the library is rebuilt, replaced or emptied: ids of images mean others from then on.

        Raises StoreError where it was moved or deleted.
        """
        return f"{self._identify_file()} {self._read_id()}"

    def check_unchanged(self) -> None:
        """Raises StoreError where `identify` gives another text than when the library was opened."""
        if self._opened is not None and self.identify() != self._opened:
            raise StoreError(f"{self.path}: {REPLACED}")

    def accept_change(self) -> None:
        """Go on with a library that this connection has emptied."""
        self._opened = self.identify()

    @contextlib.contextmanager
    def stoppable(self, should_stop: Callable[[], bool]) -> Iterator[None]:
        """Statements inside raise StoppedError once should_stop(), which they call again and again, is true.

        Not those of `read`. A transaction is rolled back then.
        """
        self._should_stop = should_stop
        self._conn.set_progress_handler(should_stop, STEPS)
        try:
            yield
        finally:
            self._conn.set_progress_handler(None, 0)
            self._should_stop = _never

    def check_stopped(self) -> None:
        """For what waits without a statement. Raises StoppedError inside `stoppable`, once it is to stop."""
        if self._should_stop():
            raise StoppedError(f"{self.path}: {STOPPED}")

    def damaged(self) -> DamagedError:
        """The error to raise where a stored value is malformed."""
        return DamagedError(f"{self.path}: {DAMAGED}")

    @contextlib.contextmanager
    def transaction(self, *, wait: bool = True) -> Iterator[None]:
        """All writes inside, or none. Holds SQLite's only write lock, so keep it short.

        wait: for another program that holds it. Raises StoreError where that takes too long, and where the file at the
        path is no longer the open one.
        """
        with self._translated():
            self._begin(wait)
            self._copy_due = False
            try:
                self.check_unchanged()
                yield
                self._apply_word_changes()
                self._conn.execute("COMMIT")
            except BaseException:
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                raise
            if self._opened is not None and not self._opened.startswith(f"{self._identify_file()} "):
                raise StoreError(f"{self.path}: {REPLACED}")  # so damaged that `rebuild` could not lock it
        if self._copy_due:
            self._copy.update()

    def _begin(self, wait: bool) -> None:
        (timeout,) = self._conn.execute("PRAGMA busy_timeout").fetchone()
        if not wait:
            self._conn.execute("PRAGMA busy_timeout = 0")
        try:
            # IMMEDIATE: a transaction that reads first fails at its first write if another program wrote meanwhile.
            self._conn.execute("BEGIN IMMEDIATE")
        finally:
            self._conn.execute(f"PRAGMA busy_timeout = {timeout}")

    def flush_copy(self) -> None:
        """Write the user's copy now if it is due."""
        self._copy.flush()

    def rows(self, sql: str, values: Sequence[SqlValue] | Mapping[str, SqlValue] = ()) -> list[Row]:
        """All rows. A statement that writes joins the open transaction, or runs in one of its own."""
        table = find_written_table(sql)
        if table is not None and not self._conn.in_transaction:
            with self.transaction():
                return self.rows(sql, values)
        self._copy_due |= table in COPIED_TABLES
        try:  # not `_translated`: this runs a dozen times a photo
            return self._conn.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translate(error) from error

    def iterate(self, sql: str, values: Sequence[SqlValue] = ()) -> Iterator[Row]:
        """The rows one by one, for results that are larger than memory."""
        with self._translated():
            yield from self._conn.execute(sql, values)

    def row(self, sql: str, values: Sequence[SqlValue] = ()) -> Row | None:
        """The first row, or None."""
        rows = self.rows(sql, values)
        return rows[0] if rows else None

    def one(self, sql: str, values: Sequence[SqlValue] = ()) -> Row:
        """The first row, which must exist."""
        return self.rows(sql, values)[0]

    def write(self, sql: str, values: Sequence[SqlValue] = ()) -> None:
        self.rows(sql, values)

    def write_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        if not self._conn.in_transaction:
            with self.transaction():
                self.write_many(sql, rows)
            return
        self._copy_due |= find_written_table(sql) in COPIED_TABLES
        try:
            self._conn.executemany(sql, rows)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translate(error) from error

    def read(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        """Rows of what is committed. May be called from any thread."""
        with self._translated(), self._reader_lock:
            return self._reader.execute(sql, values).fetchall()

    def recall(self, read: "Callable[Concatenate[Database, P], T]", *args: P.args, **kwargs: P.kwargs) -> T:
        """read(self, *args), which is kept until any program changes the library. Nobody may change what it gives."""
        if self._conn.in_transaction:
            return read(self, *args, **kwargs)
        with self._translated():
            (version,) = self._conn.execute("PRAGMA data_version").fetchone()  # changes with others' commits
        if (state := (version, self._conn.total_changes)) != self._state:
            self._state, self._recalled, self._recalled_bytes = state, {}, 0
        key = (read, args, *kwargs.items())
        if key not in self._recalled:
            value = read(self, *args, **kwargs)
            if len(self._recalled) >= MAX_RECALLED or self._recalled_bytes >= MAX_RECALLED_BYTES:
                self._recalled, self._recalled_bytes = {}, 0
            self._recalled[key] = value
            self._recalled_bytes += sys.getsizeof(value)
        kept: T = self._recalled[key]
        return kept

    @contextlib.contextmanager
    def unchecked(self) -> Iterator[None]:
        """Without foreign key checks: for each deleted image they would scan all scores and all marks."""
        self.rows("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self.rows("PRAGMA foreign_keys = ON")

    def vacuum(self) -> None:
        """Rewrite the file without what was deleted, and empty its log, so that neither keeps a trace."""
        self.check_unchanged()
        self.write("INSERT INTO words(words) VALUES ('optimize')")  # else its index keeps deleted words
        self.rows("VACUUM")
        (busy, *_), *_ = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(f"{self.path}: done, but traces stay while another program reads; close that, and repeat")

    # ---- internals

    def _apply_word_changes(self) -> None:
        """Bring the full-text index in step with what the transaction changed."""
        columns = "folder, name, title, caption, keyword, person, place"
        if self._conn.execute("SELECT 1 FROM word_changes LIMIT 1").fetchone():
            self._conn.execute(  # in SQL alone: a path need not be UTF-8
                f"INSERT INTO words(words, rowid, {columns}) "
                f"SELECT iif(gone, 'delete', NULL), doc, {columns} FROM word_changes ORDER BY id"
            )
            self._conn.execute("DELETE FROM word_changes")

    def _identify_file(self) -> str:
        try:
            status = os.stat(self.path)
        except OSError:
            raise StoreError(f"{self.path}: {REPLACED}") from None
        return f"{status.st_dev}-{status.st_ino}"

    def _read_id(self) -> str:
        row = self.row("SELECT value FROM properties WHERE name = 'id'")
        return "" if row is None else str(row[0])

    def _connect(self) -> sqlite3.Connection:
        """Open the file; on a full disk, where SQLite has no room for its shared memory, only to be read."""
        try:
            return self._open(immutable=self._is_read_only())
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(NO_ROOM) or _size_of(f"{self.path}-wal"):
                raise
            self._no_room = error
            return self._open(immutable=True)

    def _open(self, *, immutable: bool) -> sqlite3.Connection:
        # isolation_level None: transactions are begun explicitly.
        name = str(self.path)
        if immutable or self.read_only:
            name = f"{self.path.absolute().as_uri()}?{'immutable=1' if immutable else 'mode=ro'}"
        conn = sqlite3.connect(
            name, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=name != str(self.path)
        )
        try:
            if self.read_only:
                conn.execute("PRAGMA query_only = ON")  # even of what this connection attaches
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA trusted_schema = OFF")
            # With WAL, a crash of the machine may lose the last transactions but never damages the database.
            conn.execute("PRAGMA synchronous = NORMAL")
            conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            conn.execute("PRAGMA user_version")  # the first read, which opens the log
        except BaseException:
            conn.close()
            raise
        return conn

    def _is_read_only(self) -> bool:
        """Whether neither the file nor its folder can be written, as on a backup: SQLite can't make its log either."""
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
        if self.read_only:
            raise StoreError(f"{self.path}: written by an older photosearch; upgrade it once with `photosearch status`")
        self.rows("PRAGMA journal_mode = WAL")
        with self.unchecked(), self.transaction():
            (version,) = self.one("PRAGMA user_version")  # another process may have migrated it meanwhile
            if version < schema.VERSION:
                if version:
                    self._back_up(version)
                schema.migrate(self._conn)
                self.rows(f"PRAGMA user_version = {schema.VERSION}")
                self.rows(f"PRAGMA application_id = {APPLICATION_ID}")

    def _back_up(self, version: int) -> None:
        """Copy the library to a file beside it, as it was before the current transaction."""
        backup = self.path.with_name(f"{self.path.name}.schema{version}")
        part = clear_path(backup.with_name(backup.name + ".part"))
        try:
            # Through another connection: SQLite can't back up from one that is in a write transaction.
            with (
                atomic.write_file(backup, part=part, mode=0o600),
                contextlib.closing(self._connect()) as before,
                contextlib.closing(sqlite3.connect(part)) as copy,
            ):
                before.backup(copy)
        except OSError as error:
            raise StoreError(
                f"{backup}: can't back up the library here: {error.strerror}; nothing was changed"
            ) from None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise SQLite's errors as StoreError."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error | UnicodeDecodeError) -> StoreError:
        if self.read_only and "readonly" in str(error):
            return StoreError(f"{self.path}: {READ_ONLY}")
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return StoppedError(f"{self.path}: {STOPPED}")
        advice = _advise(self._no_room if self._no_room is not None and "readonly" in str(error) else error)
        if advice == DAMAGED:
            return self.damaged() if is_library(self.path) else StoreError(f"{self.path}: {NOT_OURS}")
        return StoreError(f"{self.path}: {advice}")


def _never() -> bool:
    return False


_WRITES = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|REPLACE INTO|UPDATE(?: OR \w+)?|DELETE FROM)\s+(\w+)")


@functools.lru_cache(maxsize=1000)
def find_written_table(sql: str) -> str | None:
    """The table that a statement writes to; None for one that reads."""
    found = _WRITES.match(sql)
    return None if found is None else found[1]


def _size_of(path: str) -> int:
    """In bytes; 0 where there is no file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def clear_path(path: Path) -> Path:
    """Delete a file and its logs, so that a new database can take its path: SQLite would replay old logs into it."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return path


def list_backups(path: Path) -> list[Path]:
    """The backups that migrations and `rebuild` made of a library, with their logs and copies."""
    kinds = (f"{path.name}.schema", f"{path.name}.damaged-", f"{path.name}{BEFORE}")
    found = [p for p in path.parent.iterdir() if p.name.startswith(kinds)]
    ours = {str(p) for p in found if is_library(p)}
    return sorted(p for p in found if str(p).removesuffix("-wal").removesuffix("-shm") in ours)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may read. Raises StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600))
    except OSError as error:
        reason = "a symbolic link to nothing" if error.errno == errno.ELOOP else error.strerror
        raise StoreError(f"{path}: can't make a library here: {reason}; choose a place with --db") from None


# ---- paths


def to_sql(path: str) -> str | bytes:
    """A path as Python's str -> str where it is UTF-8, else bytes."""
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
    if is_below(path, root):  # without os.path, which would normalise an address
        return path[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
    below = os.path.relpath(path, root).replace(os.sep, "/")
    return "" if below == "." else below


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path is below a folder. /photos2 is not below /photos."""
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


READ_ONLY = "this program opened the library only to read it; nothing was written"
NOT_OURS = "another program's file, no library of photosearch; choose another --db"
STOPPED = "stopped, since nobody waits for the answer; nothing was written"
DAMAGED = "the library is damaged; your photos are safe; `photosearch rebuild` starts it anew"
REPLACED = (
    "was rebuilt, emptied, moved or deleted since it was opened here; nothing was written; end this program and start "
    "it again"
)
_SIGNS_OF_DAMAGE = re.compile(
    "malformed|not a database|corrupt|decode to UTF-8|unsupported file format|no such (?:table|column)|"
    "no query solution|too big"
)


def _advise(error: sqlite3.Error | UnicodeDecodeError) -> str:
    """What happened and what to do, in words."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"another program has kept it locked for {WAIT_SECONDS:.0f} s; close that, then try again"
    if isinstance(error, UnicodeDecodeError) or _SIGNS_OF_DAMAGE.search(text):
        return DAMAGED
    if "full" in text or "disk I/O" in text:
        return f"the disk is full or fails ({text}); make room, then run the same command again: nothing is lost"
    if "readonly" in text or "unable to open" in text:
        return f"can't be written ({text}); check its permissions, or choose a place with --db"
    if "fts5" in text:
        return "this Python's SQLite lacks full-text search (FTS5); use another Python"
    if "FOREIGN KEY" in text:
        return "another program deleted what this one was about to change; nothing was written; run it again"
    return text
