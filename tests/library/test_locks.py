"""One writer at a time, who is waited for or named; and what was opened is closed, also where opening fails.

Several processes at once: test_two_at_once.py.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest

from photosearch import Library
from photosearch.errors import BusyError, InputError, StoreError
from photosearch.library import database, schema
from photosearch.library.database import WAIT_SECONDS, Database
from photosearch.library.lock import lock_library
from photosearch.library.rebuild import rebuild
from photosearch.library.user_copy import hold_writers
from photosearch.spares.move import move_spares, undo_move


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "library.db") as library:
        yield library


def spare_plan(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(things=((),), unfinished=None, left=(), folder=str(folder / "spares"))


WORK: dict[str, Callable[[Library, Path], object]] = {
    "index": lambda library, folder: list(library.index(folder)),
    "merge": lambda library, folder: list(library.merge(folder / "a.parquet")),
    "forget": lambda library, folder: library.forget(None),
    "forget a photo": lambda library, folder: library.forget([folder / "a.jpg"]),
    "rebuild": lambda library, folder: rebuild(library.path, force=True),
    "move spares": lambda library, folder: move_spares(library._session.db, spare_plan(folder)),
    "undo a move": lambda library, folder: undo_move(library._session.db, str(folder / "log.jsonl")),
}


@pytest.mark.parametrize("work", WORK)
def test_long_work_is_refused_while_another_program_holds_the_library(
    tmp_path: Path, library: Library, work: str
) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"")
    before = sorted(os.listdir(tmp_path))
    with filelock.FileLock(f"{library.path}.lock"), pytest.raises(BusyError, match="another process; wait for it"):
        WORK[work](library, tmp_path)
    assert set(os.listdir(tmp_path)) - {"library.db.lock"} == set(before)


def test_lock_is_free_after_work_that_failed(tmp_path: Path, library: Library) -> None:
    held = []  # with the tracebacks, and so all that was made until then
    for _ in range(2):
        with pytest.raises(InputError, match="no such shard") as error:
            list(library.merge(tmp_path / "none.parquet"))
        held.append(error)


def test_transaction_that_will_not_wait_says_so_at_once_and_others_wait_as_before(library: Library) -> None:
    start = time.monotonic()
    with Database(library.path) as other, other.transaction():
        with pytest.raises(StoreError, match="kept it locked"), library._session.db.transaction(wait=False):
            pytest.fail("the lock is taken when a transaction begins, not when it writes")
        (waits,) = library._session.db.one("PRAGMA busy_timeout")
    assert (waits, time.monotonic() - start < WAIT_SECONDS / 2) == (1000 * WAIT_SECONDS, True)
    with library._session.db.transaction(wait=False):
        pass
    assert library._session.db.one("PRAGMA busy_timeout") == (waits,)


def test_every_connection_waits_for_other_programs(library: Library) -> None:
    db = library._session.db
    assert [conn.execute("PRAGMA busy_timeout").fetchone() for conn in (db._conn, db._reader)] == [(60_000,)] * 2


def test_who_holds_writers_keeps_all_of_them_out(library: Library) -> None:
    with (
        hold_writers(library.path),
        pytest.raises(StoreError, match="kept it locked"),
        library._session.db.transaction(wait=False),
    ):
        pass
    with library._session.db.transaction(wait=False):
        pass


def list_open(folder: Path) -> list[str]:
    """The names of the files below a folder that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own
            found += [link.readlink().name] * link.readlink().is_relative_to(folder)
    return sorted(found)


def test_closed_library_has_no_file_open(tmp_path: Path) -> None:
    library = Library(tmp_path / "library.db")
    assert list_open(tmp_path)
    library.close()
    assert list_open(tmp_path) == []
    assert library.path.exists(), "it is still held here, and was not merely forgotten"


def test_library_is_closed_at_the_end_of_its_block(tmp_path: Path) -> None:
    with Library(tmp_path / "library.db") as library:
        assert list_open(tmp_path)
    assert (list_open(tmp_path), library.path.exists()) == ([], True)


def test_lock_file_is_its_owners_alone(tmp_path: Path, library: Library) -> None:
    with lock_library(library.path):
        (lock,) = tmp_path.glob("*.lock")
        assert lock.stat().st_mode & 0o777 == 0o600


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)


def make_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE mine(a)")


@pytest.mark.parametrize("spoil", [make_newer, damage, make_foreign], ids=lambda spoil: spoil.__name__)
def test_library_that_cannot_be_opened_stays_open_nowhere(
    tmp_path: Path, library: Library, spoil: Callable[[Path], None]
) -> None:
    library.close()
    shutil.copy(library.path, tmp_path / "bad.db")
    spoil(tmp_path / "bad.db")
    with pytest.raises(StoreError) as error:  # whose traceback holds all that was made until then
        Database(tmp_path / "bad.db")
    assert (list_open(tmp_path), error.value.__traceback__ is not None) == ([], True)


def test_library_whose_second_connection_fails_stays_open_nowhere(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.close()
    connect, made = Database._connect, []

    def fail_second(self: Database) -> sqlite3.Connection:
        if made:
            raise sqlite3.OperationalError("too many open files")
        made.append(connect(self))
        return made[0]

    monkeypatch.setattr(Database, "_connect", fail_second)
    with pytest.raises(StoreError, match="too many open files"):
        Database(library.path)
    assert (list_open(tmp_path), len(made)) == ([], 1)


def test_backup_before_a_migration_leaves_no_part_and_does_not_block_the_next(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.close()
    db = Database(library.path)
    backup = tmp_path / "library.db.schema1"

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for end in ("", "-wal", "-journal"):  # what a killed attempt may have left
        backup.with_name(f"{backup.name}.part{end}").write_bytes(b"half")
    with monkeypatch.context() as patch:
        patch.setattr(database.atomic, "write_file", fail)
        with pytest.raises(StoreError, match="can't back up the library here"):
            db._back_up(1)
    db._back_up(1)
    with closing(sqlite3.connect(backup)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    assert [name for name in os.listdir(tmp_path) if ".part" in name] == []
